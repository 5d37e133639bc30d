//! What a lane was granted and how much of it is left: whether a call may start at this very moment.
//!
//! Pure; moments are of the process's monotonic clock, which goes on while the process is frozen.

use std::time::Duration;

use refrain_shared::limits::{BLOCK, Grant, PREPAID_FOR};
use refrain_shared::storage::org_limits::Heard;
use tokio::time::Instant;

/// The lane outlives the last call's deadline by this, for clocks and the wire.
const MARGIN: Duration = Duration::from_secs(5);
/// Calls that begin within this, or within a call's time if that is shorter, need not ask for a longer lane.
const REUSE: Duration = Duration::from_secs(10);

/// Prepaid calls and the lane's end.
#[derive(Debug)]
pub(super) struct Purse {
    call_timeout: Duration,
    /// Calls paid for, all blocks together …
    paid: u64,
    /// … and those made, or burned because they were paid too long ago.
    gone: u64,
    paid_at: Instant,
    until: Instant,
    reserve_percent: u32,
    /// Calls of the whole fleet that were over at the last grant.
    made: u64,
    /// What the org said last, and when.
    said: Option<(u64, u64, Instant)>,
    /// Whether the org's row knows it.
    told: bool,
}

impl Purse {
    pub(super) fn empty(call_timeout: Duration, now: Instant) -> Self {
        Self {
            call_timeout,
            paid: 0,
            gone: 0,
            paid_at: now,
            until: now,
            reserve_percent: 0,
            made: 0,
            said: None,
            told: true,
        }
    }

    /// How long a lane is asked for.
    pub(super) fn lane_for(&self) -> Duration {
        self.call_timeout + MARGIN + REUSE.min(self.call_timeout)
    }

    /// The total of calls that must be asked for before one may start at `now`; none when it may start.
    ///
    /// A call may last until its time-out: it must be prepaid, lately, end inside the lane, and leave the reserve alone.
    pub(super) fn lacks(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.paid_at) >= PREPAID_FOR {
            self.gone = self.paid;
        }
        let unpaid = self.gone >= self.paid;
        let ends_late = self.until.saturating_duration_since(now) < self.call_timeout + MARGIN;
        let total = if unpaid { self.paid + BLOCK } else { self.paid };
        (unpaid || ends_late || self.meets_reserve()).then_some(total)
    }

    /// The org said just now that others need what is left: whether we may go on is for its row to say.
    fn meets_reserve(&self) -> bool {
        self.said.filter(|_| !self.told).is_some_and(|(used, limit, _)| {
            used.saturating_add(limit.saturating_mul(u64::from(self.reserve_percent)) / 100) >= limit
        })
    }

    /// Takes in what was granted to who asked at `asked`; the lane is counted from then.
    pub(super) fn fill(&mut self, grant: &Grant, asked: Instant) {
        if grant.calls > self.paid {
            self.paid_at = asked;
        }
        self.paid = grant.calls;
        self.until = asked + self.lane_for();
        self.reserve_percent = grant.reserve_percent;
        self.made = grant.made;
    }

    /// One call begins.
    pub(super) fn spend(&mut self) {
        self.gone += 1;
    }

    /// Calls that nobody will make.
    pub(super) fn unspent(&self) -> u64 {
        self.paid.saturating_sub(self.gone)
    }

    /// Whether the lane is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now > self.until
    }

    /// Notes what the org said of its day.
    pub(super) fn hear(&mut self, used: u64, limit: u64, now: Instant) {
        self.said = Some((used, limit, now));
        self.told = false;
    }

    /// What the org's row is to be told, if it does not know it yet.
    pub(super) fn heard(&self, now: Instant) -> Option<Heard> {
        let (used, limit, at) = self.said.filter(|_| !self.told)?;
        Some(Heard { used, limit, ago: now.saturating_duration_since(at), made: self.made })
    }

    /// The org's row knows what was heard.
    pub(super) fn was_told(&mut self) {
        self.told = true;
    }

    /// Calls that the org has left, as far as it said so.
    pub(super) fn calls_left(&self) -> Option<u64> {
        self.said.map(|(used, limit, _)| limit.saturating_sub(used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_secs(120);

    fn grant(calls: u64) -> Grant {
        Grant {
            calls,
            until: refrain_shared::clock::Timestamp::UNIX_EPOCH,
            calls_per_second: None,
            reserve_percent: 10,
            made: 7,
        }
    }

    fn filled(begin: Instant) -> Purse {
        let mut purse = Purse::empty(CALL, begin);
        assert_eq!(purse.lacks(begin), Some(BLOCK), "nothing was granted yet");
        purse.fill(&grant(BLOCK), begin);
        assert_eq!(purse.lacks(begin), None);
        purse
    }

    #[test]
    fn a_call_that_could_outlast_the_lane_does_not_start() {
        let begin = Instant::now();
        let mut purse = filled(begin);
        assert_eq!(purse.lacks(begin + REUSE), None);
        let late = begin + REUSE + Duration::from_millis(1);
        assert_eq!(purse.lacks(late), Some(BLOCK), "a longer lane, and no more calls");
        assert!(
            !purse.is_over(begin + REUSE + CALL + MARGIN),
            "the last call has ended, and the margin with it"
        );
        purse.fill(&grant(BLOCK), late);
        assert_eq!(purse.lacks(late + REUSE), None);
    }

    #[test]
    fn a_call_is_paid_before_it_starts_and_not_long_before() {
        let begin = Instant::now();
        let mut purse = filled(begin);
        (0..BLOCK).for_each(|_| purse.spend());
        assert_eq!((purse.lacks(begin), purse.unspent()), (Some(2 * BLOCK), 0));
        purse.fill(&grant(2 * BLOCK), begin);
        purse.spend();
        // A longer lane makes what was paid no younger.
        purse.fill(&grant(2 * BLOCK), begin + PREPAID_FOR / 2);
        let old = begin + PREPAID_FOR;
        assert_eq!(purse.lacks(old), Some(3 * BLOCK), "the old block is burned");
        assert_eq!(purse.unspent(), 0);
        purse.fill(&grant(3 * BLOCK), old);
        assert_eq!((purse.lacks(old), purse.unspent()), (None, BLOCK));
    }

    #[test]
    fn who_hears_that_the_reserve_is_met_asks_before_the_next_call() {
        let begin = Instant::now();
        let mut purse = filled(begin);
        purse.hear(899, 1000, begin);
        assert_eq!(purse.lacks(begin), None);
        purse.hear(900, 1000, begin);
        assert_eq!(purse.lacks(begin), Some(BLOCK));
        let heard = purse.heard(begin + Duration::from_secs(2)).unwrap();
        assert_eq!(heard, Heard { used: 900, limit: 1000, ago: Duration::from_secs(2), made: 7 });
        purse.was_told();
        assert_eq!((purse.lacks(begin), purse.heard(begin)), (None, None), "the org's row let it go on");
        assert_eq!(purse.calls_left(), Some(100));
    }
}
