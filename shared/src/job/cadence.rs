//! When a standing job is due again: at the same phase of each interval, another one for each object, so that ten
//! thousand tenants do not come at the same moment. Pure.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::ObjectId;

/// How long until an object's next turn: up to one interval.
#[must_use]
pub fn until_next(object: ObjectId, interval: Duration, now: Timestamp) -> Duration {
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let since = (now.timestamp_millis() - phase(object, interval_ms)).rem_euclid(interval_ms);
    Duration::from_millis(u64::try_from(interval_ms - since).unwrap_or_default())
}

/// Multiplying by the golden ratio of the unit circle spreads neighbouring numbers far apart (Knuth, TAOCP 6.4).
fn phase(object: ObjectId, interval_ms: i64) -> i64 {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let spread = u64::from(object.0.unsigned_abs()).wrapping_mul(GOLDEN) >> 33;
    i64::try_from(spread).unwrap_or_default() % interval_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(ms).unwrap()
    }

    #[test]
    fn an_object_keeps_its_phase_however_long_its_passes_take() {
        let now = at(1_780_000_000_123);
        let first = now + until_next(ObjectId(7), HOUR, now);
        for late_ms in [1, 1_000, 1_800_000, 3_599_999] {
            let ended = first + chrono::Duration::milliseconds(late_ms);
            assert_eq!(ended + until_next(ObjectId(7), HOUR, ended), first + HOUR);
        }
        assert_eq!(until_next(ObjectId(7), HOUR, first), HOUR);
    }

    #[test]
    fn ten_thousand_objects_spread_over_the_hour() {
        let now = at(1_780_000_000_000);
        let mut minutes = [0_u32; 60];
        for object in 1..=10_000 {
            let due = now + until_next(ObjectId(object), HOUR, now);
            minutes[usize::try_from(due.timestamp() / 60 % 60).unwrap()] += 1;
        }
        assert!(minutes.iter().all(|count| (100..=240).contains(count)), "{minutes:?}");
    }
}
