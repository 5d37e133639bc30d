//! Bulk jobs against a scripted server: what is sent, what counts as gone, and which bodies are refused.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::Response;

use super::*;
use crate::salesforce::results::{ResultSet, Results, rows};
use crate::salesforce::soql::{FieldPath, ObjectName};
use crate::salesforce::stub::{Stub, json, refusal};

const JOB: &str = "7505g00000Rf001AAB";

fn address() -> BulkAddress {
    BulkAddress { id: SalesforceId::parse(JOB).unwrap(), version: ApiVersion::default() }
}

fn set(rows: &str, locator: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder()
        .header("content-type", "text/csv; charset=UTF-8")
        .header("sforce-numberofrecords", rows)
        .header("sforce-locator", locator)
        .body(body.into())
        .unwrap()
}

async fn read(rows: &'static str, body: impl Into<Vec<u8>>) -> Result<ResultSet, SalesforceError> {
    let body: Vec<u8> = body.into();
    let stub = Stub::start(move |_| set(rows, "null", body.clone())).await;
    match stub.client(1).0.bulk_results(address(), None, 10).await? {
        Results::Set(set) => Ok(set),
        Results::Gone => panic!("there is a set"),
    }
}

#[tokio::test]
async fn a_job_is_made_without_order_and_read_with_the_version_that_made_it() {
    let stub = Stub::start(|seen| match seen.path.as_str() {
        "/services/data/v66.0/jobs/query" => {
            json(200, serde_json::json!({"id": JOB, "state": "UploadComplete"}).to_string())
        }
        _ => set("1", "MTAw", "\"Id\"\n\"a\"\n"),
    })
    .await;
    let (client, _, gate) = stub.client(1);
    let (object, cursor) = (ObjectName::parse("Case").unwrap(), FieldPath::parse("SystemModstamp").unwrap());
    let at = |text| parse_salesforce_datetime(text).unwrap();
    let (from, to) = (at("2026-11-01T00:00:00.000Z"), at("2026-11-02T00:00:00.000Z"));
    let made = client.bulk_create(&Soql::slice(&object, &[], &cursor, from, to)).await.unwrap();
    assert_eq!(made.address, address());
    let Results::Set(set) = client.bulk_results(made.address, Some("MTAw"), 7).await.unwrap() else {
        panic!("there is a set");
    };
    assert_eq!((set.rows, set.next.as_deref()), (1, Some("MTAw")));
    let seen = stub.seen.lock().unwrap();
    let body: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(body["operation"], "queryAll");
    assert_eq!((&body["contentType"], &body["lineEnding"]), (&"CSV".into(), &"LF".into()));
    assert!(!body["query"].as_str().unwrap().contains("ORDER"), "{body}");
    assert_eq!(seen[1].headers["accept"], "text/csv");
    assert_eq!(seen[1].path, format!("/services/data/v66.0/jobs/query/{JOB}/results"));
    assert_eq!(*gate.attempts.lock().unwrap(), [CallKind::BulkJob, CallKind::BulkResults]);
}

#[tokio::test]
async fn a_set_that_is_not_whole_is_no_set() {
    let whole = read("2", "\"Id\",\"T\"\n\"a\",\"x\"\"y\nz\"\n\"b\",\"\"\n").await.unwrap();
    assert_eq!((whole.rows, whole.next.as_deref()), (2, None));
    for (announced, body) in [
        ("2", "\"Id\"\n\"a\"\n"),
        ("1", "\"Id\"\n\"a\"\n\"b\"\n"),
        ("1", "\"Id\",\"T\"\n\"a\",\"x"),
        ("1", "\"Id\",\"T\"\n\"a\",\"x\n"),
        ("1", "\"Id\",\"T\"\n\"a\",\"x\""),
        ("1", "\"Id\",\"T\"\n\"a\",\"x\"\"\n"),
    ] {
        let refused = read(announced, body).await;
        assert!(matches!(refused, Err(SalesforceError::Unreadable { .. })), "{body:?}");
    }
}

#[tokio::test]
async fn a_set_without_rows_is_one_empty_part() {
    for body in ["", "\"Id\",\"T\"\n"] {
        let none = read("0", body).await.unwrap();
        assert_eq!(none.parts(5).len(), 1, "{body:?}");
        assert_eq!(rows(&none.parts(5)[0]).count(), 0);
    }
}

#[tokio::test]
async fn parts_hold_every_row_once_whatever_stands_in_their_values() {
    let texts = ["plain", "two\nlines", "a \"\"quote\"\"\r\nand, more", "", "😀 é", "N/A", "\n\n"];
    let mut body = "\"Id\",\"T\"\n".to_owned();
    for (row, text) in texts.iter().enumerate() {
        let _ = writeln!(body, "\"{row}\",\"{text}\"");
    }
    let set = read("7", body).await.unwrap();
    for each in 1..=8 {
        let parts = set.parts(each);
        assert_eq!(parts.len(), texts.len().div_ceil(each));
        let found: Vec<String> = parts
            .iter()
            .flat_map(|part| rows(part).collect::<Vec<_>>())
            .map(|row| String::from_utf8(row[1].to_vec()).unwrap())
            .collect();
        assert_eq!(found, texts.map(|text| text.replace("\"\"", "\"")), "{each}");
    }
}

#[tokio::test]
async fn what_is_gone_is_told_apart_from_what_is_broken() {
    let stub = Stub::start(|_| refusal(404, "NOT_FOUND", "The requested resource does not exist")).await;
    let (client, ..) = stub.client(1);
    assert_eq!(client.bulk_state(address()).await.unwrap(), None);
    assert!(matches!(client.bulk_results(address(), None, 5).await.unwrap(), Results::Gone));
    client.bulk_remove(address()).await.unwrap();
    let other = Stub::start(|_| refusal(409, "API_ERROR", "made with another version")).await;
    assert!(matches!(other.client(1).0.bulk_results(address(), None, 5).await.unwrap(), Results::Gone));
    let locator = Stub::start(|_| refusal(400, "INVALID_QUERY_LOCATOR", "invalid")).await;
    assert!(matches!(
        locator.client(1).0.bulk_results(address(), Some("x"), 5).await.unwrap(),
        Results::Gone
    ));
    let broken = Stub::start(|_| refusal(500, "UNKNOWN_EXCEPTION", "x")).await;
    assert!(broken.client(1).0.bulk_state(address()).await.is_err());
    assert!(broken.client(1).0.bulk_results(address(), None, 5).await.is_err());
}

#[tokio::test]
async fn a_job_that_runs_is_given_up_before_it_is_removed() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let stub = Stub::start(move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => refusal(400, "API_ERROR", "Error encountered when deleting: the job is not terminated"),
        1 => refusal(400, "INVALIDJOBSTATE", "Aborting already Completed Job not allowed"),
        _ => Response::builder().status(204).body(Body::empty()).unwrap(),
    })
    .await;
    stub.client(1).0.bulk_remove(address()).await.unwrap();
    let seen = stub.seen.lock().unwrap();
    assert_eq!(seen[1].body, r#"{"state":"Aborted"}"#);
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn the_list_of_jobs_is_read_to_its_end_by_its_locator_alone() {
    let record = |id: &str| {
        serde_json::json!({"id": id, "operation": "queryAll", "object": "Case", "createdById": "005R0000000GiwjIAC",
            "createdDate": "2026-11-23T17:50:19.000+0000", "state": "InProgress"})
    };
    let lists = std::sync::atomic::AtomicUsize::new(0);
    let stub = Stub::start(move |_| {
        let first = lists.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        let next = first.then_some("https://evil.example.com/jobs/ingest?queryLocator=01gR-1000");
        let id = if first { "7505g00000Rf001AAB" } else { "7505g00000Rf002AAB" };
        let records = [record(id), serde_json::json!({"id": "7505g00000Rf003AAB"})];
        json(200, serde_json::json!({"records": records, "nextRecordsUrl": next}).to_string())
    })
    .await;
    let (jobs, _) = stub.client(1).0.bulk_list().await.unwrap();
    let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    assert_eq!(ids, ["7505g00000Rf001AAB", "7505g00000Rf002AAB"]);
    assert!(jobs.iter().all(|job| job.sees_deleted && job.object == "Case"));
    assert_eq!(stub.count("/services/data/v66.0/jobs/query"), 2);
}
