//! A scan of the ids and stamps of a whole object, held against what is here: how far it is, what each difference
//! means, and whether the numbers close. All pure.
//!
//! Both sides move while a scan goes on. So a record is amiss only where the difference is older than the scan, and
//! older than what the next window reads again anyway: everything else is told by its name, and the sum must close.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::bulk::BulkProgress;
use super::checkpoint::{Position, Slice};
use super::price::Way;
use super::sweep::Answered;
use crate::clock::Timestamp;
use crate::record::{RecordState, StateReason};

/// Rows of a set of results: ids and stamps only, some 60 bytes each.
pub const SET_ROWS: u32 = 100_000;

/// Where a scan stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// How it is read.
    pub way: Way,
    /// Bulk refused the object, or gave it up again and again.
    #[serde(default)]
    pub rest_only: bool,
    /// Whatever is stamped from here on is brought by the next window: as of the scan's beginning.
    pub ahead_from: Timestamp,
    /// How many records there were when it began, whatever the object's filter says of them; none without a filter.
    #[serde(default)]
    pub of: Option<u64>,
    /// Salesforce's clock at the first answer: nothing in the scan is older.
    #[serde(default)]
    pub began: Option<Timestamp>,
    /// By REST: the last record that was set down.
    #[serde(default)]
    pub position: Option<Position>,
    /// By Bulk: how far the job is.
    #[serde(default)]
    pub bulk: BulkProgress,
    /// Records set down, each once.
    #[serde(default)]
    pub staged: u64,
    /// Everything is set down.
    #[serde(default)]
    pub read: bool,
    /// Records that are read whole because of it.
    #[serde(default)]
    pub repairs: u64,
    /// Of them, those that were looked at again afterwards.
    #[serde(default)]
    pub repairs_checked: u64,
    /// What was found.
    #[serde(default)]
    pub balance: Balance,
}

impl Scan {
    /// Before its first record.
    #[must_use]
    pub fn new(way: Way, ahead_from: Timestamp) -> Self {
        let bulk = BulkProgress { set_rows: Some(SET_ROWS), ..BulkProgress::default() };
        Self {
            way,
            rest_only: false,
            ahead_from,
            of: None,
            began: None,
            position: None,
            bulk,
            staged: 0,
            read: false,
            repairs: 0,
            repairs_checked: 0,
            balance: Balance::default(),
        }
    }

    /// From its beginning, in this way; what was set down is to be cleared.
    #[must_use]
    pub fn anew(&self, way: Way) -> Self {
        let Self { rest_only, ahead_from, of, .. } = *self;
        let bulk = BulkProgress { failed: self.bulk.failed, lost: self.bulk.lost, ..self.bulk.clone() };
        let bulk = BulkProgress { running: None, making_since: None, loaded: false, ..bulk };
        Self { rest_only, of, bulk, ..Self::new(way, ahead_from) }
    }
}

/// A record as it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here {
    /// Its stamp.
    pub stamp: Timestamp,
    /// Date of the response that brought it.
    pub read_at: Timestamp,
    /// Its state.
    pub state: RecordState,
}

/// What a difference is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// Salesforce's clock at the scan's first answer.
    pub began: Timestamp,
    /// Whatever is stamped from here on is brought by the next window.
    pub ahead_from: Timestamp,
    /// History is wanted from here; all of it where there is no such moment.
    pub scope_from: Option<Timestamp>,
    /// Slices of history that are still being read.
    pub open: &'a [Slice],
    /// The scan has only what the object's filter keeps, so that what is left out here because of it is to be read whole.
    pub doubts_filtered: bool,
}

impl Bounds<'_> {
    fn is_being_read(&self, stamp: Timestamp) -> bool {
        self.open.iter().any(|slice| slice.lo <= stamp && stamp < slice.hi)
    }
}

/// What a record is found to be, there and here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same on both sides.
    Same,
    /// Here as it was read after the scan began.
    Newer,
    /// Live here, and the scan did not find it.
    Missing,
    /// Not here, and nothing explains it.
    Lost,
    /// Here as it was before a change, or a deletion, that no window brought.
    Stale,
    /// Gone or hidden here, and live there.
    Undead,
    /// The next window brings it.
    Ahead,
    /// A slice of history that is still being read brings it.
    Loading,
    /// From before what is wanted of history.
    OutOfScope,
    /// Set aside: it could not be kept as it came.
    Quarantined,
    /// Known, and kept without its content for this reason.
    Kept(StateReason),
}

impl Verdict {
    /// Whether the record is to be read whole.
    #[must_use]
    pub fn is_amiss(self) -> bool {
        matches!(self, Self::Lost | Self::Stale | Self::Undead)
    }
}

/// Judges one record. `set_aside_at` is when it was set aside last, if it is in the quarantine.
#[must_use]
pub fn judge(
    here: Option<Here>,
    there: Option<Answered>,
    set_aside_at: Option<Timestamp>,
    bounds: &Bounds<'_>,
) -> Verdict {
    match (here, there) {
        (None, None) => Verdict::Same,
        (None, Some(there)) => not_here(there, set_aside_at, bounds),
        // Read in the very second in which the scan began, it is looked for by its id before anything happens to it.
        (Some(here), None) if here.state == RecordState::Live && here.read_at <= bounds.began => {
            Verdict::Missing
        }
        (Some(_), None) => Verdict::Newer,
        (Some(here), Some(there)) => on_both_sides(here, there, set_aside_at, bounds),
    }
}

fn not_here(there: Answered, set_aside_at: Option<Timestamp>, bounds: &Bounds<'_>) -> Verdict {
    let stamp = there.stamp;
    if set_aside_at.is_some_and(|at| stamp <= at) {
        Verdict::Quarantined
    } else if bounds.scope_from.is_some_and(|from| stamp < from) {
        Verdict::OutOfScope
    } else if bounds.is_being_read(stamp) {
        Verdict::Loading
    } else if stamp >= bounds.ahead_from {
        Verdict::Ahead
    } else {
        Verdict::Lost
    }
}

fn on_both_sides(
    here: Here,
    there: Answered,
    set_aside_at: Option<Timestamp>,
    bounds: &Bounds<'_>,
) -> Verdict {
    let is_live = here.state == RecordState::Live;
    // Stamps are whole seconds, whatever else is told of them.
    let has_changed = there.stamp - here.stamp >= TimeDelta::seconds(1);
    if here.state == RecordState::Stub(StateReason::Erased) {
        return Verdict::Kept(StateReason::Erased);
    }
    if !has_changed && is_live != there.deleted {
        return Verdict::Same;
    }
    if here.read_at > bounds.began && !has_changed {
        return Verdict::Newer;
    }
    match here.state {
        RecordState::Stub(StateReason::Filtered) if !has_changed && bounds.doubts_filtered => {
            if bounds.is_being_read(there.stamp) { Verdict::Loading } else { Verdict::Undead }
        }
        RecordState::Stub(
            reason @ (StateReason::Filtered | StateReason::Expired | StateReason::Quarantined),
        ) if !has_changed => Verdict::Kept(reason),
        _ if has_changed && set_aside_at.is_some_and(|at| there.stamp <= at) => Verdict::Quarantined,
        _ if there.stamp >= bounds.ahead_from => Verdict::Ahead,
        RecordState::Live => Verdict::Stale,
        RecordState::Stub(_) | RecordState::Tombstone(_) if has_changed && there.deleted => Verdict::Stale,
        RecordState::Stub(_) | RecordState::Tombstone(_) => Verdict::Undead,
    }
}

/// How many records there are of each kind. Every record of the scan is in exactly one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Balance {
    /// Records of the scan that were compared.
    pub there: u64,
    /// Live records here that were compared.
    pub here: u64,
    /// The same on both sides.
    pub same: u64,
    /// Here in a newer state than the scan saw.
    pub newer: u64,
    /// Were not here, and were read whole.
    pub lost: u64,
    /// Had changed unseen, and were read whole.
    pub stale: u64,
    /// Were taken for gone, and were read whole.
    pub undead: u64,
    /// The next window brings them.
    pub ahead: u64,
    /// History that is still being read brings them.
    pub loading: u64,
    /// From before what is wanted of history.
    pub out_of_scope: u64,
    /// Set aside.
    pub quarantined: u64,
    /// Of all records there when the scan began, those that it does not have: they are outside of the object's filter. None
    /// without a filter, and where they are too many to be counted.
    pub filtered: Option<u64>,
    /// Kept without their content, by the reason's word.
    pub kept: BTreeMap<String, u64>,
    /// Live here and not in the scan; they are looked for by their ids before anything happens to them.
    pub missing: u64,
    /// Of those, the ones that were taken away.
    pub extra: u64,
    /// Read whole because they were amiss, and gone from Salesforce by then.
    pub vanished: u64,
    /// Amiss still after they were read whole.
    pub unrepaired: u64,
}

impl Balance {
    /// Adds one record that differs. `is_there`: the scan has it.
    pub fn add(&mut self, verdict: Verdict, is_there: bool) {
        let count = match verdict {
            // One side alone: the sum is that of the scan's records.
            Verdict::Newer if !is_there => return,
            Verdict::Missing => &mut self.missing,
            Verdict::Same => &mut self.same,
            Verdict::Newer => &mut self.newer,
            Verdict::Lost => &mut self.lost,
            Verdict::Stale => &mut self.stale,
            Verdict::Undead => &mut self.undead,
            Verdict::Ahead => &mut self.ahead,
            Verdict::Loading => &mut self.loading,
            Verdict::OutOfScope => &mut self.out_of_scope,
            Verdict::Quarantined => &mut self.quarantined,
            Verdict::Kept(reason) => self.kept.entry(reason.word().to_owned()).or_default(),
        };
        *count += 1;
    }

    /// What nothing explains: records that no kind holds, and those that stayed amiss. Zero, or somebody must look.
    #[must_use]
    pub fn unexplained(&self) -> u64 {
        let kinds = [self.same, self.newer, self.lost, self.stale, self.undead, self.ahead, self.loading];
        let rest = [self.out_of_scope, self.quarantined, self.kept.values().sum()];
        let explained: u64 = kinds.iter().chain(&rest).sum();
        self.there.abs_diff(explained) + self.unrepaired
    }
}

#[cfg(test)]
#[path = "verify_test.rs"]
mod tests;
