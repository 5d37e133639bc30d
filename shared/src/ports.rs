//! The traits by which edges meet: what the Salesforce client needs of storage, named here so that neither
//! imports the other. `main.rs` joins them.
//!
//! Values only, no I/O. Futures are boxed by hand, so that the traits can be used as `Arc<dyn …>`.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::clock::Timestamp;
use crate::error::{DeferReason, Disposition};
use crate::ids::SalesforceId;
use crate::salesforce::{ApiUsage, SalesforceError};
use crate::secret::Secret;

/// A failure of the other side of a port; it brings its own disposition.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct PortError {
    /// What was tried, as verb and object; no secrets.
    pub what: &'static str,
    /// What is to happen.
    pub disposition: Disposition,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// An access token that the whole fleet shares, with the host it is good for.
#[derive(Debug, Clone)]
pub struct Session {
    /// The bearer token.
    pub access_token: Secret,
    /// Scheme and host as Salesforce named them; checked against the host policy at each use.
    pub instance_url: String,
    /// Rises by one with each exchange; the first is 1.
    pub generation: i64,
}

/// What a connection proves itself with.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Client credentials flow: the app's own run-as user.
    ClientCredentials {
        /// The org's My Domain URL.
        login_url: String,
        /// Consumer key.
        client_id: String,
        /// Consumer secret.
        client_secret: Secret,
    },
    /// JWT bearer flow: a key instead of a secret.
    JwtBearer {
        /// Where the token endpoint is.
        login_url: String,
        /// The `aud` claim; the login URL when `None`.
        audience: Option<String>,
        /// Consumer key.
        client_id: String,
        /// The integration user's username.
        username: String,
        /// RSA key in PEM (PKCS#8 or PKCS#1).
        private_key_pem: Secret,
    },
    /// A grant that a person gave in the browser.
    Refresh {
        /// The host of the login, not the instance.
        login_url: String,
        /// Consumer key.
        client_id: String,
        /// Consumer secret, where the app asks for one.
        client_secret: Option<Secret>,
        /// The newest refresh token stored.
        refresh_token: Secret,
        /// The one before it, for a single recovery try after a rotation whose answer was lost.
        previous_refresh_token: Option<Secret>,
    },
}

/// A token endpoint's answer, checked.
#[derive(Debug, Clone)]
pub struct TokenAnswer {
    /// The new bearer token.
    pub access_token: Secret,
    /// A rotated refresh token; the old one is dead from now on.
    pub refresh_token: Option<Secret>,
    /// Scheme and host for data calls; always overwrites the stored one.
    pub instance_url: String,
    /// The org that answered. The store must refuse another org than the connection's.
    pub org_id: SalesforceId,
    /// The user on whose behalf the token works.
    pub user_id: SalesforceId,
    /// Granted scopes, when the answer names them.
    pub scopes: Vec<String>,
    /// When Salesforce issued it, when the answer says so.
    pub issued_at: Option<Timestamp>,
}

/// One exchange of credentials for a token; the client makes it, the store decides whether it is run.
pub type Exchange =
    Box<dyn FnOnce(Credentials) -> BoxFuture<'static, Result<TokenAnswer, SalesforceError>> + Send>;

/// Where a connection's session and credentials live.
pub trait TokenStore: Send + Sync {
    /// The session that the fleet uses now; `None` before the first exchange.
    fn session(&self) -> BoxFuture<'_, Result<Option<Session>, PortError>>;

    /// Replaces a session that no longer works.
    ///
    /// Runs `exchange` at most once over the whole fleet for each stale generation. A store that already
    /// holds a newer generation returns it without an exchange. The answer, with a rotated refresh token
    /// and the one before it, is durable before this returns. `stale_generation` is 0 when there was none.
    fn renew(
        &self,
        stale_generation: i64,
        exchange: Exchange,
    ) -> BoxFuture<'_, Result<Session, SalesforceError>>;
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// The token endpoint; not counted by the org's allowance.
    Token,
    /// Describes, alone or composite.
    Describe,
    /// A query or its next page.
    Query,
    /// The body of a file.
    File,
    /// Making a Bulk query job, asking for its state, and putting it away.
    BulkJob,
    /// A set of a Bulk job's results.
    BulkResults,
    /// The log of deletions.
    Deleted,
    /// The transcript of a conversation.
    Transcript,
    /// The limits resource.
    Limits,
    /// The versions list (not counted) and userinfo.
    Identity,
}

impl CallKind {
    /// The closed word used in metrics and spans.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Describe => "describe",
            Self::Query => "query",
            Self::File => "file",
            Self::BulkJob => "bulk_job",
            Self::BulkResults => "bulk_results",
            Self::Deleted => "deleted",
            Self::Transcript => "transcript",
            Self::Limits => "limits",
            Self::Identity => "identity",
        }
    }
}

/// The call may not start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// When to look again.
    pub until: Timestamp,
    /// Why.
    pub why: DeferReason,
}

/// Why a gate did not let a call through.
#[derive(Debug)]
pub enum CallRefused {
    /// Nobody's fault; later.
    Held(Held),
    /// The gate could not decide, or the lease is lost.
    Failed(PortError),
}

impl From<Held> for CallRefused {
    fn from(held: Held) -> Self {
        Self::Held(held)
    }
}

/// What a call taught about the org.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallReport {
    /// What the call was for.
    pub kind: CallKind,
    /// The org's rolling-day use, when the answer said it.
    pub usage: Option<ApiUsage>,
    /// Salesforce refused it because too many calls run at once.
    pub concurrency_refused: bool,
    /// How long it took, failed and abandoned ones too.
    pub took: Duration,
}

/// Stands before every wire attempt: lane, prepaid calls, pacing and blackouts are behind it.
pub trait CallGate: Send + Sync {
    /// Waits for the turn of one attempt, or refuses it. The attempt may last as long as
    /// [`crate::salesforce::HttpSettings::total_timeout`]; that must fit before the next blackout.
    fn before_call(&self, kind: CallKind) -> BoxFuture<'_, Result<(), CallRefused>>;

    /// Told once for each attempt that was let through, also when it failed or was abandoned. Must not block.
    fn after_call(&self, report: CallReport);
}
