//! Pages: one at a time, borrowed, bound to their session, and never silently the last.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::Response;

use super::*;
use crate::salesforce::soql::ObjectName;
use crate::salesforce::stub::{Seen, Stub, json, refusal, token};

fn soql() -> Soql {
    Soql::count_all(&ObjectName::parse("Case").unwrap())
}

const FIRST: &str = r#"{"totalSize":3,"done":false,"nextRecordsUrl":"/services/data/v66.0/query/01gRO0000016PIAYA2-2",
 "records":[{"attributes":{"type":"Case"},"Id":"1"},{"Id":"2"}]}"#;
const LAST: &str = r#"{ "records" : [ {"Id" : "3"} ], "done" : true, "totalSize" : 3 }"#;

fn pages(seen: &Seen) -> Response<Body> {
    if seen.path.ends_with("-2") { json(200, LAST) } else { json(200, FIRST) }
}

async fn all(pages: &mut QueryPages) -> Result<Vec<String>, SalesforceError> {
    let mut records = Vec::new();
    while let Some(page) = pages.next_page().await? {
        records.extend(page.records().iter().map(|record| record.get().to_owned()));
    }
    Ok(records)
}

#[tokio::test]
async fn pages_follow_each_other_until_done() {
    let stub = Stub::start(pages).await;
    let (client, _, gate) = stub.client(1);
    let mut query = client.query(soql(), Scope::All);
    let first = query.next_page().await.unwrap().unwrap();
    assert_eq!((first.rows, first.total_size, first.done), (2, 3, false));
    assert_eq!(first.last_record(), Some(r#"{"Id":"2"}"#));
    assert_eq!(all(&mut query).await.unwrap(), [r#"{"Id" : "3"}"#]);
    assert!(query.next_page().await.unwrap().is_none());
    let seen = stub.seen.lock().unwrap().clone();
    assert_eq!(seen[0].path, "/services/data/v66.0/queryAll");
    assert_eq!(seen[0].soql.as_deref(), Some("SELECT COUNT() FROM Case"));
    assert_eq!(seen[0].headers["sforce-query-options"], "batchSize=2000");
    assert_eq!((seen.len(), seen[1].soql.as_deref()), (2, None));
    assert_eq!(*gate.attempts.lock().unwrap(), [CallKind::Query, CallKind::Query]);
}

#[tokio::test]
async fn records_are_borrowed_from_the_body() {
    let stub = Stub::start(|_| json(200, format!("\u{feff}{LAST}"))).await;
    let page = stub.client(1).0.query(soql(), Scope::Live).next_page().await.unwrap().unwrap();
    let records = page.records();
    let (body, record) = (page.body.as_ptr_range(), records[0].get().as_ptr());
    assert!(body.contains(&record));
}

#[tokio::test]
async fn a_last_page_is_the_last_even_if_it_names_another() {
    let both =
        r#"{"totalSize":1,"done":true,"nextRecordsUrl":"/services/data/v66.0/query/x-2","records":[]}"#;
    let stub = Stub::start(move |_| json(200, both)).await;
    assert!(all(&mut stub.client(1).0.query(soql(), Scope::Live)).await.unwrap().is_empty());
    assert_eq!(stub.count("/"), 1);
}

#[tokio::test]
async fn an_answer_that_is_no_page_is_an_error_and_never_an_end() {
    for (body, code) in [
        (r#"{"totalSize":1,"done":false,"records":[]}"#, "salesforce_unreadable"),
        (r#"{"totalSize":1,"done":true}"#, "salesforce_unreadable"),
        (r#"{"totalSize":1,"done":true,"records":null}"#, "salesforce_unreadable"),
        (r#"{"totalSize":1,"done":true,"records":[{"Id":"1"}"#, "salesforce_unreadable"),
        ("<html>login</html>", "salesforce_unreadable"),
        ("", "salesforce_unreadable"),
        (
            r#"{"totalSize":1,"done":false,"nextRecordsUrl":"https://evil.example/services/data/x","records":[]}"#,
            "salesforce_next_page_refused",
        ),
        (
            r#"{"totalSize":1,"done":false,"nextRecordsUrl":"//evil.example/services/data/x","records":[]}"#,
            "salesforce_next_page_refused",
        ),
    ] {
        let stub = Stub::start(move |_| json(200, body)).await;
        let error = stub.client(1).0.query(soql(), Scope::Live).next_page().await.unwrap_err();
        assert_eq!(crate::error::Classify::code(&error), code, "{body}");
        assert!(!error.to_string().contains("login"), "{error}");
    }
}

/// A page cut at every byte: the server closes the connection before the announced length.
#[tokio::test]
async fn a_page_that_breaks_off_anywhere_is_refused_whole() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for cut in 0..LAST.len() {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await.unwrap();
            let date = "Mon, 23 Nov 2026 22:17:04 GMT";
            let head = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {}\r\n\r\n", LAST.len());
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(&LAST.as_bytes()[..cut]).await.unwrap();
        }
    });
    let stub = Stub { url, seen: std::sync::Arc::default() };
    let (client, _, _) = stub.client(1);
    for cut in 0..LAST.len() {
        let error = client.query(soql(), Scope::Live).next_page().await.unwrap_err();
        assert_eq!(crate::error::Classify::code(&error), "salesforce_body", "cut at {cut}");
    }
}

#[tokio::test]
async fn a_session_that_ends_takes_its_locator_with_it() {
    let stub = Stub::start(|seen| match seen.path.as_str() {
        "/services/oauth2/token" => {
            token(&format!("http://{}", seen.headers["host"].to_str().unwrap()), "fresh")
        }
        path if path.ends_with("-2") => refusal(401, "INVALID_SESSION_ID", "Session expired or invalid"),
        _ => json(200, FIRST),
    })
    .await;
    let (client, tokens, _) = stub.client(1);
    let mut query = client.query(soql(), Scope::Live);
    query.next_page().await.unwrap().unwrap();
    for _ in 0..2 {
        let error = query.next_page().await.unwrap_err();
        assert!(matches!(error, SalesforceError::LocatorLost), "{error}");
    }
    assert_eq!(stub.count("/services/data/v66.0/query/01g"), 1, "the locator's URL is not repeated");
    assert_eq!(tokens.exchanges.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_locator_that_is_gone_is_told_as_such_and_a_hiccup_may_be_repeated() {
    let gone = Stub::start(|seen| {
        if seen.path.ends_with("-2") {
            refusal(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        } else {
            json(200, FIRST)
        }
    })
    .await;
    let error = all(&mut gone.client(1).0.query(soql(), Scope::Live)).await.unwrap_err();
    assert!(matches!(error, SalesforceError::LocatorLost), "{error}");

    let hiccup = std::sync::atomic::AtomicBool::new(true);
    let stub = Stub::start(move |seen| {
        let now = seen.path.ends_with("-2") && hiccup.swap(false, Ordering::SeqCst);
        if now { json(503, "<html>down</html>") } else { pages(seen) }
    })
    .await;
    let mut query = stub.client(1).0.query(soql(), Scope::Live);
    query.next_page().await.unwrap().unwrap();
    query.next_page().await.unwrap_err();
    assert_eq!(all(&mut query).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_query_names_its_object() {
    let stub =
        Stub::start(|_| refusal(400, "QUERY_TIMEOUT", "Your query request was running for too long.")).await;
    let error = stub.client(1).0.query(soql(), Scope::Live).next_page().await.unwrap_err();
    assert_eq!(error.fault().unwrap().object.as_deref(), Some("Case"));
}

#[tokio::test]
async fn counts_and_the_oldest_record() {
    let stub = Stub::start(|seen| match seen.soql.as_deref() {
        Some(soql) if soql.contains("COUNT()") => json(200, r#"{"totalSize":42,"done":true,"records":[]}"#),
        Some(soql) if soql.contains("FROM Empty") => json(200, r#"{"totalSize":0,"done":true,"records":[]}"#),
        _ => json(
            200,
            r#"{"totalSize":1,"done":true,"records":[{"attributes":{"type":"Case"},"Id":"500000000000001AAA",
                "SystemModstamp":"2013-04-04T20:52:22.000+0000"}]}"#,
        ),
    })
    .await;
    let (client, _, _) = stub.client(1);
    assert_eq!(client.count(soql(), Scope::Live).await.unwrap(), 42);
    let cursor = crate::salesforce::soql::FieldPath::parse("SystemModstamp").unwrap();
    let oldest = async |object| {
        client.oldest(&ObjectName::parse(object).unwrap(), &cursor, Scope::All).await.map(|(at, _)| at)
    };
    assert_eq!(oldest("Case").await.unwrap(), parse_salesforce_datetime("2013-04-04T20:52:22.000Z"));
    assert_eq!(oldest("Empty").await.unwrap(), None);
    let other = crate::salesforce::soql::FieldPath::parse("CreatedDate").unwrap();
    let missing = client.oldest(&ObjectName::parse("Case").unwrap(), &other, Scope::All).await;
    assert!(matches!(missing, Err(SalesforceError::Unreadable { .. })), "{missing:?}");
}
