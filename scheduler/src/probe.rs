//! Proving a connection's credentials: one token, the API version, and who answers in which org.
//!
//! The proof happens in memory, before anything is stored, so a refused connection leaves nothing behind. Its few calls
//! are made for a person who waits and are of no job; the org's ledger has them all the same.

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
use refrain_shared::storage::Database;
use refrain_shared::storage::org_limits::org_spend;

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

    /// Asks who answers through what a connection to `org` has stored, with a new token if the stored one is old.
    fn check(
        &self,
        tokens: Arc<dyn TokenStore>,
        org: Option<SalesforceId>,
    ) -> BoxFuture<'_, Result<Identity, Unproved>>;
}

/// The probe that asks Salesforce.
pub struct SalesforceProbe {
    db: Database,
    http: Http,
    settings: ClientSettings,
    clock: Clock,
}

impl SalesforceProbe {
    /// A probe over this process's connections.
    #[must_use]
    pub fn new(db: Database, http: Http, settings: ClientSettings, clock: Clock) -> Self {
        Self { db, http, settings, clock }
    }

    async fn ask(&self, credentials: Credentials) -> Result<Proof, SalesforceError> {
        let gate = Arc::new(CountingGate::new(self.db.clone(), self.clock.clone(), None));
        let answer = Mutex::new(None);
        let tokens = Arc::new(MemoryTokens { credentials, answer, gate: Arc::clone(&gate) });
        let identity = self.identity(Arc::clone(&tokens) as Arc<dyn TokenStore>, gate).await?;
        let answer = tokens.lock().clone().expect("a client that was answered has a session");
        Ok(Proof { org_id: identity.org_id, user_id: identity.user_id, answer })
    }

    async fn identity(
        &self,
        tokens: Arc<dyn TokenStore>,
        gate: Arc<CountingGate>,
    ) -> Result<Identity, SalesforceError> {
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

    fn check(
        &self,
        tokens: Arc<dyn TokenStore>,
        org: Option<SalesforceId>,
    ) -> BoxFuture<'_, Result<Identity, Unproved>> {
        let gate = Arc::new(CountingGate::new(self.db.clone(), self.clock.clone(), org));
        Box::pin(async move {
            self.identity(tokens, gate).await.map_err(|error| unproved(&error, self.clock.now()))
        })
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
    /// Learns from the answer whose calls they are.
    gate: Arc<CountingGate>,
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
            self.gate.calls().org = Some(answer.org_id);
            *self.lock() = Some(answer);
            Ok(session)
        })
    }
}

/// Lets the few calls of a proof through, each counted for its org before it starts: whoever waits for them may go away.
/// A login is counted once it is known whose it was.
struct CountingGate {
    db: Database,
    clock: Clock,
    calls: Mutex<Calls>,
}

/// Whose calls they are, as far as it is known, and those not counted yet.
struct Calls {
    org: Option<SalesforceId>,
    uncounted: u64,
}

impl CountingGate {
    fn new(db: Database, clock: Clock, org: Option<SalesforceId>) -> Self {
        Self { db, clock, calls: Mutex::new(Calls { org, uncounted: 0 }) }
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn count(&self) -> Result<(), CallRefused> {
        let (org, calls) = {
            let mut calls = self.calls();
            calls.uncounted += 1;
            let Some(org) = calls.org else { return Ok(()) };
            (org, std::mem::take(&mut calls.uncounted))
        };
        org_spend(&self.db, org, calls).await.map_err(|error| {
            CallRefused::Failed(PortError {
                what: "count a call for its org",
                disposition: error.disposition(self.clock.now()),
                source: Box::new(error),
            })
        })
    }
}

impl CallGate for CountingGate {
    fn before_call(&self, _kind: CallKind) -> BoxFuture<'_, Result<(), CallRefused>> {
        Box::pin(self.count())
    }

    fn after_call(&self, _report: CallReport) {}
}
