//! A person's "cancel": what is being read beside changes is called off: a first load, more of history, a resync, a sweep,
//! reading again. Standing jobs that follow changes go on; holding those up is a pause.
//!
//! A job's row is deleted or taken back to waiting, which fences whoever works on it: no commit of it lasts any more. A Bulk
//! job that Salesforce has is put away by the next turn of its own job, which finds its slice void.

use serde_json::json;

use super::super::audit::audit_write;
use super::super::control::pauses::Level;
use super::super::error::StoreError;
use super::super::pool::Database;
use crate::audit::Action;
use crate::ids::ObjectId;
use crate::tenant::TenantScope;

/// Something that was called off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cancelled {
    /// The object sync.
    pub object: ObjectId,
    /// What, in a closed word: `first_load`, `history` (more of it, or all of it for new fields), `resync`, `sweep` or
    /// `refresh`.
    pub what: &'static str,
}

const WHATS: [&str; 5] = ["first_load", "history", "resync", "sweep", "refresh"];

/// A slice's job that Salesforce may hold a Bulk job for.
pub(super) const BULK_IS_THERE: &str =
    "(kind = 'bulk' AND (progress->'running' IS NOT NULL OR progress->'making_since' IS NOT NULL))";

/// Calls off what runs, or waits to run, of each object of the level, which the caller knows to be the tenant's; gives what
/// was, in the order of the objects. One audit event tells of it, unless there was nothing.
pub async fn work_cancel(
    db: &Database,
    scope: &TenantScope,
    level: Level,
) -> Result<Vec<Cancelled>, StoreError> {
    // What is here stays, and is all that is wanted of history by now; what belongs to tickets that are here comes all the same.
    const HISTORY: &str = "-- checkpoint_cancel
        WITH seen AS (
            SELECT c.object_id, coalesce((o.settings->>'history_days')::int, 0) AS days,
                   CASE WHEN c.open_slices <> '[]' AND c.loaded_at IS NULL THEN 'first_load'
                        WHEN c.open_slices <> '[]' AND c.covered_from > c.scope_from THEN 'history'
                        WHEN c.open_slices <> '[]' OR c.wish->>'what' = 'resync' THEN 'resync' END AS what
              FROM object_syncs o JOIN checkpoints c USING (object_id)
             WHERE o.tenant_id = $1 AND ($2::text IS NULL OR o.connection_id::text = $2)
               AND ($3::int IS NULL OR o.object_id = $3)
             ORDER BY c.object_id FOR UPDATE OF c),
        ended AS (
            UPDATE checkpoints c
               SET generation = c.generation + 1, open_slices = '[]', loaded_at = coalesce(c.loaded_at, now()),
                   state = CASE WHEN c.state = 'loading' THEN 'current' ELSE c.state END,
                   scope_from = CASE WHEN s.what = 'resync' THEN c.scope_from ELSE c.covered_from END,
                   called_off = CASE WHEN s.what = 'resync' THEN c.called_off ELSE s.days END,
                   wish = CASE WHEN s.what = 'first_load' OR c.wish->>'what' = 'close' THEN '{\"what\": \"close\"}'::jsonb END,
                   updated_at = now()
              FROM seen s WHERE c.object_id = s.object_id AND s.what IS NOT NULL)
        SELECT object_id, what FROM seen WHERE what IS NOT NULL";
    // What is called off of standing work stays off until its next time comes.
    let jobs = format!(
        "-- jobs_cancel
        WITH found AS (
            SELECT j.job_id, j.object_id, j.kind, {BULK_IS_THERE} AS held,
                   CASE j.kind WHEN 'sweep' THEN j.progress->>'began' IS NOT NULL AND NOT j.progress ? 'cancelled'
                               WHEN 'refresh' THEN j.progress ? 'walk' OR (j.params->>'wanted')::timestamptz >
                                    greatest((j.progress->>'last')::timestamptz, (j.progress->>'put_off')::timestamptz, '-infinity')
                   END AS runs,
                   c.loaded_at IS NULL AND c.open_slices <> '[]' AS loads
              FROM jobs j JOIN object_syncs o USING (object_id) JOIN checkpoints c USING (object_id)
             WHERE o.tenant_id = $1 AND ($2::text IS NULL OR o.connection_id::text = $2)
               AND ($3::int IS NULL OR o.object_id = $3)
               AND j.kind IN ('incremental', 'backfill', 'bulk', 'sweep', 'refresh')
             ORDER BY j.job_id FOR UPDATE OF j),
        gone AS (DELETE FROM jobs j USING found f
                  WHERE j.job_id = f.job_id AND f.kind IN ('backfill', 'bulk') AND NOT f.held),
        closes AS (UPDATE jobs j SET rerun_requested = j.rerun_requested OR j.state = 2, updated_at = now(),
                          available_at = CASE WHEN j.state = 0 THEN least(j.available_at, now()) ELSE j.available_at END
                     FROM found f WHERE j.job_id = f.job_id AND f.kind = 'incremental' AND f.loads),
        back AS (UPDATE jobs j SET state = 0, lease_until = NULL, worker_id = NULL, ask = NULL, reason = NULL, attempt = 0,
                        crashes = 0, rerun_requested = false, available_at = now(), updated_at = now(),
                        progress = CASE j.kind WHEN 'sweep' THEN j.progress || '{{\"cancelled\": true}}'
                                               WHEN 'refresh' THEN (j.progress - 'walk') || jsonb_build_object('put_off', now())
                                               ELSE j.progress END
                   FROM found f WHERE j.job_id = f.job_id AND (f.held OR f.runs) RETURNING j.object_id, j.kind)
        SELECT object_id, kind FROM back WHERE kind IN ('sweep', 'refresh')"
    );
    let (tenant, (connection, object)) = (scope.tenant().0, level.columns());
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    // Jobs before checkpoints, as every commit locks them. A slice that is planned meanwhile is void by its generation.
    let mut rows =
        tx.query(&jobs, &[&tenant, &connection, &object]).await.map_err(StoreError::at("jobs_cancel"))?;
    let history = tx.query(HISTORY, &[&tenant, &connection, &object]).await;
    rows.extend(history.map_err(StoreError::at("checkpoint_cancel"))?);
    let mut cancelled: Vec<Cancelled> =
        rows.iter().filter_map(|row| cancelled(row.get(0), row.get(1))).collect();
    cancelled.sort_unstable();
    if !cancelled.is_empty() {
        let words: Vec<&str> =
            WHATS.into_iter().filter(|word| cancelled.iter().any(|one| one.what == *word)).collect();
        let details = json!({ "level": level.word(), "cancelled": cancelled.len(), "what": words });
        let event = level.event(scope, Action::ControlCancel).details(details);
        audit_write(&tx, scope.tenant(), &event).await?;
    }
    tx.commit().await.map_err(StoreError::at("commit"))?;
    Ok(cancelled)
}

fn cancelled(object: i32, what: &str) -> Option<Cancelled> {
    let what = WHATS.into_iter().find(|word| *word == what)?;
    Some(Cancelled { object: ObjectId(object), what })
}
