//! Refresh flow, with the one recovery that rotation allows.
//!
//! Under rotation a refresh kills the old token. If the answer was lost before we could store it, the token
//! that we hold is dead; then the one before it is tried once, and after that only a person can help.

use super::Exchanger;
use super::fault::OAuthKind;
use crate::ports::TokenAnswer;
use crate::salesforce::error::SalesforceError;
use crate::secret::Secret;

/// The app that the grant was given to.
pub(super) struct App {
    pub(super) login_url: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
}

pub(super) async fn exchange(
    exchanger: &Exchanger,
    app: &App,
    token: &Secret,
    previous: Option<&Secret>,
) -> Result<TokenAnswer, SalesforceError> {
    let first = attempt(exchanger, app, token).await;
    let expired =
        matches!(&first, Err(SalesforceError::OAuth(fault)) if fault.kind == OAuthKind::GrantExpired);
    match previous.filter(|previous| expired && previous.expose() != token.expose()) {
        // The first refusal is the one to report: it is about the token that counts.
        Some(previous) => attempt(exchanger, app, previous).await.or(first),
        None => first,
    }
}

async fn attempt(exchanger: &Exchanger, app: &App, token: &Secret) -> Result<TokenAnswer, SalesforceError> {
    let mut form = vec![
        ("grant_type", "refresh_token".to_owned()),
        ("client_id", app.client_id.clone()),
        ("refresh_token", token.expose().clone()),
    ];
    if let Some(secret) = &app.client_secret {
        form.push(("client_secret", secret.expose().clone()));
    }
    exchanger.post(&app.login_url, form, app.client_secret.as_ref()).await
}
