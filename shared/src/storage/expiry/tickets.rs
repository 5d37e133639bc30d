//! The tickets themselves: which are due, and how they leave the feed's readers.

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::Expire;
use crate::record::StateReason;
use crate::retention::CutOffs;

/// Tickets whose time is over, those of longest ago first. Also tombstones, of which values are here, and tickets of
/// which items came after they had left.
pub(super) async fn due(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    cut_offs: CutOffs,
    expire: &Expire<'_>,
) -> Result<Vec<String>, StoreError> {
    // A branch a class, so that each walks its own range of the index.
    const SQL: &str = "-- expiry_due
        SELECT record_id FROM (
            (SELECT record_id, last_activity_at FROM tickets
              WHERE tenant_id = $1 AND NOT expired AND NOT held AND last_activity_at < $4
                AND connection_id = $2 AND object_id = $3 AND (state <> 1 OR $6)
              ORDER BY last_activity_at LIMIT $7)
            UNION ALL
            (SELECT record_id, last_activity_at FROM tickets
              WHERE tenant_id = $1 AND NOT expired AND held AND last_activity_at < $5
                AND connection_id = $2 AND object_id = $3 AND (state <> 1 OR $6)
              ORDER BY last_activity_at LIMIT $7)) due
         ORDER BY last_activity_at LIMIT $7";
    let rows = tx
        .sql()
        .query(
            SQL,
            &[
                &tx.scope().tenant().0,
                &key.connection.0,
                &key.object.0,
                &cut_offs.ticket,
                &cut_offs.held,
                &expire.shells,
                &expire.each,
            ],
        )
        .await
        .map_err(StoreError::at("expiry_due"))?;
    let mut due: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    due.sort_unstable();
    Ok(due)
}

/// Takes the tickets' values away and tells the feed, under its lock; gives how many were live or awaited, and `None`
/// when the time of one of them is not over any more. A tombstone keeps the reason that it has.
pub(super) async fn leave(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    cut_offs: CutOffs,
    due: &[String],
) -> Result<Option<i64>, StoreError> {
    const ADVANCE: &str = "-- expiry_feed_advance
        UPDATE tenant_feed SET head = head + $2 WHERE tenant_id = $1 RETURNING head - $2 + 1";
    const SQL: &str = "-- expiry_tickets
        WITH was AS MATERIALIZED (
            SELECT record_id, state FROM tickets
             WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY ($4)),
        gone AS (
            UPDATE tickets t
               SET state = 2, reason = CASE WHEN t.state = 2 THEN t.reason ELSE $7::int2 END, number = NULL,
                   status = NULL, priority = NULL, channel = NULL, owner_id = NULL, contact_id = NULL,
                   opened_at = NULL, closed_at = NULL, messages = 0, customer_messages = 0, fields = NULL,
                   expired = true, feed_seq = $8::bigint + array_position($4, t.record_id) - 1
             WHERE t.tenant_id = $1 AND t.connection_id = $2 AND t.object_id = $3 AND t.record_id = ANY ($4)
               AND NOT t.expired AND t.last_activity_at < CASE WHEN t.held THEN $6::timestamptz ELSE $5::timestamptz END
            RETURNING t.record_id),
        counted AS (
            SELECT count(*) AS gone, count(*) FILTER (WHERE w.state = 0) AS live,
                   count(*) FILTER (WHERE w.state = 1) AS shells
              FROM gone JOIN was w USING (record_id)),
        kept AS (
            UPDATE tenant_feed f SET tickets = tickets - c.live, shells = shells - c.shells
              FROM counted c WHERE f.tenant_id = $1)
        SELECT gone, live + shells FROM counted";
    const FACETS: &str = "-- expiry_facets
        DELETE FROM ticket_facets
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY ($4)";
    let (tenant, changes) = (tx.scope().tenant().0, i64::try_from(due.len()).unwrap_or(i64::MAX));
    let first: i64 = tx
        .sql()
        .query_one(ADVANCE, &[&tenant, &changes])
        .await
        .map_err(StoreError::at("expiry_feed_advance"))?
        .get(0);
    let row = tx
        .sql()
        .query_one(
            SQL,
            &[
                &tenant,
                &key.connection.0,
                &key.object.0,
                &due,
                &cut_offs.ticket,
                &cut_offs.held,
                &(StateReason::Expired as i16),
                &first,
            ],
        )
        .await
        .map_err(StoreError::at("expiry_tickets"))?;
    tx.sql()
        .execute(FACETS, &[&tenant, &key.connection.0, &key.object.0, &due])
        .await
        .map_err(StoreError::at("expiry_facets"))?;
    Ok((row.get::<_, i64>(0) == changes).then(|| row.get(1)))
}
