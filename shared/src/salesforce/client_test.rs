//! One call: sessions, hosts, caps and what the gate is told.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;

use super::*;
use crate::ports::CallReport;
use crate::salesforce::ApiUsage;
use crate::salesforce::stub::{Stub, json, refusal, token};

fn limits() -> Ask {
    Ask::get("/services/data/v66.0/limits".to_owned())
}

fn expired() -> Response<Body> {
    refusal(401, "INVALID_SESSION_ID", "Session expired or invalid")
}

/// A server whose good token is `fresh`; anything else has expired.
async fn only_fresh() -> Stub {
    Stub::start(|seen| match seen.path.as_str() {
        "/services/oauth2/token" => {
            token(&format!("http://{}", seen.headers["host"].to_str().unwrap()), "fresh")
        }
        _ if seen.bearer() == "Bearer fresh" => json(200, "{}"),
        _ => expired(),
    })
    .await
}

#[tokio::test]
async fn an_expired_session_is_renewed_once_and_the_call_repeated() {
    let stub = only_fresh().await;
    let (client, tokens, gate) = stub.client(3);
    client.call(CallKind::Limits, limits()).await.unwrap();
    client.call(CallKind::Limits, limits()).await.unwrap();
    assert_eq!(tokens.generation.load(Ordering::SeqCst), 4);
    let attempts = gate.attempts.lock().unwrap().clone();
    assert_eq!(attempts, [CallKind::Limits, CallKind::Token, CallKind::Limits, CallKind::Limits]);
    let usage = Some(ApiUsage { used: 18, limit: 5000 });
    let report = |kind| CallReport { kind, usage, concurrency_refused: false, took: Duration::ZERO };
    assert_eq!(*gate.reports.lock().unwrap(), attempts.into_iter().map(report).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_callers_of_one_expired_session_make_one_exchange() {
    let stub = only_fresh().await;
    let (client, tokens, _) = stub.client(1);
    let calls = (0..16).map(|_| client.call(CallKind::Limits, limits()));
    for outcome in futures_util::future::join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(tokens.exchanges.load(Ordering::SeqCst), 1);
    assert_eq!(stub.count("/services/oauth2/token"), 1);
}

#[tokio::test]
async fn a_first_call_without_a_session_logs_in() {
    let stub = only_fresh().await;
    let (client, tokens, _) = stub.client(0);
    client.log_in().await.unwrap();
    client.call(CallKind::Limits, limits()).await.unwrap();
    assert_eq!(tokens.exchanges.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_session_that_is_refused_twice_is_not_renewed_in_a_loop() {
    let stub = Stub::start(|seen| match seen.path.as_str() {
        "/services/oauth2/token" => token(&format!("http://{}", seen.headers["host"].to_str().unwrap()), "x"),
        _ => expired(),
    })
    .await;
    let (client, tokens, _) = stub.client(1);
    let error = client.call(CallKind::Limits, limits()).await.unwrap_err();
    assert_eq!(error.fault().unwrap().kind, FaultKind::SessionExpired);
    assert_eq!((tokens.exchanges.load(Ordering::SeqCst), stub.count("/services/data")), (1, 2));
}

#[tokio::test]
async fn a_session_that_no_renewal_can_cure_is_not_renewed() {
    let message = "This session is not valid for use with the REST API";
    let stub = Stub::start(move |_| refusal(401, "INVALID_SESSION_ID", message)).await;
    let (client, tokens, _) = stub.client(1);
    let error = client.call(CallKind::Limits, limits()).await.unwrap_err();
    assert_eq!(error.fault().unwrap().kind, FaultKind::ApiAccessRefused);
    assert_eq!(tokens.exchanges.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed_but_the_token_answer_names_the_new_host() {
    let new_host = only_fresh().await;
    let target = new_host.url.clone();
    let old_host = Stub::start(move |seen| match seen.path.as_str() {
        "/services/oauth2/token" => token(&target, "fresh"),
        _ => Response::builder()
            .status(302)
            .header("location", format!("{target}/services/data/v66.0/limits"))
            .body(Body::empty())
            .unwrap(),
    })
    .await;
    let (client, _, _) = old_host.client(1);
    client.call(CallKind::Limits, limits()).await.unwrap();
    let seen = new_host.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].bearer(), "Bearer fresh");
}

#[tokio::test]
async fn a_session_for_a_foreign_host_is_never_used() {
    let stub = only_fresh().await;
    let (client, _, gate) =
        stub.client_with(1, ClientSettings::default(), |http| http.allow_loopback = false);
    let error = client.call(CallKind::Limits, limits()).await.unwrap_err();
    assert!(matches!(error, SalesforceError::HostRefused(_)), "{error}");
    assert!(gate.attempts.lock().unwrap().is_empty() && stub.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_closed_gate_stops_the_call_before_the_wire() {
    let stub = only_fresh().await;
    let (client, _, gate) = stub.client(1);
    gate.closed.store(true, Ordering::SeqCst);
    let error = client.call(CallKind::Limits, limits()).await.unwrap_err();
    assert!(matches!(error, SalesforceError::Held(_)), "{error}");
    assert!(stub.seen.lock().unwrap().is_empty() && gate.reports.lock().unwrap().is_empty());
}

#[tokio::test]
async fn too_many_calls_at_once_are_reported_to_the_gate() {
    let message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
    let stub = Stub::start(move |_| refusal(403, "REQUEST_LIMIT_EXCEEDED", message)).await;
    let (client, _, gate) = stub.client(1);
    client.call(CallKind::Limits, limits()).await.unwrap_err();
    assert!(gate.reports.lock().unwrap()[0].concurrency_refused);
}

#[tokio::test]
async fn an_answer_beyond_the_cap_is_not_held() {
    let stub = Stub::start(|_| json(200, vec![b' '; 5000])).await;
    let (client, _, _) = stub.client_with(1, ClientSettings::default(), |http| http.max_body_bytes = 4999);
    let error = client.call(CallKind::Limits, limits()).await.unwrap_err();
    assert!(matches!(error, SalesforceError::BodyTooLarge { limit_bytes: 4999 }), "{error}");
}

#[tokio::test]
async fn an_unanswered_call_ends_in_time_and_is_reported() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stub = Stub { url, seen: std::sync::Arc::default() };
    let (client, _, gate) = stub.client_with(1, ClientSettings::default(), |http| {
        http.total_timeout = Duration::from_millis(50);
    });
    let error = client.call(CallKind::Limits, limits()).await.unwrap_err();
    assert!(matches!(error, SalesforceError::Transport { stage: WireStage::Timeout, .. }), "{error}");
    assert_eq!(gate.reports.lock().unwrap().len(), 1);
    drop(listener);
}

#[tokio::test]
async fn an_abandoned_call_is_reported() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stub = Stub { url, seen: std::sync::Arc::default() };
    let (client, _, gate) = stub.client(1);
    {
        let mut call = Box::pin(client.call(CallKind::Limits, limits()));
        let accepted = listener.accept();
        tokio::select! {
            _ = &mut call => panic!("nobody answers"),
            connection = accepted => connection.unwrap(),
        };
    }
    assert_eq!(gate.attempts.lock().unwrap().len(), 1);
    assert_eq!(gate.reports.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn our_calls_can_be_told_from_others_and_errors_hold_no_token() {
    let stub = Stub::start(|_| refusal(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred.")).await;
    let (client, _, _) = stub.client(1);
    let error = client.call(CallKind::Limits, limits()).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("token1"));
    let seen = stub.seen.lock().unwrap()[0].clone();
    assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("Refrain/"));
    assert_eq!(seen.headers["sforce-call-options"], "client=refrain");
    assert_eq!(seen.headers["accept-encoding"], "gzip");
}

#[tokio::test]
async fn the_pinned_version_must_be_served() {
    let list = r#"[{"label":"Spring ’18","url":"/services/data/v42.0","version":"42.0"},{"version":"65.0"}]"#;
    let stub = Stub::start(move |_| json(200, list)).await;
    let (client, _, _) = stub.client(1);
    let error = client.check_version().await.unwrap_err();
    assert_eq!(error.to_string(), "the org does not serve API version 66.0; its newest is 65.0");
    assert_eq!(stub.seen.lock().unwrap()[0].bearer(), "");
    let settings = ClientSettings { api_version: "65.0".parse().unwrap(), ..ClientSettings::default() };
    stub.client_with(1, settings, |_| {}).0.check_version().await.unwrap();
}

#[tokio::test]
async fn the_limits_resource_may_be_closed_to_the_user() {
    let stub = Stub::start(|_| refusal(403, "FUNCTIONALITY_NOT_ENABLED", "[limits] is not enabled")).await;
    assert_eq!(stub.client(1).0.daily_allowance().await.unwrap(), None);
    let spent =
        Stub::start(|_| refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")).await;
    assert!(spent.client(1).0.daily_allowance().await.is_err());
}

#[tokio::test]
async fn org_and_user_are_read() {
    let body = r#"{"user_id":"005x00000012Q9PAAU","organization_id":"00Dx0000000BV7zEAG","preferred_username":"a@b"}"#;
    let stub = Stub::start(move |_| json(200, body)).await;
    let identity = stub.client(1).0.identity().await.unwrap();
    assert_eq!(identity.org_id.as_str(), "00Dx0000000BV7zEAG");
    assert_eq!(identity.username.as_deref(), Some("a@b"));
    let other = Stub::start(|_| json(200, r#"{"user_id":"x","organization_id":"y"}"#)).await;
    assert!(other.client(1).0.identity().await.is_err());
}
