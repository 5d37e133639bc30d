//! How many callers an org bears at present: half as many once it has refused one for want of room, and one more after
//! each quiet while.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Without a refusal for so long, one caller more is tried. The dispatcher's statements reckon with the same.
const QUIET: Duration = Duration::minutes(5);
/// Callers who were under way together are refused together: that is one word of the org's.
const TOGETHER: Duration = Duration::seconds(30);

/// What the last refusal left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crowding {
    /// Callers allowed right after it, at least one.
    pub allowed: u32,
    /// When it came.
    pub at: Timestamp,
}

impl Crowding {
    /// What a refusal leaves of so many lanes, after what was known before.
    #[must_use]
    pub fn refused(known: Option<Self>, lanes: u32, now: Timestamp) -> Self {
        match known {
            Some(known) if known.at > now - TOGETHER => known,
            _ => Self { allowed: (Self::bears(known, lanes, now) / 2).max(1), at: now },
        }
    }

    /// How many of the lanes may be used now.
    #[must_use]
    pub fn bears(known: Option<Self>, lanes: u32, now: Timestamp) -> u32 {
        known.map_or(lanes, |known| {
            let quiet = (now - known.at).num_seconds().max(0) / QUIET.num_seconds();
            known.allowed.saturating_add(u32::try_from(quiet).unwrap_or(u32::MAX)).min(lanes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::minutes(minutes)
    }

    #[test]
    fn a_refusal_halves_the_lanes_and_quiet_gives_them_back_one_by_one() {
        assert_eq!(Crowding::bears(None, 8, at(0)), 8);
        let known = Crowding::refused(None, 8, at(0));
        let bears = |minutes| Crowding::bears(Some(known), 8, at(minutes));
        assert_eq!([0, 4, 5, 9, 10, 20, 1000].map(bears), [4, 4, 5, 5, 6, 8, 8]);
        assert_eq!(Crowding::bears(Some(known), 3, at(0)), 3, "never more than the settings");
        let again = Crowding::refused(Some(known), 8, at(6));
        assert_eq!((again.allowed, again.at), (2, at(6)), "half of the five it had come to");
    }

    #[test]
    fn callers_refused_together_count_once_and_one_lane_is_always_left() {
        let known = Crowding::refused(None, 8, at(0));
        let together = Crowding::refused(Some(known), 8, at(0) + Duration::seconds(29));
        assert_eq!(together, known);
        let mut last = known;
        for minute in 1..10 {
            last = Crowding::refused(Some(last), 8, at(minute));
        }
        assert_eq!(last.allowed, 1);
        assert_eq!(Crowding::refused(None, 1, at(0)).allowed, 1);
    }
}
