//! The client of one connection: one call at a time, behind the gate, with one renewal of the session where
//! that can help. Back-off and repetition belong to the job runner, never here.

use std::sync::Arc;

use reqwest::header::HeaderName;
use tracing::Instrument as _;
use url::Url;

use super::auth::Exchanger;
use super::error::{SalesforceError, WireStage};
use super::fault::FaultKind;
use super::gate::admitted;
use super::host::Origin;
use super::http::{Answer, Http, Outgoing, Payload};
use super::identity::ApiVersion;
use crate::clock::Clock;
use crate::ports::{CallGate, CallKind, Session, TokenStore};

/// How queries are asked.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The pinned API version.
    pub api_version: ApiVersion,
    /// Rows asked for in a page, 200 to 2,000; a hint that Salesforce may undercut.
    pub page_rows: u16,
    /// Longest query in a URL, in encoded bytes. Salesforce takes 16,384 for URL and headers together.
    pub max_query_bytes: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self { api_version: ApiVersion::default(), page_rows: 2000, max_query_bytes: 14_000 }
    }
}

/// The one door to a connection's org. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    exchanger: Exchanger,
    tokens: Arc<dyn TokenStore>,
    settings: ClientSettings,
}

/// A request before it knows its session.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// Begin and end, of resources that list a span.
    pub(super) span: Option<(String, String)>,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) json: Option<String>,
}

impl Ask {
    pub(super) fn get(path: String) -> Self {
        Self { path, query: None, span: None, headers: Vec::new(), json: None }
    }

    fn url(&self, origin: &Origin) -> Url {
        let mut url = origin.url(&self.path);
        if let Some(query) = &self.query {
            url.query_pairs_mut().append_pair("q", query);
        }
        if let Some((start, end)) = &self.span {
            url.query_pairs_mut().append_pair("start", start).append_pair("end", end);
        }
        url
    }
}

impl Client {
    /// A client of the connection whose tokens and gate these are.
    #[must_use]
    pub fn new(
        http: Http,
        tokens: Arc<dyn TokenStore>,
        gate: Arc<dyn CallGate>,
        clock: Clock,
        settings: ClientSettings,
    ) -> Self {
        Self(Arc::new(Inner { exchanger: Exchanger { http, gate, clock }, tokens, settings }))
    }

    /// How queries are asked.
    #[must_use]
    pub fn settings(&self) -> &ClientSettings {
        &self.0.settings
    }

    /// Exchanges the credentials now if no session exists yet; a connection's first proof of itself.
    pub async fn log_in(&self) -> Result<(), SalesforceError> {
        self.session().await.map(|_| ())
    }

    /// `/services/data/vXX.0` and what follows.
    pub(super) fn data_path(&self, rest: &str) -> String {
        format!("/services/data/v{}{rest}", self.0.settings.api_version)
    }

    pub(super) async fn session(&self) -> Result<Session, SalesforceError> {
        match self.0.tokens.session().await? {
            Some(session) => Ok(session),
            None => self.renew(0).await,
        }
    }

    /// A session newer than the stale one, from whichever worker exchanges first.
    pub(super) async fn renew(&self, stale_generation: i64) -> Result<Session, SalesforceError> {
        let exchanger = self.0.exchanger.clone();
        let exchange: crate::ports::Exchange =
            Box::new(move |credentials| Box::pin(async move { exchanger.exchange(credentials).await }));
        self.0.tokens.renew(stale_generation, exchange).await
    }

    pub(super) fn origin(&self, session: &Session) -> Result<Origin, SalesforceError> {
        self.0.exchanger.http.policy().origin(&session.instance_url).map_err(SalesforceError::HostRefused)
    }

    /// One call; if its session turns out old or its host wrong, once more with a new session.
    pub(super) async fn call(&self, kind: CallKind, ask: Ask) -> Result<Answer, SalesforceError> {
        self.call_with_session(kind, ask).await.map(|(answer, _)| answer)
    }

    /// As [`Self::call`], with the session that the answer belongs to.
    pub(super) async fn call_with_session(
        &self,
        kind: CallKind,
        ask: Ask,
    ) -> Result<(Answer, Session), SalesforceError> {
        let session = self.session().await?;
        match self.attempt(kind, &session, &ask).await {
            Ok(answer) => Ok((answer, session)),
            Err(error) if a_new_session_may_help(&error) => {
                let session = self.renew(session.generation).await?;
                let answer = self.attempt(kind, &session, &ask).await?;
                Ok((answer, session))
            }
            Err(error) => Err(error),
        }
    }

    async fn attempt(&self, kind: CallKind, session: &Session, ask: &Ask) -> Result<Answer, SalesforceError> {
        let url = ask.url(&self.origin(session)?);
        self.attempt_at(kind, session, url, ask).await
    }

    /// One wire attempt; a refusal is an error, 304 is not.
    pub(super) async fn attempt_at(
        &self,
        kind: CallKind,
        session: &Session,
        url: Url,
        ask: &Ask,
    ) -> Result<Answer, SalesforceError> {
        let outgoing = Outgoing {
            url,
            bearer: Some(&session.access_token),
            headers: ask.headers.clone(),
            payload: ask.json.clone().map_or(Payload::None, Payload::Json),
        };
        self.send(kind, outgoing).await
    }

    pub(super) async fn send(
        &self,
        kind: CallKind,
        outgoing: Outgoing<'_>,
    ) -> Result<Answer, SalesforceError> {
        let span = tracing::debug_span!(
            "salesforce.call",
            kind = kind.word(),
            status = tracing::field::Empty,
            bytes = tracing::field::Empty
        );
        let Exchanger { http, gate, .. } = &self.0.exchanger;
        async {
            let answer = admitted(&**gate, kind, http.send(outgoing)).await?;
            let span = tracing::Span::current();
            span.record("status", answer.status);
            span.record("bytes", answer.body.len());
            if answer.status == 304 { Ok(answer) } else { answer.success() }
        }
        .instrument(span)
        .await
    }
}

/// An expired session; or a host that no longer serves the org, whose successor the token answer names.
fn a_new_session_may_help(error: &SalesforceError) -> bool {
    if let SalesforceError::Transport { stage: WireStage::Connect, detail } = error {
        // An old My Domain name ends as a name that no longer resolves.
        return detail.contains("dns error");
    }
    error.fault().is_some_and(|fault| matches!(fault.kind, FaultKind::SessionExpired | FaultKind::Moved))
}

#[cfg(test)]
#[path = "client_test.rs"]
mod tests;
