//! Limits, lies about limits, overload and slowness.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::Sim;

const LIMITS: &str = "/services/data/v66.0/limits";

async fn usage(sim: &Sim) -> Option<String> {
    let answer = sim.request(LIMITS).send().await.unwrap();
    answer.headers().get("sforce-limit-info").map(|text| text.to_str().unwrap().to_owned())
}

async fn plant(sim: &Sim, path: &str, fault: Value) {
    sim.control("/faults", json!({"match": {"path": path}, "fault": fault})).await;
}

#[tokio::test]
async fn the_usage_header_can_lie_or_be_missing() {
    let sim = Sim::start().await;
    plant(
        &sim,
        "/limits",
        json!({"kind": "usage", "text": "api-usage=1/2; per-app-api-usage=17/250(appName=x)"}),
    )
    .await;
    assert_eq!(usage(&sim).await.as_deref(), Some("api-usage=1/2; per-app-api-usage=17/250(appName=x)"));
    plant(&sim, "/limits", json!({"kind": "usage"})).await;
    assert_eq!(usage(&sim).await, None);
    assert!(usage(&sim).await.unwrap().ends_with("/100000"));
}

#[tokio::test]
async fn another_app_can_eat_the_allowance() {
    let sim = Sim::start().await;
    sim.control("/limits", json!({"daily_max": 1_000})).await;
    plant(&sim, "/limits", json!({"kind": "spend", "calls": 2_000})).await;
    assert_eq!(sim.get(LIMITS).await.0, 403);
    let (status, body) = sim.ask("SELECT Id FROM Case").await;
    assert_eq!((status, &body[0]["message"]), (403, &json!("TotalRequests Limit exceeded.")));
    assert!(usage(&sim).await.unwrap().starts_with("api-usage=2000/"), "beyond the allowance");
    sim.advance(24 * 3_600_000 + 300_000).await;
    let mut sim = sim;
    sim.token = sim.log_in().await;
    assert_eq!(sim.get(LIMITS).await.0, 200, "a day later it is forgotten");
}

#[tokio::test]
async fn retry_after_comes_in_every_form() {
    let sim = Sim::start().await;
    for (status, value) in
        [(503, "120"), (429, "Wed, 21 Oct 2026 07:28:00 GMT"), (503, "soon"), (503, "315360000"), (429, "-5")]
    {
        let fault =
            json!({"kind": "status", "status": status, "body": "busy", "headers": {"Retry-After": value}});
        plant(&sim, "/limits", fault).await;
        let answer = sim.request(LIMITS).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["retry-after"], value);
    }
}

#[tokio::test]
async fn three_of_four_calls_can_fail_for_an_hour() {
    let sim = Sim::start().await;
    let fault = json!({"kind": "error", "status": 500, "code": "UNKNOWN_EXCEPTION",
        "message": "An unexpected error occurred. Please include this ErrorId if you contact support: 1-2 (-3)"});
    let body = json!({"match": {"path": "/query"}, "every": {"of": 4, "hits": 3}, "for_ms": 3_600_000, "fault": fault});
    sim.control("/faults", body).await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(sim.ask("SELECT Id FROM Case LIMIT 1").await.0);
    }
    assert_eq!(statuses, [500, 500, 500, 200, 500, 500, 500, 200]);
    sim.advance(3_600_001).await;
    assert_eq!(sim.ask("SELECT Id FROM Case LIMIT 1").await.0, 200);
}

#[tokio::test]
async fn a_share_of_calls_fails_by_seed() {
    let run = async |seed: u64| {
        let sim = Sim::start().await;
        let fault = json!({"kind": "status", "status": 502});
        let body =
            json!({"match": {"path": "/query"}, "chance": {"percent": 40, "seed": seed}, "fault": fault});
        sim.control("/faults", body).await;
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(sim.ask("SELECT Id FROM Case LIMIT 1").await.0);
        }
        statuses
    };
    let first = run(3).await;
    assert_eq!(first, run(3).await, "the same seed hits the same calls");
    assert_ne!(first, run(4).await);
    assert!(first.contains(&502) && first.contains(&200));
}

#[tokio::test]
async fn a_brown_out_answers_late() {
    let sim = Sim::start().await;
    let body = json!({"match": {"path": "/limits"}, "times": 2, "fault": {"kind": "delay", "ms": 150}});
    sim.control("/faults", body).await;
    let started = Instant::now();
    assert_eq!(sim.get(LIMITS).await.0, 200);
    assert_eq!(sim.get(LIMITS).await.0, 200);
    assert!(started.elapsed().as_millis() >= 300, "an answer never comes before its delay is over");
}

#[tokio::test]
async fn long_calls_of_others_shut_this_client_out() {
    let sim = Sim::start().await;
    sim.control("/limits", json!({"long_others": 25})).await;
    let (status, body) = sim.get(LIMITS).await;
    assert_eq!((status, &body[0]["errorCode"]), (403, &json!("REQUEST_LIMIT_EXCEEDED")));
    assert!(body[0]["message"].as_str().unwrap().starts_with("ConcurrentRequests"));
    sim.control("/limits", json!({"long_others": 24})).await;
    assert_eq!(sim.get(LIMITS).await.0, 200);
    sim.control("/limits", json!({"long_others": 0, "long_max": 1, "long_ms": 0})).await;
    sim.fault(json!({"kind": "hold", "gate": "long"})).await;
    let meanwhile = async {
        sim.until("a call runs", async |sim| sim.control_get("/gates/long").await["waiting"] == 1).await;
        let refused = sim.get(LIMITS).await.0;
        sim.http.post(format!("{}/gates/long/open", sim.running.ready.control)).send().await.unwrap();
        refused
    };
    let (held, refused) = tokio::join!(sim.ask("SELECT Id FROM Case LIMIT 1"), meanwhile);
    assert_eq!((held.0, refused), (200, 403), "the long call itself goes on");
}

#[tokio::test]
async fn long_statements_can_be_too_complicated() {
    let sim = Sim::start().await;
    let fault = json!({"kind": "error", "status": 400, "code": "QUERY_TOO_COMPLICATED", "message": "Query is too complicated"});
    let body = json!({"match": {"soql_longer_than": 60}, "for_ms": 60_000, "fault": fault});
    sim.control("/faults", body).await;
    assert_eq!(sim.ask("SELECT Id FROM Case LIMIT 1").await.0, 200);
    let long = "SELECT Id, Subject, Status, Priority, Origin, CreatedDate, SystemModstamp FROM Case";
    assert_eq!(sim.ask(long).await.1[0]["errorCode"], "QUERY_TOO_COMPLICATED");
}
