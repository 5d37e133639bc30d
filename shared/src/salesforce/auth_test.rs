//! Exchanges: what is sent, what is believed, and what a refusal leads to.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::fault::OAuthKind;
use crate::ports::{Credentials, TokenStore as _};
use crate::salesforce::error::SalesforceError;
use crate::salesforce::stub::{CLIENT_ID, CLIENT_SECRET, ID_URL, Stub, json, token};
use crate::secret::Secret;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn refresh(url: &str, token: &str, previous: Option<&str>) -> Credentials {
    Credentials::Refresh {
        login_url: url.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(secret(CLIENT_SECRET)),
        refresh_token: secret(token),
        previous_refresh_token: previous.map(secret),
    }
}

async fn log_in(stub: &Stub, credentials: Option<Credentials>) -> Result<(), SalesforceError> {
    let (client, tokens, _) = stub.client(0);
    if let Some(credentials) = credentials {
        *tokens.credentials.lock().unwrap() = credentials;
    }
    client.log_in().await
}

/// A server that answers the token endpoint with this body.
async fn answering(status: u16, body: serde_json::Value) -> Stub {
    Stub::start(move |_| json(status, body.to_string())).await
}

#[tokio::test]
async fn client_credentials_are_sent_in_the_body() {
    let stub = Stub::start(|_| token("https://acme.my.salesforce.com", "t")).await;
    let (client, tokens, _) = stub.client(0);
    client.log_in().await.unwrap();
    let session = tokens.session().await.unwrap().unwrap();
    assert_eq!(session.instance_url, "https://acme.my.salesforce.com");
    let seen = stub.seen.lock().unwrap()[0].clone();
    assert_eq!(seen.path, "/services/oauth2/token");
    assert_eq!(seen.form("grant_type").as_deref(), Some("client_credentials"));
    assert_eq!(seen.form("client_secret").as_deref(), Some(CLIENT_SECRET));
    assert_eq!(seen.bearer(), "");
}

#[tokio::test]
async fn a_jwt_is_signed_with_the_connections_key() {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = key.as_der().unwrap();
    let body = BASE64_STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let stub = Stub::start(|_| token("https://acme.my.salesforce.com", "t")).await;
    let credentials = |pem: &str| Credentials::JwtBearer {
        login_url: stub.url.clone(),
        audience: Some("https://login.salesforce.com/".to_owned()),
        client_id: CLIENT_ID.to_owned(),
        username: "integration@acme.example".to_owned(),
        private_key_pem: secret(pem),
    };
    log_in(&stub, Some(credentials(&pem))).await.unwrap();

    let seen = stub.seen.lock().unwrap()[0].clone();
    assert_eq!(seen.form("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    let assertion = seen.form("assertion").unwrap();
    let public = jsonwebtoken::DecodingKey::from_rsa_der(key.public_key().as_ref());
    let mut check = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    check.set_audience(&["https://login.salesforce.com"]);
    // The stub's clock stands still; the expiry is looked at below instead.
    check.validate_exp = false;
    let claims: serde_json::Value = jsonwebtoken::decode(&assertion, &public, &check).unwrap().claims;
    assert_eq!(claims["iss"], CLIENT_ID);
    assert_eq!(claims["sub"], "integration@acme.example");
    assert_eq!(claims["exp"], 1_795_472_224 + 120);

    let broken =
        log_in(&stub, Some(credentials("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")))
            .await;
    assert!(matches!(broken, Err(SalesforceError::KeyUnreadable)), "{broken:?}");
}

#[tokio::test]
async fn a_dead_refresh_token_is_followed_by_one_try_with_the_one_before() {
    let stub = Stub::start(|seen| match seen.form("refresh_token").as_deref() {
        Some("before") => token("https://acme.my.salesforce.com", "t"),
        _ => json(400, r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#),
    })
    .await;
    log_in(&stub, Some(refresh(&stub.url, "dead", Some("before")))).await.unwrap();
    let error = log_in(&stub, Some(refresh(&stub.url, "dead", Some("dead too")))).await.unwrap_err();
    assert!(matches!(error, SalesforceError::OAuth(fault) if fault.kind == OAuthKind::GrantExpired));
    log_in(&stub, Some(refresh(&stub.url, "dead", None))).await.unwrap_err();
    log_in(&stub, Some(refresh(&stub.url, "dead", Some("dead")))).await.unwrap_err();
    assert_eq!(stub.count("/services/oauth2/token"), 6);
}

#[tokio::test]
async fn other_refusals_do_not_spend_the_token_before() {
    for description in ["token request is already being processed", "inactive user"] {
        let body = serde_json::json!({"error": "invalid_grant", "error_description": description});
        let stub = answering(400, body).await;
        log_in(&stub, Some(refresh(&stub.url, "live", Some("before")))).await.unwrap_err();
        assert_eq!(stub.count("/"), 1, "{description}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_right_in_every_part_is_not_believed() {
    let good = serde_json::json!({
        "access_token": "t", "instance_url": "https://acme.my.salesforce.com", "id": ID_URL,
        "token_type": "Bearer",
    });
    let with = |key: &str, value: &str| {
        let mut body = good.clone();
        body[key] = value.into();
        body
    };
    let plain = answering(200, good.clone()).await;
    log_in(&plain, None).await.unwrap();
    for (key, value, expected) in [
        ("signature", "AAAA", "salesforce_forged"),
        ("signature", "not base64!", "salesforce_forged"),
        ("instance_url", "https://evil.example", "salesforce_host_refused"),
        ("instance_url", "http://acme.my.salesforce.com", "salesforce_host_refused"),
        ("instance_url", "https://acme.my.salesforce.com@evil.example", "salesforce_host_refused"),
        ("id", "https://login.salesforce.com/id/foo/bar", "salesforce_unreadable"),
        ("id", "https://login.salesforce.com/id/005x00000012Q9P/00Dx0000000BV7z", "salesforce_unreadable"),
        ("access_token", "", "salesforce_unreadable"),
    ] {
        let stub = answering(200, with(key, value)).await;
        let error = log_in(&stub, None).await.unwrap_err();
        assert_eq!(crate::error::Classify::code(&error), expected, "{key}={value}: {error}");
    }
}

#[tokio::test]
async fn a_login_page_is_a_hiccup_whatever_its_status() {
    for status in [200, 302, 420, 503] {
        let stub = Stub::start(move |_| json(status, "<html>maintenance</html>")).await;
        let error = log_in(&stub, None).await.unwrap_err();
        assert!(
            matches!(&error, SalesforceError::OAuth(fault) if fault.kind == OAuthKind::Unavailable),
            "{error}"
        );
    }
}
