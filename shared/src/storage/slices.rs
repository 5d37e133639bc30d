//! Slices of history and their jobs: made with a plan, split, or handed from one way of reading to the other.

use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::Json;

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use crate::clock::Timestamp;
use crate::job::bulk::BulkProgress;
use crate::job::checkpoint::Slice;
use crate::job::lease::{Class, Kind, Lease};
use crate::job::narrow::Progress;
use crate::job::price::{PricedSlice, Way};

/// A job to be made for a slice.
#[derive(Debug, Clone, Serialize)]
pub struct SliceJob {
    kind: Kind,
    params: Params,
    progress: Value,
}

#[derive(Debug, Clone, Serialize)]
struct Params {
    #[serde(flatten)]
    slice: Slice,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
}

impl SliceJob {
    /// Reads the slice by REST, on from `progress`.
    #[must_use]
    pub fn by_rest(slice: Slice, progress: &Progress) -> Self {
        // What was not begun has no place.
        let begun = (*progress != Progress::default()).then(|| serde_json::to_value(progress).ok());
        let progress = begun.flatten().unwrap_or_else(|| serde_json::json!({}));
        Self { kind: Kind::Backfill, params: Params { slice, rows: None }, progress }
    }

    /// Reads the slice of about so many rows by Bulk, on from `progress`.
    #[must_use]
    pub fn by_bulk(slice: Slice, rows: Option<u64>, progress: &BulkProgress) -> Self {
        let progress = serde_json::to_value(progress).unwrap_or_default();
        Self { kind: Kind::Bulk, params: Params { slice, rows }, progress }
    }
}

impl From<PricedSlice> for SliceJob {
    fn from(PricedSlice { slice, way, rows }: PricedSlice) -> Self {
        match way {
            Way::Rest => Self::by_rest(slice, &Progress::default()),
            Way::Bulk => Self::by_bulk(slice, rows, &BulkProgress::default()),
        }
    }
}

/// The slices as a checkpoint keeps them open.
pub(super) fn open_slices(jobs: &[SliceJob]) -> Vec<&Slice> {
    jobs.iter().map(|job| &job.params.slice).collect()
}

/// Makes a job of each slice, the newest due first.
///
/// Also how a slice goes on by other means: then the caller has ended its job before, in the same transaction.
pub async fn slice_jobs_insert(
    tx: &TenantTx<'_>,
    lease: &Lease,
    generation: i32,
    slices: &[SliceJob],
) -> Result<(), StoreError> {
    // No two slices of a generation end at the same moment, so the key is unique, and a repeated plan harmless.
    const SQL: &str = "-- slice_jobs_insert
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, available_at, params, progress)
        SELECT $1, $2, $3, $4, s->>'kind', $5,
               'backfill/' || $3::int || '/' || $6::int || '/to/' ||
                   extract(epoch FROM (s->'params'->>'hi')::timestamptz),
               now() + n * interval '1 millisecond', s->'params', s->'progress'
          FROM jsonb_array_elements($7) WITH ORDINALITY AS j (s, n)
        ON CONFLICT (unique_key) DO NOTHING";
    tx.sql()
        .execute(
            SQL,
            &[
                &lease.tenant.0,
                &lease.connection.0,
                &lease.object.0,
                &lease.org.as_str(),
                &Class::Backfill.number(),
                &generation,
                &Json(slices),
            ],
        )
        .await
        .map_err(StoreError::at("slice_jobs_insert"))?;
    Ok(())
}

/// Whether a slice is still to be read. One that was closed, or that another generation's took the place of, is not.
pub async fn slice_is_open(db: &Database, lease: &Lease, slice: &Slice) -> Result<bool, StoreError> {
    const SQL: &str = "-- slice_is_open
        SELECT EXISTS (SELECT FROM jobs j JOIN checkpoints c USING (object_id)
                        CROSS JOIN jsonb_array_elements(c.open_slices) s
                        WHERE j.job_id = $1 AND (s->>'hi')::timestamptz = $2
                          AND starts_with(j.unique_key, 'backfill/' || c.object_id || '/' || c.generation || '/'))";
    let client = db.control().await?;
    let row =
        client.query_one(SQL, &[&lease.job.0, &slice.hi]).await.map_err(StoreError::at("slice_is_open"))?;
    Ok(row.get(0))
}

/// Puts two jobs in the place of a slice's one, and two slices in the place of its own; gives whether it did.
///
/// A slice that the checkpoint does not have open any more (it was reset meanwhile) is void and gets no successors. The
/// caller ends the slice's own job in the same transaction, before this: jobs are locked before checkpoints.
pub async fn slice_split(
    tx: &TenantTx<'_>,
    lease: &Lease,
    generation: i32,
    hi: Timestamp,
    parts: &[SliceJob; 2],
) -> Result<bool, StoreError> {
    const OPEN: &str = "-- checkpoint_slice_split
        UPDATE checkpoints c
           SET open_slices = (
                   SELECT jsonb_agg(s ORDER BY (s->>'hi')::timestamptz DESC)
                     FROM (SELECT s FROM jsonb_array_elements(c.open_slices) s WHERE (s->>'hi')::timestamptz <> $3
                           UNION ALL SELECT jsonb_array_elements($4)) open (s)),
               updated_at = now()
         WHERE c.object_id = $1 AND c.generation = $2
           AND EXISTS (SELECT FROM jsonb_array_elements(c.open_slices) s WHERE (s->>'hi')::timestamptz = $3)";
    let split = tx
        .sql()
        .execute(OPEN, &[&lease.object.0, &generation, &hi, &Json(open_slices(parts))])
        .await
        .map_err(StoreError::at("checkpoint_slice_split"))?;
    if split == 1 {
        slice_jobs_insert(tx, lease, generation, parts).await?;
    }
    Ok(split == 1)
}

/// What the jobs table knows of Bulk jobs of an org, those of slices and those of scans.
#[derive(Debug, Clone, Default)]
pub struct BulkKnown {
    /// The integration user of the lease's connection.
    pub user: String,
    /// Ids of the jobs that slices know, whosever they are.
    pub ids: Vec<String>,
    /// When other slices began to make a job and have not said how it ended.
    pub making: Vec<Timestamp>,
}

/// Reads it; the leased job's own making is left out.
pub async fn bulk_known(db: &Database, lease: &Lease) -> Result<BulkKnown, StoreError> {
    const USER: &str = "-- bulk_known_user\nSELECT user_id FROM connections WHERE connection_id = $1";
    const JOBS: &str = "-- bulk_known_jobs
        SELECT b.progress->'running'->>'id',
               CASE WHEN job_id <> $2 THEN (b.progress->>'making_since')::timestamptz END
          FROM jobs
         CROSS JOIN LATERAL (SELECT CASE WHEN kind = $3 THEN progress ELSE progress->'scan'->'bulk' END AS progress) b
         WHERE org_id = $1 AND kind IN ($3, $4)";
    let client = db.control().await?;
    let user = client
        .query_opt(USER, &[&lease.connection.0])
        .await
        .map_err(StoreError::at("bulk_known_user"))?
        .and_then(|row| row.get(0))
        .unwrap_or_default();
    let rows = client
        .query(JOBS, &[&lease.org.as_str(), &lease.job.0, &Kind::Bulk.word(), &Kind::Sweep.word()])
        .await
        .map_err(StoreError::at("bulk_known_jobs"))?;
    Ok(BulkKnown {
        user,
        ids: rows.iter().filter_map(|row| row.get(0)).collect(),
        making: rows.iter().filter_map(|row| row.get(1)).collect(),
    })
}
