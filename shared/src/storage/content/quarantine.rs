//! Records set aside, without what they hold.

use crate::clock::Timestamp;
use crate::ids::{ConnectionId, ObjectId};
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// A record set aside.
#[derive(Debug, Clone)]
pub struct SetAside {
    /// The connection.
    pub connection: ConnectionId,
    /// The object.
    pub object: ObjectId,
    /// The record's id, or a keyed hash where there is none.
    pub record: String,
    /// Why, in a closed word.
    pub reason: String,
    /// The field at fault.
    pub field: Option<String>,
    /// When it was read.
    pub read_at: Timestamp,
    /// The shape of the value at fault.
    pub sample: Option<String>,
    /// How often it was tried again.
    pub tries: i32,
    /// When it was tried last.
    pub tried_at: Option<Timestamp>,
}

/// In the order of their keys, after the cursor.
pub async fn quarantine_list(
    db: &Database,
    scope: &TenantScope,
    after: Option<(ConnectionId, ObjectId, String)>,
    limit: u16,
) -> Result<Vec<SetAside>, StoreError> {
    const SQL: &str = "-- quarantine_list
        SELECT connection_id, object_id, record_id, reason, field, read_at, sample, tries, tried_at FROM quarantine
         WHERE tenant_id = $1
           AND ($2::uuid IS NULL OR (connection_id, object_id, record_id) > ($2, $3::int, $4::text))
         ORDER BY connection_id, object_id, record_id LIMIT $5";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(
            SQL,
            &[
                &scope.tenant().0,
                &after.as_ref().map(|(connection, _, _)| connection.0),
                &after.as_ref().map(|(_, object, _)| object.0),
                &after.as_ref().map(|(_, _, record)| record),
                &i64::from(limit),
            ],
        )
        .await
        .map_err(StoreError::at("quarantine_list"))?;
    tx.commit().await?;
    Ok(rows
        .iter()
        .map(|row| SetAside {
            connection: ConnectionId(row.get(0)),
            object: ObjectId(row.get(1)),
            record: row.get(2),
            reason: row.get(3),
            field: row.get(4),
            read_at: row.get(5),
            sample: row.get(6),
            tries: row.get(7),
            tried_at: row.get(8),
        })
        .collect())
}
