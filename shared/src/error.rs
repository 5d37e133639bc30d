//! What happens after a failure: every error of every edge ends in one [`Disposition`].
//!
//! The runner only obeys; the decision is made where the fact is known. People get a [`UserMessage`]:
//! what happened, why, and how to fix it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What is to happen to the job whose step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// A hiccup: try again later; counts an attempt.
    Retry {
        /// How long to wait at least.
        backoff: Backoff,
    },
    /// Not now, and nobody's fault; counts nothing.
    Defer {
        /// When to look again.
        until: Timestamp,
        /// Why, in a closed set of words.
        why: DeferReason,
    },
    /// The schema or the plan moved: plan again at once.
    Replan {
        /// What the next plan must do differently.
        hint: ReplanHint,
    },
    /// This object waits for a person; the others go on.
    ParkObject {
        /// What the person is told.
        ask: UserMessage,
    },
    /// The whole connection waits for a person.
    ParkConnection {
        /// What the person is told.
        ask: UserMessage,
    },
    /// Superseded or fenced off: acknowledge and move on.
    Discard,
    /// Our fault: stop this job and page.
    Bug,
}

impl Disposition {
    /// The closed word used in metrics and the attempts history.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::Defer { .. } => "defer",
            Self::Replan { .. } => "replan",
            Self::ParkObject { .. } => "park_object",
            Self::ParkConnection { .. } => "park_connection",
            Self::Discard => "discard",
            Self::Bug => "bug",
        }
    }
}

/// How quickly a retry may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Network errors, 5xx, cut-off bodies: 1 s doubling to 5 min.
    Hiccup,
    /// Too many calls at once: 30 s doubling to 5 min, with fewer lanes.
    Concurrency,
    /// Something unknown: as a hiccup, but only [`UNKNOWN_ATTEMPTS`] times, then a bug.
    Unknown,
}

/// How often an unknown failure is retried before it counts as our bug.
pub const UNKNOWN_ATTEMPTS: u32 = 8;

impl Backoff {
    /// The wait before try number `attempt` (1 = first retry); `jitter` in 0..1 spreads it over the full span.
    #[must_use]
    pub fn delay(self, attempt: u32, jitter: f64) -> Duration {
        let first = match self {
            Self::Hiccup | Self::Unknown => Duration::from_secs(1),
            Self::Concurrency => Duration::from_secs(30),
        };
        let ceiling = Duration::from_secs(300);
        let span = first.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(ceiling);
        // Full jitter, but never less than a tenth: a retry at once would be no back-off at all.
        span.mul_f64(jitter.clamp(0.1, 1.0))
    }
}

/// Why a job is not run now although nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferReason {
    /// The org's lanes are all taken.
    Lanes,
    /// What all of our connections to the org may use of its daily calls is spent.
    Budget,
    /// The connection's own share of them is spent.
    Share,
    /// Salesforce says that the org's own allowance is spent.
    OrgQuota,
    /// A blackout window is open.
    Blackout,
    /// Paused by a person.
    Paused,
    /// A newer pod must take it: the message or schema is newer than this build.
    NewerVersion,
    /// Disk full or the like; an operator was told.
    Storage,
}

impl DeferReason {
    /// The closed word stored in the jobs table and used in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lanes => "lanes",
            Self::Budget => "budget",
            Self::Share => "share",
            Self::OrgQuota => "org_quota",
            Self::Blackout => "blackout",
            Self::Paused => "paused",
            Self::NewerVersion => "newer_version",
            Self::Storage => "storage",
        }
    }
}

/// What the next plan must do differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplanHint {
    /// Describe the object again; a field or the mapping moved.
    DescribeAgain,
    /// Halve the slice: the query was too slow, or too much for Salesforce.
    HalveSlice,
    /// Ask for fewer rows at once: the answer was too large for us.
    FewerRows,
    /// The tenant's gate moved (mapping, suppression or key): read it again.
    GateMoved,
}

/// A message for the person who must act. No blame, no bare codes, no stack traces. The API shows it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Ask)]
pub struct UserMessage {
    /// A stable code for documentation and tests.
    pub code: String,
    /// What happened.
    pub what: String,
    /// Why it happened.
    pub why: String,
    /// What to do about it.
    pub fix: String,
}

impl UserMessage {
    /// Builds a message from its four parts.
    pub fn new(code: &str, what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code: code.to_owned(), what: what.into(), why: why.into(), fix: fix.into() }
    }
}

impl std::fmt::Display for UserMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} [{}]", self.what, self.why, self.fix, self.code)
    }
}

/// Says what happens after this error.
pub trait Classify {
    /// The disposition; implementations match every variant by name.
    fn disposition(&self, now: Timestamp) -> Disposition;
    /// A closed word for the attempts history and metrics.
    fn code(&self) -> &'static str;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_ceiling_and_never_vanishes() {
        assert_eq!(Backoff::Hiccup.delay(1, 1.0), Duration::from_secs(1));
        assert_eq!(Backoff::Hiccup.delay(4, 1.0), Duration::from_secs(8));
        assert_eq!(Backoff::Hiccup.delay(60, 1.0), Duration::from_secs(300));
        assert_eq!(Backoff::Hiccup.delay(1, 0.0), Duration::from_millis(100));
        assert_eq!(Backoff::Concurrency.delay(1, 0.5), Duration::from_secs(15));
    }
}
