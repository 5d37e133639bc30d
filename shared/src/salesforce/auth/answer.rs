//! Reads a token answer: host, org and user are checked before anything is believed.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::DateTime;
use serde::Deserialize;

use crate::ids::SalesforceId;
use crate::ports::TokenAnswer;
use crate::salesforce::error::SalesforceError;
use crate::salesforce::host::HostPolicy;
use crate::salesforce::http::Answer;
use crate::secret::Secret;

#[derive(Deserialize)]
struct Body {
    access_token: Secret,
    #[serde(default)]
    refresh_token: Option<Secret>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    instance_url: String,
    id: String,
    /// Milliseconds since 1970, as text.
    #[serde(default)]
    issued_at: Option<String>,
}

/// Reads and checks; `client_secret` verifies the signature where there is one.
pub(in crate::salesforce) fn read(
    answer: &Answer,
    policy: &HostPolicy,
    client_secret: Option<&Secret>,
) -> Result<TokenAnswer, SalesforceError> {
    let body: Body = answer.json("a token answer")?;
    if body.access_token.expose().is_empty() {
        return Err(answer.unreadable("an access token"));
    }
    let origin = policy.origin(&body.instance_url).map_err(SalesforceError::HostRefused)?;
    if let (Some(signature), Some(secret)) = (&body.signature, client_secret)
        && !fits(signature, secret, &body)
    {
        return Err(SalesforceError::Forged);
    }
    let (org_id, user_id) =
        org_and_user(&body.id).ok_or_else(|| answer.unreadable("org and user in the id URL"))?;
    let issued_at =
        body.issued_at.and_then(|text| text.parse().ok()).and_then(DateTime::from_timestamp_millis);
    Ok(TokenAnswer {
        access_token: body.access_token,
        refresh_token: body.refresh_token.filter(|token| !token.expose().is_empty()),
        instance_url: origin.to_string(),
        org_id,
        user_id,
        scopes: body.scope.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect(),
        issued_at,
    })
}

/// The last two segments of the id URL; its host is not trusted and not called.
fn org_and_user(id: &str) -> Option<(SalesforceId, SalesforceId)> {
    let mut segments = id.rsplit('/');
    let user = SalesforceId::parse(segments.next()?).ok().filter(|id| id.key_prefix() == "005")?;
    let org = SalesforceId::parse(segments.next()?).ok().filter(|id| id.key_prefix() == "00D")?;
    Some((org, user))
}

/// Base64 of HMAC-SHA256 under the consumer secret over id and issued_at.
fn fits(signature: &str, secret: &Secret, body: &Body) -> bool {
    let Ok(given) = BASE64_STANDARD.decode(signature) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let signed = format!("{}{}", body.id, body.issued_at.as_deref().unwrap_or_default());
    hmac::verify(&key, signed.as_bytes(), &given).is_ok()
}

#[cfg(test)]
pub(in crate::salesforce) fn sign(secret: &str, id: &str, issued_at: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, format!("{id}{issued_at}").as_bytes()))
}
