//! JWT assertions. Their times are judged by the real clock, the only one that a client has.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::Request;
use crate::http::World;
use crate::org::Org;
use crate::org::logins::Login;

/// A JWT may expire at most this many seconds ahead (three minutes and as much clock skew).
const MOST_SECONDS: i64 = 360;

#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    sub: String,
    aud: String,
    #[serde(deserialize_with = "seconds")]
    exp: i64,
}

/// A number, or a number as text: some client libraries write that, and the platform takes it.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(i64),
        Text(String),
    }
    match Seconds::deserialize(deserializer)? {
        Seconds::Number(number) => Ok(number),
        Seconds::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// What an assertion claims; `None` when it is no JWT.
pub(super) fn claims(assertion: &str) -> Option<Claims> {
    let payload = assertion.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The user for whom an assertion is good.
pub(super) fn verify(
    world: &World,
    org: &Org,
    request: &Request,
    assertion: &str,
) -> Result<Login, &'static str> {
    let app = org.app();
    let claims = claims(assertion).ok_or("invalid assertion")?;
    let (signed, signature) = assertion.rsplit_once('.').ok_or("invalid assertion")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "invalid assertion")?;
    let own = org.jwt_key();
    let key =
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, own.as_deref().unwrap_or(&world.jwt_public_key));
    if app.jwt_certificate_expired || key.verify(signed.as_bytes(), &signature).is_err() {
        return Err("invalid assertion");
    }
    let audiences =
        ["https://login.salesforce.com", "https://test.salesforce.com", request.base_url.as_str()];
    if !audiences.contains(&claims.aud.trim_end_matches('/')) {
        return Err("audience is invalid");
    }
    let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(real).unwrap_or(i64::MAX) + app.jwt_skew_seconds;
    if claims.exp <= now {
        return Err("expired");
    }
    if claims.exp > now + MOST_SECONDS || (app.jwt_once && !org.sessions().note_assertion(assertion)) {
        return Err("invalid assertion");
    }
    let login = org.logins().named(&claims.sub).filter(|login| login.username == claims.sub).cloned();
    let approved = login.filter(|login| claims.iss == org.identity.client_id && app.admits(&login.username));
    approved.ok_or("user hasn't approved this consumer")
}
