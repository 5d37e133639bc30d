//! JWT bearer flow: an assertion signed with the connection's key, good for two minutes, made anew for
//! each exchange.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::Exchanger;
use crate::clock::Timestamp;
use crate::ports::TokenAnswer;
use crate::salesforce::error::SalesforceError;
use crate::secret::Secret;

/// Salesforce takes at most three minutes; a minute is left for clocks that differ.
const LIFETIME_SECONDS: i64 = 120;

/// What the assertion claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
}

impl Claims {
    pub(super) fn new(client_id: String, username: String, audience: &str, now: Timestamp) -> Self {
        let aud = audience.trim_end_matches('/').to_owned();
        Self { iss: client_id, sub: username, aud, exp: now.timestamp() + LIFETIME_SECONDS }
    }
}

pub(super) async fn exchange(
    exchanger: &Exchanger,
    login_url: &str,
    claims: &Claims,
    private_key_pem: &Secret,
) -> Result<TokenAnswer, SalesforceError> {
    let assertion = sign(claims, private_key_pem)?;
    let form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
        ("assertion", assertion),
    ];
    exchanger.post(login_url, form, None).await
}

/// The library's own errors could quote the key; they are dropped.
fn sign(claims: &Claims, private_key_pem: &Secret) -> Result<String, SalesforceError> {
    let key = EncodingKey::from_rsa_pem(private_key_pem.expose().as_bytes())
        .map_err(|_| SalesforceError::KeyUnreadable)?;
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key)
        .map_err(|_| SalesforceError::KeyUnreadable)
}
