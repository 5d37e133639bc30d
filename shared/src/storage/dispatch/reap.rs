//! Leases that ran out: their workers died, or are cut off and will find their fence refused.
//!
//! Crashes are counted apart from failures, and only where something is to blame. An outage of the database is nobody's: no
//! lease is taken back before the reapers could look, and workers speak, for the time of a whole lease again, and what was
//! last prolonged before then is not charged. A worker is lost with all that it held. One of those jobs may have killed it,
//! the others are its neighbours: each is charged until some are suspects. A worker runs one suspect at a time, so that the
//! next death tells which it was: it alone is charged then, and the others are cleared by their first commit.

use std::time::Duration;

use tokio_postgres::types::Json;

use super::super::error::StoreError;
use super::super::pool::Database;
use crate::error::UserMessage;
use crate::ids::JobId;
use crate::job::lease::{HEARTBEAT, LEASE, MAX_CRASHES, SUSPECT_CRASHES};

/// A lease that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The job.
    pub job: JobId,
    /// Workers lost in a row that are counted against it.
    pub crashes: i32,
    /// Whether this loss is one of them.
    pub charged: bool,
    /// Whether the job is now kept away from workers.
    pub parked: bool,
}

/// The code of [`kills_workers`].
const KILLS_WORKERS: &str = "job_kills_workers";

/// What a person is told of a job that its workers do not survive.
#[must_use]
pub fn kills_workers() -> UserMessage {
    UserMessage::new(
        KILLS_WORKERS,
        format!("This job ended {MAX_CRASHES} times in a row with the death of its worker."),
        "Something in it makes the process fail or freeze; that is a bug of Refrain or too little memory.",
        "Look at the workers' logs at the times of its attempts, then run it again with sync now. It is also tried \
         again by itself, after a quarter of an hour and then less and less often.",
    )
}

/// Notes that a replica that looks each so often looks now. After a gap that is more than one heartbeat longer, looking begins
/// anew.
pub async fn reaper_look(db: &Database, every: Duration) -> Result<(), StoreError> {
    const SQL: &str = "-- reaper_look
        UPDATE reaper_watch SET looked_at = now(),
               since = CASE WHEN looked_at < now() - $1::float8 * interval '1 second' THEN now() ELSE since END";
    let gap = every + HEARTBEAT;
    let client = db.control().await?;
    client.execute(SQL, &[&gap.as_secs_f64()]).await.map_err(StoreError::at("reaper_look"))?;
    Ok(())
}

/// Puts jobs whose lease ran out back to waiting, due at once, and writes the attempt's history; the third loss in a row
/// that is charged parks the job. Once a lease of a worker ran out that has said nothing since, all its leases are lost.
/// Nothing is taken back unless somebody has looked for the time of a lease ([`reaper_look`]), up to just now.
pub async fn leases_reap(db: &Database) -> Result<Vec<Reaped>, StoreError> {
    // A worker says that it lives as often as it prolongs a lease: one that spoke more than a beat after a lease was last
    // prolonged lives, and that one job froze.
    const SQL: &str = "-- leases_reap
        WITH watch AS (
            SELECT since, looked_at IS NULL
                   OR (looked_at > now() - $5::float8 * interval '1 second'
                       AND since <= now() - $4::float8 * interval '1 second') AS long_enough
              FROM reaper_watch),
        silent AS (
            SELECT j.worker_id FROM jobs j LEFT JOIN workers w USING (worker_id)
             WHERE j.available_at <= now() AND j.state = 2 AND j.lease_until < now()
               AND (w.seen_at IS NULL OR w.seen_at < j.lease_until - ($4::float8 - $5::float8) * interval '1 second')),
        lost AS (
            SELECT job_id, fence, worker_id, lease_until, leased_at, crashes FROM jobs
             WHERE available_at <= now() AND state = 2
               AND (lease_until < now() OR worker_id IN (SELECT worker_id FROM silent))
               AND (SELECT long_enough FROM watch)
             ORDER BY job_id FOR UPDATE SKIP LOCKED LIMIT 500),
        judged AS (
            SELECT lost.*, crashes + charged::int AS counted
              FROM (SELECT lost.*,
                           lease_until - $4::float8 * interval '1 second' >= since
                           AND (crashes >= $3 OR NOT bool_or(crashes >= $3) OVER (PARTITION BY worker_id)) AS charged
                      FROM lost CROSS JOIN watch) lost),
        freed AS (
            UPDATE jobs j
               SET state = CASE WHEN charged AND counted >= $1 THEN 3 ELSE 0 END,
                   ask = CASE WHEN charged AND counted >= $1 THEN $2::jsonb END,
                   reason = CASE WHEN charged AND counted >= $1 THEN 'parked' WHEN charged THEN 'crashed' ELSE 'lost' END,
                   crashes = counted, lease_until = NULL, worker_id = NULL, published_at = NULL, updated_at = now(),
                   available_at = now(), rerun_requested = false
              FROM judged l WHERE j.job_id = l.job_id
            RETURNING j.job_id, j.tenant_id, j.object_id, j.kind, j.crashes, j.state, l.charged,
                      l.fence, l.worker_id, coalesce(l.leased_at, l.lease_until - $4::float8 * interval '1 second') AS leased_at),
        noted AS (
            INSERT INTO job_attempts (job_id, fence, tenant_id, object_id, kind, worker_id, started_at, ended_at, outcome, code)
            SELECT job_id, fence, tenant_id, object_id, kind, worker_id, leased_at, now(),
                   CASE WHEN charged THEN 'crashed' ELSE 'lost' END, 'lease_lost'
              FROM freed ON CONFLICT (job_id, fence) DO NOTHING)
        SELECT job_id, crashes, charged, state = 3 FROM freed";
    let client = db.control().await?;
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("leases_reap"))?;
    let rows = client
        .query(
            &statement,
            &[
                &MAX_CRASHES,
                &Json(kills_workers()),
                &SUSPECT_CRASHES,
                &LEASE.as_secs_f64(),
                &HEARTBEAT.as_secs_f64(),
            ],
        )
        .await
        .map_err(StoreError::at("leases_reap"))?;
    Ok(rows
        .iter()
        .map(|row| Reaped {
            job: JobId(row.get(0)),
            crashes: row.get(1),
            charged: row.get(2),
            parked: row.get(3),
        })
        .collect())
}

/// Lets jobs that are kept away from workers run once more: a quarter of an hour after the third loss, and twice as long
/// after each further one, a day at most. An innocent one so waits for nobody, and what still kills costs little. They stay
/// suspects.
pub async fn crashed_retry(db: &Database) -> Result<u64, StoreError> {
    const SQL: &str = "-- crashed_retry
        UPDATE jobs SET state = 0, ask = NULL, reason = 'crashed', updated_at = now()
         WHERE available_at <= now() AND state = 3 AND ask->>'code' = $1
           AND updated_at < now() - least(15 * 2 ^ least(crashes - $2::int, 7), 1440) * interval '1 minute'";
    let client = db.control().await?;
    client.execute(SQL, &[&KILLS_WORKERS, &MAX_CRASHES]).await.map_err(StoreError::at("crashed_retry"))
}

/// Forgets workers that have not been heard of for five minutes.
pub async fn workers_sweep(db: &Database) -> Result<u64, StoreError> {
    let client = db.control().await?;
    client
        .execute("-- workers_sweep\nDELETE FROM workers WHERE seen_at < now() - interval '5 minutes'", &[])
        .await
        .map_err(StoreError::at("workers_sweep"))
}

/// Forgets attempts: what went as it should after a week, anything else after 30 days. A batch of each at a time.
pub async fn attempts_sweep(db: &Database) -> Result<u64, StoreError> {
    // The conditions are those of the two indexes.
    const ROUTINE: &str = "-- attempts_sweep_routine
        DELETE FROM job_attempts WHERE (job_id, fence) IN (
            SELECT job_id, fence FROM job_attempts
             WHERE outcome IN ('done', 'more', 'defer', 'drained') AND ended_at < now() - interval '7 days'
             ORDER BY ended_at LIMIT 5000 FOR UPDATE SKIP LOCKED)";
    const OTHER: &str = "-- attempts_sweep_other
        DELETE FROM job_attempts WHERE (job_id, fence) IN (
            SELECT job_id, fence FROM job_attempts
             WHERE outcome NOT IN ('done', 'more', 'defer', 'drained') AND ended_at < now() - interval '30 days'
             ORDER BY ended_at LIMIT 5000 FOR UPDATE SKIP LOCKED)";
    let client = db.control().await?;
    let routine = client.execute(ROUTINE, &[]).await.map_err(StoreError::at("attempts_sweep_routine"))?;
    let other = client.execute(OTHER, &[]).await.map_err(StoreError::at("attempts_sweep_other"))?;
    Ok(routine + other)
}
