//! Leases that ran out: their workers died, or are cut off and will find their fence refused.

use tokio_postgres::types::Json;

use super::super::error::StoreError;
use super::super::pool::Database;
use crate::error::UserMessage;
use crate::ids::JobId;
use crate::job::lease::MAX_CRASHES;

/// A lease that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The job.
    pub job: JobId,
    /// Leases lost in a row, this one included.
    pub crashes: i32,
    /// Whether the job is now kept away from workers.
    pub parked: bool,
}

/// What a person is told of a job that its workers do not survive.
#[must_use]
pub fn kills_workers() -> UserMessage {
    UserMessage::new(
        "job_kills_workers",
        format!("This job ended {MAX_CRASHES} times in a row with the death of its worker."),
        "Something in it makes the process fail or freeze; that is a bug of Refrain or too little memory.",
        "Look at the workers' logs at the times of its attempts, then run it again with sync now.",
    )
}

/// Puts jobs whose lease ran out back to waiting and writes the attempt's history; the third loss in a row
/// parks the job. A crashed job waits a little longer each time, so that it does not take slot after slot.
pub async fn leases_reap(db: &Database) -> Result<Vec<Reaped>, StoreError> {
    const SQL: &str = "-- leases_reap
        WITH lost AS (
            SELECT job_id, fence, worker_id, lease_until, crashes + 1 AS crashes FROM jobs
             WHERE available_at <= now() AND state = 2 AND lease_until < now()
             ORDER BY job_id FOR UPDATE SKIP LOCKED LIMIT 500),
        freed AS (
            UPDATE jobs j
               SET state = CASE WHEN lost.crashes >= $1 THEN 3 ELSE 0 END,
                   ask = CASE WHEN lost.crashes >= $1 THEN $2::jsonb END,
                   reason = CASE WHEN lost.crashes >= $1 THEN 'parked' ELSE 'crashed' END,
                   crashes = lost.crashes, lease_until = NULL, worker_id = NULL, published_at = NULL, updated_at = now(),
                   available_at = now() + (lost.crashes - 1) * interval '5 seconds', rerun_requested = false
              FROM lost WHERE j.job_id = lost.job_id
            RETURNING j.job_id, j.tenant_id, j.object_id, j.kind, j.crashes, j.state),
        noted AS (
            INSERT INTO job_attempts (job_id, fence, tenant_id, object_id, kind, worker_id, started_at, ended_at, outcome, code)
            SELECT f.job_id, l.fence, f.tenant_id, f.object_id, f.kind, l.worker_id,
                   -- When it was leased is not kept; the last sign of life is.
                   l.lease_until - interval '15 seconds', now(), 'crashed', 'lease_lost'
              FROM freed f JOIN lost l USING (job_id)
            ON CONFLICT (job_id, fence) DO NOTHING)
        SELECT job_id, crashes, state = 3 FROM freed";
    let client = db.control().await?;
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("leases_reap"))?;
    let rows = client
        .query(&statement, &[&MAX_CRASHES, &Json(kills_workers())])
        .await
        .map_err(StoreError::at("leases_reap"))?;
    Ok(rows
        .iter()
        .map(|row| Reaped { job: JobId(row.get(0)), crashes: row.get(1), parked: row.get(2) })
        .collect())
}

/// Forgets workers that have not been heard of for five minutes.
pub async fn workers_sweep(db: &Database) -> Result<u64, StoreError> {
    let client = db.control().await?;
    client
        .execute("-- workers_sweep\nDELETE FROM workers WHERE seen_at < now() - interval '5 minutes'", &[])
        .await
        .map_err(StoreError::at("workers_sweep"))
}
