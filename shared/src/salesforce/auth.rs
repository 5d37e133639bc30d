//! Exchanging credentials for a session: client credentials, JWT bearer, refresh.
//!
//! Which of them, and whether at all, is the token store's decision: it alone knows whether another worker
//! has just done it. Nothing here stores anything or tries twice, save the one recovery try of a refresh.

pub(super) mod answer;
mod client_credentials;
pub(super) mod fault;
mod jwt_bearer;
mod refresh;

use std::sync::Arc;

use reqwest::Method;

use self::fault::OAuthFault;
use super::error::SalesforceError;
use super::gate::admitted;
use super::http::{Answer, Http, Outgoing, Payload};
use crate::clock::Clock;
use crate::ports::{CallGate, CallKind, Credentials, TokenAnswer};
use crate::secret::Secret;

const TOKEN_PATH: &str = "/services/oauth2/token";

/// What an exchange needs; owned, because the store runs it when and where it likes.
#[derive(Clone)]
pub(super) struct Exchanger {
    pub(super) http: Http,
    pub(super) gate: Arc<dyn CallGate>,
    pub(super) clock: Clock,
}

impl Exchanger {
    /// Exchanges the credentials for a token.
    pub(super) async fn exchange(&self, credentials: Credentials) -> Result<TokenAnswer, SalesforceError> {
        match credentials {
            Credentials::ClientCredentials { login_url, client_id, client_secret } => {
                client_credentials::exchange(self, &login_url, client_id, &client_secret).await
            }
            Credentials::JwtBearer { login_url, audience, client_id, username, private_key_pem } => {
                let audience = audience.as_deref().unwrap_or(&login_url);
                let claims = jwt_bearer::Claims::new(client_id, username, audience, self.clock.now());
                jwt_bearer::exchange(self, &login_url, &claims, &private_key_pem).await
            }
            Credentials::Refresh {
                login_url,
                client_id,
                client_secret,
                refresh_token,
                previous_refresh_token,
            } => {
                let app = refresh::App { login_url, client_id, client_secret };
                refresh::exchange(self, &app, &refresh_token, previous_refresh_token.as_ref()).await
            }
        }
    }

    /// Posts a form to the token endpoint and reads the answer.
    async fn post(
        &self,
        login_url: &str,
        form: Vec<(&'static str, String)>,
        client_secret: Option<&Secret>,
    ) -> Result<TokenAnswer, SalesforceError> {
        let origin = self.http.policy().origin(login_url).map_err(SalesforceError::HostRefused)?;
        let outgoing = Outgoing {
            url: origin.url(TOKEN_PATH),
            bearer: None,
            method: Method::POST,
            headers: Vec::new(),
            payload: Payload::Form(form),
        };
        let answer = admitted(&*self.gate, CallKind::Token, self.http.send(outgoing)).await?;
        if answer.status != 200 || !is_json(&answer) {
            return Err(OAuthFault::read(answer.status, &answer.body).into());
        }
        answer::read(&answer, self.http.policy(), client_secret)
    }
}

/// A login page with status 200 is a hiccup, not an answer.
fn is_json(answer: &Answer) -> bool {
    super::http::without_mark(&answer.body).trim_ascii_start().starts_with(b"{")
}

#[cfg(test)]
#[path = "auth_test.rs"]
mod tests;
