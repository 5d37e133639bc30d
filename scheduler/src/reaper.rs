//! The reaper: leases that ran out go back to waiting, workers that fell silent and attempts of long ago are forgotten.

use std::time::Duration;

use metrics::counter;
use refrain_shared::storage::Database;
use refrain_shared::storage::dispatch::{
    attempts_sweep, crashed_retry, leases_reap, reaper_look, workers_sweep,
};
use refrain_shared::telemetry::names;

use crate::rounds::RoundError;

/// One round.
pub async fn round(db: &Database, every: Duration) -> Result<Duration, RoundError> {
    reaper_look(db, every).await?;
    for lost in leases_reap(db).await? {
        let outcome = if lost.parked { "parked" } else { "waiting" };
        counter!(names::LEASES_REAPED, "outcome" => outcome).increment(1);
        if lost.parked {
            tracing::error!(job.id = %lost.job, crashes = lost.crashes, "a job's workers died; it is kept away from them");
        } else {
            tracing::warn!(job.id = %lost.job, crashes = lost.crashes, charged = lost.charged, "a lease ran out without a word; the job waits again");
        }
    }
    let again = crashed_retry(db).await?;
    if again > 0 {
        tracing::warn!(jobs = again, "jobs whose workers died are tried again");
    }
    workers_sweep(db).await?;
    attempts_sweep(db).await?;
    Ok(every)
}
