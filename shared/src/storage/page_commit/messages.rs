//! Items of conversations, and which tickets they touch.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::Applied;
use crate::ids::ObjectId;
use crate::record::RecordState;
use crate::ticket::MessageRow;

/// What the page's messages change.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// The records they belong to now and the ones they belonged to before. Not each of them is a ticket, yet or ever.
    pub(super) tickets: BTreeSet<String>,
    /// How many live items more there are; negative for fewer.
    pub(super) items: i64,
    /// Files that its items named before.
    pub(super) files: BTreeSet<String>,
}

/// Writes the page's messages.
pub(super) async fn upsert(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    applied: &[Applied<'_>],
) -> Result<Touched, StoreError> {
    let messages: Vec<(&Applied<'_>, &MessageRow)> =
        applied.iter().filter_map(|row| Some((row, row.message()?))).collect();
    let unlinked: Vec<&str> =
        applied.iter().filter(|row| row.is_no_item()).map(|row| row.id.as_str()).collect();
    let has_bare = applied.iter().any(Applied::is_bare);
    if messages.is_empty() && unlinked.is_empty() && !has_bare {
        return Ok(Touched::default());
    }
    let mut touched = former_tickets(tx, key, applied).await?;
    touched.tickets.extend(messages.iter().map(|(_, row)| row.ticket_record.to_string()));
    let live = messages.iter().filter(|(applied, _)| applied.record.state == RecordState::Live).count();
    touched.items += i64::try_from(live).unwrap_or(i64::MAX);
    if !unlinked.is_empty() {
        unlink(tx, key, &unlinked).await?;
    }
    if !messages.is_empty() {
        write(tx, key, &messages).await?;
    }
    Ok(touched)
}

/// Where the page's messages were, and that they count there no more. The record's row is locked by its upsert, so
/// nobody else moves these messages meanwhile. New records were nowhere.
async fn former_tickets(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    applied: &[Applied<'_>],
) -> Result<Touched, StoreError> {
    const SQL: &str = "-- messages_former_tickets
        SELECT m.ticket_record_id, count(*) FILTER (WHERE m.state = 0),
               array_agg(m.file_id) FILTER (WHERE m.state = 0 AND m.file_id IS NOT NULL)
          FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT ticket_record_id, state, file_id FROM messages
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) m
         GROUP BY m.ticket_record_id";
    let ids: Vec<&str> = applied.iter().filter(|row| !row.is_new()).map(|row| row.id.as_str()).collect();
    if ids.is_empty() {
        return Ok(Touched::default());
    }
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("messages_former_tickets"))?;
    Ok(Touched {
        tickets: rows.iter().map(|row| row.get(0)).collect(),
        items: -rows.iter().map(|row| row.get::<_, i64>(1)).sum::<i64>(),
        files: rows.iter().filter_map(|row| row.get::<_, Option<Vec<String>>>(2)).flatten().collect(),
    })
}

async fn unlink(tx: &TenantTx<'_>, key: ObjectKey, ids: &[&str]) -> Result<(), StoreError> {
    const SQL: &str = "-- messages_unlink
        DELETE FROM messages
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY($4)";
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("messages_unlink"))?;
    tx.sql()
        .execute(&statement, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids])
        .await
        .map_err(StoreError::at("messages_unlink"))?;
    Ok(())
}

async fn write<'a>(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    messages: &[(&Applied<'_>, &'a MessageRow)],
) -> Result<(), StoreError> {
    const SQL: &str = "-- messages_upsert
        INSERT INTO messages (tenant_id, connection_id, object_id, record_id, ticket_record_id, state, kind,
                              direction, public, author_id, sent_at, characters, same_as, holds, file_id)
        SELECT $1, $2, $3, m.*
          FROM unnest($4::text[], $5::text[], $6::int2[], $7::text[], $8::text[], $9::bool[], $10::text[],
                      $11::timestamptz[], $12::int[], $13::text[], $14::bool[], $15::text[])
               AS m (record_id, ticket_record_id, state, kind, direction, public, author_id, sent_at, characters,
                     same_as, holds, file_id)
         ORDER BY m.record_id COLLATE \"C\"
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET ticket_record_id = excluded.ticket_record_id, state = excluded.state, kind = excluded.kind,
               direction = excluded.direction, public = excluded.public,
               author_id = excluded.author_id, sent_at = excluded.sent_at, characters = excluded.characters,
               same_as = excluded.same_as, holds = excluded.holds, file_id = excluded.file_id";
    let rows = || messages.iter().map(|(_, row)| *row);
    let ids: Vec<&str> = messages.iter().map(|(applied, _)| applied.id.as_str()).collect();
    let ticket_records: Vec<&str> = rows().map(|row| row.ticket_record.as_str()).collect();
    let states: Vec<i16> = messages.iter().map(|(applied, _)| visible_state(applied.record.state)).collect();
    let kinds: Vec<&str> = rows().map(|row| row.kind.word()).collect();
    let directions: Vec<&str> = rows().map(|row| row.direction).collect();
    let public: Vec<bool> = rows().map(|row| row.public).collect();
    let author = |(applied, row): &(&Applied<'_>, &'a MessageRow)| -> Option<&'a str> {
        row.author_id.as_deref().filter(|_| applied.shows_values())
    };
    let authors: Vec<Option<&str>> = messages.iter().map(author).collect();
    let sent_at: Vec<_> = rows().map(|row| row.sent_at).collect();
    let characters: Vec<i32> = rows().map(|row| row.characters).collect();
    let same_as: Vec<Option<&str>> = rows().map(|row| row.same_as.as_deref()).collect();
    let holds: Vec<bool> = rows().map(|row| row.holds).collect();
    let files: Vec<Option<&str>> = rows().map(|row| row.file.as_ref().map(|file| file.id.as_str())).collect();
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("messages_upsert"))?;
    tx.sql()
        .execute(
            &statement,
            &[
                &tx.scope().tenant().0,
                &key.connection.0,
                &key.object.0,
                &ids,
                &ticket_records,
                &states,
                &kinds,
                &directions,
                &public,
                &authors,
                &sent_at,
                &characters,
                &same_as,
                &holds,
                &files,
            ],
        )
        .await
        .map_err(StoreError::at("messages_upsert"))?;
    Ok(())
}

/// An item that holds others.
pub(super) struct Holder {
    /// Its id.
    pub(super) id: String,
    /// The record to which it belongs.
    pub(super) ticket: String,
    /// It is not shown any more.
    pub(super) has_left: bool,
}

/// The given ones, as far as they are items that hold others: sessions, calls, chats.
pub(super) async fn holders_tickets(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    holders: &[(ObjectId, &str)],
) -> Result<Vec<Holder>, StoreError> {
    const SQL: &str = "-- messages_holders_tickets
        SELECT k.id, m.ticket_record_id, m.state = 2 FROM unnest($2::int[], $3::text[]) AS k (object_id, id)
         CROSS JOIN LATERAL (
               SELECT ticket_record_id, state FROM messages
                WHERE connection_id = $1 AND object_id = k.object_id AND record_id = k.id OFFSET 0) m";
    let objects: Vec<i32> = holders.iter().map(|(object, _)| object.0).collect();
    let ids: Vec<&str> = holders.iter().map(|(_, id)| *id).collect();
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[(&key.connection.0, Type::UUID), (&objects, Type::INT4_ARRAY), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("messages_holders_tickets"))?;
    let holder = |row: &Row| Holder { id: row.get(0), ticket: row.get(1), has_left: row.get(2) };
    Ok(rows.iter().map(holder).collect())
}

/// A conversation shows what is live; stubs and tombstones are gone from it alike.
pub(super) fn visible_state(state: RecordState) -> i16 {
    match state {
        RecordState::Live => 0,
        RecordState::Stub(_) | RecordState::Tombstone(_) => 2,
    }
}
