//! Following the objects to which others look up, by the parents' own stamps, kept here or not. All pure.

use std::time::Duration;

use chrono::TimeDelta;

use super::checkpoint::{Position, Window};
use crate::catalog::ObjectDescribe;
use crate::clock::Timestamp;

/// Parents are asked for their changes no more often than this, however often their children are read: that is a call for
/// each parent object.
const LEAST: Duration = Duration::from_secs(900);
/// One that was followed less long ago is left to the next round: a round that takes several turns has an end.
const ROUND: TimeDelta = TimeDelta::seconds(450);
/// A parent's describe is good for a day, as an object's own is.
const DESCRIBED: TimeDelta = TimeDelta::days(1);

/// A parent object and how far its changes are known.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Its API name.
    pub api_name: String,
    /// What it looked like when it was looked at; none of what the user cannot see.
    pub describe: Option<ObjectDescribe>,
    /// When that was.
    pub described_at: Option<Timestamp>,
    /// Each change stamped before this is noted.
    pub watermark: Timestamp,
    /// When a window of it ended last.
    pub followed_at: Option<Timestamp>,
    /// End of the window being read.
    pub window_hi: Option<Timestamp>,
    /// Last parent noted in it.
    pub position: Option<Position>,
}

/// How the parents of a connection are followed: as its objects are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often.
    pub every: Duration,
    /// How far behind Salesforce's clock a window ends, in seconds.
    pub settle_s: u32,
    /// How far behind the watermark the next one begins, in seconds.
    pub overlap_s: u32,
}

impl Pace {
    /// As often as the object that is read most often, and as carefully as the one that is read most carefully.
    #[must_use]
    pub fn of(objects: impl Iterator<Item = Self>) -> Option<Self> {
        let strictest = |a: Self, b: Self| Self {
            every: a.every.min(b.every),
            settle_s: a.settle_s.max(b.settle_s),
            overlap_s: a.overlap_s.max(b.overlap_s),
        };
        let pace = objects.reduce(strictest)?;
        Some(Self { every: pace.every.max(LEAST), ..pace })
    }
}

impl Followed {
    /// Whether its describe, or that it cannot be seen, is still to be believed.
    #[must_use]
    pub fn is_described(&self, now: Timestamp) -> bool {
        self.described_at.is_some_and(|at| now - at < DESCRIBED)
    }

    /// The next window of its changes; none when they are known up to what has settled, or were looked at in this round.
    #[must_use]
    pub fn window(&self, pace: Pace, now: Timestamp) -> Option<Window> {
        let lo = self.watermark - TimeDelta::seconds(i64::from(pace.overlap_s));
        if let Some(hi) = self.window_hi {
            return Some(Window { lo, hi, resume: self.position.clone(), rows: None });
        }
        if self.followed_at.is_some_and(|at| now - at < ROUND) {
            return None;
        }
        let hi = now - TimeDelta::seconds(i64::from(pace.settle_s));
        (hi > self.watermark).then_some(Window { lo, hi, resume: None, rows: None })
    }

    /// Where a window that is too much ends instead; none when it is a second long.
    #[must_use]
    pub fn halved(&self, hi: Timestamp) -> Option<Timestamp> {
        let half = TimeDelta::seconds((hi - self.watermark).num_seconds() / 2);
        (half > TimeDelta::zero()).then(|| self.watermark + half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn followed() -> Followed {
        Followed {
            api_name: "Account".to_owned(),
            describe: None,
            described_at: None,
            watermark: at(10_000),
            followed_at: None,
            window_hi: None,
            position: None,
        }
    }

    fn pace(every: u64) -> Pace {
        Pace { every: Duration::from_secs(every), settle_s: 60, overlap_s: 900 }
    }

    #[test]
    fn windows_follow_one_another_and_one_that_was_begun_is_ended() {
        assert_eq!(followed().window(pace(60), at(10_060)), None, "nothing has settled");
        let window = followed().window(pace(60), at(10_100)).unwrap();
        assert_eq!((window.lo, window.hi, window.resume), (at(9_100), at(10_040), None));
        let resume = Some(Position { stamp: at(10_010), id: "001".to_owned() });
        let begun = Followed { window_hi: Some(at(10_040)), position: resume.clone(), ..followed() };
        let window = begun.window(pace(60), at(99_999)).unwrap();
        assert_eq!((window.hi, window.resume), (at(10_040), resume));
        let begun = Followed { followed_at: Some(at(10_000)), ..begun };
        assert!(begun.window(pace(60), at(10_001)).is_some(), "whenever that was");
    }

    #[test]
    fn a_parent_is_asked_for_once_in_a_round() {
        let once = Followed { followed_at: Some(at(10_100)), ..followed() };
        assert_eq!(once.window(pace(60), at(10_500)), None);
        assert!(once.window(pace(60), at(10_550)).is_some());
    }

    #[test]
    fn a_window_that_is_too_much_is_halved_down_to_a_second() {
        let (mut hi, mut times) = (at(10_000 + 86_400), 0);
        while let Some(half) = followed().halved(hi) {
            assert!(half < hi && half > followed().watermark, "it brings the watermark on");
            (hi, times) = (half, times + 1);
        }
        assert!(times > 10);
    }

    #[test]
    fn the_pace_is_that_of_the_strictest_child_and_never_faster_than_a_quarter_of_an_hour() {
        let slow = Pace { settle_s: 120, overlap_s: 30, ..pace(7_200) };
        let both = Pace { every: Duration::from_secs(3_600), settle_s: 120, overlap_s: 900 };
        assert_eq!(Pace::of([slow, pace(3_600)].into_iter()), Some(both));
        assert_eq!(Pace::of([pace(60)].into_iter()).unwrap().every, LEAST);
        assert_eq!(Pace::of(std::iter::empty()), None);
    }

    #[test]
    fn a_describe_is_believed_for_a_day() {
        let described = Followed { described_at: Some(at(0)), ..followed() };
        assert!(described.is_described(at(86_399)) && !described.is_described(at(86_400)));
        assert!(!followed().is_described(at(0)));
    }
}
