//! What is to be projected anew next, in the order of keys.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::{Database, TenantTx};
use super::super::records::ObjectKey;
use crate::ids::{ConnectionId, ObjectId, TenantId};
use crate::tenant::TenantScope;

/// Rows that one look passes, at most.
const LOOK: i64 = 20_000;

/// The next of a walk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Next {
    /// The records, in key order.
    pub ids: Vec<String>,
    /// Everything up to here was looked at; none at the end of all.
    pub upto: Option<String>,
}

/// Tickets of an object after this one, that were projected under an older version than this: live ones, shells and
/// tombstones alike.
pub async fn tickets_next(
    db: &Database,
    tenant: TenantId,
    key: ObjectKey,
    (after, version, most): (&str, i64, i64),
) -> Result<Next, StoreError> {
    const SQL: &str = "-- reproject_tickets
        SELECT record_id FROM (
            SELECT record_id, mapping_epoch FROM tickets
             WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id > $4
             ORDER BY record_id LIMIT $5) t
         WHERE mapping_epoch < $6 LIMIT $7";
    const UPTO: &str = "-- reproject_tickets_upto
        SELECT max(record_id), count(*) FROM (
            SELECT record_id FROM tickets
             WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id > $4
             ORDER BY record_id LIMIT $5) t";
    let scope = TenantScope::leased(tenant);
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &scope).await?;
    walk_by_key(&tx).await?;
    let rows = tx
        .sql()
        .query(SQL, &[&tenant.0, &key.connection.0, &key.object.0, &after, &LOOK, &version, &most])
        .await
        .map_err(StoreError::at("reproject_tickets"))?;
    let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let upto = if i64::try_from(ids.len()).is_ok_and(|found| found == most) {
        ids.last().cloned()
    } else {
        let row = tx
            .sql()
            .query_one(UPTO, &[&tenant.0, &key.connection.0, &key.object.0, &after, &LOOK])
            .await
            .map_err(StoreError::at("reproject_tickets_upto"))?;
        row.get::<_, Option<String>>(0).filter(|_| row.get::<_, i64>(1) == LOOK)
    };
    tx.commit().await?;
    Ok(Next { ids, upto })
}

/// Records of an object after this one, but for items that a ticket took along which is of this version already.
pub async fn records_next(
    db: &Database,
    tenant: TenantId,
    key: ObjectKey,
    (tickets, version): (&[ObjectId], i64),
    (after, most): (&str, i64),
) -> Result<Next, StoreError> {
    const SQL: &str = "-- reproject_records
        SELECT r.record_id, s.here IS NULL AND r.state = 0
          FROM (SELECT record_id, state FROM records
                 WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id > $4
                 ORDER BY record_id LIMIT $5) r
          LEFT JOIN LATERAL (
               SELECT true AS here FROM messages m
                CROSS JOIN unnest($6::int[]) AS o (id)
                CROSS JOIN LATERAL (
                      SELECT mapping_epoch FROM tickets
                       WHERE connection_id = $2 AND object_id = o.id AND record_id = m.ticket_record_id OFFSET 0) t
                WHERE m.connection_id = $2 AND m.object_id = $3 AND m.record_id = r.record_id
                  AND t.mapping_epoch >= $7 LIMIT 1) s ON true";
    let scope = TenantScope::leased(tenant);
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &scope).await?;
    walk_by_key(&tx).await?;
    let objects: Vec<i32> = tickets.iter().map(|object| object.0).collect();
    let rows = tx
        .sql()
        .query(SQL, &[&tenant.0, &key.connection.0, &key.object.0, &after, &most, &objects, &version])
        .await
        .map_err(StoreError::at("reproject_records"))?;
    tx.commit().await?;
    let mut ids: Vec<String> = rows.iter().filter(|row| row.get(1)).map(|row| row.get(0)).collect();
    ids.sort_unstable();
    let is_full = i64::try_from(rows.len()).is_ok_and(|found| found == most);
    let last = rows.iter().map(|row| row.get::<_, &str>(0)).max().map(str::to_owned);
    Ok(Next { ids, upto: last.filter(|_| is_full) })
}

/// Items of stale objects that belong to these tickets, however deep, by ticket and object. What one ticket has is given
/// whole; of several, as many of the first as have no more than so many items together. Gives how many tickets those are.
pub async fn items_of(
    db: &Database,
    tenant: TenantId,
    connection: ConnectionId,
    tickets: &[String],
    (stale, most): (&[ObjectId], usize),
) -> Result<(usize, BTreeMap<ObjectId, Vec<String>>), StoreError> {
    const SQL: &str = "-- reproject_items
        WITH RECURSIVE items AS (
            SELECT k.id AS ticket, m.* FROM unnest($2::text[]) AS k (id)
             CROSS JOIN LATERAL (
                   SELECT object_id, record_id, holds FROM messages
                    WHERE connection_id IS NOT DISTINCT FROM $1 AND ticket_record_id = k.id OFFSET 0) m
            UNION
            SELECT i.ticket, m.* FROM items i
             CROSS JOIN LATERAL (
                   SELECT object_id, record_id, holds FROM messages
                    WHERE connection_id IS NOT DISTINCT FROM $1 AND ticket_record_id = i.record_id OFFSET 0) m
             WHERE i.holds)
        SELECT ticket, object_id, record_id FROM items WHERE object_id = ANY ($3) ORDER BY ticket";
    if stale.is_empty() {
        return Ok((tickets.len(), BTreeMap::new()));
    }
    let scope = TenantScope::leased(tenant);
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &scope).await?;
    let objects: Vec<i32> = stale.iter().map(|object| object.0).collect();
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[(&connection.0, Type::UUID), (&tickets, Type::TEXT_ARRAY), (&objects, Type::INT4_ARRAY)],
        )
        .await
        .map_err(StoreError::at("reproject_items"))?;
    tx.commit().await?;
    let mut of: BTreeMap<&str, Vec<(i32, &str)>> = BTreeMap::new();
    for row in &rows {
        of.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    let (mut taken, mut items) = (0, BTreeMap::<ObjectId, Vec<String>>::new());
    let mut room = most;
    for (place, ticket) in tickets.iter().enumerate() {
        let its = of.get(ticket.as_str()).map_or(&[][..], Vec::as_slice);
        if place > 0 && its.len() > room {
            break;
        }
        room = room.saturating_sub(its.len());
        taken += 1;
        for (object, id) in its {
            items.entry(ObjectId(*object)).or_default().push((*id).to_owned());
        }
    }
    for ids in items.values_mut() {
        ids.sort_unstable();
        ids.dedup();
    }
    Ok((taken, items))
}

/// Statistics may not know the tenant; a planner then sorts all that it has, over and over.
async fn walk_by_key(tx: &TenantTx<'_>) -> Result<(), StoreError> {
    const SQL: &str = "-- reproject_walk_by_key
        SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
               set_config('enable_sort', 'off', true)";
    tx.sql().query_one(SQL, &[]).await.map_err(StoreError::at("reproject_walk_by_key"))?;
    Ok(())
}
