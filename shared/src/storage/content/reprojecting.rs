//! Which objects are being projected anew, and how far that is: told by their jobs, so that nothing is counted.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::ObjectId;
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// An object whose mapping changed, while what is here of it is projected anew. The API shows it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reprojecting {
    /// The object sync.
    #[schema(value_type = String)]
    pub object_id: ObjectId,
    /// Its tickets that are of an older mapping version have the projection of before; null until it has begun.
    pub version: Option<i64>,
    /// Tickets, and records that belong to no ticket, that were looked at so far.
    pub done: i64,
    /// Of about so many.
    pub of: i64,
}

/// The tenant's, in the order of objects.
pub async fn reprojecting(db: &Database, scope: &TenantScope) -> Result<Vec<Reprojecting>, StoreError> {
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let found = reprojecting_in(&tx).await?;
    tx.commit().await?;
    Ok(found)
}

/// The same, in a transaction of the tenant.
pub(super) async fn reprojecting_in(tx: &TenantTx<'_>) -> Result<Vec<Reprojecting>, StoreError> {
    const SQL: &str = "-- reprojecting
        SELECT o.object_id, (j.progress->>'version')::bigint, coalesce((j.progress->>'done')::bigint, 0),
               coalesce((j.progress->>'of')::bigint, 0)
          FROM object_syncs o JOIN jobs j ON j.unique_key = 'reproject/' || o.object_id
         WHERE o.tenant_id = $1 ORDER BY o.object_id";
    let rows =
        tx.sql().query(SQL, &[&tx.scope().tenant().0]).await.map_err(StoreError::at("reprojecting"))?;
    Ok(rows
        .iter()
        .map(|row| Reprojecting {
            object_id: ObjectId(row.get(0)),
            version: row.get(1),
            done: row.get(2),
            of: row.get(3),
        })
        .collect())
}
