//! The log of deletions: what is asked, what is read, and which refusals are answers.

use super::super::stub::{Stub, json};
use super::*;

fn at(text: &str) -> Timestamp {
    parse_salesforce_datetime(text).unwrap()
}

async fn asked(status: u16, body: &'static str) -> (Result<DeletedAnswer, SalesforceError>, Stub) {
    let stub = Stub::start(move |_| json(status, body)).await;
    let (from, to) = (at("2026-05-05T00:00:59.000Z"), at("2026-05-10T12:30:15.000Z"));
    let answer = stub.client(1).0.deleted(&ObjectName::parse("Case").unwrap(), from, to).await;
    (answer, stub)
}

#[tokio::test]
async fn deletions_are_read_with_their_moments_and_what_the_list_covers() {
    let body = r#"{"deletedRecords":[{"id":"5003000000D8cuIAAR","deletedDate":"2026-05-07T22:07:19.000+0000"}],
        "earliestDateAvailable":"2026-05-03T15:57:00.000+0000","latestDateCovered":"2026-05-08T21:20:00.000+0000"}"#;
    let (answer, stub) = asked(200, body).await;
    let DeletedAnswer::Log(log) = answer.unwrap() else { panic!("a log") };
    let id = SalesforceId::parse("5003000000D8cuIAAR").unwrap();
    assert_eq!(log.records, [(id, at("2026-05-07T22:07:19.000Z"))]);
    assert_eq!(log.earliest, at("2026-05-03T15:57:00.000Z"));
    assert_eq!(log.covered, at("2026-05-08T21:20:00.000Z"));
    let seen = stub.seen.lock().unwrap()[0].clone();
    assert!(seen.path.ends_with("/sobjects/Case/deleted/"), "{}", seen.path);
    let span = "start=2026-05-05T00%3A00%3A00%2B00%3A00&end=2026-05-10T12%3A30%3A00%2B00%3A00";
    assert_eq!(seen.query, span, "seconds are cut off and the sign is escaped");
}

#[tokio::test]
async fn refusals_that_say_something_of_the_log_are_answers() {
    for (code, expected) in [
        (r#"[{"errorCode":"INVALID_REPLICATION_DATE","message":"x"}]"#, DeletedAnswer::OutOfReach),
        (r#"[{"errorCode":"EXCEEDED_ID_LIMIT","message":"x"}]"#, DeletedAnswer::TooMuch),
        (r#"[{"errorCode":"INVALID_TYPE_FOR_OPERATION","message":"x"}]"#, DeletedAnswer::NotKept),
    ] {
        assert_eq!(asked(400, code).await.0.unwrap(), expected);
    }
    asked(500, r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"x"}]"#).await.0.unwrap_err();
    asked(200, r#"{"deletedRecords":[{"id":"nonsense","deletedDate":"x"}]}"#).await.0.unwrap_err();
}
