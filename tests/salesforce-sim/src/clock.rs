//! The simulated clock: the real clock plus an offset that only grows.
//!
//! Stamps, commit times, session ages, allowance buckets and `Date` headers all come from here, so one call
//! of the control API moves every org forward. Each org has a clock of its own that follows the common one and can
//! be wrong by a fixed amount. No other module may read the system clock for a value that a client can see.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Real time plus an offset in milliseconds, or another clock's time plus one.
#[derive(Debug, Default)]
pub struct SimClock {
    common: Option<Arc<SimClock>>,
    offset_ms: AtomicI64,
}

impl SimClock {
    /// A clock that starts at the real time.
    pub fn new() -> Self {
        Self::default()
    }

    /// A clock that follows another one.
    pub fn following(common: Arc<SimClock>) -> Self {
        Self { common: Some(common), offset_ms: AtomicI64::new(0) }
    }

    /// Now, in milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        let base = if let Some(common) = &self.common {
            common.now_ms()
        } else {
            let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(real.as_millis()).unwrap_or(i64::MAX)
        };
        base + self.offset_ms.load(Ordering::Relaxed)
    }

    /// Moves the clock forward; a negative amount is ignored, for stamps must never run backwards.
    pub fn advance(&self, millis: i64) {
        self.offset_ms.fetch_add(millis.max(0), Ordering::Relaxed);
    }

    /// Makes a following clock wrong by this much, in either direction.
    pub fn set_skew(&self, millis: i64) {
        if self.common.is_some() {
            self.offset_ms.store(millis, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orgs_clock_follows_the_common_one_at_a_distance() {
        let common = Arc::new(SimClock::new());
        let org = SimClock::following(Arc::clone(&common));
        org.set_skew(-600_000);
        common.advance(1_000_000);
        let behind = common.now_ms() - org.now_ms();
        assert!((600_000..601_000).contains(&behind), "{behind}");
        common.set_skew(-600_000);
        assert!(common.now_ms() - org.now_ms() >= 600_000, "the common clock cannot be wrong");
    }
}
