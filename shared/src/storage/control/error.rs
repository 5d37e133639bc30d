//! Failures of the control plane's statements.

use crate::clock::Timestamp;
use crate::crypto::CryptoError;
use crate::error::{Backoff, Classify, Disposition};

/// Why a statement of the control plane failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The statement failed.
    #[error("run {statement}")]
    Statement {
        /// Which statement.
        statement: &'static str,
        /// What sqlx said.
        #[source]
        source: sqlx::Error,
    },
    /// A row with that key exists.
    #[error("{0} exists already")]
    Duplicate(&'static str),
    /// A stored value has no meaning to this build.
    #[error("{0} holds a value that this build does not know")]
    Unreadable(&'static str),
    /// A key could not be made or wrapped.
    #[error("make or wrap a key")]
    Crypto(#[from] CryptoError),
}

impl ControlError {
    /// For `map_err`: names the statement that failed.
    pub fn at(statement: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Statement { statement, source }
    }

    /// As [`at`](Self::at), telling a repeated key apart.
    pub fn at_unique(statement: &'static str, subject: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| match &source {
            sqlx::Error::Database(error) if error.is_unique_violation() => Self::Duplicate(subject),
            _ => Self::Statement { statement, source },
        }
    }
}

impl Classify for ControlError {
    fn disposition(&self, now: Timestamp) -> Disposition {
        match self {
            // A person's request is not repeated by us; the answer says whether repeating may help.
            Self::Statement { source: sqlx::Error::Database(_), .. } | Self::Unreadable(_) => {
                Disposition::Bug
            }
            Self::Statement { .. } => Disposition::Retry { backoff: Backoff::Hiccup },
            Self::Duplicate(_) => Disposition::Discard,
            Self::Crypto(error) => error.disposition(now),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Statement { source: sqlx::Error::Database(_), .. } => "statement_failed",
            Self::Statement { .. } => "database_unreachable",
            Self::Duplicate(_) => "duplicate",
            Self::Unreadable(_) => "row_unreadable",
            Self::Crypto(error) => error.code(),
        }
    }
}
