//! Keeping a lease alive while its job runs, and noticing when it is lost or its work is to stop.

use refrain_shared::job::lease::{HEARTBEAT, LEASE, Lease};
use refrain_shared::storage::jobs::{Beat, job_heartbeat};
use refrain_shared::storage::{Database, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Runs until `done`; cancels `stop` when a gate closes, or the lease is not ours any more or could not be prolonged in
/// time: the job then ends at its next commit.
///
/// The commit checks the fence by itself; stopping early only saves calls and work.
pub async fn keep(db: &Database, lease: &Lease, stop: &CancellationToken, done: &CancellationToken) {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut known_good = Instant::now();
    loop {
        tokio::select! {
            () = done.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let asked = Instant::now();
        match job_heartbeat(db, lease).await {
            Ok(beat) => {
                known_good = asked;
                if beat == Beat::Halt {
                    stop.cancel();
                }
            }
            Err(StoreError::FenceLost) => {
                // A job that has just ended looks the same; then nobody listens any more.
                stop.cancel();
                return;
            }
            Err(error) => {
                tracing::warn!(job.id = %lease.job, error = %crate::error::chain(&error), "lease not prolonged");
                if known_good.elapsed() >= LEASE {
                    stop.cancel();
                    return;
                }
            }
        }
    }
}
