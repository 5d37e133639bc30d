//! Everything that can go wrong with Salesforce, and what happens next.
//!
//! Errors hold no tokens, no bodies and no record values.

use std::time::Duration;

use chrono::{DurationRound, TimeDelta};

use super::auth::fault::{OAuthFault, OAuthKind};
use super::fault::{ApiFault, FaultKind};
use super::host::UnsafeUrl;
use super::remedy;
use super::soql::InvalidName;
use crate::clock::Timestamp;
use crate::error::{Backoff, Classify, DeferReason, Disposition, ReplanHint, UserMessage};
use crate::ids::SalesforceId;
use crate::ports::{CallRefused, Held, PortError};

/// When a spent daily allowance is looked at again: one call in a quarter of an hour.
const QUOTA_CHECK: Duration = Duration::from_mins(15);

/// The part of a call that broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireStage {
    /// No connection: name, route, refusal or TLS.
    Connect,
    /// Connected, but no answer.
    Send,
    /// No answer, or no more of it, in time.
    Timeout,
    /// The answer broke off.
    Body,
    /// The server's certificate is not trusted.
    Certificate,
}

impl std::fmt::Display for WireStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting to Salesforce",
            Self::Send => "waiting for Salesforce's answer",
            Self::Timeout => "waiting for Salesforce in time",
            Self::Body => "reading Salesforce's answer",
            Self::Certificate => "trusting Salesforce's certificate",
        })
    }
}

/// A failure of the Salesforce edge.
#[derive(Debug, thiserror::Error)]
pub enum SalesforceError {
    /// The wire failed.
    #[error("{stage} failed: {detail}")]
    Transport {
        /// Where it broke.
        stage: WireStage,
        /// The chain of causes, without URLs.
        detail: String,
    },
    /// The answer is larger than the configured cap.
    #[error("the answer is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The cap in bytes.
        limit_bytes: usize,
    },
    /// An answer that should be good is not what it should be.
    #[error("expected {expected}, received status {status} with {received}")]
    Unreadable {
        /// What was expected, in words.
        expected: &'static str,
        /// HTTP status.
        status: u16,
        /// What came instead, in words; never a quotation.
        received: String,
    },
    /// The REST API refused.
    #[error(transparent)]
    Api(Box<ApiFault>),
    /// The token endpoint refused.
    #[error(transparent)]
    OAuth(Box<OAuthFault>),
    /// The token answer's signature does not fit our consumer secret.
    #[error("the signature of the token answer does not fit")]
    Forged,
    /// The private key of a JWT connection cannot be used.
    #[error("the private key cannot be used for RS256")]
    KeyUnreadable,
    /// A host that may not see our token.
    #[error(transparent)]
    HostRefused(UnsafeUrl),
    /// A query answer named a next page that we do not follow.
    #[error("the next page is refused: {0}")]
    NextPageRefused(UnsafeUrl),
    /// The query locator died with its session or of age; the reader re-issues from its last key.
    #[error("the query locator is gone; the query must be issued again from the last key")]
    LocatorLost,
    /// The org does not serve our API version.
    #[error("the org does not serve API version {wanted}; its newest is {newest}")]
    VersionMissing {
        /// Ours.
        wanted: String,
        /// The org's newest.
        newest: String,
    },
    /// A record kept changing while its parts were read.
    #[error("record {id} kept changing while its parts were read")]
    SplitMismatch {
        /// The record.
        id: SalesforceId,
    },
    /// A name that may not stand in a query.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Not now.
    #[error("held back until {} ({})", .0.until, .0.why.word())]
    Held(Held),
    /// The token store or the gate failed.
    #[error(transparent)]
    Port(Box<PortError>),
}

impl SalesforceError {
    /// The REST fault, if it is one.
    #[must_use]
    pub fn fault(&self) -> Option<&ApiFault> {
        if let Self::Api(fault) = self { Some(fault) } else { None }
    }

    /// Adds the object that the call was about.
    #[must_use]
    pub fn about(self, object: &str) -> Self {
        match self {
            Self::Api(fault) => Self::Api(Box::new(fault.about(object))),
            other => other,
        }
    }

    /// What a person is told, whether or not anything is parked; `None` where nobody can help.
    #[must_use]
    pub fn ask(&self) -> Option<UserMessage> {
        match self {
            Self::Api(fault) => remedy::for_fault(fault),
            Self::OAuth(fault) => remedy::for_oauth(fault),
            Self::Forged => Some(remedy::forged()),
            Self::KeyUnreadable => Some(remedy::key_unreadable()),
            Self::HostRefused(refused) => Some(remedy::host_refused(refused)),
            Self::VersionMissing { wanted, newest } => Some(remedy::version_missing(wanted, newest)),
            Self::Transport { stage: WireStage::Certificate, detail } => Some(remedy::certificate(detail)),
            Self::Transport { .. }
            | Self::BodyTooLarge { .. }
            | Self::Unreadable { .. }
            | Self::NextPageRefused(_)
            | Self::LocatorLost
            | Self::SplitMismatch { .. }
            | Self::Name(_)
            | Self::Held(_)
            | Self::Port(_) => None,
        }
    }

    fn park_connection(&self) -> Disposition {
        self.ask().map_or(Disposition::Bug, |ask| Disposition::ParkConnection { ask })
    }

    fn park_object(&self) -> Disposition {
        self.ask().map_or(Disposition::Bug, |ask| Disposition::ParkObject { ask })
    }

    fn fault_disposition(&self, fault: &ApiFault, now: Timestamp) -> Disposition {
        match fault.kind {
            // The client renewed once already when this comes out of it; a race with another renewal is
            // the likeliest cause, an address-locked session the next.
            // Whoever makes Bulk jobs reads by REST instead, or waits; here nothing is known of that choice.
            FaultKind::SessionExpired
            | FaultKind::NotFound
            | FaultKind::Deleted
            | FaultKind::NotInBulk
            | FaultKind::BulkLimit
            | FaultKind::JobState
            | FaultKind::Unknown => Disposition::Retry { backoff: Backoff::Unknown },
            FaultKind::ApiAccessRefused
            | FaultKind::ApiDisabled
            | FaultKind::SecurityPolicy
            | FaultKind::OrgClosed => self.park_connection(),
            FaultKind::FeatureDisabled | FaultKind::AccessDenied => {
                if fault.object.is_some() {
                    self.park_object()
                } else {
                    self.park_connection()
                }
            }
            FaultKind::DailyLimit => {
                Disposition::Defer { until: now + QUOTA_CHECK, why: DeferReason::OrgQuota }
            }
            FaultKind::LoginRate => Disposition::Defer { until: next_hour(now), why: DeferReason::OrgQuota },
            FaultKind::ConcurrencyLimit => Disposition::Retry { backoff: Backoff::Concurrency },
            // An org that is being moved is away for minutes or hours.
            FaultKind::Moved | FaultKind::Unavailable | FaultKind::LocatorGone => {
                Disposition::Retry { backoff: Backoff::Hiccup }
            }
            FaultKind::UnknownObject | FaultKind::NotQueryable => self.park_object(),
            FaultKind::UnknownField => Disposition::Replan { hint: ReplanHint::DescribeAgain },
            FaultKind::TooLarge => Disposition::Replan { hint: ReplanHint::HalveSlice },
            FaultKind::OurMistake | FaultKind::VersionRefused => Disposition::Bug,
        }
    }

    fn oauth_disposition(&self, kind: OAuthKind, now: Timestamp) -> Disposition {
        match kind {
            OAuthKind::AlreadyProcessing | OAuthKind::Unavailable => {
                Disposition::Retry { backoff: Backoff::Hiccup }
            }
            OAuthKind::Unknown => Disposition::Retry { backoff: Backoff::Unknown },
            OAuthKind::LoginRate => Disposition::Defer { until: next_hour(now), why: DeferReason::OrgQuota },
            // Login hours are the org's own blackout; the text also covers address ranges, which `ask` says.
            OAuthKind::LoginRestricted => {
                Disposition::Defer { until: next_hour(now), why: DeferReason::Blackout }
            }
            OAuthKind::GrantExpired
            | OAuthKind::GrantRefused
            | OAuthKind::UserInactive
            | OAuthKind::OrgInactive
            | OAuthKind::NotPreauthorized
            | OAuthKind::RunAsUserMissing
            | OAuthKind::WrongHost
            | OAuthKind::AssertionRefused
            | OAuthKind::CredentialsRefused
            | OAuthKind::AppBlocked
            | OAuthKind::ScopeMissing
            | OAuthKind::FlowDisabled => self.park_connection(),
            OAuthKind::OurMistake => Disposition::Bug,
        }
    }
}

/// The next full hour, when login hours and hourly login counts move.
fn next_hour(now: Timestamp) -> Timestamp {
    let hour = TimeDelta::hours(1);
    now.duration_trunc(hour).unwrap_or(now) + hour
}

impl From<ApiFault> for SalesforceError {
    fn from(fault: ApiFault) -> Self {
        if fault.kind == FaultKind::LocatorGone { Self::LocatorLost } else { Self::Api(Box::new(fault)) }
    }
}

impl From<OAuthFault> for SalesforceError {
    fn from(fault: OAuthFault) -> Self {
        Self::OAuth(Box::new(fault))
    }
}

impl From<PortError> for SalesforceError {
    fn from(error: PortError) -> Self {
        Self::Port(Box::new(error))
    }
}

impl From<CallRefused> for SalesforceError {
    fn from(refused: CallRefused) -> Self {
        match refused {
            CallRefused::Held(held) => Self::Held(held),
            CallRefused::Failed(error) => error.into(),
        }
    }
}

impl Classify for SalesforceError {
    fn disposition(&self, now: Timestamp) -> Disposition {
        match self {
            Self::Transport { .. }
            | Self::Unreadable { .. }
            | Self::LocatorLost
            | Self::SplitMismatch { .. } => Disposition::Retry { backoff: Backoff::Hiccup },
            Self::NextPageRefused(_) => Disposition::Retry { backoff: Backoff::Unknown },
            Self::BodyTooLarge { .. } => Disposition::Replan { hint: ReplanHint::FewerRows },
            Self::Api(fault) => self.fault_disposition(fault, now),
            Self::OAuth(fault) => self.oauth_disposition(fault.kind, now),
            Self::Forged | Self::KeyUnreadable | Self::HostRefused(_) | Self::VersionMissing { .. } => {
                self.park_connection()
            }
            Self::Name(_) => Disposition::Bug,
            Self::Held(held) => Disposition::Defer { until: held.until, why: held.why },
            Self::Port(error) => error.disposition.clone(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Transport { stage, .. } => match stage {
                WireStage::Connect => "salesforce_connect",
                WireStage::Send => "salesforce_send",
                WireStage::Timeout => "salesforce_timeout",
                WireStage::Body => "salesforce_body",
                WireStage::Certificate => "salesforce_certificate",
            },
            Self::BodyTooLarge { .. } => "salesforce_body_too_large",
            Self::Unreadable { .. } => "salesforce_unreadable",
            Self::Api(fault) => fault.kind.code(),
            Self::OAuth(fault) => fault.kind.code(),
            Self::Forged => "salesforce_forged",
            Self::KeyUnreadable => "salesforce_key_unreadable",
            Self::HostRefused(_) => "salesforce_host_refused",
            Self::NextPageRefused(_) => "salesforce_next_page_refused",
            Self::LocatorLost => "salesforce_locator_lost",
            Self::VersionMissing { .. } => "salesforce_version_missing",
            Self::SplitMismatch { .. } => "salesforce_split_mismatch",
            Self::Name(_) => "salesforce_name",
            Self::Held(_) => "salesforce_held",
            Self::Port(_) => "salesforce_port",
        }
    }
}

impl FaultKind {
    /// The closed word of the attempts history and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SessionExpired => "salesforce_session_expired",
            Self::ApiAccessRefused => "salesforce_api_access_refused",
            Self::ApiDisabled => "salesforce_api_disabled",
            Self::FeatureDisabled => "salesforce_feature_disabled",
            Self::AccessDenied => "salesforce_access_denied",
            Self::SecurityPolicy => "salesforce_security_policy",
            Self::OrgClosed => "salesforce_org_closed",
            Self::Moved => "salesforce_moved",
            Self::DailyLimit => "salesforce_daily_limit",
            Self::ConcurrencyLimit => "salesforce_concurrency_limit",
            Self::LoginRate => "salesforce_login_rate",
            Self::NotFound => "salesforce_not_found",
            Self::Deleted => "salesforce_deleted",
            Self::UnknownObject => "salesforce_unknown_object",
            Self::NotQueryable => "salesforce_not_queryable",
            Self::UnknownField => "salesforce_unknown_field",
            Self::TooLarge => "salesforce_too_large",
            Self::LocatorGone => "salesforce_locator_gone",
            Self::NotInBulk => "salesforce_not_in_bulk",
            Self::BulkLimit => "salesforce_bulk_limit",
            Self::JobState => "salesforce_job_state",
            Self::OurMistake => "salesforce_our_mistake",
            Self::VersionRefused => "salesforce_version_refused",
            Self::Unavailable => "salesforce_unavailable",
            Self::Unknown => "salesforce_unknown",
        }
    }
}

#[cfg(test)]
#[path = "error_test.rs"]
mod tests;
