//! The worker's half of a job's life: lease, heartbeat, and every way in which a lease ends.
//!
//! All time here is the database's. Each statement repeats epoch and fence and must change exactly one row;
//! otherwise somebody newer has the job and nothing of ours may last.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use serde_json::Value;
use tokio_postgres::types::Json;

use super::error::StoreError;
use super::gates::HELD;
use super::pool::Database;
use crate::ids::{ConnectionId, JobId, ObjectId, SalesforceId, TenantId, WorkerId};
use crate::job::lease::{Class, JobEnd, Kind, LEASE, Lease};

/// What an attempt came to, for its history.
#[derive(Debug, Clone, Default)]
pub struct AttemptReport {
    /// `done`, `more`, or the disposition's word.
    pub outcome: &'static str,
    /// Where it failed: plan, extract, transform, load.
    pub step: Option<&'static str>,
    /// The failure's closed word.
    pub code: Option<String>,
    /// For people; never customer content.
    pub detail: Option<String>,
    /// Pages committed.
    pub pages: i32,
    /// Records read.
    pub records_read: i64,
    /// Records written.
    pub written: i64,
    /// Calls made to Salesforce.
    pub api_calls: i32,
    /// Of them, those that no page commit has added to the object's own count.
    pub calls_apart: i64,
}

/// Takes the lease of a published job; `None` when the message is stale, or the job is of a kind or class that only a newer
/// build knows: it stays published, and comes again until a worker of that build gets it.
pub async fn job_lease(
    db: &Database,
    worker: WorkerId,
    job: JobId,
    epoch: i64,
) -> Result<Option<Lease>, StoreError> {
    const SQL: &str = "-- job_lease
        UPDATE jobs j SET state = 2, fence = fence + 1, worker_id = $3, reason = NULL, updated_at = now(),
               leased_at = now(), lease_until = now() + $4::float8 * interval '1 second'
         WHERE job_id = $1 AND epoch = $2 AND state = 1 AND kind = ANY ($7) AND class = ANY ($8)
        RETURNING fence, tenant_id, connection_id, object_id, org_id, kind, class, params, progress, attempt, now(),
               (SELECT min(g.reason) FROM gates g
                 WHERE g.subject IN (j.tenant_id::text, j.connection_id::text, j.org_id, 'obj_' || j.object_id)
                   AND g.reason = ANY ($5) AND g.blocked_until > now() AND (j.kind <> ALL ($6) OR g.reason = 'closing')),
               crashes";
    let client = db.control().await?;
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("job_lease"))?;
    let row = client
        .query_opt(
            &statement,
            &[
                &job.0,
                &epoch,
                &worker.0,
                &LEASE.as_secs_f64(),
                &HELD.as_slice(),
                &Kind::local_words(),
                &Kind::words(),
                &Class::numbers(),
            ],
        )
        .await
        .map_err(StoreError::at("job_lease"))?;
    row.map(|row| {
        Ok(Lease {
            job,
            epoch,
            fence: row.get(0),
            tenant: TenantId(row.get(1)),
            connection: ConnectionId(
                row.get::<_, Option<_>>(2).ok_or(StoreError::Missing("the job's connection"))?,
            ),
            object: ObjectId(row.get::<_, Option<_>>(3).ok_or(StoreError::Missing("the job's object"))?),
            org: SalesforceId::parse(row.get(4)).map_err(|_| StoreError::Unreadable("jobs.org_id"))?,
            kind: Kind::from_word(row.get(5)).ok_or(StoreError::Unreadable("jobs.kind"))?,
            class: Class::from_number(row.get(6)).ok_or(StoreError::Unreadable("jobs.class"))?,
            params: row.get::<_, Json<Value>>(7).0,
            progress: row.get::<_, Json<Value>>(8).0,
            attempt: row.get(9),
            crashes: row.get(12),
            worker,
            started_at: row.get(10),
            held: HELD.into_iter().find(|reason| row.get::<_, Option<&str>>(11) == Some(reason)),
        })
    })
    .transpose()
}

/// Whether a job that is being worked on is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// It is.
    GoOn,
    /// A gate has closed meanwhile: it is to end at its next commit.
    Halt,
}

/// Prolongs a lease; [`StoreError::FenceLost`] when it is not ours any more.
pub async fn job_heartbeat(db: &Database, lease: &Lease) -> Result<Beat, StoreError> {
    const SQL: &str = "-- job_heartbeat
        UPDATE jobs j SET lease_until = now() + $4::float8 * interval '1 second'
         WHERE job_id = $1 AND epoch = $2 AND fence = $3 AND state = 2
        RETURNING EXISTS (SELECT FROM gates g
                 WHERE g.subject IN (j.tenant_id::text, j.connection_id::text, j.org_id, 'obj_' || j.object_id)
                   AND g.reason = ANY ($5) AND g.blocked_until > now() AND (j.kind <> ALL ($6) OR g.reason = 'closing'))";
    let client = db.control().await?;
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("job_heartbeat"))?;
    let row = client
        .query_opt(
            &statement,
            &[
                &lease.job.0,
                &lease.epoch,
                &lease.fence,
                &LEASE.as_secs_f64(),
                &HELD.as_slice(),
                &Kind::local_words(),
            ],
        )
        .await
        .map_err(StoreError::at("job_heartbeat"))?
        .ok_or(StoreError::FenceLost)?;
    Ok(if row.get(0) { Beat::Halt } else { Beat::GoOn })
}

/// Prolongs a lease from within a page commit, storing how far the slice is. A job that comes on does not kill its
/// workers, however often they die.
pub async fn job_touch(
    client: &impl GenericClient,
    lease: &Lease,
    progress: Option<&Value>,
) -> Result<(), StoreError> {
    const SQL: &str = "-- job_touch
        UPDATE jobs SET lease_until = now() + $4::float8 * interval '1 second', progress = coalesce($5::jsonb, progress),
               crashes = CASE WHEN $5::jsonb IS NULL THEN crashes ELSE 0 END
         WHERE job_id = $1 AND epoch = $2 AND fence = $3 AND state = 2";
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("job_touch"))?;
    let changed = client
        .execute(
            &statement,
            &[&lease.job.0, &lease.epoch, &lease.fence, &LEASE.as_secs_f64(), &progress.map(Json)],
        )
        .await
        .map_err(StoreError::at("job_touch"))?;
    fenced(changed)
}

/// How far the leased job is, as its last commit left it.
pub async fn job_progress(db: &Database, lease: &Lease) -> Result<Value, StoreError> {
    const SQL: &str = "-- job_progress
        SELECT progress FROM jobs WHERE job_id = $1 AND epoch = $2 AND fence = $3 AND state = 2";
    let client = db.control().await?;
    let row = client
        .query_opt(SQL, &[&lease.job.0, &lease.epoch, &lease.fence])
        .await
        .map_err(StoreError::at("job_progress"))?;
    Ok(row.ok_or(StoreError::FenceLost)?.get::<_, Json<Value>>(0).0)
}

/// Ends the lease as `end` says and writes the attempt's history, in the caller's transaction or alone.
pub async fn job_end(
    client: &impl GenericClient,
    lease: &Lease,
    end: &JobEnd,
    report: &AttemptReport,
) -> Result<(), StoreError> {
    let changed = match end {
        JobEnd::Done => delete(client, lease).await?,
        JobEnd::More => wait(client, lease, 0.0, None, 0).await?,
        JobEnd::WaitFor { delay, reason, attempt } => {
            wait(client, lease, delay.as_secs_f64(), Some(reason), *attempt).await?
        }
        JobEnd::Park { ask } => park(client, lease, ask).await?,
    };
    fenced(changed)?;
    attempt_insert(client, lease, report).await?;
    if report.calls_apart > 0 {
        calls_count(client, lease, report.calls_apart).await?;
    }
    Ok(())
}

/// Counts calls that brought no page: a log of deletions, a sweep, a file's body, a failure.
async fn calls_count(client: &impl GenericClient, lease: &Lease, calls: i64) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_calls
        UPDATE checkpoints SET api_calls = api_calls + $2 WHERE object_id = $1";
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("checkpoint_calls"))?;
    client
        .execute(&statement, &[&lease.object.0, &calls])
        .await
        .map_err(StoreError::at("checkpoint_calls"))?;
    Ok(())
}

/// Gives a lease back unused, for so long: what is counted of the job stays as it is.
pub async fn job_put_off(db: &Database, lease: &Lease, delay: Duration) -> Result<(), StoreError> {
    const SQL: &str = "-- job_put_off
        UPDATE jobs SET state = 0, lease_until = NULL, worker_id = NULL, reason = 'crashed', updated_at = now(),
               available_at = now() + $4::float8 * interval '1 second'
         WHERE job_id = $1 AND epoch = $2 AND fence = $3 AND state = 2";
    let client = db.control().await?;
    let changed = client
        .execute(SQL, &[&lease.job.0, &lease.epoch, &lease.fence, &delay.as_secs_f64()])
        .await
        .map_err(StoreError::at("job_put_off"))?;
    fenced(changed)
}

/// Gives back whatever a worker that leaves still holds, due at once; how many jobs those were. Their fence keeps out what
/// may still come of them, and their lanes last until the deadline of their last call.
pub async fn jobs_hand_back(db: &Database, worker: WorkerId) -> Result<u64, StoreError> {
    const SQL: &str = "-- jobs_hand_back
        WITH held AS (
            SELECT job_id, leased_at FROM jobs
             WHERE available_at <= now() AND state = 2 AND worker_id = $1 ORDER BY job_id FOR UPDATE),
        freed AS (
            UPDATE jobs j
               SET state = 0, lease_until = NULL, worker_id = NULL, reason = 'drained', available_at = now(),
                   rerun_requested = false, updated_at = now()
              FROM held WHERE j.job_id = held.job_id
            RETURNING j.job_id, j.fence, j.tenant_id, j.object_id, j.kind, held.leased_at)
        INSERT INTO job_attempts (job_id, fence, tenant_id, object_id, kind, worker_id, started_at, ended_at, outcome)
        SELECT job_id, fence, tenant_id, object_id, kind, $1, leased_at, now(), 'drained' FROM freed";
    let client = db.control().await?;
    client.execute(SQL, &[&worker.0]).await.map_err(StoreError::at("jobs_hand_back"))
}

fn fenced(changed: u64) -> Result<(), StoreError> {
    if changed == 1 { Ok(()) } else { Err(StoreError::FenceLost) }
}

async fn delete(client: &impl GenericClient, lease: &Lease) -> Result<u64, StoreError> {
    const SQL: &str = "-- job_done
        DELETE FROM jobs WHERE job_id = $1 AND epoch = $2 AND fence = $3 AND state = 2";
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("job_done"))?;
    client
        .execute(&statement, &[&lease.job.0, &lease.epoch, &lease.fence])
        .await
        .map_err(StoreError::at("job_done"))
}

/// A trigger that came while the job ran makes it due at once, whatever was to be waited for.
async fn wait(
    client: &impl GenericClient,
    lease: &Lease,
    seconds: f64,
    reason: Option<&str>,
    attempt: i32,
) -> Result<u64, StoreError> {
    const SQL: &str = "-- job_wait
        UPDATE jobs SET state = 0, lease_until = NULL, worker_id = NULL, crashes = 0, reason = $5, attempt = $6,
               available_at = CASE WHEN rerun_requested THEN now() ELSE now() + $4::float8 * interval '1 second' END,
               rerun_requested = false, updated_at = now()
         WHERE job_id = $1 AND epoch = $2 AND fence = $3 AND state = 2";
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("job_wait"))?;
    client
        .execute(&statement, &[&lease.job.0, &lease.epoch, &lease.fence, &seconds, &reason, &attempt])
        .await
        .map_err(StoreError::at("job_wait"))
}

async fn park(
    client: &impl GenericClient,
    lease: &Lease,
    ask: &crate::error::UserMessage,
) -> Result<u64, StoreError> {
    const SQL: &str = "-- job_park
        UPDATE jobs SET state = 3, lease_until = NULL, worker_id = NULL, crashes = 0, reason = 'parked', ask = $4,
               updated_at = now()
         WHERE job_id = $1 AND epoch = $2 AND fence = $3 AND state = 2";
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("job_park"))?;
    client
        .execute(&statement, &[&lease.job.0, &lease.epoch, &lease.fence, &Json(ask)])
        .await
        .map_err(StoreError::at("job_park"))
}

async fn attempt_insert(
    client: &impl GenericClient,
    lease: &Lease,
    report: &AttemptReport,
) -> Result<(), StoreError> {
    const SQL: &str = "-- job_attempt_insert
        INSERT INTO job_attempts (job_id, fence, tenant_id, object_id, kind, worker_id, started_at, ended_at, outcome,
                                  step, code, detail, pages, records_read, written, api_calls)
        VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), $8, $9, $10, $11, $12, $13, $14, $15)";
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("job_attempt_insert"))?;
    client
        .execute(
            &statement,
            &[
                &lease.job.0,
                &lease.fence,
                &lease.tenant.0,
                &lease.object.0,
                &lease.kind.word(),
                &lease.worker.0,
                &lease.started_at,
                &report.outcome,
                &report.step,
                &report.code,
                &report.detail,
                &report.pages,
                &report.records_read,
                &report.written,
                &report.api_calls,
            ],
        )
        .await
        .map_err(StoreError::at("job_attempt_insert"))?;
    Ok(())
}

/// Says that this worker process lives and how many jobs it can hold.
pub async fn worker_heartbeat(
    db: &Database,
    worker: WorkerId,
    slots: i32,
    version: &str,
) -> Result<(), StoreError> {
    const SQL: &str = "-- worker_heartbeat
        INSERT INTO workers (worker_id, slots, version) VALUES ($1, $2, $3)
        ON CONFLICT (worker_id) DO UPDATE SET seen_at = now(), slots = excluded.slots";
    let client = db.control().await?;
    let statement = client.prepare_cached(SQL).await.map_err(StoreError::at("worker_heartbeat"))?;
    client
        .execute(&statement, &[&worker.0, &slots, &version])
        .await
        .map_err(StoreError::at("worker_heartbeat"))?;
    Ok(())
}

/// Takes the process off the list of the living.
pub async fn worker_farewell(db: &Database, worker: WorkerId) -> Result<(), StoreError> {
    let client = db.control().await?;
    client
        .execute("-- worker_farewell\nDELETE FROM workers WHERE worker_id = $1", &[&worker.0])
        .await
        .map_err(StoreError::at("worker_farewell"))?;
    Ok(())
}
