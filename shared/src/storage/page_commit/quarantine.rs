//! Records of the page that cannot be kept, and those that can be kept again.

use std::collections::HashSet;

use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::PageCommit;
use crate::clock::Timestamp;
use crate::job::lease::{Class, Kind};

/// Records that were set aside before, tried again from their sealed bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Retried {
    /// Those that can be kept now, by their keys in the quarantine, and when they were read.
    pub healed: Vec<(String, Timestamp)>,
    /// Those that cannot, still.
    pub failed: Vec<(String, Timestamp)>,
}

/// Sets aside what cannot be kept, and lets go what can be kept again. An older read does neither to a newer one.
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
               sample = excluded.sample, field_set_id = excluded.field_set_id, tries = 0, tried_at = NULL
         WHERE quarantine.read_at <= excluded.read_at";
    let tenant = tx.scope().tenant().0;
    let written = page.rows.iter().map(|row| (row.record.id.as_str(), row.record.order.read_at));
    let kept = page.kept.iter().map(|(id, read_at)| (id.as_str(), *read_at));
    let retried = page.retried.healed.iter().map(|(key, read_at)| (key.as_str(), *read_at));
    heal(tx, key, written.chain(kept).chain(retried).collect()).await?;
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
    // Where there is one it is not waited for.
    const SQL: &str = "-- quarantine_retry_wanted
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, available_at)
        SELECT $1, $2, $3, $4, $5, $6, $7, now() + interval '1 day'
         WHERE NOT EXISTS (SELECT FROM jobs WHERE unique_key = $7) ON CONFLICT (unique_key) DO NOTHING";
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
                &Kind::Retry.standing_key(lease.object),
            ],
        )
        .await
        .map_err(StoreError::at("quarantine_retry_wanted"))?;
    Ok(())
}

/// Records that came well again leave the quarantine: whether they are new, changed or as they are here. Where nothing was
/// ever set aside of the object there is no job that tries it again, and nothing to look for.
async fn heal(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    mut records: Vec<(&str, Timestamp)>,
) -> Result<(), StoreError> {
    const ANY: &str = "-- quarantine_any\nSELECT FROM jobs WHERE unique_key = $1";
    const FIND: &str = "-- quarantine_find
        SELECT k.id FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT FROM quarantine WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) q";
    const DELETE: &str = "-- quarantine_heal
        DELETE FROM quarantine WHERE connection_id = $1 AND object_id = $2 AND record_id = $3 AND read_at <= $4";
    if records.is_empty() {
        return Ok(());
    }
    let any = tx.sql().prepare_cached(ANY).await.map_err(StoreError::at("quarantine_any"))?;
    let job = tx.sql().query_opt(&any, &[&Kind::Retry.standing_key(key.object)]).await;
    if job.map_err(StoreError::at("quarantine_any"))?.is_none() {
        return Ok(());
    }
    // In key order, as every commit locks.
    records.sort_unstable();
    let ids: Vec<&str> = records.iter().map(|(id, _)| *id).collect();
    let found = tx
        .sql()
        .query_typed(
            FIND,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("quarantine_find"))?;
    let found: HashSet<&str> = found.iter().map(|row| row.get(0)).collect();
    for (id, read_at) in records.iter().filter(|(id, _)| found.contains(id)) {
        tx.sql()
            .execute_typed(
                DELETE,
                &[
                    (&key.connection.0, Type::UUID),
                    (&key.object.0, Type::INT4),
                    (id, Type::TEXT),
                    (read_at, Type::TIMESTAMPTZ),
                ],
            )
            .await
            .map_err(StoreError::at("quarantine_heal"))?;
    }
    Ok(())
}

async fn failed_again(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    records: &[(String, Timestamp)],
) -> Result<(), StoreError> {
    const SQL: &str = "-- quarantine_failed_again
        UPDATE quarantine SET tries = tries + 1, tried_at = now()
         WHERE connection_id = $1 AND object_id = $2 AND record_id = $3 AND read_at = $4";
    for (id, read_at) in records {
        tx.sql()
            .execute_typed(
                SQL,
                &[
                    (&key.connection.0, Type::UUID),
                    (&key.object.0, Type::INT4),
                    (id, Type::TEXT),
                    (read_at, Type::TIMESTAMPTZ),
                ],
            )
            .await
            .map_err(StoreError::at("quarantine_failed_again"))?;
    }
    Ok(())
}
