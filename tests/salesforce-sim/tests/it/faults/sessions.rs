//! Sessions and grants that end at the wrong moment.

use salesforce_sim::OrgOptions;
use serde_json::json;

use crate::browser::VERIFIER;
use crate::oauth::{exchange, refresh};
use crate::support::{Sim, small};

#[tokio::test]
async fn a_session_can_end_between_two_pages_and_takes_its_cursor_along() {
    let mut sim = Sim::start().await;
    sim.control("/limits", json!({"page_rows": 10})).await;
    let page = sim.query("SELECT Id FROM Case").await;
    let next = page["nextRecordsUrl"].as_str().unwrap();
    sim.fault(json!({"kind": "end_session"})).await;
    let (status, body) = sim.get(next).await;
    assert_eq!((status, &body[0]["errorCode"]), (401, &json!("INVALID_SESSION_ID")));
    sim.token = sim.log_in().await;
    assert_eq!(sim.get(next).await.0, 401, "a fresh session cannot go on with it");
    assert_eq!(sim.get("/services/data/v66.0/limits").await.0, 200);
}

#[tokio::test]
async fn an_answer_with_a_rotated_token_can_be_lost() {
    let sim = Sim::with(OrgOptions { rotation: true, ..small() }).await;
    let tokens = exchange(&sim, VERIFIER).await.1;
    let old = tokens["refresh_token"].as_str().unwrap();
    let lost = json!({"match": {"path": "/oauth2/token"}, "fault": {"kind": "lost_answer"}});
    sim.control("/faults", lost).await;
    let url = sim.url("/services/oauth2/token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", old),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    assert!(sim.http.post(url).form(&form).send().await.is_err());
    let (status, body) = refresh(&sim, old).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")), "the token was spent: {body}");
    let log = sim.truth("/calls/log").await;
    assert!(log.iter().any(|call| call["path"] == "/services/oauth2/token" && call["status"] == 0));
}

#[tokio::test]
async fn every_grant_can_be_revoked_at_the_nth_call() {
    let mut sim = Sim::start().await;
    let tokens = exchange(&sim, VERIFIER).await.1;
    sim.token = tokens["access_token"].as_str().unwrap().to_owned();
    let revoke = json!({"match": {"path": "/limits"}, "nth": 2, "fault": {"kind": "revoke_grants"}});
    sim.control("/faults", revoke).await;
    assert_eq!(sim.get("/services/data/v66.0/limits").await.0, 200);
    assert_eq!(sim.get("/services/data/v66.0/limits").await.0, 401);
    let body = refresh(&sim, tokens["refresh_token"].as_str().unwrap()).await.1;
    assert_eq!(body["error_description"], "expired access/refresh token");
}

#[tokio::test]
async fn the_user_of_a_call_can_be_frozen() {
    let sim = Sim::start().await;
    sim.fault(json!({"kind": "freeze_user"})).await;
    assert_eq!(sim.ask("SELECT Id FROM Case").await.0, 401);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    assert_eq!(sim.token_request(&form).await.1["error_description"], "inactive user");
}

#[tokio::test]
async fn a_fault_can_be_for_one_user_only() {
    let mut sim = Sim::start().await;
    sim.control("/users", json!({"username": "ann@example.com", "password": "secret"})).await;
    let fault = json!({"match": {"user": "ann@example.com"}, "for_ms": 60_000,
        "fault": {"kind": "error", "status": 500, "code": "UNKNOWN_EXCEPTION", "message": "x"}});
    sim.control("/faults", fault).await;
    assert_eq!(sim.ask("SELECT Id FROM Case").await.0, 200);
    let form = [
        ("grant_type", "password"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
        ("username", "ann@example.com"),
        ("password", "secret"),
    ];
    sim.token = sim.token_request(&form).await.1["access_token"].as_str().unwrap().to_owned();
    assert_eq!(sim.ask("SELECT Id FROM Case").await.0, 500);
}
