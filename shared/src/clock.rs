//! The one door to wall-clock time.
//!
//! Decisions take `now` as an argument; edges ask a [`Clock`]. Leases and fences never use it: their time
//! is the database's own.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};

/// A moment in UTC.
pub type Timestamp = DateTime<Utc>;

/// Where edges get the time from. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
        Self(Arc::new(|| Utc::now().trunc_subsecs(6)))
    }

    /// A clock that gives whatever the function says; for tests and replays.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now, in whole microseconds as PostgreSQL keeps it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// Reads Salesforce's datetime text: `…T20:52:22.000+0000` (REST), `…000Z` (Bulk) or RFC 3339.
#[must_use]
pub fn parse_salesforce_datetime(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z")
        .or_else(|_| DateTime::parse_from_rfc3339(text))
        .ok()
        .map(|at| at.with_timezone(&Utc))
}

/// Writes a moment as SOQL and the canonical record want it: UTC, three decimals, `Z`.
#[must_use]
pub fn format_instant(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Reads the `Date` header of an HTTP response.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_and_bulk_spellings_are_the_same_moment() {
        let rest = parse_salesforce_datetime("2013-04-04T20:52:22.000+0000").unwrap();
        let bulk = parse_salesforce_datetime("2013-04-04T20:52:22.000Z").unwrap();
        assert_eq!(rest, bulk);
        assert_eq!(format_instant(rest), "2013-04-04T20:52:22.000Z");
        assert_eq!(parse_salesforce_datetime("2013-04-04"), None);
    }

    #[test]
    fn a_date_header_is_read() {
        let at = parse_http_date("Mon, 23 Nov 2026 22:17:04 GMT").unwrap();
        assert_eq!(format_instant(at), "2026-11-23T22:17:04.000Z");
    }
}
