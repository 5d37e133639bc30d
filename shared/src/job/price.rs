//! By which API history is read, priced in the org's own allowances; and how it is cut for that. All pure.
//!
//! REST costs a call a page. A Bulk job costs about the same whatever its size, and one of the day's jobs.

use serde::{Deserialize, Serialize};

use super::checkpoint::{Slice, cut_slices};
use crate::catalog::ObjectDescribe;
use crate::clock::Timestamp;

/// Calls of a Bulk job beside those for its results: it is made, looked at some times, and put away.
const JOB_CALLS: u64 = 8;
/// Rows of a set of results, more or less.
const SET_ROWS: u64 = 25_000;
/// About this many rows make a slice that is read by REST: some seconds of reading, well inside a job's time.
const REST_SLICE_ROWS: u64 = 25_000;
/// About this many rows make a slice that is read by Bulk: its price hardly grows with its size, and its place is kept.
const BULK_SLICE_ROWS: u64 = 500_000;
/// So many of the newest pages are read by REST, whatever the rest is read by: people see tickets at once.
const HEAD_PAGES: u64 = 2;
/// What an org may make as long as it does not say how many are left.
const ASSUMED_JOBS: u64 = 10_000;
/// Fewer jobs than this are worth being spared …
const SCARCE_JOBS: u64 = 1_000;
/// … and while there are more, one is worth no more calls than this.
const MOST_WORTH: u64 = 2;
/// Calls that are left as long as the org does not say it.
const ASSUMED_CALLS: u64 = 15_000;
/// Rows of a REST page, and of one of records with long texts, which Salesforce cuts smaller.
const PAGE_ROWS: u64 = 2_000;
const LONG_PAGE_ROWS: u64 = 200;
/// Texts of more characters than this make pages small.
const LONG_TEXT: u32 = 32_767;

/// Objects that can be queried and that Bulk refuses. Others show by the refusal of their first job.
const NOT_IN_BULK: [&str; 8] = [
    "Attachment",
    "AttachedContentNote",
    "CaseStatus",
    "EventWhoRelation",
    "SolutionStatus",
    "TaskPriority",
    "TaskStatus",
    "TaskWhoRelation",
];

/// What a tenant may say about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBy {
    /// Whatever costs less.
    #[default]
    Auto,
    /// REST, always.
    Rest,
    /// Bulk, where it can be.
    Bulk,
}

impl ReadBy {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// The way that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Pages of queries.
    Rest,
    /// Jobs of the Bulk API.
    Bulk,
}

impl Way {
    /// The closed word in SQL and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Bulk => "bulk",
        }
    }
}

/// What a choice rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Records to read; `None` where they are too many to be counted.
    pub rows: Option<u64>,
    /// Records of a REST page.
    pub page_rows: u64,
    /// Queries that a REST page takes: a list of fields that is too long for one is read in parts.
    pub parts: u64,
    /// Calls that the org has left today, where it said so.
    pub calls_left: Option<u64>,
    /// Bulk jobs that the org has left today, where it said so.
    pub jobs_left: Option<u64>,
}

impl Quote {
    /// What reading by REST costs.
    #[must_use]
    pub fn rest_calls(&self) -> u64 {
        self.rows
            .map_or(u64::MAX, |rows| rows.div_ceil(self.page_rows.max(1)).saturating_mul(self.parts.max(1)))
    }

    /// What reading by Bulk costs, in jobs and in calls.
    #[must_use]
    pub fn bulk_jobs_and_calls(&self) -> (u64, u64) {
        let rows = self.rows.unwrap_or(0);
        let jobs = rows.div_ceil(BULK_SLICE_ROWS).max(1);
        (jobs, jobs.saturating_mul(JOB_CALLS).saturating_add(rows.div_ceil(SET_ROWS)))
    }

    fn cheaper(&self) -> Way {
        let (jobs, calls) = self.bulk_jobs_and_calls();
        let jobs_left = self.jobs_left.unwrap_or(ASSUMED_JOBS);
        if jobs_left < jobs {
            return Way::Rest;
        }
        // What a job is worth in calls: as large a part of the one allowance as of the other. While jobs are plenty
        // that is bounded, or an org with very many calls would never make one.
        let worth = self.calls_left.unwrap_or(ASSUMED_CALLS) / jobs_left.max(1);
        let worth = if jobs_left < SCARCE_JOBS { worth } else { worth.min(MOST_WORTH) };
        let bulk = calls.saturating_add(jobs.saturating_mul(worth));
        if bulk < self.rest_calls() { Way::Bulk } else { Way::Rest }
    }
}

/// Rows that a REST page of the object has, as far as its describe tells.
#[must_use]
pub fn page_rows(describe: &ObjectDescribe, asked: u64) -> u64 {
    let is_long = describe.fields.iter().any(|field| field.length >= LONG_TEXT);
    asked.min(if is_long { LONG_PAGE_ROWS } else { PAGE_ROWS })
}

/// Whether it is worth asking the org how many Bulk jobs it has left.
#[must_use]
pub fn may_be_bulk(object: &str, read_by: ReadBy, quote: &Quote) -> bool {
    choose(object, read_by, &Quote { jobs_left: None, ..*quote }) == Way::Bulk
}

/// The way to read so much of an object.
#[must_use]
pub fn choose(object: &str, read_by: ReadBy, quote: &Quote) -> Way {
    let refused = NOT_IN_BULK.iter().any(|refused| refused.eq_ignore_ascii_case(object));
    match read_by {
        ReadBy::Rest => Way::Rest,
        _ if refused => Way::Rest,
        ReadBy::Bulk => Way::Bulk,
        ReadBy::Auto => quote.cheaper(),
    }
}

/// What a slice does when no Bulk job can be had today: whether it goes by REST, or waits.
#[must_use]
pub fn rest_instead(read_by: ReadBy, quote: &Quote) -> bool {
    // A quarter of what is left, so that the way around one allowance does not eat the other.
    let affordable = quote.calls_left.unwrap_or(ASSUMED_CALLS) / 4;
    match read_by {
        ReadBy::Bulk => false,
        ReadBy::Auto | ReadBy::Rest => quote.rows.is_some() && quote.rest_calls() <= affordable,
    }
}

/// A part of history that is to be cut.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// Its oldest stamp.
    pub oldest: Timestamp,
    /// Its end.
    pub newest: Timestamp,
    /// From where it is wanted.
    pub from: Timestamp,
}

/// A slice and the way to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedSlice {
    /// The slice.
    pub slice: Slice,
    /// The way.
    pub way: Way,
    /// About how many rows it has, where that is known.
    pub rows: Option<u64>,
}

/// Cuts history into slices, newest first, each with its way. They meet without gap or overlap.
#[must_use]
pub fn cut_history(history: &History, object: &str, read_by: ReadBy, quote: &Quote) -> Vec<PricedSlice> {
    let History { oldest, newest, from } = *history;
    let rows = quote.rows.unwrap_or(u64::MAX);
    if rows == 0 {
        return Vec::new();
    }
    let head_rows = if read_by == ReadBy::Bulk { 0 } else { (HEAD_PAGES * quote.page_rows).min(rows) };
    let rest = Quote { rows: quote.rows.map(|rows| rows - head_rows), ..*quote };
    if rest.rows == Some(0) || choose(object, read_by, &rest) == Way::Rest {
        let slices = cut_slices(oldest, newest, rows, REST_SLICE_ROWS, from);
        return priced(slices, Way::Rest, quote.rows).collect();
    }
    // A whole second, as all bounds are; a head without time in it is none.
    let share = i128::from(head_rows) * i128::from((newest - oldest.min(newest)).num_seconds());
    let seconds = i64::try_from(share / i128::from(rows)).unwrap_or(0);
    let middle = newest - chrono::Duration::seconds(seconds);
    let head = (from < middle && middle < newest).then_some(Slice { lo: middle, hi: newest });
    let older = head.as_ref().map_or(newest, |head| head.lo);
    let slices = cut_slices(oldest, older, rows - head_rows, BULK_SLICE_ROWS, from);
    priced(head.into_iter().collect(), Way::Rest, Some(head_rows))
        .chain(priced(slices, Way::Bulk, rest.rows))
        .collect()
}

fn priced(slices: Vec<Slice>, way: Way, rows: Option<u64>) -> impl Iterator<Item = PricedSlice> {
    let count = slices.len().max(1) as u64;
    slices.into_iter().map(move |slice| PricedSlice { slice, way, rows: rows.map(|rows| rows / count) })
}

#[cfg(test)]
#[path = "price_test.rs"]
mod tests;
