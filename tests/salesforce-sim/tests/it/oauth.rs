//! Tokens: every grant, rotation, refusals.

use salesforce_sim::OrgOptions;
use serde_json::{Value, json};

use crate::browser::{Browser, CALLBACK, VERIFIER};
use crate::jwt::{assertion, jwt};
use crate::support::{Sim, read, small};

/// A person's approval, and the tokens for it.
pub(crate) async fn exchange(sim: &Sim, verifier: &str) -> (u16, Value) {
    let code = Browser::new(sim).code().await;
    exchange_code(sim, &code, verifier).await
}

async fn exchange_code(sim: &Sim, code: &str, verifier: &str) -> (u16, Value) {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    sim.token_request(&form).await
}

/// Fresh tokens for a refresh token.
pub(crate) async fn refresh(sim: &Sim, token: &str) -> (u16, Value) {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    sim.token_request(&form).await
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_else(|| panic!("{key} in {body}")).to_owned()
}

#[tokio::test]
async fn rotation_ends_the_old_token_and_reuse_ends_the_family() {
    let mut sim = Sim::with(OrgOptions { rotation: true, ..small() }).await;
    let (_, first) = exchange(&sim, VERIFIER).await;
    let (status, second) = refresh(&sim, &text(&first, "refresh_token")).await;
    assert_eq!(status, 200);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    sim.token = text(&first, "access_token");
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 401, "a refresh ends the session before");
    sim.token = text(&second, "access_token");
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 200);
    let (status, reused) = refresh(&sim, &text(&first, "refresh_token")).await;
    assert_eq!(
        (status, reused),
        (400, json!({"error": "invalid_grant", "error_description": "expired access/refresh token"}))
    );
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 401, "reuse revokes the family");
    assert_eq!(refresh(&sim, &text(&second, "refresh_token")).await.0, 400);
}

#[tokio::test]
async fn without_rotation_no_new_refresh_token_comes() {
    let sim = Sim::start().await;
    let (_, first) = exchange(&sim, VERIFIER).await;
    let token = text(&first, "refresh_token");
    for _ in 0..2 {
        let (status, body) = refresh(&sim, &token).await;
        assert_eq!((status, body.get("refresh_token")), (200, None));
    }
    assert_eq!(exchange(&sim, "wrong").await.1["error_description"], "invalid code verifier");
}

#[tokio::test]
async fn two_refreshes_at_once_are_refused() {
    let sim = Sim::with(OrgOptions { rotation: true, ..small() }).await;
    let token = text(&exchange(&sim, VERIFIER).await.1, "refresh_token");
    let held = json!({"match": {"path": "/token"}, "fault": {"kind": "hold", "gate": "refresh"}});
    sim.control("/faults", held).await;
    let second = async {
        sim.until("the first refresh waits", async |sim| {
            sim.control_get("/gates/refresh").await["waiting"] == 1
        })
        .await;
        let answer = refresh(&sim, &token).await;
        let open = format!("{}/gates/refresh/open", sim.running.ready.control);
        sim.http.post(open).send().await.unwrap();
        answer
    };
    let (first, second) = tokio::join!(refresh(&sim, &token), second);
    assert_eq!(first.0, 200);
    assert_eq!(second.0, 400);
    assert_eq!(second.1["error_description"], "token request is already being processed");
}

#[tokio::test]
async fn a_signed_assertion_opens_a_session() {
    let mut sim = Sim::start().await;
    let good = assertion(&sim, "https://login.salesforce.com", 120, &sim.org.username);
    let (status, body) = jwt(&sim, &good).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((body.get("refresh_token"), body.get("issued_at")), (None, None));
    sim.token = text(&body, "access_token");
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 200);

    let description = async |assertion: String| jwt(&sim, &assertion).await.1["error_description"].clone();
    let wrong = assertion(&sim, "https://example.com", 120, &sim.org.username);
    assert_eq!(description(wrong).await, "audience is invalid");
    let stranger = assertion(&sim, "https://login.salesforce.com", 120, "nobody@example.com");
    assert_eq!(description(stranger).await, "user hasn't approved this consumer");
    assert_eq!(description(format!("{}AAAA", &good[..good.len() - 4])).await, "invalid assertion");
    let far = assertion(&sim, "https://login.salesforce.com", 4_000, &sim.org.username);
    assert_eq!(description(far).await, "invalid assertion");
}

#[tokio::test]
async fn refusals_are_objects_with_a_description() {
    let sim = Sim::start().await;
    let with = |id: &'static str, secret: &'static str| {
        vec![("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)]
    };
    let (status, body) = sim.token_request(&with("nobody", "x")).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_client_id")));
    let form =
        [("grant_type", "client_credentials"), ("client_id", &sim.org.client_id), ("client_secret", "wrong")];
    let (status, body) = sim.token_request(&form).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_client")));
    sim.control("/users/default", json!({"active": false})).await;
    let good = [
        ("grant_type", "client_credentials"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    let (status, body) = sim.token_request(&good).await;
    assert_eq!(
        (status, body),
        (400, json!({"error": "invalid_grant", "error_description": "inactive user"}))
    );
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 401, "sessions ended with the user");
}

#[tokio::test]
async fn sessions_end_by_idleness_and_by_revocation() {
    let mut sim = Sim::start().await;
    sim.advance(100 * 60 * 1_000).await;
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 200, "use keeps a session alive");
    sim.advance(100 * 60 * 1_000).await;
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 200);
    sim.advance(121 * 60 * 1_000).await;
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 401);
    sim.token = sim.log_in().await;
    let info = sim.get("/services/oauth2/userinfo").await.1;
    assert_eq!(info["preferred_username"], sim.org.username);
    assert_eq!(info["organization_id"], sim.org.org_id);
    let revoke = sim.http.post(sim.url("/services/oauth2/revoke")).form(&[("token", &sim.token)]);
    assert_eq!(revoke.send().await.unwrap().status(), 200);
    let dead = sim.request("/services/oauth2/userinfo").send().await.unwrap();
    assert_eq!((dead.status().as_u16(), dead.text().await.unwrap().as_str()), (403, "Bad_OAuth_Token"));
}

#[tokio::test]
async fn the_identity_url_can_be_followed() {
    let sim = Sim::start().await;
    let form = [
        ("grant_type", "password"),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
        ("username", &sim.org.username),
        ("password", &sim.org.password),
    ];
    let (_, token) = sim.token_request(&form).await;
    assert!(token["issued_at"].is_string(), "issued_at is text");
    assert_eq!(token["instance_url"], sim.running.ready.http);
    let answer = sim.http.get(text(&token, "id")).bearer_auth(&sim.token).send().await.unwrap();
    let (status, body) = read(answer).await;
    assert_eq!((status, &body["organization_id"]), (200, &json!(sim.org.org_id)));
}
