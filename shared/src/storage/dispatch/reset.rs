//! A person's "reset" of one object: its checkpoint begins anew, and its standing job plans the first load again.
//!
//! What is here stays readable until it is read again, so readers never see less; equal records are not written. What is
//! gone at Salesforce meanwhile is found by a sweep after the load. No count starts anew: those of outcomes tell what
//! reading did since the object was made, and still add up; `live` and `items` tell what is here, and it is.

use serde_json::json;

use super::super::audit::audit_write;
use super::super::error::StoreError;
use super::super::pool::Database;
use super::cancel::BULK_IS_THERE;
use crate::audit::{Action, Event};
use crate::ids::ObjectId;
use crate::job::lease::{Class, Kind};
use crate::tenant::TenantScope;

/// What became of a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// The object begins anew.
    Done,
    /// It was never begun: there is nothing to reset.
    NotBegun,
    /// Nobody wants it read.
    Disabled,
    /// What its records belong to leads to them: no load would bring them.
    FoundByOthers,
}

/// Lets an object, which the caller knows to be the tenant's, begin anew. An audit event tells of it, unless it is refused.
pub async fn object_reset(db: &Database, scope: &TenantScope, object: ObjectId) -> Result<Reset, StoreError> {
    const CHECKPOINT: &str = "-- checkpoint_reset
        WITH seen AS (
            SELECT c.object_id, CASE WHEN NOT o.enabled THEN 'disabled' WHEN c.scope_from = 'infinity' THEN 'found_by_others'
                                END AS why
              FROM object_syncs o JOIN checkpoints c USING (object_id)
             WHERE o.tenant_id = $1 AND o.object_id = $2 FOR UPDATE OF c),
        anew AS (
            UPDATE checkpoints c
               SET state = 'new', ask = NULL, generation = c.generation + 1, watermark_at = NULL, window_hi = NULL,
                   position_stamp = NULL, position_id = NULL, covered_from = NULL, open_slices = '[]', wish = NULL,
                   called_off = NULL, expected = NULL, loaded_at = NULL, passed_at = NULL, updated_at = now()
              FROM seen s WHERE c.object_id = s.object_id AND s.why IS NULL)
        SELECT why FROM seen";
    // An object that was never loaded has none yet.
    const SWEEP: &str = "-- sweep_after_reset
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, params, progress)
        SELECT o.tenant_id, o.connection_id, o.object_id, c.org_id, $3, $4, $3 || '/' || o.object_id,
               jsonb_build_object('from', o.created_at), '{\"after_load\": true}'
          FROM object_syncs o JOIN connections c USING (connection_id)
         WHERE o.tenant_id = $1 AND o.object_id = $2 AND c.state = 'active'
        ON CONFLICT (unique_key) DO NOTHING";
    // What is read of single records goes on: nothing else would lead to them again. So does the log of deletions.
    let jobs = format!(
        "-- jobs_reset
        WITH found AS (
            SELECT job_id, kind, {BULK_IS_THERE} AS held FROM jobs
             WHERE tenant_id = $1 AND object_id = $2 AND kind IN ('incremental', 'backfill', 'bulk', 'sweep', 'refresh')
             ORDER BY job_id FOR UPDATE),
        gone AS (DELETE FROM jobs j USING found f
                  WHERE j.job_id = f.job_id AND f.kind IN ('backfill', 'bulk') AND NOT f.held)
        UPDATE jobs j SET state = 0, lease_until = NULL, worker_id = NULL, ask = NULL, reason = NULL, attempt = 0, crashes = 0,
               rerun_requested = false, available_at = now(), updated_at = now(),
               progress = CASE j.kind WHEN 'incremental' THEN '{{}}'
                                      WHEN 'sweep' THEN j.progress || '{{\"cancelled\": true, \"after_load\": true}}'
                                      WHEN 'refresh' THEN j.progress - 'walk' - 'batch' ELSE j.progress END
          FROM found f WHERE j.job_id = f.job_id AND (f.held OR f.kind IN ('incremental', 'sweep', 'refresh'))"
    );
    let tenant = scope.tenant().0;
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    // Jobs before checkpoints, as every commit locks them.
    tx.execute(&jobs, &[&tenant, &object.0]).await.map_err(StoreError::at("jobs_reset"))?;
    let row = tx.query_opt(CHECKPOINT, &[&tenant, &object.0]).await;
    let refused =
        match row.map_err(StoreError::at("checkpoint_reset"))?.map(|row| row.get::<_, Option<String>>(0)) {
            None => Some(Reset::NotBegun),
            Some(why) => match why.as_deref() {
                None => None,
                Some("disabled") => Some(Reset::Disabled),
                Some(_) => Some(Reset::FoundByOthers),
            },
        };
    if let Some(refused) = refused {
        tx.rollback().await.map_err(StoreError::at("rollback"))?;
        return Ok(refused);
    }
    let (kind, class) = (Kind::Sweep.word(), Class::Verify.number());
    tx.execute(SWEEP, &[&tenant, &object.0, &kind, &class])
        .await
        .map_err(StoreError::at("sweep_after_reset"))?;
    let event = Event::of(scope, Action::ControlReset).object(object).details(json!({ "level": "object" }));
    audit_write(&tx, scope.tenant(), &event).await?;
    tx.commit().await.map_err(StoreError::at("commit"))?;
    Ok(Reset::Done)
}
