//! Tickets whose time is over, where a page that lets them go and what was committed meanwhile disagree: nothing is lost
//! by that, for whatever is wanted after all is read once more.

use std::collections::HashSet;

use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::{Applied, TicketRow};
use crate::clock::Timestamp;
use crate::ids::{ObjectId, SalesforceId};
use crate::record::StateReason;
use crate::retention::CutOffs;

/// Of the tickets that the page lets go, those that are active after all: something was said since, or they are held.
/// Under the feed's lock, so that no message slips in between.
pub(super) async fn active_after_all(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    cut_offs: CutOffs,
    tickets: &[(&Applied<'_>, &TicketRow)],
) -> Result<HashSet<String>, StoreError> {
    const SQL: &str = "-- tickets_active_after_all
        SELECT k.id FROM unnest($3::text[], $4::timestamptz[]) AS k (id, record_at)
         CROSS JOIN LATERAL (
               SELECT last_message_at, held FROM tickets
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) t
         WHERE greatest(k.record_at, t.last_message_at) >= CASE WHEN t.held THEN $6 ELSE $5 END";
    let (ids, record_at): (Vec<&str>, Vec<Timestamp>) = tickets
        .iter()
        .filter(|(applied, _)| applied.is_expired())
        .map(|(applied, row)| (applied.id.as_str(), row.record_at))
        .unzip();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[
                (&key.connection.0, Type::UUID),
                (&key.object.0, Type::INT4),
                (&ids, Type::TEXT_ARRAY),
                (&record_at, Type::TIMESTAMPTZ_ARRAY),
                (&cut_offs.ticket, Type::TIMESTAMPTZ),
                (&cut_offs.held, Type::TIMESTAMPTZ),
            ],
        )
        .await
        .map_err(StoreError::at("tickets_active_after_all"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Of these sessions and calls, those that left with their ticket: what is said in them now has nothing to belong to.
pub(super) async fn holders_let_go(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    holders: &[(ObjectId, &str)],
) -> Result<Vec<(ObjectId, String)>, StoreError> {
    let holders = in_state(tx, key, holders, (1, Some(StateReason::Expired as i16))).await?;
    // What is asked for was said inside of the cut-off, or came by a page that did not know better.
    with_live_items(tx, key, holders).await
}

/// Of these sessions and calls, those that are outside of their object's filter, or left with a ticket that is: their page
/// did not know it, and what is said in them is to be looked at once more.
pub(super) async fn holders_filtered(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    holders: &[(ObjectId, &str)],
) -> Result<Vec<String>, StoreError> {
    let holders = in_state(tx, key, holders, (1, Some(StateReason::Filtered as i16))).await?;
    Ok(holders.into_iter().map(|(_, id)| id).collect())
}

/// Of what these items belonged to when their page let them go, what is here again: all of its items are read anew.
pub(super) async fn back_by_now(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    parents: &[(ObjectId, &str)],
) -> Result<Vec<(ObjectId, String)>, StoreError> {
    in_state(tx, key, parents, (0, None)).await
}

/// The rows that let an item go, with what it belonged to.
pub(super) fn let_go<'a>(applied: &'a [Applied<'_>]) -> impl Iterator<Item = SalesforceId> + 'a {
    applied.iter().filter_map(Applied::let_go_of)
}

async fn in_state(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    records: &[(ObjectId, &str)],
    (state, reason): (i16, Option<i16>),
) -> Result<Vec<(ObjectId, String)>, StoreError> {
    const SQL: &str = "-- records_in_state
        SELECT k.object_id, k.id FROM unnest($2::int[], $3::text[]) AS k (object_id, id)
         CROSS JOIN LATERAL (
               SELECT state, reason FROM records
                WHERE connection_id = $1 AND object_id = k.object_id AND record_id = k.id OFFSET 0) r
         WHERE r.state = $4 AND r.reason IS NOT DISTINCT FROM $5";
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let (objects, ids): (Vec<i32>, Vec<&str>) = records.iter().map(|(object, id)| (object.0, *id)).unzip();
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[
                (&key.connection.0, Type::UUID),
                (&objects, Type::INT4_ARRAY),
                (&ids, Type::TEXT_ARRAY),
                (&state, Type::INT2),
                (&reason, Type::INT2),
            ],
        )
        .await
        .map_err(StoreError::at("records_in_state"))?;
    Ok(rows.iter().map(|row| (ObjectId(row.get(0)), row.get(1))).collect())
}

async fn with_live_items(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    holders: Vec<(ObjectId, String)>,
) -> Result<Vec<(ObjectId, String)>, StoreError> {
    const SQL: &str = "-- holders_with_live_items
        SELECT DISTINCT k.id FROM unnest($2::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT state FROM messages
                WHERE connection_id IS NOT DISTINCT FROM $1 AND ticket_record_id = k.id OFFSET 0) m
         WHERE m.state = 0";
    if holders.is_empty() {
        return Ok(holders);
    }
    let ids: Vec<&str> = holders.iter().map(|(_, id)| id.as_str()).collect();
    let rows = tx
        .sql()
        .query_typed(SQL, &[(&key.connection.0, Type::UUID), (&ids, Type::TEXT_ARRAY)])
        .await
        .map_err(StoreError::at("holders_with_live_items"))?;
    let spoken: HashSet<&str> = rows.iter().map(|row| row.get(0)).collect();
    Ok(holders.into_iter().filter(|(_, id)| spoken.contains(id.as_str())).collect())
}
