//! The simulated clock: the real clock plus an offset that only grows.
//!
//! Stamps, commit times, session ages, allowance buckets and `Date` headers all come from here, so one call
//! of the control API moves a whole org forward. No other module may read the system clock for a value that
//! a client can see.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Real time plus an offset in milliseconds.
#[derive(Debug, Default)]
pub struct SimClock {
    offset_ms: AtomicI64,
}

impl SimClock {
    /// A clock that starts at the real time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Now, in milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(real.as_millis()).unwrap_or(i64::MAX) + self.offset_ms.load(Ordering::Relaxed)
    }

    /// Moves the clock forward; a negative amount is ignored, for stamps must never run backwards.
    pub fn advance(&self, millis: i64) {
        self.offset_ms.fetch_add(millis.max(0), Ordering::Relaxed);
    }
}
