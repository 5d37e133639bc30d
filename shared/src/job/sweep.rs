//! How far a sweep is: a scan of the whole object or a walk over what is stored of it, then looks at what was not
//! answered. All pure.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::job::ObjectSettings;
use crate::job::verify::Scan;
use crate::record::{RecordState, StateReason};

/// Ids in one step of the walk; as many as a query's URL takes.
pub const EACH: usize = 500;
/// The missing ones are looked for again this much later.
pub const AGAIN: Duration = Duration::from_secs(600);

/// What the standing job is made with.
pub type Swept = super::deleted::Followed;

/// Where a sweep stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a step that is over, or a wish, as it is stored")]
pub struct SweepProgress {
    /// When the sweep before this one began; what was deleted since is in question.
    pub last: Option<Timestamp>,
    /// When this one began, while it is under way.
    pub began: Option<Timestamp>,
    /// The scan of the whole object; none where its records are asked for by their ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<Scan>,
    /// Calls so far.
    pub calls: u64,
    /// Records up to this id are done with.
    pub after: Option<String>,
    /// So many are asked for at once.
    pub each: usize,
    /// Records that were live here and asked for.
    pub asked: u64,
    /// Records that were answered, in any state; by a scan, also those that are not here.
    pub answered: u64,
    /// The walk is over; what is missing is looked for again.
    pub walked: bool,
    /// The look that is under way is over.
    pub looked: bool,
    /// The next look is not before this.
    pub not_before: Option<Timestamp>,
    /// What is missing was missing by this moment.
    pub missing_at: Option<Timestamp>,
    /// How often the missing ones were looked for.
    pub looks: u32,
    /// It was decided that they go, for a reason that is stored by its number.
    pub removes: Option<i16>,
    /// A person called it off: what it set down is cleared, and the next one begins in its time.
    #[serde(skip_serializing_if = "is_false")]
    pub cancelled: bool,
    /// It begins when the first load is done.
    #[serde(skip_serializing_if = "is_false")]
    pub after_load: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives fields by reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Default for SweepProgress {
    fn default() -> Self {
        Self {
            last: None,
            began: None,
            scan: None,
            calls: 0,
            after: None,
            each: EACH,
            asked: 0,
            answered: 0,
            walked: false,
            looked: false,
            not_before: None,
            missing_at: None,
            looks: 0,
            removes: None,
            cancelled: false,
            after_load: false,
        }
    }
}

impl SweepProgress {
    /// Before the next sweep begins.
    #[must_use]
    pub fn over(&self) -> Self {
        Self { last: self.began.or(self.last), ..Self::default() }
    }

    /// After it was called off.
    #[must_use]
    pub fn called_off(&self) -> Self {
        Self { last: self.last, after_load: self.after_load, ..Self::default() }
    }

    /// The reason for which the missing are being removed.
    #[must_use]
    pub fn removal(&self) -> Option<RecordState> {
        let number = self.removes?;
        [RecordState::Tombstone(StateReason::Purged), RecordState::Stub(StateReason::NotVisible)]
            .into_iter()
            .find(|state| state.to_columns().1 == Some(number))
    }
}

/// How often an object is swept.
#[must_use]
pub fn every(settings: &ObjectSettings) -> Duration {
    Duration::from_secs(u64::from(settings.sweep_days.clamp(1, 90)) * 86_400)
}

/// A record as stored, beside what Salesforce answers for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Its stamp.
    pub stamp: Timestamp,
    /// It is in the recycle bin.
    pub deleted: bool,
}

/// What follows from one record's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Fine,
    /// It is to be read whole: it changed, left or came back unseen.
    Read,
    /// It was live here and is not answered.
    Missing,
}

/// Compares a record's stored state and stamp with what is answered for it.
#[must_use]
pub fn compare(state: RecordState, stamp: Timestamp, answered: Option<Answered>) -> Finding {
    let is_live = state == RecordState::Live;
    match answered {
        // Stamps are whole seconds, whatever else is told of them.
        Some(now) if now.stamp - stamp >= TimeDelta::seconds(1) => Finding::Read,
        Some(now) if now.deleted == is_live => Finding::Read,
        None if is_live => Finding::Missing,
        Some(_) | None => Finding::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn each_answer_leads_to_one_finding() {
        let live = RecordState::Live;
        let gone = RecordState::Tombstone(StateReason::Purged);
        let hidden = RecordState::Stub(StateReason::NotVisible);
        let now = |seconds, deleted| Some(Answered { stamp: at(seconds), deleted });
        for (state, answer, finding) in [
            (live, now(0, false), Finding::Fine),
            (live, now(1, false), Finding::Read),
            (live, now(0, true), Finding::Read),
            (live, None, Finding::Missing),
            (gone, now(0, true), Finding::Fine),
            (gone, now(0, false), Finding::Read),
            (gone, None, Finding::Fine),
            (hidden, now(0, false), Finding::Read),
            (hidden, None, Finding::Fine),
        ] {
            assert_eq!(compare(state, at(0), answer), finding, "{state:?} {answer:?}");
        }
    }

    #[test]
    fn a_sweep_that_is_over_remembers_only_when_it_began() {
        let done = SweepProgress {
            began: Some(at(5)),
            after: Some("x".to_owned()),
            asked: 7,
            walked: true,
            ..SweepProgress::default()
        };
        assert_eq!(done.over(), SweepProgress { last: Some(at(5)), ..SweepProgress::default() });
        assert_eq!(done.over().over().last, Some(at(5)));
    }

    #[test]
    fn the_reason_of_a_removal_survives_its_number() {
        for state in [RecordState::Tombstone(StateReason::Purged), RecordState::Stub(StateReason::NotVisible)]
        {
            let progress = SweepProgress { removes: state.to_columns().1, ..SweepProgress::default() };
            assert_eq!(progress.removal(), Some(state));
        }
    }
}
