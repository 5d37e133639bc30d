//! Records that were set aside, opened to be tried again.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::types::Json;

use crate::catalog::Field;
use crate::clock::Timestamp;
use crate::crypto::TenantKeys;
use crate::ids::TenantId;
use crate::storage::records::{ObjectKey, payload_row_key};
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// A record as it came. It is open, so nothing may print it.
pub struct SetAsideRecord {
    /// Its id, or a keyed hash where there is none.
    pub key: String,
    /// When it was read.
    pub read_at: Timestamp,
    /// The paths that were asked for then; none where nothing tells.
    pub fields: Option<Arc<Vec<Field>>>,
    /// As it came: a record of an answer, or a row of results as texts.
    pub raw: Vec<u8>,
}

/// The next of an object's after this key, in key order.
pub async fn set_aside_next(
    db: &Database,
    tenant: TenantId,
    keys: &TenantKeys,
    key: ObjectKey,
    (after, most): (&str, i64),
) -> Result<Vec<SetAsideRecord>, StoreError> {
    const SQL: &str = "-- quarantine_next
        SELECT record_id, read_at, field_set_id, payload FROM quarantine
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id > $4 AND payload IS NOT NULL
         ORDER BY record_id LIMIT $5";
    const SETS: &str = "-- quarantine_field_sets
        SELECT field_set_id, fields FROM field_sets WHERE tenant_id = $1 AND object_id = $2";
    let scope = TenantScope::leased(tenant);
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &scope).await?;
    let rows = tx
        .sql()
        .query(SQL, &[&tenant.0, &key.connection.0, &key.object.0, &after, &most])
        .await
        .map_err(StoreError::at("quarantine_next"))?;
    let sets = tx
        .sql()
        .query(SETS, &[&tenant.0, &key.object.0])
        .await
        .map_err(StoreError::at("quarantine_field_sets"))?;
    tx.commit().await?;
    let sets: HashMap<i32, Arc<Vec<Field>>> =
        sets.iter().map(|row| (row.get(0), Arc::new(row.get::<_, Json<Vec<Field>>>(1).0))).collect();
    rows.iter()
        .map(|row| {
            let id: String = row.get(0);
            let raw = keys.open("quarantine.payload", &payload_row_key(key, &id), row.get(3))?;
            let fields = row.get::<_, Option<i32>>(2).and_then(|set| sets.get(&set)).cloned();
            Ok(SetAsideRecord { key: id, read_at: row.get(1), fields, raw })
        })
        .collect()
}

/// Forgets the bytes of what was set aside longer ago than tickets are kept: nothing tells whether it belongs to one that is
/// still wanted. That it was set aside stays known, and so does why; should it change, or be read once more, it is tried as it
/// is then. Gives how many they were.
pub async fn set_aside_forget(db: &Database, tenant: TenantId, key: ObjectKey) -> Result<u64, StoreError> {
    const SQL: &str = "-- quarantine_forget
        UPDATE quarantine SET payload = NULL
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND payload IS NOT NULL
           AND read_at < now() - (SELECT ticket_days FROM tenant_gates WHERE tenant_id = $1) * interval '1 day'";
    let scope = TenantScope::leased(tenant);
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &scope).await?;
    let forgotten = tx
        .sql()
        .execute(SQL, &[&tenant.0, &key.connection.0, &key.object.0])
        .await
        .map_err(StoreError::at("quarantine_forget"))?;
    tx.commit().await?;
    Ok(forgotten)
}
