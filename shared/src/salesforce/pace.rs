//! Spaces the calls of one lane: so many a second, evenly, with no burst.
//!
//! A lane is one caller, so an org never sees more than lanes × rate, with no word between workers. The
//! daily budget is not kept here.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use governor::clock::MonotonicClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

type Limiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock>;

/// Paces calls; the rate may be changed while callers wait.
#[derive(Debug)]
pub struct Pacer {
    current: RwLock<(Duration, Arc<Limiter>)>,
}

impl Pacer {
    /// One call each `interval`; an interval of zero is taken as one microsecond.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { current: RwLock::new((interval, limiter(interval))) }
    }

    /// Waits until the next call may start.
    pub async fn ready(&self) {
        let limiter = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).1);
        limiter.until_ready().await;
    }

    /// Changes the interval for calls that begin to wait from now on; the same interval changes nothing.
    pub fn set_interval(&self, interval: Duration) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.0 != interval {
            *current = (interval, limiter(interval));
        }
    }

    /// The interval between two calls.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.current.read().unwrap_or_else(PoisonError::into_inner).0
    }
}

fn limiter(interval: Duration) -> Arc<Limiter> {
    let quota = Quota::with_period(interval.max(Duration::from_micros(1)))
        .expect("the period is longer than nothing")
        .allow_burst(NonZeroU32::MIN);
    Arc::new(RateLimiter::direct_with_clock(quota, MonotonicClock))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_call_passes_and_the_next_waits_for_its_turn() {
        let pacer = Pacer::new(Duration::from_hours(1));
        assert!(pacer.ready().now_or_never().is_some());
        assert!(pacer.ready().now_or_never().is_none());
    }

    #[test]
    fn a_new_interval_counts_from_its_setting_and_the_same_one_gives_no_free_call() {
        let pacer = Pacer::new(Duration::from_hours(1));
        assert!(pacer.ready().now_or_never().is_some());
        pacer.set_interval(Duration::from_hours(1));
        assert!(pacer.ready().now_or_never().is_none());
        pacer.set_interval(Duration::from_mins(30));
        assert!(pacer.ready().now_or_never().is_some());
        assert_eq!(pacer.interval(), Duration::from_mins(30));
    }
}
