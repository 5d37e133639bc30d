//! What tickets say of their conversations, and shells for items that came before their ticket.

use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::tickets::{Led, Made};
use crate::catalog::transcript;
use crate::ids::ObjectId;
use crate::record::StateReason;
use crate::retention::CutOffs;

/// Why a shell is a tombstone: its last item was deleted, or went to another ticket or to none, before its own record ever
/// came.
/// Stored; beside the reasons of records, which are smaller.
const EMPTIED: i16 = 21;

/// Aggregates are counted anew from the committed messages of each touched ticket. Counting under the feed's
/// lock gives the same numbers in any commit order and survives moved, deleted and repeated messages, which
/// adding and subtracting would not.
///
/// A ticket whose record never came is a shell as long as it has a live item, and a tombstone once the last one is deleted
/// or moved away: whoever follows the feed learns that it is gone. An item that comes later makes it a shell again, and one
/// that was never seen alive makes none.
///
/// What was said in a session of the ticket counts as the ticket's. Items that announce others are events, which are
/// not counted; nor are files, and nothing else belongs to an e-mail. Of a session that two objects tell of, the entries
/// that a conversation shows are counted: those without words give way, and so does a transcript.
///
/// A shell has no time of its own: without a live message it takes the newest of any item, deleted ones too. `now()`
/// stands for "no item at all"; then the time stays as it was.
///
/// A ticket whose time was over is a shell again once something is said inside of the cut-off: its record is read anew,
/// and all of its items with it. An item from before the cut-off, which came by a page that did not know better, waits
/// there for the ticket's next purge.
///
/// Gives what the statement made, the shells among it, and the tickets that were tombstones before.
pub(super) async fn aggregate(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    mapping_epoch: i64,
    cut_offs: CutOffs,
    first: i64,
    talked: &[(ObjectId, &str)],
) -> Result<(Made, Led), StoreError> {
    const SQL: &str = "-- tickets_aggregate
        WITH touched AS (
            SELECT k.object_id, k.record_id, k.n, t.state AS was, t.reason AS why
              FROM unnest($5::int[], $6::text[]) WITH ORDINALITY AS k (object_id, record_id, n)
              LEFT JOIN LATERAL (
                   SELECT state, reason FROM tickets t
                    WHERE t.connection_id = $2 AND t.object_id = k.object_id AND t.record_id = k.record_id
                    OFFSET 0) t ON true),
        written AS (
            INSERT INTO tickets AS t (tenant_id, connection_id, object_id, record_id, state, reason, messages,
                                      customer_messages, last_message_at, last_activity_at, mapping_epoch, feed_seq,
                                      expired)
            SELECT $1, $2, k.object_id, k.record_id, CASE WHEN a.here = 0 THEN 2 ELSE 1 END,
                   CASE WHEN a.here = 0 THEN $7::int2 END, a.messages, a.inbound, a.last_message_at,
                   coalesce(a.last_message_at, a.last_item_at, now()), $3, $4 + k.n - 1, k.was IS NOT NULL AND a.here = 0
              FROM touched k
             CROSS JOIN LATERAL (
                   SELECT count(*) FILTER (WHERE m.state = 0 AND m.kind NOT IN ('event', 'file')) AS messages,
                          count(*) FILTER (WHERE m.state = 0 AND m.direction = 'inbound') AS inbound,
                          max(m.sent_at) FILTER (WHERE m.state = 0 AND m.kind NOT IN ('event', 'file')) AS last_message_at,
                          max(m.sent_at) AS last_item_at, count(*) FILTER (WHERE m.state = 0) AS here
                     FROM (SELECT state, kind, direction, sent_at FROM messages
                            WHERE connection_id IS NOT DISTINCT FROM $2 AND ticket_record_id = k.record_id
                           UNION ALL
                           SELECT i.state, i.kind, i.direction, i.sent_at FROM messages s
                            CROSS JOIN LATERAL (
                                  SELECT state, kind, direction, sent_at, object_id, record_id, characters FROM messages
                                   WHERE connection_id IS NOT DISTINCT FROM $2 AND ticket_record_id = s.record_id
                                   OFFSET 0) i
                            WHERE s.connection_id IS NOT DISTINCT FROM $2 AND s.ticket_record_id = k.record_id
                              AND s.holds AND s.kind <> 'email' AND s.state = 0
                              AND (i.kind <> 'entry' OR (i.characters > 0 AND left(i.record_id, 3) <> $11)
                                   OR NOT EXISTS (
                                      SELECT FROM messages t
                                       WHERE t.connection_id IS NOT DISTINCT FROM $2
                                         AND t.ticket_record_id = s.record_id AND t.kind = 'entry'
                                         AND t.characters > 0 AND t.object_id <> i.object_id AND t.state = 0))) m) a
             WHERE a.here > 0 OR k.was IS NOT NULL
            ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
               SET state = CASE WHEN t.state = 1 OR t.reason = $7 OR (t.reason = $8 AND excluded.last_message_at >= CASE WHEN t.held THEN $10 ELSE $9 END)
                                THEN excluded.state ELSE t.state END,
                   reason = CASE WHEN t.state = 1 OR t.reason = $7 OR (t.reason = $8 AND excluded.last_message_at >= CASE WHEN t.held THEN $10 ELSE $9 END)
                                 THEN excluded.reason ELSE t.reason END,
                   messages = excluded.messages, customer_messages = excluded.customer_messages,
                   -- Of a conversation that was let go, when it was held is all that is left.
                   last_message_at = CASE WHEN t.reason = $8 THEN greatest(t.last_message_at, excluded.last_message_at)
                                          ELSE excluded.last_message_at END,
                   last_activity_at = coalesce(greatest(t.record_at, excluded.last_message_at,
                                                        CASE WHEN t.reason = $8 THEN t.last_message_at END),
                                               nullif(excluded.last_activity_at, now()), t.last_activity_at),
                   feed_seq = excluded.feed_seq, expired = t.expired AND excluded.expired
            RETURNING object_id, record_id, state)
        SELECT count(*) FILTER (WHERE w.state = 0) - count(*) FILTER (WHERE k.was = 0),
               count(*) FILTER (WHERE w.state = 1) - count(*) FILTER (WHERE k.was = 1),
               coalesce(array_agg(object_id) FILTER (WHERE w.state = 1 AND k.was IS DISTINCT FROM 1), '{}'),
               coalesce(array_agg(record_id) FILTER (WHERE w.state = 1 AND k.was IS DISTINCT FROM 1), '{}'),
               coalesce(array_agg(record_id) FILTER (WHERE k.was = 2 AND k.why > 10 AND k.why <> $7), '{}')
          FROM written w JOIN touched k USING (object_id, record_id)";
    let objects: Vec<i32> = talked.iter().map(|(object, _)| object.0).collect();
    let records: Vec<&str> = talked.iter().map(|(_, record)| *record).collect();
    let row = tx
        .sql()
        .query_typed_one(
            SQL,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&key.connection.0, Type::UUID),
                (&mapping_epoch, Type::INT8),
                (&first, Type::INT8),
                (&objects, Type::INT4_ARRAY),
                (&records, Type::TEXT_ARRAY),
                (&EMPTIED, Type::INT2),
                (&(StateReason::Expired as i16), Type::INT2),
                (&cut_offs.ticket, Type::TIMESTAMPTZ),
                (&cut_offs.held, Type::TIMESTAMPTZ),
                (&transcript::KEY_PREFIX, Type::TEXT),
            ],
        )
        .await
        .map_err(StoreError::at("tickets_aggregate"))?;
    let new_shells = row.get::<_, Vec<i32>>(2).into_iter().map(ObjectId).zip(row.get::<_, Vec<String>>(3));
    Ok((Made::of(&row), Led { wanted: new_shells.collect(), gone: row.get(4) }))
}
