//! How long to wait before connecting again: doubling, with full jitter, so that a fleet does not return as one.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Reconnect {
    failures: u32,
}

impl Reconnect {
    /// Notes a failure; how long to wait before the next try. `jitter` is in 0..1.
    pub fn failed(&mut self, jitter: f64) -> Duration {
        let span = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        span.mul_f64(jitter.clamp(0.2, 1.0))
    }

    /// Notes that it works again.
    pub fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_its_ceiling_and_starts_anew_after_a_success() {
        let mut reconnect = Reconnect::default();
        assert_eq!(reconnect.failed(1.0), Duration::from_millis(250));
        assert_eq!(reconnect.failed(1.0), Duration::from_millis(500));
        for _ in 0..100 {
            reconnect.failed(0.0);
        }
        assert_eq!(reconnect.failed(1.0), LONGEST);
        assert_eq!(reconnect.failed(0.0), LONGEST.mul_f64(0.2));
        reconnect.worked();
        assert_eq!(reconnect.failed(1.0), FIRST);
    }
}
