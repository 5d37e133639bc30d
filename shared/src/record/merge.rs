//! Which of two reads of the same record wins, and the states a stored record can be in.

use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::ids::FieldSetId;

/// How far apart two reads may lie without their moments telling which of them saw the record last: a Date is of the
/// answer, and a query answers with what was there when it began, up to two minutes before (Salesforce's limit on the run
/// time of a query). The upsert of records and `page_commit::unsettled` say the same in SQL.
pub const UNSETTLED: TimeDelta = TimeDelta::seconds(120);

/// What a stored record is to its readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// Stored with its sealed payload.
    Live,
    /// Known, stamped, but kept without payload.
    Stub(StateReason),
    /// Gone at Salesforce; kept so that it stays gone.
    Tombstone(StateReason),
}

/// Why a record has no payload. The numbers are stored; never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum StateReason {
    /// Outside the object sync's filter.
    Filtered = 1,
    /// Belongs to a ticket outside the retention cut-off.
    Expired = 2,
    /// No longer visible to the integration user.
    NotVisible = 3,
    /// Could not be kept as it came; see quarantine.
    Quarantined = 4,
    /// Removed by a data request.
    Erased = 5,
    /// In Salesforce's recycle bin, or out of it.
    Deleted = 11,
    /// Merged into another record.
    Merged = 12,
    /// Gone from Salesforce with no trace.
    Purged = 13,
}

impl StateReason {
    const ALL: [Self; 8] = [
        Self::Filtered,
        Self::Expired,
        Self::NotVisible,
        Self::Quarantined,
        Self::Erased,
        Self::Deleted,
        Self::Merged,
        Self::Purged,
    ];

    /// Reads the stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as i16 == number)
    }

    /// The closed word in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::Expired => "expired",
            Self::NotVisible => "not_visible",
            Self::Quarantined => "quarantined",
            Self::Erased => "erased",
            Self::Deleted => "deleted",
            Self::Merged => "merged",
            Self::Purged => "purged",
        }
    }
}

impl RecordState {
    /// The two numbers stored in a row: state (0 live, 1 stub, 2 tombstone) and reason.
    #[must_use]
    pub fn to_columns(self) -> (i16, Option<i16>) {
        match self {
            Self::Live => (0, None),
            Self::Stub(reason) => (1, Some(reason as i16)),
            Self::Tombstone(reason) => (2, Some(reason as i16)),
        }
    }

    /// Reads the two numbers back; `None` for a pair that no version of ours writes.
    #[must_use]
    pub fn from_columns(state: i16, reason: Option<i16>) -> Option<Self> {
        let reason = reason.and_then(StateReason::from_number);
        match (state, reason) {
            (0, None) => Some(Self::Live),
            (1, Some(reason)) => Some(Self::Stub(reason)),
            (2, Some(reason)) => Some(Self::Tombstone(reason)),
            _ => None,
        }
    }
}

/// The order of reads: the stamp first, then the moment of reading as the response's Date tells it.
///
/// The storage layer's guard is [`takes_place`] written in SQL; `merge_guard` in its tests holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOrder {
    /// The record's cursor stamp.
    pub stamp: Timestamp,
    /// The response's Date.
    pub read_at: Timestamp,
    /// The field set of the read.
    pub field_set: FieldSetId,
}

impl ReadOrder {
    /// Whether this read may replace `stored`: newer in (stamp, read_at), and never with an older field set.
    #[must_use]
    pub fn replaces(self, stored: Self) -> bool {
        self.field_set >= stored.field_set && (self.stamp, self.read_at) >= (stored.stamp, stored.read_at)
    }

    /// Whether both read the same version, at moments too close to tell which of them was last. Where such reads differ in
    /// whether the record is there at all, a third one has to tell: some records leave, and come back, with what they belong
    /// to, and their stamps stand still.
    #[must_use]
    pub fn is_close_to(self, other: Self) -> bool {
        self.stamp == other.stamp && (self.read_at - other.read_at).abs() <= UNSETTLED
    }
}

/// Whether a read takes the place of what is stored: by the order of reads; but of one deletion that is told twice, the
/// read stays that knows into what the record was merged. The log of deletions does not, whenever it is read.
#[must_use]
pub fn takes_place((now, state): (ReadOrder, RecordState), (stored, was): (ReadOrder, RecordState)) -> bool {
    use StateReason::{Deleted, Merged};
    match (state, was) {
        (RecordState::Tombstone(Deleted), RecordState::Tombstone(Merged)) if now.stamp == stored.stamp => {
            false
        }
        (RecordState::Tombstone(Merged), RecordState::Tombstone(Deleted)) if now.stamp == stored.stamp => {
            now.field_set >= stored.field_set
        }
        _ => now.replaces(stored),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn order(stamp: i64, read_at: i64, field_set: i32) -> ReadOrder {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        ReadOrder { stamp: at(stamp), read_at: at(read_at), field_set: FieldSetId(field_set) }
    }

    #[test]
    fn a_slow_old_page_never_replaces_a_later_read() {
        assert!(order(10, 20, 1).replaces(order(9, 30, 1)), "a newer stamp wins even when read earlier");
        assert!(order(10, 20, 1).replaces(order(10, 19, 1)), "a formula changed without a stamp");
        assert!(!order(10, 18, 1).replaces(order(10, 19, 1)));
        assert!(!order(9, 40, 1).replaces(order(10, 19, 1)));
    }

    #[test]
    fn reads_of_one_version_within_the_run_time_of_a_query_do_not_tell_which_was_last() {
        assert!(order(10, 20, 1).is_close_to(order(10, 20, 2)));
        assert!(
            order(10, 140, 1).is_close_to(order(10, 20, 1))
                && order(10, 20, 1).is_close_to(order(10, 140, 1))
        );
        assert!(!order(10, 141, 1).is_close_to(order(10, 20, 1)));
        assert!(!order(11, 20, 1).is_close_to(order(10, 20, 1)), "a stamp that moved tells");
    }

    #[test]
    fn a_read_with_fewer_fields_never_replaces_one_with_more() {
        assert!(!order(11, 40, 1).replaces(order(10, 19, 2)));
        assert!(order(10, 40, 3).replaces(order(10, 19, 2)));
    }

    #[test]
    fn of_a_deletion_that_is_told_twice_the_merge_is_known() {
        let gone = |stamp, read_at, reason| (order(stamp, read_at, 1), RecordState::Tombstone(reason));
        let (merged, deleted) = (StateReason::Merged, StateReason::Deleted);
        assert!(!takes_place(gone(10, 30, deleted), gone(10, 20, merged)), "the log came later");
        assert!(takes_place(gone(10, 20, merged), gone(10, 30, deleted)), "the record came later");
        assert!(takes_place(gone(11, 30, deleted), gone(10, 20, merged)), "back, and deleted");
        assert!(!takes_place(gone(9, 40, merged), gone(10, 30, deleted)));
    }

    #[test]
    fn states_survive_their_columns() {
        for state in [
            RecordState::Live,
            RecordState::Stub(StateReason::Filtered),
            RecordState::Tombstone(StateReason::Merged),
        ] {
            let (number, reason) = state.to_columns();
            assert_eq!(RecordState::from_columns(number, reason), Some(state));
        }
        assert_eq!(RecordState::from_columns(0, Some(1)), None);
        assert_eq!(RecordState::from_columns(2, None), None);
    }
}
