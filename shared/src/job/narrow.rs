//! A read that was too slow or too large is asked for again in smaller parts: half of the time first, then fewer
//! rows at once. All pure.
//!
//! Nothing is read twice: the half that holds the last committed row goes on from there.

use chrono::{DurationRound as _, TimeDelta};
use serde::{Deserialize, Serialize};

use super::checkpoint::{Position, Slice, Window};
use crate::clock::Timestamp;

/// Rows at once when time cannot be halved any more, from one failure to the next. A page has 2,000 otherwise.
const FEWER_ROWS: [u32; 5] = [500, 100, 20, 5, 1];

/// What there was too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Salesforce took too long over the query.
    Time,
    /// The answer had too many bytes for us.
    Bytes,
}

/// How the same window is read with a better chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrower {
    /// In two parts that meet here.
    Cut(Timestamp),
    /// As it is, with so many rows at once.
    Rows(u32),
    /// Not at all: the least that can be asked for is too much.
    Nothing,
}

/// How far a job is, as it keeps it with each page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Of a slice of history: the last row committed.
    pub position: Option<Position>,
    /// How many rows are asked for at once, after a read was too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// Of changes: the window ends earlier than it could, so there is more to read right after it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl Progress {
    /// With more rows at once again: what was too much once need not be too much further on.
    #[must_use]
    pub fn relaxed(self) -> Self {
        let larger = |rows| FEWER_ROWS.into_iter().rev().find(|more| *more > rows);
        Self { rows: self.rows.and_then(larger), ..self }
    }
}

/// Decides how a window is read on after there was too much of it. No cut comes before `floor` or at it: the first
/// part must be worth something on its own.
#[must_use]
pub fn narrower(window: &Window, floor: Timestamp, excess: Excess) -> Narrower {
    let from = window.resume.as_ref().map_or(window.lo, |last| last.stamp).max(floor);
    let cut = match excess {
        Excess::Time => middle(from, window.hi),
        // Half of the time has pages of the same size.
        Excess::Bytes => None,
    };
    match (cut, fewer(window.rows)) {
        (Some(at), _) => Narrower::Cut(at),
        (None, Some(rows)) => Narrower::Rows(rows),
        (None, None) => Narrower::Nothing,
    }
}

/// The whole second in the middle; stamps are whole seconds, and a bound between two of them invites mistakes.
fn middle(from: Timestamp, hi: Timestamp) -> Option<Timestamp> {
    let at = (from + (hi - from) / 2).duration_trunc(TimeDelta::seconds(1)).ok()?;
    (from < at && at < hi).then_some(at)
}

fn fewer(rows: Option<u32>) -> Option<u32> {
    FEWER_ROWS.into_iter().find(|fewer| rows.is_none_or(|rows| *fewer < rows))
}

impl Slice {
    /// Its two parts, newest first.
    #[must_use]
    pub fn cut(&self, at: Timestamp) -> [Self; 2] {
        [Self { lo: at, hi: self.hi }, Self { lo: self.lo, hi: at }]
    }
}

#[cfg(test)]
#[path = "narrow_test.rs"]
mod tests;
