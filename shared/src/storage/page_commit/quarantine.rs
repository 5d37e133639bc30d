//! Records of the page that cannot be kept, and those that can be kept again.

use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::{PageCommit, PageRow};
use crate::job::lease::{Class, Kind};

/// Records that were set aside before, tried again from their sealed bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Retried {
    /// Those that can be kept now, by their keys in the quarantine.
    pub healed: Vec<String>,
    /// Those that cannot, still.
    pub failed: Vec<String>,
}

/// Sets aside what cannot be kept, and lets go what can be kept again.
pub(super) async fn upsert(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    page: &PageCommit<'_>,
) -> Result<(), StoreError> {
    const SQL: &str = "-- quarantine_upsert
        INSERT INTO quarantine (tenant_id, connection_id, object_id, record_id, reason, field, read_at, payload, sample,
                                field_set_id)
        SELECT $1, $2, $3, q.id, q.reason, q.field, $8, q.payload, q.sample, $10
          FROM unnest($4::text[], $5::text[], $6::text[], $7::bytea[], $9::text[]) AS q (id, reason, field, payload, sample)
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET reason = excluded.reason, field = excluded.field, read_at = excluded.read_at, payload = excluded.payload,
               sample = excluded.sample, field_set_id = excluded.field_set_id, tries = 0, tried_at = NULL";
    let tenant = tx.scope().tenant().0;
    let ids: Vec<&str> = page.rows.iter().map(|row: &PageRow| row.record.id.as_str()).collect();
    heal(tx, key, &ids).await?;
    let healed: Vec<&str> = page.retried.healed.iter().map(String::as_str).collect();
    heal(tx, key, &healed).await?;
    failed_again(tx, key, &page.retried.failed).await?;
    if page.quarantined.is_empty() {
        return Ok(());
    }
    let rows = &page.quarantined;
    let ids: Vec<&str> = rows.iter().map(|row| row.record_id.as_str()).collect();
    let reasons: Vec<&str> = rows.iter().map(|row| row.reason).collect();
    let fields: Vec<Option<&str>> = rows.iter().map(|row| row.field.as_deref()).collect();
    let payloads: Vec<&[u8]> = rows.iter().map(|row| row.payload.as_slice()).collect();
    let samples: Vec<Option<&str>> = rows.iter().map(|row| row.sample.as_deref()).collect();
    tx.sql()
        .execute(
            SQL,
            &[
                &tenant,
                &key.connection.0,
                &key.object.0,
                &ids,
                &reasons,
                &fields,
                &payloads,
                &page.read_at,
                &samples,
                &page.field_set.0,
            ],
        )
        .await
        .map_err(StoreError::at("quarantine_upsert"))?;
    retry_wanted(tx, page).await
}

/// Makes the standing job that tries the object's records again, a day from now, where there is none yet.
async fn retry_wanted(tx: &TenantTx<'_>, page: &PageCommit<'_>) -> Result<(), StoreError> {
    const SQL: &str = "-- quarantine_retry_wanted
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, available_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, now() + interval '1 day') ON CONFLICT (unique_key) DO NOTHING";
    let lease = page.lease;
    tx.sql()
        .execute(
            SQL,
            &[
                &lease.tenant.0,
                &lease.connection.0,
                &lease.object.0,
                &lease.org.as_str(),
                &Kind::Retry.word(),
                &Class::Derived.number(),
                &format!("{}/{}", Kind::Retry.word(), lease.object.0),
            ],
        )
        .await
        .map_err(StoreError::at("quarantine_retry_wanted"))?;
    Ok(())
}

/// Records that came well again leave the quarantine.
async fn heal(tx: &TenantTx<'_>, key: ObjectKey, ids: &[&str]) -> Result<(), StoreError> {
    const FIND: &str = "-- quarantine_find
        SELECT k.id FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT FROM quarantine WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) q";
    const DELETE: &str = "-- quarantine_heal
        DELETE FROM quarantine WHERE connection_id = $1 AND object_id = $2 AND record_id = $3";
    if ids.is_empty() {
        return Ok(());
    }
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

async fn failed_again(tx: &TenantTx<'_>, key: ObjectKey, ids: &[String]) -> Result<(), StoreError> {
    const SQL: &str = "-- quarantine_failed_again
        UPDATE quarantine SET tries = tries + 1, tried_at = now()
         WHERE connection_id = $1 AND object_id = $2 AND record_id = $3";
    for id in ids {
        tx.sql()
            .execute_typed(
                SQL,
                &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&id, Type::TEXT)],
            )
            .await
            .map_err(StoreError::at("quarantine_failed_again"))?;
    }
    Ok(())
}
