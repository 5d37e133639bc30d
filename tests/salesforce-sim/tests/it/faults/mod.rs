//! Every kind of fault, seen from outside. Here are those that stand for themselves; the others are by what they
//! harm.

mod budget;
mod page;
mod paging;
mod sessions;
mod shapes;
mod tls;
mod wire;

use serde_json::json;

use crate::support::{Sim, read};

const SOQL: &str = "SELECT Id, Subject FROM Case LIMIT 20";

#[tokio::test]
async fn answers_can_be_replaced() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "status", "status": 503, "body": "<h1>down</h1>", "content_type": "text/html"}))
        .await;
    let answer = sim.query_request("query", SOQL).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert!(!answer.headers().contains_key("sforce-limit-info"));
    assert_eq!(answer.text().await.unwrap(), "<h1>down</h1>");

    sim.fault(json!({"kind": "error", "status": 403, "code": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."})).await;
    let answer = sim.query_request("query", SOQL).send().await.unwrap();
    assert!(answer.headers().contains_key("sforce-limit-info"));
    let (status, body) = read(answer).await;
    assert_eq!(status, 403);
    assert_eq!(
        body,
        json!([{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}])
    );

    sim.fault(json!({"kind": "html"})).await;
    let answer = sim.query_request("query", SOQL).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().starts_with("<!DOCTYPE html>"));

    sim.fault(json!({"kind": "malformed"})).await;
    let answer = sim.query_request("query", SOQL).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert!(text.starts_with("{\"totalSize\"") && serde_json::from_str::<serde_json::Value>(&text).is_err());
    assert_eq!(sim.ask(SOQL).await.0, 200, "a fault hits once");
}

#[tokio::test]
async fn connections_can_be_broken() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "close"})).await;
    assert!(sim.query_request("query", SOQL).send().await.is_err());
    sim.fault(json!({"kind": "truncate", "after": 100})).await;
    let answer = sim.query_request("query", SOQL).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err(), "the body ends early");
    assert_eq!(sim.ask(SOQL).await.0, 200);
    let log = sim.truth("/calls/log").await;
    assert!(log.iter().any(|call| call["status"] == 0), "a broken connection is logged as such");
}

#[tokio::test]
async fn requests_can_be_held_and_delayed() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "hold", "gate": "g"})).await;
    let opener = async {
        sim.until("a request waits", async |sim| sim.control_get("/gates/g").await["waiting"] == 1).await;
        let sneaked_in = sim.insert("Case", json!({"Subject": "Inserted while it waited"})).await;
        sim.http.post(format!("{}/gates/g/open", sim.running.ready.control)).send().await.unwrap();
        sneaked_in
    };
    let held = sim.ask("SELECT Id FROM Case ORDER BY Id DESC LIMIT 1");
    let ((status, body), inserted) = tokio::join!(held, opener);
    assert_eq!((status, body["records"][0]["Id"].as_str()), (200, Some(inserted.as_str())));
    assert_eq!(sim.control_get("/gates/g").await["waiting"], 0);
    sim.fault(json!({"kind": "delay", "ms": 30})).await;
    assert_eq!(sim.ask(SOQL).await.0, 200);
    assert_eq!(sim.control_get("/faults").await[1]["hits"], 1);
}

#[tokio::test]
async fn an_answer_can_be_slow_on_its_way() {
    let sim = Sim::start().await;
    let newest = "SELECT Id FROM Case ORDER BY Id DESC LIMIT 1";
    let before = sim.query(newest).await["records"][0]["Id"].clone();
    sim.fault(json!({"kind": "hold_answer", "gate": "slow"})).await;
    let opener = async {
        sim.until("an answer waits", async |sim| sim.control_get("/gates/slow").await["waiting"] == 1).await;
        sim.insert("Case", json!({"Subject": "Inserted while the answer travelled"})).await;
        sim.advance(3_600_000).await;
        sim.http.post(format!("{}/gates/slow/open", sim.running.ready.control)).send().await.unwrap();
    };
    let held = async {
        let answer = sim.query_request("query", newest).send().await.unwrap();
        let date = answer.headers()["date"].to_str().unwrap().to_owned();
        (date, read(answer).await.1["records"][0]["Id"].clone())
    };
    let ((date, seen), ()) = tokio::join!(held, opener);
    assert_eq!(seen, before, "the answer is as old as its making");
    let now = sim.query_request("query", newest).send().await.unwrap().headers()["date"].clone();
    assert_ne!(date, now.to_str().unwrap(), "and so is its Date");
}

#[tokio::test]
async fn one_record_of_a_page_can_be_spoilt() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "bad_record", "field": "Subject"})).await;
    let page = sim.query(SOQL).await;
    let records = page["records"].as_array().unwrap();
    assert_eq!(records.iter().filter(|record| record["Subject"].is_object()).count(), 1);
    sim.fault(json!({"kind": "bad_record"})).await;
    let page = sim.query(SOQL).await;
    let records = page["records"].as_array().unwrap();
    assert_eq!(records.iter().filter(|record| record.get("Id").is_none()).count(), 1);
}

#[tokio::test]
async fn faults_choose_their_calls() {
    let sim = Sim::start().await;
    let fault = json!({"kind": "error", "status": 500, "code": "UNKNOWN_EXCEPTION", "message": "An unexpected error occurred."});
    let body =
        json!({"match": {"soql": "from contact", "method": "GET"}, "nth": 2, "times": 2, "fault": fault});
    let id = sim.control("/faults", body).await["id"].clone();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        assert_eq!(sim.ask("SELECT Id FROM Case LIMIT 1").await.0, 200);
        statuses.push(sim.ask("SELECT Id FROM Contact LIMIT 1").await.0);
    }
    assert_eq!(statuses, [200, 500, 500, 200]);
    let planted = sim.control_get("/faults").await;
    assert_eq!((&planted[0]["id"], &planted[0]["hits"], &planted[0]["seen"]), (&id, &json!(2), &json!(4)));
    let cleared = sim.http.delete(format!("{}/orgs/{}/faults", sim.running.ready.control, sim.org.org_id));
    assert_eq!(cleared.send().await.unwrap().status(), 200);
    assert_eq!(sim.control_get("/faults").await, json!([]));
}

#[tokio::test]
async fn token_faults_speak_oauth() {
    let sim = Sim::start().await;
    let fault = json!({"kind": "error", "status": 400, "code": "invalid_grant", "message": "ip restricted or invalid login hours"});
    sim.control("/faults", json!({"match": {"path": "/oauth2/token"}, "fault": fault})).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    let (status, body) = sim.token_request(&form).await;
    let expected =
        json!({"error": "invalid_grant", "error_description": "ip restricted or invalid login hours"});
    assert_eq!((status, body), (400, expected));
}
