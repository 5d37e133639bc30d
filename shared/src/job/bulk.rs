//! One slice of history that is read by a Bulk job of Salesforce: where it stands, how long it waits, how much is
//! asked for at once, and which jobs at Salesforce nobody knows any more. All pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::FieldSetId;

/// A slice whose jobs Salesforce gave up this often is read by REST.
pub const MOST_FAILED: u32 = 2;
/// A slice whose jobs were taken away this often is read by REST.
pub const MOST_LOST: u32 = 3;

/// The first look at a job comes after this, and each further one after twice the time …
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// … up to this.
const LAST_LOOK: Duration = Duration::from_secs(60);

/// About so many bytes are fetched at once: a page that is read again after a crash costs little, and memory stays small.
const SET_BYTES: u64 = 8 * 1024 * 1024;
/// Rows of the first set, of which nothing is known yet.
const FIRST_ROWS: u32 = 5_000;
/// Rows of any set, at most and at least.
const MOST_ROWS: u32 = 50_000;
const LEAST_ROWS: u32 = 1;

/// Clocks, and the platform's times, agree only about this well.
const SLACK: chrono::Duration = chrono::Duration::seconds(30);

/// How far the slice is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BulkProgress {
    /// A job is being made since then by our clock, and whether it was made is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub making_since: Option<Timestamp>,
    /// The job at Salesforce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
    /// Jobs of this slice that Salesforce gave up.
    pub failed: u32,
    /// Jobs of this slice that were taken away.
    pub lost: u32,
    /// Rows to ask for at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_rows: Option<u32>,
    /// Everything is here; only the job at Salesforce is still to be put away.
    pub loaded: bool,
}

/// A job at Salesforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its id.
    pub id: String,
    /// The API version that made it; no other may read its results.
    pub version: String,
    /// The set of fields that it was asked for.
    pub field_set: FieldSetId,
    /// Salesforce's clock when it was made: its rows are read as of then, however late they are fetched.
    pub read_at: Timestamp,
    /// How often it was looked at.
    pub looks: u32,
    /// Whether it is complete.
    pub complete: bool,
    /// Rows of all its sets, where Salesforce said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Where the next set begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locator: Option<String>,
    /// Rows of the sets that are here.
    pub rows: u64,
}

impl BulkProgress {
    /// With another job to be made, after the one under way was taken away.
    #[must_use]
    pub fn anew(self) -> Self {
        Self { making_since: None, running: None, lost: self.lost + 1, ..self }
    }

    /// How many rows to ask for.
    #[must_use]
    pub fn rows_wanted(&self) -> u32 {
        self.set_rows.unwrap_or(FIRST_ROWS)
    }

    /// After a set that was larger than may be held; `None` when a single row was.
    #[must_use]
    pub fn with_smaller_sets(&self) -> Option<Self> {
        let asked = self.rows_wanted();
        (asked > LEAST_ROWS).then(|| Self { set_rows: Some((asked / 4).max(LEAST_ROWS)), ..self.clone() })
    }

    /// After a set of so many rows and bytes: the next one is to have about as many bytes as a set should.
    #[must_use]
    pub fn after_set(self, rows: usize, bytes: usize) -> Self {
        if rows == 0 {
            return self;
        }
        let each = (bytes as u64).div_ceil(rows as u64).max(1);
        let fits = u32::try_from(SET_BYTES / each).unwrap_or(MOST_ROWS);
        // Rows further on may be larger, so it grows by steps.
        let most = self.rows_wanted().saturating_mul(4).min(MOST_ROWS);
        Self { set_rows: Some(fits.clamp(LEAST_ROWS, most)), ..self }
    }
}

/// When a job is looked at again after so many looks.
#[must_use]
pub fn next_look(looks: u32) -> Duration {
    (FIRST_LOOK * 2u32.saturating_pow(looks.min(10))).min(LAST_LOOK)
}

/// A job of the org's list, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Who made it.
    pub by: String,
    /// When, by Salesforce's clock.
    pub made_at: Timestamp,
    /// What it reads.
    pub object: String,
    /// Whether it sees deleted records too, as all of ours do.
    pub sees_deleted: bool,
}

/// What is known about a job that may have been made without our hearing of it.
#[derive(Debug, Clone)]
pub struct Unheard<'a> {
    /// The integration user.
    pub user: &'a str,
    /// The object.
    pub object: &'a str,
    /// When it was asked for, by our clock.
    pub since: Timestamp,
    /// By how much Salesforce's clock is ahead of ours.
    pub ahead: chrono::Duration,
    /// Jobs that slices know.
    pub known: &'a [String],
    /// When other slices began to make a job and have not said how it ended, by our clock.
    pub others: &'a [Timestamp],
}

/// Jobs that this slice made without hearing of it. One that another slice may be making at the same time is left
/// alone: at worst it ends of age.
#[must_use]
pub fn unheard(found: &[Found], of: &Unheard<'_>) -> Vec<String> {
    let there = |ours: Timestamp| ours + of.ahead - SLACK;
    let is_ours = |job: &&Found| {
        job.by == of.user
            && job.sees_deleted
            && job.object.eq_ignore_ascii_case(of.object)
            && job.made_at >= there(of.since)
            && !of.known.contains(&job.id)
            && !of.others.iter().any(|other| job.made_at >= there(*other))
    };
    found.iter().filter(is_ours).map(|job| job.id.clone()).collect()
}

#[cfg(test)]
#[path = "bulk_test.rs"]
mod tests;
