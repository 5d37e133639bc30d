//! What belongs to the tickets of a chunk: items, items of those, and the records of all of them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use crate::ids::ObjectId;
use crate::record::StateReason;

/// What a chunk is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its records, by object and in key order: the tickets' own and those of all that belongs to them.
    records: BTreeMap<i32, Vec<String>>,
    /// The tickets, and the items to which others belong.
    holders: BTreeSet<String>,
}

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
pub(super) async fn stubs(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    due: &[String],
    why: StateReason,
) -> Result<(), StoreError> {
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
                (&(why as i16), Type::INT2),
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
        SELECT object_id, record_id, holds FROM items";
    let rows = tx
        .sql()
        .query_typed(SQL, &[(&key.connection.0, Type::UUID), (&due, Type::TEXT_ARRAY)])
        .await
        .map_err(StoreError::at("expiry_items"))?;
    let mut found = Found {
        records: BTreeMap::from([(key.object.0, due.to_vec())]),
        holders: due.iter().cloned().collect(),
    };
    for row in &rows {
        found.records.entry(row.get(0)).or_default().push(row.get(1));
        if row.get(2) {
            found.holders.insert(row.get(1));
        }
    }
    for records in found.records.values_mut() {
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
    for (object, ids) in &found.records {
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
pub(super) async fn remove(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    found: &Found,
    why: StateReason,
) -> Result<Left, StoreError> {
    let mut left = Left::default();
    for (object, ids) in &found.records {
        let of = ObjectKey { object: ObjectId(*object), ..key };
        let records = empty(tx, of, ids, why).await?;
        let (mut items, mut aside) = (0, Vec::new());
        for (id, is_live, file, is_aside) in known(tx, of, ids).await? {
            items += i64::from(is_live == Some(true));
            left.files.extend(file);
            aside.push((id, is_live.is_some(), is_aside));
        }
        try_join_all(
            aside.iter().filter(|(_, is_item, _)| *is_item).map(|(id, ..)| delete(tx, of, ITEM, id)),
        )
        .await?;
        try_join_all(
            aside.iter().filter(|(.., is_aside)| *is_aside).map(|(id, ..)| delete(tx, of, ASIDE, id)),
        )
        .await?;
        left.live.insert(*object, (records, items));
    }
    Ok(left)
}

/// Makes stubs of records; gives how many were live. All of them are here: an upsert finds each by its key alone, where
/// a planner that does not know the tenant would read everything.
async fn empty(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    ids: &[String],
    why: StateReason,
) -> Result<i64, StoreError> {
    // What is gone or out of sight for a reason of its own keeps that.
    const SQL: &str = "-- expiry_records
        INSERT INTO records AS r (tenant_id, connection_id, object_id, record_id, modstamp, read_at, field_set_id, state, reason)
        SELECT $1, $2, $3, k.id, 'epoch', 'epoch', r.field_set_id, 1, $5
          FROM unnest($4::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT field_set_id FROM records
                WHERE connection_id = $2 AND object_id = $3 AND record_id = k.id OFFSET 0) r
         ORDER BY k.id COLLATE \"C\"
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET state = CASE WHEN r.state = 0 THEN 1 ELSE r.state END,
               reason = CASE WHEN r.state = 0 THEN excluded.reason ELSE r.reason END,
               payload = NULL, content_hash = NULL, identities = NULL, was = r.state
        RETURNING was IS NOT DISTINCT FROM 0";
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&key.connection.0, Type::UUID),
                (&key.object.0, Type::INT4),
                (&ids, Type::TEXT_ARRAY),
                (&(why as i16), Type::INT2),
            ],
        )
        .await
        .map_err(StoreError::at("expiry_records"))?;
    Ok(i64::try_from(rows.iter().filter(|row| row.get(0)).count()).unwrap_or(i64::MAX))
}

/// A record that is an item or was set aside: its id, whether it is a live item if it is one, its file, and whether it
/// was set aside.
type Known = (String, Option<bool>, Option<String>, bool);

async fn known(tx: &TenantTx<'_>, key: ObjectKey, ids: &[String]) -> Result<Vec<Known>, StoreError> {
    const SQL: &str = "-- expiry_known
        SELECT k.id, m.state = 0, m.file_id, q.here IS NOT NULL FROM unnest($3::text[]) AS k (id)
          LEFT JOIN LATERAL (
               SELECT state, file_id FROM messages
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) m ON true
          LEFT JOIN LATERAL (
               SELECT true AS here FROM quarantine
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) q ON true
         WHERE m.state IS NOT NULL OR q.here";
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("expiry_known"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect())
}

const ITEM: &str = "-- expiry_messages
    DELETE FROM messages WHERE connection_id = $1 AND object_id = $2 AND record_id = $3";
const ASIDE: &str = "-- expiry_quarantine
    DELETE FROM quarantine WHERE connection_id = $1 AND object_id = $2 AND record_id = $3";
pub(super) const FACET: &str = "-- expiry_facets
    DELETE FROM ticket_facets WHERE connection_id = $1 AND object_id = $2 AND record_id = $3 AND facet IS NOT NULL";

/// Deletes what is kept of one record, by its key and planned anew. Many of these are on their way at once.
pub(super) async fn delete(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    sql: &'static str,
    id: &str,
) -> Result<(), StoreError> {
    tx.sql()
        .execute_typed(
            sql,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&id, Type::TEXT)],
        )
        .await
        .map_err(StoreError::at("expiry_delete"))?;
    Ok(())
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
             CROSS JOIN LATERAL (
                   SELECT FROM messages
                    WHERE connection_id IS NOT DISTINCT FROM $1 AND ticket_record_id = k.id OFFSET 0) m)";
    let ids: Vec<&str> = found.holders.iter().map(String::as_str).collect();
    let row = tx
        .sql()
        .query_typed_one(SQL, &[(&key.connection.0, Type::UUID), (&ids, Type::TEXT_ARRAY)])
        .await
        .map_err(StoreError::at("expiry_any_left"))?;
    Ok(row.get(0))
}
