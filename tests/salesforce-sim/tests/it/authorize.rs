//! The web flow, as a browser sees it: pages, decisions, and every refusal on its way.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::browser::{Browser, CALLBACK, VERIFIER};
use crate::support::Sim;

async fn exchange(sim: &Sim, code: &str, changes: &[(&str, &str)]) -> (u16, Value) {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    for (name, value) in changes {
        form.retain(|(key, _)| key != name);
        if !value.is_empty() {
            form.push((name, value));
        }
    }
    sim.token_request(&form).await
}

fn description(answer: &(u16, Value)) -> &str {
    answer.1["error_description"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_person_logs_in_allows_access_and_the_app_gets_tokens() {
    let mut sim = Sim::start().await;
    let mut browser = Browser::new(&sim);
    let login = browser.open(&[("scope", "api refresh_token"), ("login_hint", "x@example.com")]).await;
    assert_eq!(login.status, 200);
    assert!(login.text.contains("value=\"x@example.com\""));
    let wrong = browser.submit(&login, &[("username", &sim.org.username), ("pw", "wrong")]).await;
    assert!(wrong.text.contains("check your username and password"), "{}", wrong.text);
    let consent = browser.log_in(&wrong).await;
    assert!(consent.text.contains("Manage user data via APIs") && consent.text.contains(&sim.org.username));
    let back = browser.submit(&consent, &[("save", "Allow")]).await;
    assert_eq!(back.status, 302);
    assert!(back.location.as_ref().unwrap().as_str().starts_with(CALLBACK));
    assert_eq!(back.expect("state"), "s1");
    let raw = back.location.as_ref().unwrap().query().unwrap();
    assert!(raw.contains("%3D%3D"), "a code must be decoded once: {raw}");
    let (status, tokens) = exchange(&sim, &back.expect("code"), &[]).await;
    assert_eq!((status, &tokens["scope"]), (200, &json!("api refresh_token")), "{tokens}");
    assert!(tokens["id"].as_str().unwrap().contains(&sim.org.org_id));
    sim.token = tokens["access_token"].as_str().unwrap().to_owned();
    assert_eq!(sim.get("/services/data/v66.0/").await.0, 200);
}

#[tokio::test]
async fn whoever_approved_once_is_asked_again_only_on_request() {
    let sim = Sim::start().await;
    let mut browser = Browser::new(&sim);
    browser.code().await;
    let again = browser.open(&[]).await;
    assert_eq!(again.status, 302, "no page in between");
    assert!(again.parameter("code").is_some());
    assert!(browser.open(&[("prompt", "consent")]).await.text.contains("id=\"oaapprove\""));
    assert!(browser.open(&[("prompt", "login consent")]).await.text.contains("id=\"Login\""));
    assert!(Browser::new(&sim).open(&[]).await.text.contains("id=\"Login\""), "another browser logs in");
    let silent = Browser::new(&sim).open(&[("prompt", "none")]).await;
    assert_eq!(silent.expect("error"), "immediate_unsuccessful");
}

#[tokio::test]
async fn a_person_may_say_no_and_no_other_page_may_say_yes() {
    let sim = Sim::start().await;
    let mut browser = Browser::new(&sim);
    let login = browser.open(&[]).await;
    let consent = browser.log_in(&login).await;
    let denied = browser.submit(&consent, &[("cancel", "Deny")]).await;
    assert_eq!(denied.expect("error"), "access_denied");
    assert_eq!(denied.expect("error_description"), "end-user denied authorization");
    assert_eq!(denied.expect("state"), "s1");
    let foreign = consent.text.replace("name=\"confirmation\"", "name=\"other\"");
    let page = crate::browser::Shown { status: 200, location: None, text: foreign };
    assert!(browser.submit(&page, &[("save", "Allow")]).await.is_error_page());
}

#[tokio::test]
async fn faults_of_the_request_never_reach_the_callback() {
    let sim = Sim::start().await;
    let refusals: [(&[(&str, &str)], &str); 7] = [
        (&[("client_id", "nobody")], "invalid_client_id"),
        (&[("redirect_uri", "")], "redirect_uri_missing"),
        (&[("redirect_uri", "no address")], "redirect_uri_mismatch"),
        (&[("redirect_uri", "http://app.example.com/callback")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_type", "")], "unsupported_response_type"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
    ];
    for (changes, error) in refusals {
        let shown = Browser::new(&sim).open(changes).await;
        assert!(shown.is_error_page(), "{changes:?}: {shown:?}");
        assert_eq!(shown.expect("error"), error, "{changes:?}");
    }
    sim.control("/app", json!({"callbacks": ["https://elsewhere.example.com/"], "pkce_required": true}))
        .await;
    assert_eq!(Browser::new(&sim).open(&[]).await.expect("error"), "redirect_uri_mismatch");
    sim.control("/app", json!({"callbacks": [CALLBACK]})).await;
    let shown = Browser::new(&sim).open(&[("code_challenge", "")]).await;
    assert_eq!(shown.expect("error_description"), "missing required code challenge");
    let page = Browser::new(&sim).go(shown.location.as_ref().unwrap().as_str()).await;
    assert!(page.status == 200 && page.text.contains("missing required code challenge"));
}

#[tokio::test]
async fn an_app_that_the_org_does_not_admit_is_refused_in_the_platforms_words() {
    let sim = Sim::start().await;
    let attempt = async || {
        let mut browser = Browser::new(&sim);
        let login = browser.open(&[]).await;
        if login.status == 200 { browser.log_in(&login).await } else { login }
    };
    for (installation, error, page) in [
        ("uninstalled", "invalid_client", true),
        ("missing", "OAUTH_EC_APP_NOT_FOUND", true),
        ("unknown", "app_not_found", true),
        ("blocked", "OAUTH_APP_BLOCKED", false),
    ] {
        sim.control("/app", json!({"installation": installation})).await;
        let shown = attempt().await;
        assert_eq!((shown.expect("error").as_str(), shown.is_error_page()), (error, page), "{installation}");
    }
    sim.control("/app", json!({"installation": "installed", "preauthorized_only": true})).await;
    assert_eq!(attempt().await.expect("error"), "OAUTH_APP_BLOCKED");
    sim.control("/app", json!({"preauthorized": [sim.org.username]})).await;
    assert!(attempt().await.text.contains("oaapprove"));
    sim.control("/users/default", json!({"api_only": true})).await;
    assert_eq!(attempt().await.expect("error"), "OAUTH_APPROVAL_ERROR_GENERIC");
}

#[tokio::test]
async fn scopes_must_exist_and_be_the_apps() {
    let sim = Sim::start().await;
    for (scope, error) in [("api nonsense", "invalid_scope"), ("api full", "OAUTH_APPROVAL_ERROR_GENERIC")] {
        let mut browser = Browser::new(&sim);
        let login = browser.open(&[("scope", scope)]).await;
        let shown = browser.log_in(&login).await;
        assert_eq!((shown.expect("error"), shown.is_error_page()), (error.to_owned(), false));
    }
    let mut browser = Browser::new(&sim);
    let login = browser.open(&[("scope", "id")]).await;
    let consent = browser.log_in(&login).await;
    let code = browser.submit(&consent, &[("save", "Allow")]).await.expect("code");
    let tokens = exchange(&sim, &code, &[]).await.1;
    assert_eq!((&tokens["scope"], tokens.get("refresh_token")), (&json!("id"), None));
    let url = sim.url("/services/data/v66.0/limits");
    let asked = sim.http.get(url).bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    let (status, body) = crate::support::read(asked).await;
    assert_eq!((status, &body[0]["errorCode"]), (401, &json!("INVALID_SESSION_ID")));
    assert_eq!(body[0]["message"], "This session is not valid for use with the REST API");
}

#[tokio::test]
async fn a_code_is_good_once_for_a_while_and_for_its_own_request() {
    let sim = Sim::start().await;
    let code = Browser::new(&sim).code().await;
    let other = exchange(&sim, &code, &[("redirect_uri", "https://app.example.com/other")]).await;
    assert_eq!(other.1["error"], "redirect_uri_mismatch");
    let code = Browser::new(&sim).code().await;
    assert_eq!(
        description(&exchange(&sim, &code, &[("code_verifier", "")]).await),
        "missing required code verifier"
    );
    let code = Browser::new(&sim).code().await;
    assert_eq!(
        description(&exchange(&sim, &code, &[("code_verifier", "wrong")]).await),
        "invalid code verifier"
    );
    let code = Browser::new(&sim).code().await;
    sim.advance(15 * 60_000 + 1_000).await;
    assert_eq!(description(&exchange(&sim, &code, &[]).await), "expired authorization code");

    let code = Browser::new(&sim).code().await;
    let first = exchange(&sim, &code, &[]).await;
    assert_eq!(first.0, 200);
    assert_eq!(description(&exchange(&sim, &code, &[]).await), "invalid authorization code");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", first.1["refresh_token"].as_str().unwrap()),
        ("client_id", &sim.org.client_id),
        ("client_secret", &sim.org.client_secret),
    ];
    let refreshed = sim.token_request(&form).await;
    assert_eq!(description(&refreshed), "expired access/refresh token", "a stolen code ends what it opened");
}

#[tokio::test]
async fn a_public_client_needs_no_secret_where_the_app_says_so() {
    let sim = Sim::start().await;
    let code = Browser::new(&sim).code().await;
    let refused = exchange(&sim, &code, &[("client_secret", "")]).await;
    assert_eq!((refused.0, &refused.1["error"]), (400, &json!("invalid_client")));
    sim.control("/app", json!({"secret_required": false})).await;
    let code = Browser::new(&sim).code().await;
    assert_eq!(exchange(&sim, &code, &[("client_secret", "")]).await.0, 200);
    let code = Browser::new(&sim).code().await;
    let wrong = exchange(&sim, &code, &[("client_secret", "wrong")]).await;
    assert_eq!(wrong.1["error"], "invalid_client", "a wrong secret is refused all the same");
}

#[tokio::test]
async fn scripts_without_a_browser_can_be_approved_at_once() {
    let sim = Sim::start().await;
    sim.control("/app", json!({"auto_approve": true})).await;
    let shown = Browser::new(&sim).open(&[]).await;
    assert_eq!(exchange(&sim, &shown.expect("code"), &[]).await.0, 200);
}

#[tokio::test]
async fn the_pages_let_nothing_in() {
    let sim = Sim::start().await;
    let mut browser = Browser::new(&sim);
    let hostile = "\"><script>alert(1)</script>";
    let login = browser.open(&[("login_hint", hostile), ("state", hostile)]).await;
    assert!(!login.text.contains("<script"), "{}", login.text);
    let page = sim.url("/setup/secur/RemoteAccessErrorPage.apexp?error=%3Cscript%3E&error_description=x");
    assert!(!browser.go(&page).await.text.contains("<script"));
    let answer = sim.http.get(browser.address(&[])).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["x-frame-options"], "DENY");
}
