//! The records of an object whose values are not their own and whose turn it is to be read again: the children of changed
//! parents, and everything that is here.

use tokio_postgres::types::Json;

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use super::records::ObjectKey;
use crate::catalog::Derived;
use crate::clock::Timestamp;
use crate::ids::SalesforceId;
use crate::tenant::TenantScope;

/// What a refresh decides by.
#[derive(Debug)]
pub struct RefreshBasis {
    /// Where the object's values come from; none before that was looked at.
    pub derived: Option<Derived>,
    /// Live records here.
    pub live: u64,
    /// First load complete.
    pub loaded_at: Option<Timestamp>,
    /// Changed parents whose children are to be read, over all references.
    pub stale: u64,
    /// The database's clock, as changes are noted by.
    pub now: Timestamp,
}

/// Reads it.
pub async fn refresh_basis(
    db: &Database,
    scope: &TenantScope,
    key: ObjectKey,
) -> Result<RefreshBasis, StoreError> {
    const SQL: &str = "-- refresh_basis
        SELECT derived, live, loaded_at, now(),
               (SELECT count(*) FROM stale_links WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3)
          FROM checkpoints WHERE object_id = $3";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let row = tx
        .sql()
        .query_opt(SQL, &[&scope.tenant().0, &key.connection.0, &key.object.0])
        .await
        .map_err(StoreError::at("refresh_basis"))?
        .ok_or(StoreError::Missing("the checkpoint"))?;
    tx.commit().await?;
    let derived: Option<Json<Derived>> =
        row.try_get(0).map_err(|_| StoreError::Unreadable("checkpoints.derived"))?;
    let count = |place: usize| u64::try_from(row.get::<_, i64>(place)).unwrap_or_default();
    Ok(RefreshBasis {
        derived: derived.map(|derived| derived.0),
        live: count(1),
        loaded_at: row.get(2),
        now: row.get(3),
        stale: count(4),
    })
}

/// The next changed parents of an object whose children are to be read: of the reference with the oldest change.
pub async fn stale_next(
    db: &Database,
    scope: &TenantScope,
    key: ObjectKey,
    most: usize,
) -> Result<Option<(String, Vec<String>)>, StoreError> {
    const SQL: &str = "-- stale_next
        SELECT field, parent_id FROM stale_links
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3
           AND field = (SELECT field FROM stale_links WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3
                         ORDER BY changed_at LIMIT 1)
         ORDER BY parent_id LIMIT $4";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = tx
        .sql()
        .query(SQL, &[&scope.tenant().0, &key.connection.0, &key.object.0, &most])
        .await
        .map_err(StoreError::at("stale_next"))?;
    tx.commit().await?;
    Ok(rows.first().map(|row| (row.get(0), rows.iter().map(|row| row.get(1)).collect())))
}

/// Takes what was read off the list: of one reference these parents, or all; what was noted since stays. Gives the oldest
/// change among it.
pub async fn stale_done(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    of: Option<(&str, &[String])>,
    noted_by: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    const SQL: &str = "-- stale_done
        WITH gone AS (
            DELETE FROM stale_links
             WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND noted_at <= $4
               AND ($5::text IS NULL OR (field = $5::text AND parent_id = ANY ($6::text[])))
            RETURNING changed_at)
        SELECT min(changed_at) FROM gone";
    let (field, ids) = of.unzip();
    let row = tx
        .sql()
        .query_one(
            SQL,
            &[
                &tx.scope().tenant().0,
                &key.connection.0,
                &key.object.0,
                &noted_by,
                &field,
                &ids.unwrap_or_default(),
            ],
        )
        .await
        .map_err(StoreError::at("stale_done"))?;
    Ok(row.get(0))
}

/// The next live records of an object in the order of their keys.
pub async fn live_next(
    db: &Database,
    scope: &TenantScope,
    key: ObjectKey,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<SalesforceId>, StoreError> {
    const SQL: &str = "-- live_next
        SELECT record_id FROM records
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id > $4 AND state = 0
         ORDER BY record_id LIMIT $5";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(
            SQL,
            &[
                &scope.tenant().0,
                &key.connection.0,
                &key.object.0,
                &after.unwrap_or_default(),
                &i64::try_from(most).unwrap_or(i64::MAX),
            ],
        )
        .await
        .map_err(StoreError::at("live_next"))?;
    tx.commit().await?;
    let id = |text: &str| SalesforceId::parse(text).map_err(|_| StoreError::Unreadable("records.record_id"));
    rows.iter().map(|row| id(row.get(0))).collect()
}
