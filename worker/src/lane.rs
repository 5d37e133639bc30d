//! The right to call: a lane of the org and its prepaid calls, asked for before each call when they run out.
//!
//! One [`Lane`] belongs to one leased job and makes one call at a time. It starts no call that could outlast the lane,
//! counts every wire attempt, paces them, and gives back what it did not spend.

mod purse;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use refrain_shared::clock::Clock;
use refrain_shared::error::{Classify, DeferReason, Disposition};
use refrain_shared::job::lease::Lease;
use refrain_shared::limits::{BLOCK, Refusal};
use refrain_shared::ports::{CallGate, CallKind, CallRefused, CallReport, Held, PortError};
use refrain_shared::salesforce::Pacer;
use refrain_shared::storage::org_limits::{self, Ask, Ended};
use refrain_shared::storage::{Database, StoreError};
use refrain_shared::telemetry::names;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::purse::Purse;
use crate::context::Context;

/// A lane of the job's org.
pub struct Lane {
    db: Database,
    lease: Lease,
    clock: Clock,
    calls_per_second: u32,
    pacer: Pacer,
    /// One permit: taken before a call, given back after it.
    turn: Semaphore,
    purse: Mutex<Purse>,
    attempts: AtomicU64,
    crowded: AtomicBool,
}

impl Lane {
    /// A lane for the lease, with its first block; or how long to wait before asking again.
    pub async fn take(context: &Context, lease: &Lease) -> Result<Result<Arc<Self>, Refusal>, StoreError> {
        let lane = Self {
            db: context.db.clone(),
            lease: lease.clone(),
            clock: context.clock.clone(),
            calls_per_second: context.calls_per_second,
            pacer: Pacer::new(interval(context.calls_per_second, None)),
            turn: Semaphore::new(1),
            purse: Mutex::new(Purse::empty(context.call_timeout, Instant::now())),
            attempts: AtomicU64::new(0),
            crowded: AtomicBool::new(false),
        };
        Ok(match lane.ask(BLOCK).await? {
            None => Ok(Arc::new(lane)),
            Some(refusal) => Err(refusal),
        })
    }

    /// Wire attempts since the last asking of this, token calls included.
    pub fn attempts_taken(&self) -> i64 {
        i64::try_from(self.attempts.swap(0, Ordering::Relaxed)).unwrap_or(i64::MAX)
    }

    /// Calls that the org has left today, all integrations together, as far as it said so on this lane.
    pub fn calls_left(&self) -> Option<u64> {
        self.purse().calls_left()
    }

    /// An orderly end: unspent calls and the lane go back, once no call is under way any more.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let _over = self.turn.acquire().await;
        let crowded = self.crowded.load(Ordering::Relaxed);
        let ended = {
            let purse = self.purse();
            Ended { unspent: purse.unspent(), heard: purse.heard(Instant::now()), crowded }
        };
        let Lease { org, job, epoch, .. } = self.lease;
        org_limits::org_settle(&self.db, org, job, epoch, ended).await
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, calls: u64) -> Result<Option<Refusal>, StoreError> {
        let asked = Instant::now();
        let ask = {
            let purse = self.purse();
            Ask { calls, lane_for: purse.lane_for(), heard: purse.heard(asked) }
        };
        let answer = org_limits::org_grant(&self.db, &self.lease, ask).await?;
        let mut purse = self.purse();
        purse.was_told();
        match answer {
            Ok(grant) => {
                purse.fill(&grant, asked);
                self.pacer.set_interval(interval(self.calls_per_second, grant.calls_per_second));
                Ok(None)
            }
            Err(refusal) => Ok(Some(refusal)),
        }
    }

    async fn admit(&self) -> Result<(), CallRefused> {
        if self.crowded.load(Ordering::Relaxed) {
            // The refused call itself is classified by its own error; further ones wait.
            return Err(self.held(DeferReason::Lanes, Duration::from_secs(30)));
        }
        let turn = self.turn.acquire().await.map_err(|_| self.held(DeferReason::Lanes, Duration::ZERO))?;
        self.pacer.ready().await;
        // What is waited for, here or in a frozen process, is waited for before the last look: no call starts on the
        // strength of a moment that has passed.
        loop {
            let Some(calls) = self.purse().lacks(Instant::now()) else { break };
            let asked =
                self.ask(calls).await.map_err(|error| CallRefused::Failed(failed(error, &self.clock)))?;
            if let Some(refusal) = asked {
                return Err(self.held(refusal.why, refusal.wait));
            }
        }
        self.purse().spend();
        turn.forget();
        Ok(())
    }

    fn held(&self, why: DeferReason, wait: Duration) -> CallRefused {
        let wait = chrono::Duration::from_std(wait).unwrap_or(chrono::Duration::hours(24));
        Held { until: self.clock.now() + wait, why }.into()
    }
}

/// Time from one call of a lane to the next: what the installation sends, or less where the org wants less.
fn interval(installation: u32, org: Option<u32>) -> Duration {
    Duration::from_secs(1) / org.map_or(installation, |org| org.min(installation)).max(1)
}

fn failed(error: StoreError, clock: &Clock) -> PortError {
    let disposition: Disposition = error.disposition(clock.now());
    PortError { what: "ask for a lane and calls", disposition, source: Box::new(error) }
}

impl CallGate for Lane {
    fn before_call(&self, _kind: CallKind) -> BoxFuture<'_, Result<(), CallRefused>> {
        Box::pin(self.admit())
    }

    fn after_call(&self, report: CallReport) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(names::CALLS, "call" => report.kind.word()).increment(1);
        metrics::histogram!(names::CALL_TIME, "call" => report.kind.word()).record(report.took.as_secs_f64());
        if report.concurrency_refused {
            self.crowded.store(true, Ordering::Relaxed);
        }
        let now = Instant::now();
        let mut purse = self.purse();
        if purse.is_over(now) {
            // Its time-out lies inside the lane: only a process that stood still gets here.
            metrics::counter!(names::CALLS_LATE).increment(1);
            tracing::warn!(call = report.kind.word(), "a call outlasted its lane: this process stood still");
        }
        if let Some(usage) = report.usage {
            purse.hear(usage.used, usage.limit, now);
        }
        drop(purse);
        self.turn.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_goes_at_the_installations_pace_or_at_the_orgs_if_that_is_slower() {
        assert_eq!(interval(1000, None), Duration::from_millis(1));
        assert_eq!(interval(50, Some(10)), Duration::from_millis(100));
        assert_eq!(interval(10, Some(50)), Duration::from_millis(100));
        assert_eq!(interval(50, Some(0)), Duration::from_secs(1), "slow, but never for ever");
    }
}
