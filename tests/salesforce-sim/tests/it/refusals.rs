//! What the token endpoint and its neighbours refuse, and in which words.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::browser::VERIFIER;
use crate::jwt::{assertion, jwt, signed};
use crate::oauth::{self, exchange};
use crate::support::{Sim, read};

const LOGIN: &str = "https://login.salesforce.com";

async fn client_credentials(sim: &Sim) -> (String, String) {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    words(sim.token_request(&form).await)
}

fn words((_, body): (u16, Value)) -> (String, String) {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    (text("error"), text("error_description"))
}

fn pair(error: &str, description: &str) -> (String, String) {
    (error.to_owned(), description.to_owned())
}

#[tokio::test]
async fn the_administrators_settings_close_each_way_in() {
    let sim = Sim::start().await;
    for (setting, value, error, description) in [
        ("client_credentials_flow", json!(false), "unsupported_grant_type", "grant type not supported"),
        ("org_active", json!(false), "inactive_org", "org is locked, closed, or suspended"),
        ("login_allowed", json!(false), "invalid_grant", "ip restricted or invalid login hours"),
        ("run_as", json!(false), "invalid_grant", "no client credentials user enabled"),
        ("logins_per_hour", json!(0), "rate_limit_exceeded", "login rate exceeded"),
    ] {
        let before = sim.control("/app", json!({})).await[setting].clone();
        sim.control("/app", json!({setting: value})).await;
        assert_eq!(client_credentials(&sim).await, pair(error, description), "{setting}");
        sim.control("/app", json!({setting: before})).await;
        assert_eq!(client_credentials(&sim).await, pair("", ""), "{setting} is undone");
    }
}

#[tokio::test]
async fn generic_hosts_take_no_client_credentials() {
    let sim = Sim::start().await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    let request = sim.http.post(sim.url("/services/oauth2/token")).header("Host", "login.salesforce.com");
    let answer = read(request.form(&form).send().await.unwrap()).await;
    assert_eq!(words(answer), pair("invalid_grant", "request not supported on this domain"));
}

#[tokio::test]
async fn logins_are_limited_by_the_hour() {
    let sim = Sim::start().await;
    sim.control("/app", json!({"logins_per_hour": 3})).await;
    assert_eq!(client_credentials(&sim).await.0, "");
    assert_eq!(client_credentials(&sim).await.0, "");
    assert_eq!(client_credentials(&sim).await, pair("rate_limit_exceeded", "login rate exceeded"));
    sim.advance(3_601_000).await;
    assert_eq!(client_credentials(&sim).await.0, "");
}

#[tokio::test]
async fn assertions_are_refused_for_every_reason_there_is() {
    let sim = Sim::start().await;
    let good = || assertion(&sim, LOGIN, 120, &sim.org.username);
    let attempt = async |assertion: String| words(jwt(&sim, &assertion).await);
    assert_eq!(attempt(good()).await.0, "");
    let refused = |description: &str| pair("invalid_grant", description);

    sim.control("/app", json!({"jwt_skew_seconds": 600})).await;
    assert_eq!(attempt(good()).await, refused("expired"), "the org's clock is ahead");
    sim.control("/app", json!({"jwt_skew_seconds": -600})).await;
    assert_eq!(attempt(good()).await, refused("invalid assertion"), "the org's clock is behind");
    sim.control("/app", json!({"jwt_skew_seconds": 0, "jwt_certificate_expired": true})).await;
    assert_eq!(attempt(good()).await, refused("invalid assertion"));
    sim.control("/app", json!({"jwt_certificate_expired": false, "jwt_once": true})).await;
    let once = good();
    assert_eq!(attempt(once.clone()).await.0, "");
    assert_eq!(attempt(once).await, refused("invalid assertion"), "a replay");
    sim.control("/app", json!({"jwt_once": false, "preauthorized_only": true})).await;
    assert_eq!(attempt(good()).await, refused("user hasn't approved this consumer"));
    sim.control("/app", json!({"preauthorized_only": false, "scopes": "api id"})).await;
    assert_eq!(attempt(good()).await, pair("invalid_request", "refresh_token scope is required"));
    sim.control("/app", json!({"scopes": "api refresh_token id", "jwt_flow": false})).await;
    assert_eq!(attempt(good()).await.0, "unsupported_grant_type");
}

#[tokio::test]
async fn a_rotated_key_shuts_the_old_one_out() {
    let sim = Sim::start().await;
    let made = sim.control("/jwt-key", json!({})).await;
    let new = PathBuf::from(made["jwt_key_file"].as_str().unwrap());
    let old = assertion(&sim, LOGIN, 120, &sim.org.username);
    assert_eq!(words(jwt(&sim, &old).await), pair("invalid_grant", "invalid assertion"));
    let fresh = signed(&sim, &new, LOGIN, 120, &sim.org.username);
    assert_eq!(jwt(&sim, &fresh).await.0, 200);
}

async fn approve(sim: &Sim) -> String {
    exchange(sim, VERIFIER).await.1["refresh_token"].as_str().unwrap().to_owned()
}

async fn refresh(sim: &Sim, token: &str) -> (String, String) {
    words(oauth::refresh(sim, token).await)
}

#[tokio::test]
async fn a_sixth_approval_ends_the_first_and_idleness_ends_any() {
    let sim = Sim::start().await;
    let first = approve(&sim).await;
    for _ in 0..4 {
        approve(&sim).await;
    }
    assert_eq!(refresh(&sim, &first).await.0, "");
    let sixth = approve(&sim).await;
    let dead = pair("invalid_grant", "expired access/refresh token");
    assert_eq!(refresh(&sim, &first).await, dead);
    sim.control("/app", json!({"refresh_idle_ms": 30 * 86_400_000_i64})).await;
    sim.advance(29 * 86_400_000).await;
    assert_eq!(refresh(&sim, &sixth).await.0, "", "use keeps it alive");
    sim.advance(31 * 86_400_000).await;
    assert_eq!(refresh(&sim, &sixth).await, dead);
}

#[tokio::test]
async fn removing_the_app_ends_every_token_of_it() {
    let sim = Sim::start().await;
    let token = approve(&sim).await;
    sim.control("/app", json!({"installation": "uninstalled"})).await;
    assert_eq!(refresh(&sim, &token).await, pair("invalid_grant", "expired access/refresh token"));
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 401);
}

#[tokio::test]
async fn a_frozen_user_cannot_refresh_and_others_can() {
    let sim = Sim::start().await;
    let token = approve(&sim).await;
    let other = sim.control("/users", json!({"username": "ann@example.com", "password": "secret"})).await;
    assert_eq!(other["user_id"].as_str().unwrap().len(), 18);
    sim.control("/users/default", json!({"active": false})).await;
    assert_eq!(refresh(&sim, &token).await, pair("invalid_grant", "inactive user"));
    let form = [
        ("grant_type", "password"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
        ("username", "ann@example.com"),
        ("password", "secret"),
    ];
    let (status, tokens) = sim.token_request(&form).await;
    assert_eq!(status, 200, "{tokens}");
    assert!(tokens["id"].as_str().unwrap().ends_with(other["user_id"].as_str().unwrap()));
    sim.control("/users/default", json!({"active": true})).await;
    assert_eq!(refresh(&sim, &token).await.0, "", "the grant outlives the freeze");
}

#[tokio::test]
async fn introspection_tells_what_a_token_is_good_for() {
    let sim = Sim::start().await;
    let refresh_token = approve(&sim).await;
    let introspect = async |token: &str, secret: &str| {
        let form = [("token", token), ("client_id", &sim.org.client_id), ("client_secret", secret)];
        let request = sim.http.post(sim.url("/services/oauth2/introspect")).form(&form);
        read(request.send().await.unwrap()).await
    };
    let (status, body) = introspect(&sim.token, &sim.org.client_secret).await;
    assert_eq!((status, &body["active"], &body["token_type"]), (200, &json!(true), &json!("access_token")));
    assert_eq!(body["username"], sim.org.username);
    assert!(body["exp"].as_i64().unwrap() > body["iat"].as_i64().unwrap());
    let (_, body) = introspect(&refresh_token, &sim.org.client_secret).await;
    assert_eq!((&body["active"], &body["token_type"]), (&json!(true), &json!("refresh_token")));
    assert_eq!(introspect("nothing", &sim.org.client_secret).await.1, json!({"active": false}));
    assert_eq!(introspect(&sim.token, "wrong").await.0, 401);
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_its_sessions() {
    let sim = Sim::start().await;
    let token = approve(&sim).await;
    let revoke = async |token: &str| {
        let url = sim.url(&format!("/services/oauth2/revoke?token={token}"));
        read(sim.http.get(url).send().await.unwrap()).await
    };
    assert_eq!(revoke(&token).await.0, 200, "GET works too");
    assert_eq!(refresh(&sim, &token).await.1, "expired access/refresh token");
    assert_eq!(revoke(&sim.token).await.0, 200);
    let (status, body) = revoke(&sim.token).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_token")));
    assert_eq!(revoke("nothing").await.1["error"], "unsupported_token_type");
}

#[tokio::test]
async fn identity_refuses_in_single_words() {
    let sim = Sim::start().await;
    let ask = async |path: &str, token: Option<&str>| {
        let request = sim.http.get(sim.url(path));
        let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let org = &sim.org.org_id;
    let user = "005000000000001AAA";
    let own = format!("/id/{org}/{user}");
    assert_eq!(ask(&own, None).await, (403, "Missing_OAuth_Token".to_owned()));
    assert_eq!(ask(&own, Some("nonsense")).await, (403, "Bad_OAuth_Token".to_owned()));
    assert_eq!(ask(&own, Some(&sim.token)).await, (404, "Bad_Id".to_owned()));
    let foreign = format!("/id/00D000000000001AAA/{user}");
    assert_eq!(ask(&foreign, Some(&sim.token)).await, (403, "Wrong_Org".to_owned()));
    let missing = ask("/services/oauth2/userinfo", None).await;
    assert_eq!(missing, (403, "Missing_OAuth_Token".to_owned()));
    let discovery = sim.get("/.well-known/openid-configuration").await.1;
    assert!(discovery["token_endpoint"].as_str().unwrap().ends_with("/services/oauth2/token"));
}

#[tokio::test]
async fn token_answers_come_in_the_form_that_was_asked_for() {
    let sim = Sim::start().await;
    let ask = async |format: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &sim.org.client_id),
            ("client_secret", &sim.org.client_secret),
            ("format", format),
        ];
        let sent = sim.http.post(sim.url("/services/oauth2/token")).form(&form).send().await.unwrap();
        sent.text().await.unwrap()
    };
    assert!(ask("urlencoded").await.contains("token_type=Bearer"));
    assert!(ask("xml").await.contains("<OAuth><access_token>00D"));
    assert!(ask("json").await.starts_with('{'));
}

#[tokio::test]
async fn an_administrator_can_switch_the_api_off() {
    let sim = Sim::start().await;
    let limits = async || {
        let (status, body) = sim.get("/services/data/v66.0/limits").await;
        (status, body[0]["errorCode"].clone())
    };
    sim.control("/app", json!({"api_enabled": false})).await;
    assert_eq!(limits().await, (403, json!("API_DISABLED_FOR_ORG")));
    sim.control("/app", json!({"api_enabled": true})).await;
    sim.control("/users/default", json!({"api_enabled": false})).await;
    assert_eq!(limits().await, (403, json!("API_CURRENTLY_DISABLED")));
}
