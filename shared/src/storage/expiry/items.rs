//! What belongs to the tickets of a chunk: items, items of those, and the records of all of them.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use crate::record::StateReason;

/// The records of a chunk, by object and in key order: the tickets' own and those of all that belongs to them.
pub(super) type Found = BTreeMap<i32, Vec<String>>;

/// What a chunk took along.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Live records and live items of each object.
    live: BTreeMap<i32, (i64, i64)>,
    /// Files that its items named.
    pub(super) files: BTreeSet<String>,
}

impl Left {
    pub(super) fn records(&self) -> i64 {
        self.live.values().map(|(records, _)| records).sum()
    }
}

/// Makes a stub of each ticket whose own record never came: when it comes, it is known that items went before it.
pub(super) async fn stubs(tx: &TenantTx<'_>, key: ObjectKey, due: &[String]) -> Result<(), StoreError> {
    // As old as can be: whatever is read of it wins.
    const SQL: &str = "-- expiry_stubs
        INSERT INTO records (tenant_id, connection_id, object_id, record_id, modstamp, read_at, field_set_id, state, reason)
        SELECT $1, $2, $3, k.id, 'epoch', 'epoch', c.field_set_id, 1, $5
          FROM unnest($4::text[]) AS k (id) JOIN checkpoints c ON c.object_id = $3 AND c.field_set_id IS NOT NULL
         ORDER BY k.id COLLATE \"C\"
        ON CONFLICT DO NOTHING";
    tx.sql()
        .execute_typed(
            SQL,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&key.connection.0, Type::UUID),
                (&key.object.0, Type::INT4),
                (&due, Type::TEXT_ARRAY),
                (&(StateReason::Expired as i16), Type::INT2),
            ],
        )
        .await
        .map_err(StoreError::at("expiry_stubs"))?;
    Ok(())
}

/// What belongs to these tickets now, however deep: what was said in a session, what was attached to an e-mail.
pub(super) async fn of(tx: &TenantTx<'_>, key: ObjectKey, due: &[String]) -> Result<Found, StoreError> {
    const SQL: &str = "-- expiry_items
        WITH RECURSIVE items AS (
            SELECT m.* FROM unnest($2::text[]) AS k (id)
             CROSS JOIN LATERAL (
                   SELECT object_id, record_id, holds FROM messages
                    WHERE connection_id IS NOT DISTINCT FROM $1 AND ticket_record_id = k.id OFFSET 0) m
            UNION
            SELECT m.* FROM items i
             CROSS JOIN LATERAL (
                   SELECT object_id, record_id, holds FROM messages
                    WHERE connection_id IS NOT DISTINCT FROM $1 AND ticket_record_id = i.record_id OFFSET 0) m
             WHERE i.holds)
        SELECT object_id, record_id FROM items";
    let rows = tx
        .sql()
        .query_typed(SQL, &[(&key.connection.0, Type::UUID), (&due, Type::TEXT_ARRAY)])
        .await
        .map_err(StoreError::at("expiry_items"))?;
    let mut found = Found::from([(key.object.0, due.to_vec())]);
    for row in &rows {
        found.entry(row.get(0)).or_default().push(row.get(1));
    }
    for records in found.values_mut() {
        records.sort_unstable();
    }
    Ok(found)
}

/// Locks the records in key order, as page commits do.
pub(super) async fn lock(tx: &TenantTx<'_>, key: ObjectKey, found: &Found) -> Result<(), StoreError> {
    const SQL: &str = "-- expiry_lock
        SELECT FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT FROM records
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id FOR UPDATE) r";
    for (object, ids) in found {
        tx.sql()
            .query_typed(
                SQL,
                &[(&key.connection.0, Type::UUID), (object, Type::INT4), (ids, Type::TEXT_ARRAY)],
            )
            .await
            .map_err(StoreError::at("expiry_lock"))?;
    }
    Ok(())
}

/// Takes the values of locked records away, and the items with what was set aside of them.
pub(super) async fn remove(tx: &TenantTx<'_>, key: ObjectKey, found: &Found) -> Result<Left, StoreError> {
    // What is gone or out of sight for a reason of its own keeps that.
    const RECORDS: &str = "-- expiry_records
        UPDATE records r
           SET state = CASE WHEN r.state = 0 THEN 1 ELSE r.state END,
               reason = CASE WHEN r.state = 0 THEN $5::int2 ELSE r.reason END,
               payload = NULL, content_hash = NULL, identities = NULL, was = r.state
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY ($4)
        RETURNING r.was = 0";
    const ITEMS: &str = "-- expiry_messages
        DELETE FROM messages
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY ($4)
        RETURNING state = 0, file_id";
    const ASIDE: &str = "-- expiry_quarantine
        DELETE FROM quarantine
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY ($4)";
    let (tenant, expired) = (tx.scope().tenant().0, StateReason::Expired as i16);
    let mut left = Left::default();
    for (object, ids) in found {
        let records = tx
            .sql()
            .query(RECORDS, &[&tenant, &key.connection.0, object, ids, &expired])
            .await
            .map_err(StoreError::at("expiry_records"))?;
        let items = tx
            .sql()
            .query(ITEMS, &[&tenant, &key.connection.0, object, ids])
            .await
            .map_err(StoreError::at("expiry_messages"))?;
        tx.sql()
            .execute(ASIDE, &[&tenant, &key.connection.0, object, ids])
            .await
            .map_err(StoreError::at("expiry_quarantine"))?;
        let live = |rows: &[tokio_postgres::Row]| {
            i64::try_from(rows.iter().filter(|row| row.get(0)).count()).unwrap_or(i64::MAX)
        };
        left.live.insert(*object, (live(&records), live(&items)));
        left.files.extend(items.iter().filter_map(|row| row.get::<_, Option<String>>(1)));
    }
    Ok(left)
}

/// Takes what left off the checkpoints' numbers, in the order of their keys.
pub(super) async fn count(tx: &TenantTx<'_>, left: &Left) -> Result<(), StoreError> {
    const SQL: &str = "-- expiry_count
        UPDATE checkpoints SET live = live - $2, items = items - $3, updated_at = now() WHERE object_id = $1";
    for (object, (records, items)) in &left.live {
        tx.sql().execute(SQL, &[object, records, items]).await.map_err(StoreError::at("expiry_count"))?;
    }
    Ok(())
}

/// Whether anything came to any of these meanwhile.
pub(super) async fn any_left(tx: &TenantTx<'_>, key: ObjectKey, found: &Found) -> Result<bool, StoreError> {
    const SQL: &str = "-- expiry_any_left
        SELECT EXISTS (
            SELECT FROM unnest($2::text[]) AS k (id)
             WHERE EXISTS (SELECT FROM messages m
                            WHERE m.connection_id IS NOT DISTINCT FROM $1 AND m.ticket_record_id = k.id))";
    let ids: Vec<&str> = found.values().flatten().map(String::as_str).collect();
    let row = tx
        .sql()
        .query_typed_one(SQL, &[(&key.connection.0, Type::UUID), (&ids, Type::TEXT_ARRAY)])
        .await
        .map_err(StoreError::at("expiry_any_left"))?;
    Ok(row.get(0))
}
