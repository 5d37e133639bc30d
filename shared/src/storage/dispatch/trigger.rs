//! A person's "sync now": the standing jobs that follow changes and deletions become due, or run once more after this run.

use serde_json::json;

use super::super::audit::audit_write;
use super::super::error::StoreError;
use super::super::pool::Database;
use crate::audit::{Action, Event};
use crate::ids::ObjectId;
use crate::tenant::TenantScope;

/// What the trigger did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The job is due now.
    Due,
    /// The job runs; it will run once more.
    Again,
    /// There is no job yet; the reconciler makes one that is due at once.
    NotYet,
}

/// What a "sync now" looks at beside changes and deletions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Also {
    /// Everything that is here is held against everything that Salesforce shows.
    pub sweep: bool,
    /// Everything that is here is read again for values that are not its own: a call for some hundred records.
    pub refresh: bool,
}

/// Makes due what follows an object's changes and the log of its deletions, and what else is asked for. Parked work of the object is tried again: a person asks for
/// it. What it did is told of the job that follows changes.
pub async fn object_trigger(
    db: &Database,
    scope: &TenantScope,
    object: ObjectId,
    also: Also,
) -> Result<Trigger, StoreError> {
    const JOBS: &str = "-- object_trigger
        UPDATE jobs SET rerun_requested = rerun_requested OR state = 2,
               available_at = CASE WHEN state IN (0, 3) THEN least(available_at, now()) ELSE available_at END,
               attempt = CASE WHEN state IN (0, 3) THEN 0 ELSE attempt END,
               crashes = CASE WHEN state = 3 THEN 0 ELSE crashes END,
               reason = CASE WHEN state IN (0, 3) THEN NULL ELSE reason END,
               params = CASE WHEN kind = 'refresh' AND $4::bool THEN params || jsonb_build_object('wanted', now()) ELSE params END,
               ask = NULL, state = CASE WHEN state = 3 THEN 0 ELSE state END, updated_at = now()
         WHERE tenant_id = $1 AND object_id = $2
           AND (state = 3 OR kind IN ('incremental', 'deleted') OR (kind = 'sweep' AND $3::bool) OR (kind = 'refresh' AND $4::bool))
        RETURNING kind = 'incremental', state = 2";
    // As it was: a part that is read once more is here, what is covered reaches back as far as is wanted all the while.
    const CHECKPOINT: &str = "-- checkpoint_unpark
        UPDATE checkpoints SET ask = NULL, updated_at = now(),
               state = CASE WHEN watermark_at IS NULL THEN 'new'
                            WHEN open_slices <> '[]' AND (loaded_at IS NULL OR covered_from > scope_from) THEN 'loading'
                            WHEN loaded_at IS NOT NULL THEN 'current' ELSE 'loading' END
         WHERE tenant_id = $1 AND object_id = $2 AND state IN ('parked', 'absent')";
    let tenant = scope.tenant().0;
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    // Jobs before checkpoints, as every commit locks them.
    let rows = tx
        .query(JOBS, &[&tenant, &object.0, &also.sweep, &also.refresh])
        .await
        .map_err(StoreError::at("object_trigger"))?;
    tx.execute(CHECKPOINT, &[&tenant, &object.0]).await.map_err(StoreError::at("checkpoint_unpark"))?;
    let action = if also.sweep { Action::SyncVerify } else { Action::SyncNow };
    let event = Event::of(scope, action).object(object).details(json!({ "refresh": also.refresh }));
    audit_write(&tx, scope.tenant(), &event).await?;
    tx.commit().await.map_err(StoreError::at("commit"))?;
    Ok(match rows.iter().find(|row| row.get::<_, bool>(0)) {
        None => Trigger::NotYet,
        Some(row) if row.get::<_, bool>(1) => Trigger::Again,
        Some(_) => Trigger::Due,
    })
}
