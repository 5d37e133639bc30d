//! A person's "resync": what is stamped since a moment is read once more, beside all else that goes on. Here the wish is
//! stored; the object's standing job alone plans windows and slices, and so this too.

use serde_json::json;

use super::super::audit::audit_write;
use super::super::control::pauses::Level;
use super::super::error::StoreError;
use super::super::pool::Database;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::ids::ObjectId;
use crate::tenant::TenantScope;

/// An object that was asked to be read once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wished {
    /// The object sync.
    pub object: ObjectId,
    /// Why it is left as it is, in a closed word: `disabled`, `parked`, `absent`, `loading` (its history is being read),
    /// `found_by_others`, `resyncing` or `later` (everything until then is still to come). `None` when it is read.
    pub left_out: Option<&'static str>,
}

const WHYS: [&str; 7] = ["disabled", "parked", "absent", "loading", "found_by_others", "resyncing", "later"];

/// Asks for what is stamped since `from`, of each object of the level, which the caller knows to be the tenant's. One audit
/// event tells of it, in the same transaction, unless every object is left out.
pub async fn resync_wish(
    db: &Database,
    scope: &TenantScope,
    level: Level,
    from: Timestamp,
) -> Result<Vec<Wished>, StoreError> {
    const JOBS: &str = "-- resync_due
        UPDATE jobs j SET rerun_requested = j.rerun_requested OR j.state = 2,
               available_at = CASE WHEN j.state = 0 THEN least(j.available_at, now()) ELSE j.available_at END,
               updated_at = now()
          FROM object_syncs o JOIN checkpoints c USING (object_id)
         WHERE o.tenant_id = $1 AND ($2::text IS NULL OR o.connection_id::text = $2)
           AND ($3::int IS NULL OR o.object_id = $3) AND o.enabled AND c.state = 'current'
           AND j.object_id = o.object_id AND j.kind = 'incremental' AND j.state <> 3";
    const WISH: &str = "-- checkpoint_wish
        WITH seen AS (
            SELECT c.object_id, CASE WHEN NOT o.enabled THEN 'disabled'
                        WHEN c.state IN ('parked', 'absent') THEN c.state
                        WHEN c.scope_from = 'infinity' THEN 'found_by_others'
                        WHEN c.state <> 'current' THEN 'loading'
                        WHEN c.wish IS NOT NULL OR c.open_slices <> '[]' THEN 'resyncing'
                        WHEN c.watermark_at <= $4::timestamptz THEN 'later' END AS why
              FROM object_syncs o JOIN checkpoints c USING (object_id)
             WHERE o.tenant_id = $1 AND ($2::text IS NULL OR o.connection_id::text = $2)
               AND ($3::int IS NULL OR o.object_id = $3)
             ORDER BY c.object_id FOR UPDATE OF c),
        wished AS (
            UPDATE checkpoints c SET wish = jsonb_build_object('what', 'resync', 'from', $4::timestamptz), updated_at = now()
              FROM seen s WHERE c.object_id = s.object_id AND s.why IS NULL RETURNING c.object_id)
        SELECT s.object_id, s.why FROM seen s LEFT JOIN wished w USING (object_id) ORDER BY s.object_id";
    let (tenant, (connection, object)) = (scope.tenant().0, level.columns());
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    // Jobs before checkpoints, as every commit locks them. One that is due for nothing asks nothing twice.
    tx.execute(JOBS, &[&tenant, &connection, &object]).await.map_err(StoreError::at("resync_due"))?;
    let rows = tx
        .query(WISH, &[&tenant, &connection, &object, &from])
        .await
        .map_err(StoreError::at("checkpoint_wish"))?;
    let wished: Vec<Wished> = rows.iter().map(|row| wished(row.get(0), row.get(1))).collect();
    let asked = wished.iter().filter(|one| one.left_out.is_none()).count();
    if asked > 0 {
        let details = json!({ "level": level.word(), "from": from, "objects": asked });
        let event = level.event(scope, Action::ControlResync).details(details);
        audit_write(&tx, scope.tenant(), &event).await?;
    }
    tx.commit().await.map_err(StoreError::at("commit"))?;
    Ok(wished)
}

fn wished(object: i32, why: Option<&str>) -> Wished {
    let left_out = why.map(|why| WHYS.into_iter().find(|word| *word == why).unwrap_or("loading"));
    Wished { object: ObjectId(object), left_out }
}
