//! The right to call: a lane of the org and its prepaid calls, asked for before each call when they run out.
//!
//! One [`Lane`] belongs to one leased job. It starts no call that could outlast the lane, counts every wire
//! attempt, paces them, and gives back what it did not spend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use refrain_shared::clock::Clock;
use refrain_shared::error::Classify;
use refrain_shared::job::lease::Lease;
use refrain_shared::limits::{BLOCK, Refusal};
use refrain_shared::ports::{CallGate, CallKind, CallRefused, CallReport, Held, PortError};
use refrain_shared::salesforce::Pacer;
use refrain_shared::storage::{Database, StoreError, org_limits};
use refrain_shared::telemetry::names;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::context::Context;

/// The lane outlives the last call's deadline by this, for clocks and the wire.
const MARGIN: Duration = Duration::from_secs(10);

/// A lane of the job's org.
pub struct Lane {
    db: Database,
    lease: Lease,
    clock: Clock,
    call_timeout: Duration,
    calls_per_second: u32,
    pacer: Pacer,
    granted: Mutex<Granted>,
    spent: AtomicU64,
    attempts: AtomicU64,
    usage: std::sync::Mutex<Option<(u64, u64)>>,
    crowded: AtomicBool,
}

/// What the last grant gave; `until` is on our own monotonic clock, counted from before the asking.
struct Granted {
    calls: u64,
    until: Instant,
}

impl Lane {
    /// A lane for the lease, with its first block; or when to ask again.
    pub async fn take(context: &Context, lease: &Lease) -> Result<Result<Arc<Self>, Refusal>, StoreError> {
        let lane = Self {
            db: context.db.clone(),
            lease: lease.clone(),
            clock: context.clock.clone(),
            call_timeout: context.call_timeout,
            calls_per_second: context.calls_per_second,
            pacer: Pacer::new(interval(context.calls_per_second, None)),
            granted: Mutex::new(Granted { calls: 0, until: Instant::now() }),
            spent: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            usage: std::sync::Mutex::new(None),
            crowded: AtomicBool::new(false),
        };
        let refused = lane.ask(&mut *lane.granted.lock().await, BLOCK).await?;
        Ok(match refused {
            None => Ok(Arc::new(lane)),
            Some(refusal) => Err(refusal),
        })
    }

    /// Wire attempts since the last asking of this, token calls included.
    pub fn attempts_taken(&self) -> i64 {
        i64::try_from(self.attempts.swap(0, Ordering::Relaxed)).unwrap_or(i64::MAX)
    }

    /// Calls spent of the prepaid ones so far.
    pub fn spent(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }

    /// Calls that the org has left today, all integrations together, as far as it said so on this lane.
    pub fn calls_left(&self) -> Option<u64> {
        let usage = *self.usage.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        usage.map(|(used, limit)| limit.saturating_sub(used))
    }

    /// An orderly end: unspent calls and the lane go back.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let granted = self.granted.lock().await;
        let unspent = granted.calls.saturating_sub(self.spent());
        let usage = *self.usage.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        org_limits::org_settle(&self.db, self.lease.org, self.lease.job, self.lease.epoch, unspent, usage)
            .await
    }

    async fn ask(&self, granted: &mut Granted, calls: u64) -> Result<Option<Refusal>, StoreError> {
        let lane_for = self.call_timeout + MARGIN;
        let asked = Instant::now();
        let answer = org_limits::org_grant(
            &self.db,
            self.lease.org,
            self.lease.job,
            self.lease.epoch,
            calls,
            lane_for,
        )
        .await?;
        match answer {
            Ok(grant) => {
                granted.calls = grant.calls;
                granted.until = asked + lane_for;
                self.pacer.set_interval(interval(self.calls_per_second, grant.calls_per_second));
                Ok(None)
            }
            Err(refusal) => Ok(Some(refusal)),
        }
    }

    async fn admit(&self, kind: CallKind) -> Result<(), CallRefused> {
        if self.crowded.load(Ordering::Relaxed) {
            // The refused call itself is classified by its own error; further ones wait.
            let until = self.clock.now() + chrono::Duration::seconds(30);
            return Err(Held { until, why: refrain_shared::error::DeferReason::Lanes }.into());
        }
        let mut granted = self.granted.lock().await;
        let counted = kind != CallKind::Token;
        let unpaid = counted && self.spent() >= granted.calls;
        // A call may last until its time-out; it must end inside the lane.
        if unpaid || granted.until.saturating_duration_since(Instant::now()) < self.call_timeout {
            let wanted = if unpaid { granted.calls + BLOCK } else { granted.calls };
            if let Some(refusal) = self
                .ask(&mut granted, wanted)
                .await
                .map_err(|error| CallRefused::Failed(failed(error, &self.clock)))?
            {
                return Err(Held { until: refusal.until, why: refusal.why }.into());
            }
        }
        if counted {
            self.spent.fetch_add(1, Ordering::Relaxed);
        }
        drop(granted);
        self.pacer.ready().await;
        Ok(())
    }
}

/// Time from one call of a lane to the next: what the installation sends, or less where the org wants less.
fn interval(installation: u32, org: Option<u32>) -> Duration {
    Duration::from_secs(1) / org.map_or(installation, |org| org.min(installation)).max(1)
}

fn failed(error: StoreError, clock: &Clock) -> PortError {
    PortError {
        what: "ask for a lane and calls",
        disposition: error.disposition(clock.now()),
        source: Box::new(error),
    }
}

impl CallGate for Lane {
    fn before_call(&self, kind: CallKind) -> BoxFuture<'_, Result<(), CallRefused>> {
        Box::pin(self.admit(kind))
    }

    fn after_call(&self, report: CallReport) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(names::CALLS, "call" => report.kind.word()).increment(1);
        metrics::histogram!(names::CALL_TIME, "call" => report.kind.word()).record(report.took.as_secs_f64());
        if report.concurrency_refused {
            self.crowded.store(true, Ordering::Relaxed);
        }
        if let Some(usage) = report.usage {
            *self.usage.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                Some((usage.used, usage.limit));
        }
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
