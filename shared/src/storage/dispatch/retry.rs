//! A person's wish that what was set aside be tried again now.

use super::super::audit::audit_write;
use super::super::error::StoreError;
use super::super::pool::Database;
use crate::audit::{Action, Event};
use crate::ids::ObjectId;
use crate::job::lease::Kind;
use crate::tenant::TenantScope;

/// Makes the jobs due that try again what was set aside, of an object or of all of the tenant's; one that runs begins anew.
/// Gives the objects of which anything was ever set aside.
pub async fn quarantine_retry(
    db: &Database,
    scope: &TenantScope,
    object: Option<ObjectId>,
) -> Result<Vec<ObjectId>, StoreError> {
    const SQL: &str = "-- quarantine_retry
        UPDATE jobs SET rerun_requested = rerun_requested OR state = 2, params = params || jsonb_build_object('wanted', now()),
               available_at = CASE WHEN state IN (0, 3) THEN least(available_at, now()) ELSE available_at END,
               attempt = CASE WHEN state IN (0, 3) THEN 0 ELSE attempt END,
               crashes = CASE WHEN state = 3 THEN 0 ELSE crashes END,
               ask = NULL, state = CASE WHEN state = 3 THEN 0 ELSE state END, updated_at = now()
         WHERE tenant_id = $1 AND kind = $2 AND ($3::int IS NULL OR object_id = $3) RETURNING object_id";
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    let rows = tx
        .query(SQL, &[&scope.tenant().0, &Kind::Retry.word(), &object.map(|object| object.0)])
        .await
        .map_err(StoreError::at("quarantine_retry"))?;
    let event = Event::of(scope, Action::SyncRetry);
    let event = object.into_iter().fold(event, Event::object);
    audit_write(&tx, scope.tenant(), &event).await?;
    tx.commit().await.map_err(StoreError::at("commit"))?;
    let mut objects: Vec<ObjectId> = rows.iter().map(|row| ObjectId(row.get(0))).collect();
    objects.sort_unstable_by_key(|object| object.0);
    Ok(objects)
}
