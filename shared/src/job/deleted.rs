//! Following the log of deletions: which span is asked for next, and when it was followed without a gap. All pure.
//!
//! The log forgets: after fifteen days, sooner where a great deal is deleted. Whatever it can not tell any more is found
//! by a sweep.

use std::time::Duration;

use chrono::{DurationRound as _, TimeDelta};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The log reaches fifteen days back; an hour less, for clocks and for the time that the call takes.
const REACH: TimeDelta = TimeDelta::hours(15 * 24 - 1);
/// What was stored before the log is first followed, by two clocks that may differ.
const BEFORE: TimeDelta = TimeDelta::hours(1);
/// Salesforce wants more than a minute between both ends, and cuts seconds off.
const LEAST: TimeDelta = TimeDelta::minutes(2);
/// What the log could not tell is taken up again from this long before its end: a transaction lasts up to ten minutes, and
/// clocks may differ.
const BACK: TimeDelta = TimeDelta::minutes(10);
/// The log of an org that deletes a lot keeps entries for two hours.
const RARELY: u64 = 7_200;
/// More often costs calls and finds nothing.
const OFTEN: u64 = 300;

/// What the standing job is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// When the object was first wanted: nothing is here from before.
    pub from: Timestamp,
}

/// How far the log was followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Following {
    /// Every deletion before this is known.
    pub covered: Option<Timestamp>,
    /// From here on without a gap.
    pub since: Option<Timestamp>,
}

/// A span to ask for, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// Something before the span was never asked for and cannot be any more.
    pub gap: bool,
}

impl Span {
    /// The earlier half, or `None` when it is as short as Salesforce allows.
    #[must_use]
    pub fn halved(self) -> Option<Self> {
        let half = minute(self.from + (self.to - self.from) / 2);
        (half - self.from >= LEAST).then_some(Self { to: half, ..self })
    }
}

impl Following {
    /// The span to ask for next; `None` while there is nothing to ask for yet.
    #[must_use]
    pub fn next(self, made: Followed, now: Timestamp) -> Option<Span> {
        let wanted = minute(self.covered.unwrap_or(made.from - BEFORE));
        let reached = minute(now - REACH);
        let (from, to) = (wanted.max(reached), minute(now));
        (to - from >= LEAST).then_some(Span { from, to, gap: wanted < reached })
    }

    /// After the answer for a span, which is whole up to `covered` if it is whole at all.
    #[must_use]
    pub fn advanced(self, span: Span, covered: Timestamp, whole: bool) -> Self {
        let covered = covered.min(span.to).max(span.from);
        let since = if whole && !span.gap { self.since.unwrap_or(span.from) } else { span.to };
        Self { covered: Some(self.covered.map_or(covered, |known| known.max(covered))), since: Some(since) }
    }

    /// After the refusal of `piece`, the earliest part of `span` that could be asked for: a sweep is to find what it held.
    /// What may still come is asked for again, but nothing before the refusal counts as followed.
    #[must_use]
    pub fn lost(self, span: Span, piece: Span) -> Self {
        let upto = piece.to.min((span.to - BACK).max(piece.from));
        Self { covered: Some(self.covered.map_or(upto, |known| known.max(upto))), since: Some(span.to) }
    }

    /// Whether each deletion between the two moments is known.
    #[must_use]
    pub fn knows(self, from: Timestamp, to: Timestamp) -> bool {
        self.since.is_some_and(|since| since <= from) && self.covered.is_some_and(|covered| covered >= to)
    }
}

/// How often the log is followed, when the object is read this often: it may not be left alone for too long.
#[must_use]
pub fn every(interval_s: i32) -> Duration {
    Duration::from_secs(u64::try_from(interval_s).unwrap_or(OFTEN).clamp(OFTEN, RARELY))
}

fn minute(at: Timestamp) -> Timestamp {
    at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_timestamp(1_780_000_020 + minutes * 60, 0).unwrap()
    }

    #[test]
    fn spans_meet_and_begin_before_the_object_was_wanted() {
        let made = Followed { from: at(0) };
        let first = Following::default().next(made, at(10)).unwrap();
        assert_eq!((first.from, first.to, first.gap), (minute(at(-60)), minute(at(10)), false));
        let behind = Following::default().advanced(first, at(7), true);
        let second = behind.next(made, at(20)).unwrap();
        assert_eq!((second.from, second.gap), (minute(at(7)), false));
        let followed = behind.advanced(second, at(30), true);
        assert_eq!(followed.covered, Some(minute(at(20))), "no more than was asked for");
        assert!(followed.knows(at(0), at(15)) && !followed.knows(at(0), at(21)));
        assert_eq!(followed.next(made, at(21)), None, "one minute is too short");
    }

    #[test]
    fn a_gap_is_told_and_begins_anew() {
        let made = Followed { from: at(0) };
        let followed = Following { covered: Some(at(0)), since: Some(at(-60)) };
        let now = at(16 * 24 * 60);
        let late = followed.next(made, now).unwrap();
        assert!(late.gap && late.from > at(0));
        let after = followed.advanced(late, now, true);
        assert!(!after.knows(at(0), at(10)) && after.covered == Some(minute(now)));
        // The log was cleared meanwhile, as the answer says.
        let span = followed.next(made, at(60)).unwrap();
        let cleared = followed.advanced(span, at(60), false);
        assert!(!cleared.knows(at(0), at(50)) && !span.gap);
    }

    #[test]
    fn what_the_log_cannot_tell_is_passed_over_and_what_may_still_come_is_not() {
        let span = |from, to| Span { from: minute(at(from)), to: minute(at(to)), gap: false };
        let whole = span(0, 120);
        let followed = Following { covered: Some(whole.from), since: Some(at(-60)) };
        let early = followed.lost(whole, span(0, 2));
        assert_eq!(early.covered, Some(minute(at(2))), "the rest is in the log");
        let after = early.advanced(span(2, 130), at(130), true);
        assert!(!after.knows(at(3), at(100)) && after.knows(at(121), at(129)));
        let now = followed.lost(whole, whole);
        assert_eq!(now.covered, Some(minute(at(110))));
        let last = followed.lost(whole, span(118, 120));
        assert_eq!(last.covered, Some(minute(at(118))), "it may still go on");
    }

    #[test]
    fn a_span_is_halved_down_to_two_minutes() {
        let mut span = Span { from: minute(at(0)), to: minute(at(1000)), gap: false };
        while let Some(half) = span.halved() {
            assert!(half.to < span.to && half.from == span.from);
            span = half;
        }
        assert!(span.to - span.from <= LEAST * 2);
    }

    #[test]
    fn the_log_is_never_left_alone_for_more_than_two_hours() {
        assert_eq!([1, 3600, 86_400].map(every).map(|every| every.as_secs()), [300, 3600, 7200]);
    }
}
