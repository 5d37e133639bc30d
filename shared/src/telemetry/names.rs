//! Every metric, declared once: `sync_<noun>_<unit>[_total]`.
//!
//! Labels come from closed sets of words (`class`, `outcome`, `disposition`, `object` of the standard registry),
//! never ids: numbers of one tenant come from SQL.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A metric's declaration.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $name:ident = $text:literal, $kind:ident, [$($label:literal),*];)*) => {
        $($(#[doc = $help])+ pub const $name: &str = $text;)*

        /// Every metric there is.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $text,
            kind: Kind::$kind,
            help: concat!($($help),+),
            labels: &[$($label),*],
        }),*];
    };
}

metrics! {
    /// Jobs published with a confirm.
    JOBS_PUBLISHED = "sync_jobs_published_total", Counter, ["class"];
    /// Publications that were not confirmed, by what became of them.
    PUBLISH_FAILURES = "sync_publish_failures_total", Counter, ["code"];
    /// Jobs that more workers could run now: due, not blocked by a gate, not in flight, within the org's free lanes.
    JOBS_RUNNABLE = "sync_jobs_runnable_count", Gauge, ["class"];
    /// Age of the longest-due runnable job.
    JOBS_OLDEST_DUE = "sync_jobs_oldest_due_seconds", Gauge, ["class"];
    /// Jobs published or leased.
    JOBS_IN_FLIGHT = "sync_jobs_in_flight_count", Gauge, ["class"];
    /// Jobs that wait for a person.
    JOBS_PARKED = "sync_jobs_parked_count", Gauge, ["class"];
    /// Slots of live workers.
    WORKER_SLOTS = "sync_worker_slots_count", Gauge, [];
    /// Leases that ended without a word, by what became of the job.
    LEASES_REAPED = "sync_leases_reaped_total", Counter, ["outcome"];
    /// Attempts at jobs, by how they ended.
    ATTEMPTS = "sync_attempts_total", Counter, ["kind", "outcome"];
    /// Messages that no job waited for any more.
    STALE_DELIVERIES = "sync_stale_deliveries_total", Counter, [];
    /// Time from lease to end of an attempt.
    ATTEMPT_TIME = "sync_attempt_duration_seconds", Histogram, ["object", "outcome"];
    /// Records read from Salesforce, by their one outcome.
    RECORDS = "sync_records_total", Counter, ["outcome"];
    /// Tickets that left because their time was over.
    TICKETS_EXPIRED = "sync_tickets_expired_total", Counter, [];
    /// Records that became something else under another mapping.
    RECORDS_REPROJECTED = "sync_records_reprojected_total", Counter, [];
    /// Calls made to Salesforce, by what for and how they ended.
    CALLS = "sync_salesforce_calls_total", Counter, ["call"];
    /// Calls that were under way after their lane had ended: the process stood still between its check and its call.
    CALLS_LATE = "sync_salesforce_calls_late_total", Counter, [];
    /// Duration of calls to Salesforce.
    CALL_TIME = "sync_salesforce_call_duration_seconds", Histogram, ["call"];
    /// Comparisons of an object with everything that Salesforce shows: the numbers close, or something is unexplained.
    VERIFICATIONS = "sync_verifications_total", Counter, ["outcome"];
    /// Records that a comparison found amiss, and those that nothing explains.
    DIFFERENCES = "sync_differences_total", Counter, ["finding"];
    /// Time from a parent's change until the last of its children that are kept shows it.
    LINKED_LAG = "sync_linked_lag_seconds", Histogram, ["object"];
    /// Duration of page commits.
    COMMIT_TIME = "sync_page_commit_duration_seconds", Histogram, ["object"];
    /// Rounds of a background loop that failed.
    LOOP_FAILURES = "sync_loop_failures_total", Counter, ["loop", "code"];
    /// Requests to the API, by operation and status class.
    API_REQUESTS = "sync_api_requests_total", Counter, ["operation", "status"];
    /// Duration of requests to the API.
    API_TIME = "sync_api_request_duration_seconds", Histogram, ["operation"];
}

/// Tells the recorder what each metric means.
pub fn describe_all() {
    for metric in ALL {
        let unit = if metric.name.ends_with("_seconds") { Unit::Seconds } else { Unit::Count };
        let help = metric.help.trim();
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, unit, help),
            Kind::Gauge => describe_gauge!(metric.name, unit, help),
            Kind::Histogram => describe_histogram!(metric.name, unit, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_keeps_the_grammar_and_stands_once() {
        for metric in ALL {
            let words: Vec<&str> = metric.name.split('_').collect();
            assert!(words.len() >= 3 && words[0] == "sync", "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(!metric.help.trim().is_empty());
            assert_eq!(ALL.iter().filter(|other| other.name == metric.name).count(), 1, "{}", metric.name);
            assert!(!metric.labels.iter().any(|label| label.contains("id") || *label == "tenant"));
        }
    }
}
