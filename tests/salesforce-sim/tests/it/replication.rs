//! Lists of changed and deleted records.

use salesforce_sim::time;
use serde_json::{Value, json};

use crate::support::Sim;

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

/// The org's time now, in milliseconds since 1970.
async fn now(sim: &Sim) -> i64 {
    let truth = sim.control_get("/truth").await;
    time::parse_instant(truth["now"].as_str().unwrap()).unwrap()
}

async fn list(sim: &Sim, object: &str, which: &str, start: i64, end: i64) -> (u16, Value) {
    let path = format!("/services/data/v66.0/sobjects/{object}/{which}/");
    let span = [("start", time::rfc3339(start)), ("end", time::rfc3339(end))];
    crate::support::read(sim.request(&path).query(&span).send().await.unwrap()).await
}

fn covered(body: &Value) -> i64 {
    time::parse_instant(body["latestDateCovered"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn changed_records_are_listed_by_id() {
    let sim = Sim::start().await;
    sim.advance(5 * MINUTE).await;
    let case = sim.insert("Case", json!({"Subject": "new"})).await;
    let start = now(&sim).await;
    sim.advance(2 * MINUTE).await;
    let (status, body) = list(&sim, "Case", "updated", start - MINUTE, start + 2 * MINUTE).await;
    assert_eq!((status, &body["ids"]), (200, &json!([case])), "{body}");
    assert_eq!(covered(&body) % MINUTE, 0);
    sim.control(&format!("/records/Case/{case}/delete"), json!({})).await;
    let (_, body) = list(&sim, "Case", "updated", start - MINUTE, start + 3 * MINUTE).await;
    assert_eq!(body["ids"], json!([]), "a deleted record is not among them");
}

#[tokio::test]
async fn a_running_transaction_holds_back_what_is_covered() {
    let sim = Sim::start().await;
    sim.advance(10 * MINUTE).await;
    let began = now(&sim).await;
    let late = json!({"object": "Case", "fields": {"Subject": "late"}, "commit_delay_ms": 10 * MINUTE});
    let id = sim.control("/records", late).await["id"].clone();
    sim.advance(5 * MINUTE).await;
    let end = now(&sim).await;
    let (_, body) = list(&sim, "Case", "updated", began - MINUTE, end).await;
    assert_eq!(body["ids"], json!([]));
    assert_eq!(covered(&body), began - began.rem_euclid(MINUTE), "covered up to its start");
    let (_, other) = list(&sim, "Contact", "updated", began - MINUTE, end).await;
    assert_eq!(covered(&other), covered(&body), "for every object");
    sim.advance(6 * MINUTE).await;
    let (_, body) = list(&sim, "Case", "updated", began - MINUTE, now(&sim).await).await;
    assert_eq!(body["ids"], json!([id]), "committed with its old stamp");
    assert!(covered(&body) > end);
}

#[tokio::test]
async fn deleted_records_are_listed_also_when_the_bin_was_emptied() {
    let sim = Sim::start().await;
    sim.advance(5 * MINUTE).await;
    let start = now(&sim).await;
    let mut cases = Vec::new();
    for action in [&["delete"][..], &["delete", "purge"], &["delete", "undelete"]] {
        let case = sim.insert("Case", json!({"Subject": "x"})).await;
        for action in action {
            sim.control(&format!("/records/Case/{case}/{action}"), json!({})).await;
        }
        cases.push(case);
    }
    sim.advance(2 * MINUTE).await;
    let (status, body) = list(&sim, "Case", "deleted", start - MINUTE, start + 2 * MINUTE).await;
    assert_eq!(status, 200, "{body}");
    let gone = body["deletedRecords"].as_array().unwrap();
    let ids: Vec<&str> = gone.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [cases[0].as_str(), cases[1].as_str()]);
    let at = time::parse_instant(gone[0]["deletedDate"].as_str().unwrap()).unwrap();
    assert!((start - 1_000..start + MINUTE).contains(&at));
    for key in ["earliestDateAvailable", "latestDateCovered"] {
        assert!(body[key].as_str().unwrap().ends_with("+0000"), "{key}");
    }
}

#[tokio::test]
async fn spans_that_reach_too_far_are_refused() {
    let sim = Sim::start().await;
    sim.advance(60 * DAY).await;
    let mut sim = sim;
    sim.token = sim.log_in().await;
    let end = now(&sim).await;
    for (which, start, end) in [
        ("updated", end, end),
        ("updated", end - 31 * DAY, end),
        ("deleted", end - MINUTE, end),
        ("deleted", end - 16 * DAY, end),
    ] {
        let (status, body) = list(&sim, "Case", which, start, end).await;
        assert_eq!((status, &body[0]["errorCode"]), (400, &json!("INVALID_REPLICATION_DATE")), "{which}");
    }
    assert_eq!(list(&sim, "Case", "updated", end - 29 * DAY, end).await.0, 200);
    sim.control("/replication", json!({"purged_before": time::rfc3339(end - DAY)})).await;
    let (_, body) = list(&sim, "Case", "deleted", end - 2 * DAY, end).await;
    assert_eq!(body[0]["errorCode"], "INVALID_REPLICATION_DATE", "the log was purged");
    assert_eq!(list(&sim, "Case", "deleted", end - DAY + 2 * MINUTE, end).await.0, 200);
    let missing = sim.get("/services/data/v66.0/sobjects/Case/updated").await.1;
    assert_eq!(missing[0]["errorCode"], "INVALID_REPLICATION_DATE");
}

#[tokio::test]
async fn too_many_ids_and_unfit_objects_are_refused() {
    let sim = Sim::start().await;
    let end = now(&sim).await + MINUTE;
    sim.control("/replication", json!({"most_ids": 3, "updated_ms": 4_000 * DAY})).await;
    let (status, body) = list(&sim, "Case", "updated", end - 3_000 * DAY, end).await;
    assert_eq!((status, &body[0]["errorCode"]), (400, &json!("EXCEEDED_ID_LIMIT")));
    let (_, body) = list(&sim, "ContentDocumentLink", "updated", end - DAY, end).await;
    assert_eq!(body[0]["errorCode"], "INVALID_TYPE_FOR_OPERATION");
    assert_eq!(list(&sim, "Nope", "updated", end - DAY, end).await.0, 404);
}
