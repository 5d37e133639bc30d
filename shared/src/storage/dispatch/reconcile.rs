//! Jobs follow intent: an enabled object sync of an active connection has a checkpoint and one standing job, and
//! Jobs follow intent: an enabled object sync of an active connection has a checkpoint and one standing job, and
//! once its history is here two more, which find what was deleted; any other has no job. Once it is described it has one
//! that reads it again for values that are not its own, and its connection one that follows the parents of such values.
//! Objects of tickets have one that lets tickets go, as long as any may be here. Files are judged anew where their policy
//! changed, what is here is projected anew where its mapping did, and what was set aside is tried again by another build. Takes no input; comparing once more changes nothing.

use super::super::error::StoreError;
use super::super::org_limits::settings_refresh;
use super::super::pool::Database;
use super::super::reproject::{mapping_sql, standard_kinds};
use crate::catalog::Role;
use crate::job::lease::{Class, Kind};
use crate::retention;

/// What one round changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Checkpoints made.
    pub checkpoints: u64,
    /// Standing jobs made, jobs that judge files by another policy or project by another mapping, and those that try again
    /// under another build what was set aside.
    pub jobs: u64,
    /// Jobs removed: their object sync is disabled or gone.
    pub removed: u64,
    /// Rows of org limits made.
    pub orgs: u64,
}

/// The standing job's unique key.
#[must_use]
pub fn standing_key(object: crate::ids::ObjectId) -> String {
    format!("incremental/{}", object.0)
}

const ORGS: &str = "-- org_limits_reconcile
    INSERT INTO org_limits (org_id)
    SELECT DISTINCT org_id FROM connections WHERE org_id IS NOT NULL AND state IN ('active', 'parked')
    ON CONFLICT DO NOTHING";

// A job needs its checkpoint: an object that was enabled since the statement before gets both in the next round.
// A connection that is parked keeps its jobs: its gate stops them, and they go on when it opens.
const JOBS: &str = "-- standing_jobs_reconcile
    INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key)
    SELECT o.tenant_id, o.connection_id, o.object_id, c.org_id, $1, $2, 'incremental/' || o.object_id
      FROM object_syncs o JOIN connections c USING (connection_id) JOIN tenants t ON t.tenant_id = o.tenant_id
      JOIN checkpoints p ON p.object_id = o.object_id
     WHERE o.enabled AND c.state = 'active' AND t.state = 'active'
       AND NOT EXISTS (SELECT FROM jobs j WHERE j.unique_key = 'incremental/' || o.object_id)
    ON CONFLICT (unique_key) DO NOTHING";

// Nothing is here from before the object was wanted; what is deleted while history is read is in the log. The first
// sweep comes when its time has come once, at some moment of the last half of it: not all objects at once.
const FOLLOWING: &str = "-- following_jobs_reconcile
    INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, params, available_at)
    SELECT o.tenant_id, o.connection_id, o.object_id, c.org_id, k.kind, k.class, k.kind || '/' || o.object_id,
           jsonb_build_object('from', o.created_at),
           CASE WHEN k.kind = $3
                THEN now() + coalesce((o.settings->>'sweep_days')::int, 7) * (0.5 + 0.5 * random()) * interval '1 day'
                ELSE now() END
      FROM object_syncs o JOIN connections c USING (connection_id) JOIN tenants t ON t.tenant_id = o.tenant_id
      JOIN checkpoints p ON p.object_id = o.object_id
     CROSS JOIN (VALUES ($1::text, $2::int2), ($3::text, $4::int2)) AS k (kind, class)
     WHERE o.enabled AND c.state = 'active' AND t.state = 'active' AND p.loaded_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM jobs j WHERE j.unique_key = k.kind || '/' || o.object_id)
    ON CONFLICT (unique_key) DO NOTHING";

const JUDGED: &str = "-- files_jobs_reconcile
    INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, params)
    SELECT o.tenant_id, o.connection_id, o.object_id, c.org_id, $1, $2, 'files/' || o.object_id, '{\"judge\": true}'
      FROM object_syncs o JOIN connections c USING (connection_id) JOIN tenants t ON t.tenant_id = o.tenant_id
      JOIN checkpoints p ON p.object_id = o.object_id
     WHERE o.enabled AND c.state = 'active' AND t.state = 'active'
       AND p.files_policy IS DISTINCT FROM o.settings->'files'
    ON CONFLICT (unique_key) DO NOTHING";

// Time goes on, whatever becomes of the object or the connection.
const EXPIRING: &str = "-- expiring_jobs_reconcile
    INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, available_at)
    SELECT o.tenant_id, o.connection_id, o.object_id, c.org_id, $1, $2, $1 || '/' || o.object_id,
           now() + random() * $3::float8 * interval '1 second'
      FROM object_syncs o JOIN connections c USING (connection_id) JOIN tenants t ON t.tenant_id = o.tenant_id
      JOIN checkpoints p ON p.object_id = o.object_id
     WHERE o.role = $4 AND c.org_id IS NOT NULL AND t.state = 'active' AND p.watermark_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM jobs j WHERE j.unique_key = $1 || '/' || o.object_id)
    ON CONFLICT (unique_key) DO NOTHING";

// Parents are followed for a connection, by whichever object of it comes first: how far stands beside the job. It tells which
// values of an object are not its own; before that nothing is to be read again.
const DERIVED: &str = "-- derived_jobs_reconcile
    INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key)
    SELECT DISTINCT ON (w.unique_key) w.tenant_id, w.connection_id, w.object_id, w.org_id, w.kind, $3, w.unique_key
      FROM (SELECT o.tenant_id, o.connection_id, o.object_id, c.org_id, k.kind,
                   k.kind || '/' || CASE WHEN k.kind = $1 THEN o.connection_id::text ELSE o.object_id::text END AS unique_key
              FROM object_syncs o JOIN connections c USING (connection_id) JOIN tenants t ON t.tenant_id = o.tenant_id
              JOIN checkpoints p ON p.object_id = o.object_id
             CROSS JOIN (VALUES ($1::text), ($2::text)) AS k (kind)
             WHERE o.enabled AND c.state = 'active' AND t.state = 'active'
                   AND CASE WHEN k.kind = $1 THEN p.field_set_id IS NOT NULL ELSE p.derived IS NOT NULL END) w
     WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.unique_key = w.unique_key)
     ORDER BY w.unique_key, w.object_id
    ON CONFLICT (unique_key) DO NOTHING";

// Another build may keep what the one that tried last could not. While workers of that one still run it may be theirs again.
const OTHER_BUILD: &str = "-- retry_jobs_reconcile
    UPDATE jobs j SET available_at = now(), params = params || jsonb_build_object('wanted', now()), updated_at = now()
     WHERE j.kind = $1 AND j.state = 0 AND j.available_at > now() AND j.progress->>'version' <> ''
       AND EXISTS (SELECT FROM workers w WHERE w.seen_at > now() - interval '30 seconds')
       AND NOT EXISTS (SELECT FROM workers w WHERE w.seen_at > now() - interval '30 seconds'
                          AND w.version = j.progress->>'version')";

const REMOVED: &str = "-- jobs_remove_unwanted
    DELETE FROM jobs j
     WHERE j.state <> 2 AND j.object_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM object_syncs o JOIN connections c USING (connection_id)
                        WHERE o.object_id = j.object_id AND (j.kind = ANY ($1) OR (o.enabled AND c.state <> 'revoked')))";

/// Compares and repairs. Leased jobs are left alone: the next round finds them.
pub async fn jobs_reconcile(db: &Database) -> Result<Reconciled, StoreError> {
    let (mapping, first) = (mapping_sql("$1", "p.lost"), mapping_sql("$1", "'[]'::jsonb"));
    let new_checkpoints = format!(
        "-- checkpoints_reconcile
        INSERT INTO checkpoints (object_id, tenant_id, connection_id, files_policy, projected)
        SELECT o.object_id, o.tenant_id, o.connection_id, o.settings->'files', {first} FROM object_syncs o
         WHERE o.enabled AND NOT EXISTS (SELECT FROM checkpoints c WHERE c.object_id = o.object_id)
        ON CONFLICT DO NOTHING"
    );
    // What is here is shown under the mapping that is wanted, whatever becomes of the object or the connection.
    let mapped = format!(
        "-- reproject_jobs_reconcile
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key)
        SELECT o.tenant_id, o.connection_id, o.object_id, c.org_id, $2, $3, $2 || '/' || o.object_id
          FROM object_syncs o JOIN connections c USING (connection_id) JOIN tenants t ON t.tenant_id = o.tenant_id
          JOIN checkpoints p ON p.object_id = o.object_id
         WHERE c.org_id IS NOT NULL AND t.state = 'active' AND p.projected IS DISTINCT FROM {mapping}
        ON CONFLICT (unique_key) DO NOTHING"
    );
    let (client, standard) = (db.control().await?, standard_kinds());
    let orgs = client.execute(ORGS, &[]).await.map_err(StoreError::at("org_limits_reconcile"))?;
    settings_refresh(&client, None).await?;
    let checkpoints = client
        .execute(&new_checkpoints, &[&standard])
        .await
        .map_err(StoreError::at("checkpoints_reconcile"))?;
    let jobs = client
        .execute(JOBS, &[&Kind::Incremental.word(), &Class::Incremental.number()])
        .await
        .map_err(StoreError::at("standing_jobs_reconcile"))?;
    let following = client
        .execute(
            FOLLOWING,
            &[
                &Kind::Deleted.word(),
                &Class::Incremental.number(),
                &Kind::Sweep.word(),
                &Class::Verify.number(),
            ],
        )
        .await
        .map_err(StoreError::at("following_jobs_reconcile"))?;
    let judged = client
        .execute(JUDGED, &[&Kind::File.word(), &Class::Files.number()])
        .await
        .map_err(StoreError::at("files_jobs_reconcile"))?;
    let reprojected = client
        .execute(&mapped, &[&standard, &Kind::Reproject.word(), &Class::Derived.number()])
        .await
        .map_err(StoreError::at("reproject_jobs_reconcile"))?;
    let expiring = client
        .execute(
            EXPIRING,
            &[
                &Kind::Expire.word(),
                &Class::Verify.number(),
                &retention::EVERY.as_secs_f64(),
                &Role::Ticket.word(),
            ],
        )
        .await
        .map_err(StoreError::at("expiring_jobs_reconcile"))?;
    let derived = client
        .execute(DERIVED, &[&Kind::Follow.word(), &Kind::Refresh.word(), &Class::Derived.number()])
        .await
        .map_err(StoreError::at("derived_jobs_reconcile"))?;
    let retried = client
        .execute(OTHER_BUILD, &[&Kind::Retry.word()])
        .await
        .map_err(StoreError::at("retry_jobs_reconcile"))?;
    let removed = client
        .execute(REMOVED, &[&Kind::local_words()])
        .await
        .map_err(StoreError::at("jobs_remove_unwanted"))?;
    Ok(Reconciled {
        checkpoints,
        jobs: jobs + following + judged + reprojected + expiring + derived + retried,
        removed,
        orgs,
    })
}
