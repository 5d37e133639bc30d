//! Storage failures and what happens after each.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::clock::Timestamp;
use crate::crypto::CryptoError;
use crate::error::{Backoff, Classify, DeferReason, Disposition, ReplanHint};

/// A failure of the database, or a refusal that the database's state demands.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be had.
    #[error("reach PostgreSQL")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A statement failed.
    #[error("run {statement}")]
    Statement {
        /// Which statement.
        statement: &'static str,
        /// What the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The object store failed.
    #[error("{what}")]
    Objects {
        /// What was tried.
        what: &'static str,
        /// What it said.
        #[source]
        source: Box<object_store::Error>,
    },
    /// A value could not be sealed or opened.
    #[error("seal or open a value")]
    Crypto(#[from] CryptoError),
    /// The lease is not ours any more: somebody newer has the job.
    #[error("the job's lease was lost")]
    FenceLost,
    /// The tenant's gate moved since the plan was made.
    #[error("the tenant's gate moved: {what}")]
    GateMoved {
        /// Which of its values.
        what: &'static str,
    },
    /// The tenant's gate is closed.
    #[error("the tenant is closed")]
    TenantClosed,
    /// A row that must be there is not.
    #[error("{0} is not there")]
    Missing(&'static str),
    /// A stored value has no meaning to this build.
    #[error("{0} holds a value that this build does not know")]
    Unreadable(&'static str),
    /// What is stored is whole and is not what was given to be stored.
    #[error("{0} is not as it was given")]
    Damaged(&'static str),
}

impl StoreError {
    /// For `map_err`: names the statement that failed.
    pub fn at(statement: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |source| Self::Statement { statement, source }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        Self::Connect(Box::new(error))
    }
}

impl Classify for StoreError {
    fn disposition(&self, now: Timestamp) -> Disposition {
        match self {
            Self::Connect(_) | Self::Objects { .. } => Disposition::Retry { backoff: Backoff::Hiccup },
            Self::Statement { source, .. } => after_statement(source, now),
            Self::Crypto(error) => error.disposition(now),
            Self::FenceLost | Self::TenantClosed => Disposition::Discard,
            Self::GateMoved { .. } => Disposition::Replan { hint: ReplanHint::GateMoved },
            Self::Missing(_) | Self::Unreadable(_) | Self::Damaged(_) => Disposition::Bug,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Connect(_) => "database_unreachable",
            Self::Statement { source, .. } if source.is_closed() => "database_unreachable",
            Self::Statement { .. } => "statement_failed",
            Self::Objects { .. } => "object_store_failed",
            Self::Crypto(error) => error.code(),
            Self::FenceLost => "fence_lost",
            Self::GateMoved { .. } => "gate_moved",
            Self::TenantClosed => "tenant_closed",
            Self::Missing(_) => "row_missing",
            Self::Unreadable(_) => "row_unreadable",
            Self::Damaged(_) => "row_damaged",
        }
    }
}

/// By SQLSTATE: a hiccup of the server is retried, a refusal of our own statement is our bug.
fn after_statement(error: &tokio_postgres::Error, now: Timestamp) -> Disposition {
    let Some(state) = error.code() else {
        // No SQLSTATE: the connection broke.
        return Disposition::Retry { backoff: Backoff::Hiccup };
    };
    if *state == SqlState::DISK_FULL {
        return Disposition::Defer { until: now + chrono::Duration::minutes(5), why: DeferReason::Storage };
    }
    match state.code().get(..2) {
        // Connection, resources, operator intervention, transaction rollback, lock time-out; 25P03 is a session
        // that sat idle in its transaction (a frozen process): the work is simply done again.
        Some("08" | "53" | "57" | "40" | "55" | "25") => Disposition::Retry { backoff: Backoff::Hiccup },
        Some("22" | "23" | "42") => Disposition::Bug,
        _ => Disposition::Retry { backoff: Backoff::Unknown },
    }
}
