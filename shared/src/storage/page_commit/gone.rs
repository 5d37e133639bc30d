//! Records of which nothing is told but that they are gone: what is here of them changes its state and keeps its values,
//! for a record may be deleted with its fields emptied, and lists of deletions tell ids alone.

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::Applied;
use super::tickets::ticket_state;
use crate::clock::Timestamp;
use crate::ids::SalesforceId;
use crate::record::RecordState;

/// Takes items and people out of sight. Of a stub no value may stay that names anybody.
pub(super) async fn items_and_people(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    applied: &[Applied<'_>],
) -> Result<(), StoreError> {
    const MESSAGES: &str = "-- messages_gone
        UPDATE messages SET state = 2, author_id = CASE WHEN record_id = ANY($5) THEN author_id END
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY($4)";
    const AGENTS: &str = "-- agents_gone
        UPDATE agents SET state = 2, email_token = CASE WHEN record_id = ANY($5) THEN email_token END
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY($4)";
    const CUSTOMERS: &str = "-- customers_gone
        UPDATE customers SET state = 2, email_token = CASE WHEN record_id = ANY($5) THEN email_token END
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY($4)";
    let bare = || applied.iter().filter(|row| row.is_bare());
    let ids: Vec<&str> = bare().map(|row| row.id.as_str()).collect();
    let keeping: Vec<&str> = bare().filter(|row| row.shows_values()).map(|row| row.id.as_str()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for (name, sql) in [("messages_gone", MESSAGES), ("agents_gone", AGENTS), ("customers_gone", CUSTOMERS)] {
        let statement = tx.sql().prepare_cached(sql).await.map_err(StoreError::at(name))?;
        tx.sql()
            .execute(&statement, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids, &keeping])
            .await
            .map_err(StoreError::at(name))?;
    }
    Ok(())
}

/// Makes tombstones of tickets, under the feed's lock and with numbers from `first` on. A stub's values go; its reasons
/// are the smaller numbers. Of one that is outside of its filter and was no ticket here nothing is, unless it is `awaited`.
pub(super) async fn tickets(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    mapping_epoch: i64,
    first: i64,
    (bare, awaited): (&[&Applied<'_>], &[String]),
) -> Result<(), StoreError> {
    const SQL: &str = "-- tickets_gone
        INSERT INTO tickets AS t (tenant_id, connection_id, object_id, record_id, state, reason, merged_into,
                                  last_activity_at, mapping_epoch, feed_seq, expired)
        SELECT $1, $2, $3, i.id, 2, i.reason, i.merged_into, i.stamp, $4, $5 + i.n - 1, i.reason = 1 AND i.id <> ALL ($10::text[])
          FROM unnest($6::text[], $7::int2[], $8::text[], $9::timestamptz[])
               WITH ORDINALITY AS i (id, reason, merged_into, stamp, n)
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET state = 2, reason = excluded.reason, merged_into = excluded.merged_into, feed_seq = excluded.feed_seq,
               number = CASE WHEN excluded.reason > 10 THEN t.number END,
               status = CASE WHEN excluded.reason > 10 THEN t.status END,
               priority = CASE WHEN excluded.reason > 10 THEN t.priority END,
               channel = CASE WHEN excluded.reason > 10 THEN t.channel END,
               owner_id = CASE WHEN excluded.reason > 10 THEN t.owner_id END,
               contact_id = CASE WHEN excluded.reason > 10 THEN t.contact_id END,
               opened_at = CASE WHEN excluded.reason > 10 THEN t.opened_at END,
               closed_at = CASE WHEN excluded.reason > 10 THEN t.closed_at END";
    const FACETS: &str = "-- ticket_facets_gone
        DELETE FROM ticket_facets
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY($4)";
    let ids: Vec<&str> = bare.iter().map(|row| row.id.as_str()).collect();
    let reasons: Vec<Option<i16>> = bare.iter().map(|row| ticket_state(row.record.state).1).collect();
    let merged: Vec<Option<&str>> =
        bare.iter().map(|row| row.row.merged_into.as_ref().map(SalesforceId::as_str)).collect();
    let stamps: Vec<Timestamp> = bare.iter().map(|row| row.record.order.stamp).collect();
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("tickets_gone"))?;
    tx.sql()
        .execute(
            &statement,
            &[
                &tx.scope().tenant().0,
                &key.connection.0,
                &key.object.0,
                &mapping_epoch,
                &first,
                &ids,
                &reasons,
                &merged,
                &stamps,
                &awaited,
            ],
        )
        .await
        .map_err(StoreError::at("tickets_gone"))?;
    // Nobody filters by what is gone; a ticket that comes back brings its facets.
    let statement = tx.sql().prepare_cached(FACETS).await.map_err(StoreError::at("ticket_facets_gone"))?;
    tx.sql()
        .execute(&statement, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids])
        .await
        .map_err(StoreError::at("ticket_facets_gone"))?;
    Ok(())
}

/// Whether a record left with this write: it was here, live or as a stub, and is a tombstone now; or was never here.
pub(super) fn has_left(row: &Applied<'_>) -> bool {
    matches!(row.record.state, RecordState::Tombstone(_)) && row.was != Some(2)
}
