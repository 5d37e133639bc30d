//! Tokens, identities, refusals to log in.

use super::node::Order;
use super::{folder, hold, sample, text};
use crate::browser::{Browser, CALLBACK, VERIFIER};
use crate::jwt::assertion;
use crate::support::Sim;

/// The answer to a token request as text.
async fn token(sim: &Sim, form: &[(&str, &str)]) -> String {
    let client =
        [("client_id", sim.org.client_id.as_str()), ("client_secret", sim.org.client_secret.as_str())];
    let form: Vec<_> = form.iter().copied().chain(client).collect();
    let sent = sim.http.post(sim.url("/services/oauth2/token")).form(&form).send().await.unwrap();
    sent.text().await.unwrap()
}

#[tokio::test]
pub(super) async fn tokens_have_the_recorded_shape() {
    let Some(folder) = folder("tokens_have_the_recorded_shape") else { return };
    let sim = Sim::start().await;
    let password = [
        ("grant_type", "password"),
        ("username", sim.org.username.as_str()),
        ("password", sim.org.password.as_str()),
    ];
    let ours = token(&sim, &password).await;
    hold(
        "oauth_password_200",
        &ours,
        &super::body(&folder, "exchange/oauth_password_200.json", 0),
        Order::Free,
    );
    hold("token_success_minimal", &ours, &text(&folder, "oauth/token_success_minimal.json"), Order::Free);

    let code = Browser::new(&sim).code().await;
    let granted = token(
        &sim,
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ],
    )
    .await;
    let granted: serde_json::Value = serde_json::from_str(&granted).unwrap();
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", granted["refresh_token"].as_str().unwrap())];
    let ours = token(&sim, &refresh).await;
    let file = "oauth/refresh_success_no_refresh_token.json";
    hold("refresh_success_no_refresh_token", &ours, &text(&folder, file), Order::Free);
    assert!(!ours.contains("refresh_token\":\""), "a refresh brings no new refresh token: {ours}");

    let assertion = assertion(&sim, "https://login.salesforce.com", 120, &sim.org.username);
    let jwt = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let ours = token(&sim, &[("grant_type", jwt), ("assertion", &assertion)]).await;
    hold("jwt_success_with_scope", &ours, &text(&folder, "oauth/jwt_success_with_scope.json"), Order::Free);
    for absent in ["refresh_token", "issued_at", "signature"] {
        assert!(!ours.contains(&format!("\"{absent}\"")), "{absent} in {ours}");
    }
}

#[tokio::test]
pub(super) async fn refusals_are_the_recorded_ones() {
    let Some(folder) = folder("refusals_are_the_recorded_ones") else { return };
    let sim = Sim::start().await;
    let wrong = [("grant_type", "password"), ("username", sim.org.username.as_str()), ("password", "wrong")];
    let gone = [("grant_type", "refresh_token"), ("refresh_token", "gone")];
    let parsed = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let ours = parsed(token(&sim, &gone).await);
    assert_eq!(ours, sample(&folder, "oauth/invalid_grant_expired_refresh.json"));
    let (ours, recorded) =
        (parsed(token(&sim, &wrong).await), sample(&folder, "oauth/invalid_grant_password.json"));
    assert_eq!(ours["error"], recorded["error"]);
    // Today's answer is the first part of the recorded one.
    let description = ours["error_description"].as_str().unwrap();
    assert!(recorded["error_description"].as_str().unwrap().starts_with(description), "{ours}");
}

#[tokio::test]
pub(super) async fn user_information_has_the_recorded_keys() {
    let Some(folder) = folder("user_information_has_the_recorded_keys") else { return };
    let sim = Sim::start().await;
    let ours = super::answer(&sim, "/services/oauth2/userinfo").await;
    hold("userinfo_custom_scope", &ours, &text(&folder, "identity/userinfo_custom_scope.json"), Order::Free);
}
