//! The tickets themselves: which are due, and how they leave the feed's readers.

use futures_util::future::try_join_all;
use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::Expire;
use super::items::{FACET, delete};
use crate::record::StateReason;
use crate::retention::CutOffs;

/// What goes now for the reason that the job has in hand.
pub(super) async fn due(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    cut_offs: CutOffs,
    expire: &Expire<'_>,
) -> Result<Vec<String>, StoreError> {
    if expire.why == StateReason::Filtered {
        filtered(tx, key, expire).await
    } else {
        over(tx, key, cut_offs, expire).await
    }
}

/// Tickets outside of the filter that are marked as ones of which something may be here.
async fn filtered(tx: &TenantTx<'_>, key: ObjectKey, expire: &Expire<'_>) -> Result<Vec<String>, StoreError> {
    // The number of the reason stands in the text, as it does in the index.
    const SQL: &str = "-- expiry_filtered
        SELECT record_id FROM tickets
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND reason = 1 AND NOT expired LIMIT $4";
    let rows = tx
        .sql()
        .query(SQL, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &expire.each])
        .await
        .map_err(StoreError::at("expiry_filtered"))?;
    let mut due: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    due.sort_unstable();
    Ok(due)
}

/// Tickets whose time is over, those of longest ago first. Also tombstones, of which values are here, and tickets of
/// which items came after they had left.
async fn over(
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
/// when one of them is to stay by now: its time is not over any more, or the filter holds of it again. A tombstone keeps the reason that it has.
pub(super) async fn leave(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    (why, cut_offs): (StateReason, CutOffs),
    due: &[String],
) -> Result<Option<i64>, StoreError> {
    const ADVANCE: &str = "-- expiry_feed_advance
        UPDATE tenant_feed SET head = head + $2 WHERE tenant_id = $1 RETURNING head - $2 + 1";
    // All of them are here: an upsert finds each by its key alone.
    const SQL: &str = "-- expiry_tickets
        WITH was AS MATERIALIZED (
            SELECT k.id, k.n, t.state FROM unnest($4::text[]) WITH ORDINALITY AS k (id, n)
             CROSS JOIN LATERAL (
                   SELECT state FROM tickets
                    WHERE connection_id = $2 AND object_id = $3 AND record_id = k.id OFFSET 0) t),
        gone AS (
            INSERT INTO tickets AS t (tenant_id, connection_id, object_id, record_id, state, reason, last_activity_at,
                                      mapping_epoch, feed_seq)
            SELECT $1, $2, $3, w.id, 2, $7, 'epoch', 0, $8 + w.n - 1 FROM was w
            ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
               SET state = 2, reason = CASE WHEN t.state = 2 THEN t.reason ELSE excluded.reason END, number = NULL,
                   status = NULL, priority = NULL, channel = NULL, owner_id = NULL, contact_id = NULL,
                   opened_at = NULL, closed_at = NULL, messages = 0, customer_messages = 0, fields = NULL,
                   expired = true, feed_seq = excluded.feed_seq
             WHERE NOT t.expired AND CASE WHEN $7 = 1 THEN t.state = 2 AND t.reason = 1
                                          ELSE t.last_activity_at < CASE WHEN t.held THEN $6 ELSE $5 END END
            RETURNING t.record_id),
        counted AS (
            SELECT count(*) AS gone, count(*) FILTER (WHERE w.state = 0) AS live,
                   count(*) FILTER (WHERE w.state = 1) AS shells
              FROM gone g JOIN was w ON w.id = g.record_id),
        kept AS (
            UPDATE tenant_feed f SET tickets = f.tickets - c.live, shells = f.shells - c.shells
              FROM counted c WHERE f.tenant_id = $1)
        SELECT gone, live + shells FROM counted";
    let (tenant, changes) = (tx.scope().tenant().0, i64::try_from(due.len()).unwrap_or(i64::MAX));
    let first: i64 = tx
        .sql()
        .query_one(ADVANCE, &[&tenant, &changes])
        .await
        .map_err(StoreError::at("expiry_feed_advance"))?
        .get(0);
    let row = tx
        .sql()
        .query_typed_one(
            SQL,
            &[
                (&tenant, Type::UUID),
                (&key.connection.0, Type::UUID),
                (&key.object.0, Type::INT4),
                (&due, Type::TEXT_ARRAY),
                (&cut_offs.ticket, Type::TIMESTAMPTZ),
                (&cut_offs.held, Type::TIMESTAMPTZ),
                (&(why as i16), Type::INT2),
                (&first, Type::INT8),
            ],
        )
        .await
        .map_err(StoreError::at("expiry_tickets"))?;
    try_join_all(due.iter().map(|id| delete(tx, key, FACET, id))).await?;
    Ok((row.get::<_, i64>(0) == changes).then(|| row.get(1)))
}
