//! Reads that differ in whether a record is there, without a stamp or a moment that tells which of them is right: the
//! record is looked at once more. Items leave, and come back, with what they belong to, and their stamps stand still.
//!
//! It ends by itself: a look begins after the commit that asked for it, and asks for another only when it differs from
//! what is here by then.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;

use super::super::departures;
use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::{ObjectKey, RecordRow, Written};
use super::super::related::Owner;
use super::gone::has_left;
use super::{Applied, PageCommit, ParentObjects};
use crate::clock::Timestamp;
use crate::record::RecordState;

/// Asks for another look at what the page and what was here before, or what it belongs to, disagree about.
pub(super) async fn look_again(
    tx: &TenantTx<'_>,
    page: &PageCommit<'_>,
    records: &[RecordRow],
    written: &Written,
    applied: &[Applied<'_>],
) -> Result<(), StoreError> {
    let key = ObjectKey { connection: page.lease.connection, object: page.lease.object };
    let flipped = |row: &&Applied<'_>| {
        row.was.is_some_and(|was| (was == 2) != is_gone(row.record)) && written.close.contains(&row.id)
    };
    let mut unsettled: BTreeSet<String> =
        applied.iter().filter(flipped).map(|row| row.id.to_string()).collect();
    unsettled.extend(disagreed(tx, key, records, written).await?);
    if page.lease.params["gone"] == true {
        unsettled.extend(still_with_parent(tx, key, page.parents, applied).await?);
    }
    let unsettled: Vec<&str> = unsettled.iter().map(String::as_str).collect();
    departures::look_again(tx, Owner::from(page.lease), key.object, &unsettled).await
}

fn is_gone(record: &RecordRow) -> bool {
    matches!(record.state, RecordState::Tombstone(_))
}

/// Of the records that an equal or newer read kept out, those of which that read tells the contrary and is not newer for
/// certain.
async fn disagreed(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    records: &[RecordRow],
    written: &Written,
) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "-- records_disagreed
        SELECT k.id FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::bool[]) AS k (id, modstamp, read_at, gone)
         CROSS JOIN LATERAL (
               SELECT modstamp, read_at, state FROM records
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) r
         WHERE r.modstamp = k.modstamp AND (r.state = 2) <> k.gone AND r.read_at <= k.read_at + interval '120 seconds'";
    let kept_out: Vec<&RecordRow> =
        records.iter().filter(|record| !written.was.contains_key(&record.id)).collect();
    if kept_out.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = kept_out.iter().map(|record| record.id.as_str()).collect();
    let stamps: Vec<Timestamp> = kept_out.iter().map(|record| record.order.stamp).collect();
    let read_at: Vec<Timestamp> = kept_out.iter().map(|record| record.order.read_at).collect();
    let gone: Vec<bool> = kept_out.iter().map(|record| is_gone(record)).collect();
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[
                (&key.connection.0, Type::UUID),
                (&key.object.0, Type::INT4),
                (&ids, Type::TEXT_ARRAY),
                (&stamps, Type::TIMESTAMPTZ_ARRAY),
                (&read_at, Type::TIMESTAMPTZ_ARRAY),
                (&gone, Type::BOOL_ARRAY),
            ],
        )
        .await
        .map_err(StoreError::at("records_disagreed"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Of the items that the page takes away because a look found them gone, those that belong to something that was read
/// lately, and is here: it may have come back while they were looked at, and whoever read them with it may have found them
/// unchanged.
async fn still_with_parent(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    parents: &ParentObjects,
    applied: &[Applied<'_>],
) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "-- items_still_with_parent
        SELECT k.id FROM unnest($3::text[], $4::timestamptz[]) AS k (id, read_at)
         CROSS JOIN LATERAL (
               SELECT ticket_record_id AS parent FROM messages
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) m
          JOIN unnest($5::text[], $6::int[]) AS o (prefix, object_id) ON o.prefix = left(m.parent, 3)
         CROSS JOIN LATERAL (
               SELECT state, read_at FROM records
                WHERE connection_id = $1 AND object_id = o.object_id AND record_id = m.parent OFFSET 0) r
         WHERE r.state = 0 AND r.read_at >= k.read_at - interval '120 seconds'";
    // What was gone before is told the same again.
    let bare: Vec<&Applied<'_>> = applied.iter().filter(|row| row.is_bare() && has_left(row)).collect();
    if bare.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = bare.iter().map(|row| row.id.as_str()).collect();
    let read_at: Vec<Timestamp> = bare.iter().map(|row| row.record.order.read_at).collect();
    let (prefixes, objects): (Vec<&str>, Vec<i32>) = parents
        .tickets
        .iter()
        .chain(&parents.holders)
        .map(|(prefix, object)| (prefix.as_str(), object.0))
        .unzip();
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[
                (&key.connection.0, Type::UUID),
                (&key.object.0, Type::INT4),
                (&ids, Type::TEXT_ARRAY),
                (&read_at, Type::TIMESTAMPTZ_ARRAY),
                (&prefixes, Type::TEXT_ARRAY),
                (&objects, Type::INT4_ARRAY),
            ],
        )
        .await
        .map_err(StoreError::at("items_still_with_parent"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
