//! Proving a connection's credentials: one token, the API version, and who answers in which org.
//!
//! The proof happens in memory, before anything is stored, so a refused connection leaves nothing behind.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use refrain_shared::clock::{Clock, Timestamp};
use refrain_shared::error::{Classify, Disposition, UserMessage};
use refrain_shared::ids::SalesforceId;
use refrain_shared::ports::{
    CallGate, CallKind, CallRefused, CallReport, Credentials, Exchange, PortError, Session, TokenAnswer,
    TokenStore,
};
use refrain_shared::salesforce::identity::Identity;
use refrain_shared::salesforce::{Client, ClientSettings, Http, SalesforceError};

/// What proved credentials tell.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The org that answered.
    pub org_id: SalesforceId,
    /// The user who answered.
    pub user_id: SalesforceId,
    /// The token's answer, with a rotated refresh token if there was one.
    pub answer: TokenAnswer,
}

/// Why credentials were not proved.
#[derive(Debug)]
pub enum Unproved {
    /// A person must act.
    Ask(UserMessage),
    /// Salesforce could not be asked just now; the text is for people.
    Later(String),
}

/// Asks Salesforce. A trait, so that the API can be tested without one.
pub trait ConnectionProbe: Send + Sync {
    /// Exchanges the credentials, checks the API version and asks who answers.
    fn prove(&self, credentials: Credentials) -> BoxFuture<'_, Result<Proof, Unproved>>;

    /// Asks who answers through what a connection has stored, with a new token if the stored one is old.
    fn check(&self, tokens: Arc<dyn TokenStore>) -> BoxFuture<'_, Result<Identity, Unproved>>;
}

/// The probe that asks Salesforce.
pub struct SalesforceProbe {
    http: Http,
    settings: ClientSettings,
    clock: Clock,
}

impl SalesforceProbe {
    /// A probe over this process's connections.
    #[must_use]
    pub fn new(http: Http, settings: ClientSettings, clock: Clock) -> Self {
        Self { http, settings, clock }
    }

    async fn ask(&self, credentials: Credentials) -> Result<Proof, SalesforceError> {
        let tokens = Arc::new(MemoryTokens { credentials, answer: Mutex::new(None) });
        let identity = self.identity(Arc::clone(&tokens) as Arc<dyn TokenStore>).await?;
        let answer = tokens.lock().clone().expect("a client that was answered has a session");
        Ok(Proof { org_id: identity.org_id, user_id: identity.user_id, answer })
    }

    async fn identity(&self, tokens: Arc<dyn TokenStore>) -> Result<Identity, SalesforceError> {
        let gate = Arc::new(OpenGate);
        let client = Client::new(self.http.clone(), tokens, gate, self.clock.clone(), self.settings.clone());
        client.check_version().await?;
        client.identity().await
    }
}

impl ConnectionProbe for SalesforceProbe {
    fn prove(&self, credentials: Credentials) -> BoxFuture<'_, Result<Proof, Unproved>> {
        Box::pin(
            async move { self.ask(credentials).await.map_err(|error| unproved(&error, self.clock.now())) },
        )
    }

    fn check(&self, tokens: Arc<dyn TokenStore>) -> BoxFuture<'_, Result<Identity, Unproved>> {
        Box::pin(
            async move { self.identity(tokens).await.map_err(|error| unproved(&error, self.clock.now())) },
        )
    }
}

/// What a person is told of a failed proof.
fn unproved(error: &SalesforceError, now: Timestamp) -> Unproved {
    // A job tries again, in case it was a passing fault; whoever connects an org must know.
    if let (SalesforceError::Transport { .. }, Some(ask)) = (error, error.ask()) {
        return Unproved::Ask(ask);
    }
    match error.disposition(now) {
        Disposition::ParkConnection { ask } | Disposition::ParkObject { ask } => Unproved::Ask(ask),
        Disposition::Retry { .. } | Disposition::Defer { .. } => Unproved::Later(error.to_string()),
        Disposition::Replan { .. } | Disposition::Discard | Disposition::Bug => {
            tracing::error!(error = %crate::rounds::chain(error), "a connection could not be checked");
            Unproved::Later(error.to_string())
        }
    }
}

/// Credentials and their answer, in this process's memory only.
struct MemoryTokens {
    credentials: Credentials,
    answer: Mutex<Option<TokenAnswer>>,
}

impl MemoryTokens {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<TokenAnswer>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn session(answer: &TokenAnswer) -> Session {
    Session {
        access_token: answer.access_token.clone(),
        instance_url: answer.instance_url.clone(),
        generation: 1,
    }
}

impl TokenStore for MemoryTokens {
    fn session(&self) -> BoxFuture<'_, Result<Option<Session>, PortError>> {
        let session = self.lock().as_ref().map(session);
        Box::pin(async move { Ok(session) })
    }

    /// One exchange only: a second would spend a rotated refresh token.
    fn renew(&self, _stale: i64, exchange: Exchange) -> BoxFuture<'_, Result<Session, SalesforceError>> {
        Box::pin(async move {
            if let Some(answer) = self.lock().as_ref() {
                return Ok(session(answer));
            }
            let answer = exchange(self.credentials.clone()).await?;
            let session = session(&answer);
            *self.lock() = Some(answer);
            Ok(session)
        })
    }
}

/// The three calls of a proof are made for a person who waits; they are few and not of any job.
struct OpenGate;

impl CallGate for OpenGate {
    fn before_call(&self, _kind: CallKind) -> BoxFuture<'_, Result<(), CallRefused>> {
        Box::pin(async { Ok(()) })
    }

    fn after_call(&self, _report: CallReport) {}
}
