//! Records of the page that cannot be kept.

use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::{PageCommit, PageRow};

/// Sets aside what cannot be kept, and lets go what can be kept again.
pub(super) async fn upsert(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    page: &PageCommit<'_>,
) -> Result<(), StoreError> {
    const SQL: &str = "-- quarantine_upsert
        INSERT INTO quarantine (tenant_id, connection_id, object_id, record_id, reason, field, read_at, payload)
        SELECT $1, $2, $3, q.id, q.reason, q.field, $8, q.payload
          FROM unnest($4::text[], $5::text[], $6::text[], $7::bytea[]) AS q (id, reason, field, payload)
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET reason = excluded.reason, field = excluded.field, read_at = excluded.read_at, payload = excluded.payload";
    let tenant = tx.scope().tenant().0;
    heal(tx, key, &page.rows).await?;
    if page.quarantined.is_empty() {
        return Ok(());
    }
    let rows = &page.quarantined;
    let ids: Vec<&str> = rows.iter().map(|row| row.record_id.as_str()).collect();
    let reasons: Vec<&str> = rows.iter().map(|row| row.reason).collect();
    let fields: Vec<Option<&str>> = rows.iter().map(|row| row.field.as_deref()).collect();
    let payloads: Vec<&[u8]> = rows.iter().map(|row| row.payload.as_slice()).collect();
    tx.sql()
        .execute(
            SQL,
            &[&tenant, &key.connection.0, &key.object.0, &ids, &reasons, &fields, &payloads, &page.read_at],
        )
        .await
        .map_err(StoreError::at("quarantine_upsert"))?;
    Ok(())
}

/// A record that came well again leaves the quarantine.
async fn heal(tx: &TenantTx<'_>, key: ObjectKey, rows: &[PageRow]) -> Result<(), StoreError> {
    const FIND: &str = "-- quarantine_find
        SELECT k.id FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT FROM quarantine WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) q";
    const DELETE: &str = "-- quarantine_heal
        DELETE FROM quarantine WHERE connection_id = $1 AND object_id = $2 AND record_id = $3";
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = rows.iter().map(|row| row.record.id.as_str()).collect();
    let found = tx
        .sql()
        .query_typed(
            FIND,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("quarantine_find"))?;
    for row in &found {
        let id: &str = row.get(0);
        tx.sql()
            .execute_typed(
                DELETE,
                &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&id, Type::TEXT)],
            )
            .await
            .map_err(StoreError::at("quarantine_heal"))?;
    }
    Ok(())
}
