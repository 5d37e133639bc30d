//! A ticket's conversation in the order it was held.

use std::sync::Arc;

// Moments by their own name, which the API's description knows.
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use utoipa::ToSchema;

use super::RecordKey;
use super::authors::Authors;
use super::opened::{Opener, record_key, sealed};
use crate::catalog::{FileFacts, MessageFields, Projection, transcript};
use crate::crypto::TenantKeys;
use crate::record::canonical::CanonicalRecord;
use crate::storage::files::BodyState;
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// One item: a message or an event; the API shows it as it is, with an id instead of the key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Item {
    /// Its own record.
    #[serde(skip)]
    pub key: RecordKey,
    /// `comment`, `email`, `post`, `chat`, `entry`, `call`, `file` or `event`.
    pub kind: String,
    /// `inbound`, `outbound` or `internal`.
    pub direction: String,
    /// Whether the customer may read it.
    pub public: bool,
    /// A Salesforce id, where the author is one.
    pub author_id: Option<String>,
    /// The author as the record says: a name or an address.
    pub author: Option<String>,
    /// `agent` or `customer`, where the author is known as one.
    pub author_is: Option<&'static str>,
    /// When it was said.
    pub sent_at: DateTime<Utc>,
    /// The session, call or chat that it is a part of, as a Salesforce id.
    pub part_of: Option<String>,
    /// Its subject line, opened.
    pub subject: Option<String>,
    /// What ties messages of one thread together.
    pub thread: Option<String>,
    /// Its plain text, opened.
    pub text: Option<String>,
    /// Its text as HTML, as it came: whoever shows it must make it harmless first.
    pub html: Option<String>,
    /// The file that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<ItemFile>,
}

/// A file of a conversation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ItemFile {
    /// The record that has its body, as a Salesforce id.
    pub id: String,
    /// Its name, opened.
    pub name: Option<String>,
    /// Its media type, as Salesforce has it.
    pub media_type: Option<String>,
    /// Length of its body in bytes.
    pub bytes: Option<u64>,
    /// `wanted`, `stored`, `left_out` or `not_there`.
    pub body: &'static str,
    /// Why there is no body: `no_bodies`, `too_large`, `type_not_kept`; `not_found`, `no_access`, `failed`.
    pub reason: Option<String>,
}

/// A place in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemCursor {
    /// When the last item of the page before was said.
    pub sent_at: DateTime<Utc>,
    /// Its key.
    pub key: RecordKey,
}

/// Live items ordered by (sent at, object, id), after the cursor: the ticket's own and those of its sessions, each once
/// where two channels tell of the same.
pub async fn conversation_list(
    db: &Database,
    scope: &TenantScope,
    keys: Arc<TenantKeys>,
    ticket: RecordKey,
    after: Option<ItemCursor>,
    limit: u16,
) -> Result<Vec<Item>, StoreError> {
    const SQL: &str = "-- conversation_list
        SELECT m.connection_id, m.object_id, m.record_id, m.kind, m.direction, m.public, m.author_id, m.sent_at,
               r.field_set_id, r.payload, nullif(m.ticket_record_id, $3), m.file_id, f.state, f.reason
          FROM messages m
          LEFT JOIN files f ON f.tenant_id = m.tenant_id AND f.connection_id = m.connection_id AND f.file_id = m.file_id
          LEFT JOIN records r ON r.tenant_id = m.tenant_id AND r.connection_id = m.connection_id
               AND r.object_id = m.object_id AND r.record_id = m.record_id AND r.state = 0
         WHERE m.tenant_id = $1 AND m.connection_id = $2 AND m.state = 0
           AND m.ticket_record_id = ANY (ARRAY(
                   SELECT s.record_id FROM messages s
                    WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.ticket_record_id = $3
                      AND s.holds AND s.state = 0) || $3::text)
           AND (m.same_as IS NULL OR NOT EXISTS (
                   SELECT FROM messages d
                    WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.ticket_record_id = m.ticket_record_id
                      AND d.record_id = m.same_as AND d.state = 0))
           -- An entry without words gives way to what else tells of its session, and so does a transcript.
           AND (m.kind <> 'entry' OR (m.characters > 0 AND left(m.record_id, 3) <> $8) OR NOT EXISTS (
                   SELECT FROM messages t
                    WHERE t.tenant_id = $1 AND t.connection_id = $2 AND t.ticket_record_id = m.ticket_record_id
                      AND t.kind = 'entry' AND t.characters > 0 AND t.object_id <> m.object_id AND t.state = 0))
           AND ($4::timestamptz IS NULL OR (m.sent_at, m.object_id, m.record_id) > ($4, $5::int, $6::text))
         ORDER BY m.sent_at, m.object_id, m.record_id LIMIT $7";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let opener = Opener::load(&tx, keys).await?;
    let rows = tx
        .sql()
        .query(
            SQL,
            &[
                &scope.tenant().0,
                &ticket.connection.0,
                &ticket.record.as_str(),
                &after.map(|cursor| cursor.sent_at),
                &after.map(|cursor| cursor.key.object.0),
                &after.as_ref().map(|cursor| cursor.key.record.as_str()),
                &i64::from(limit),
                &transcript::KEY_PREFIX,
            ],
        )
        .await
        .map_err(StoreError::at("conversation_list"))?;
    let mut items: Vec<Item> = rows.iter().map(|row| item(row, &opener)).collect::<Result<_, _>>()?;
    let authors = Authors::of(&tx, &opener, ticket.connection, &items).await?;
    tx.commit().await?;
    for item in &mut items {
        item.author_is = authors.side(item.author_id.as_deref().or(item.author.as_deref()));
    }
    Ok(items)
}

fn item(row: &Row, opener: &Opener) -> Result<Item, StoreError> {
    let key = record_key(row, 0)?;
    let fields = match opener.projection(key.object) {
        Projection::Message(fields) => Some(fields),
        Projection::Ticket(_) | Projection::Agent | Projection::Customer | Projection::None => None,
    };
    let said =
        opener.read(key, sealed(row, 8), |record| fields.map(|fields| Said::of(record, fields)))?.flatten();
    let said = said.unwrap_or_default();
    Ok(Item {
        key,
        kind: row.get(3),
        direction: row.get(4),
        public: row.get(5),
        author_id: row.get(6),
        author: said.author,
        author_is: None,
        sent_at: row.get(7),
        part_of: row.get(10),
        subject: said.subject,
        thread: said.thread,
        text: said.text,
        html: said.html,
        file: file(row, said.file),
    })
}

fn file(row: &Row, facts: FileFacts) -> Option<ItemFile> {
    let id = row.get::<_, Option<String>>(11)?;
    let state = row.get::<_, Option<i16>>(12).and_then(BodyState::from_number).unwrap_or(BodyState::Wanted);
    let FileFacts { name, bytes, media_type, extension: _ } = facts;
    Some(ItemFile { id, name, media_type, bytes, body: state.word(), reason: row.get(13) })
}

/// What a message's record says.
#[derive(Default)]
struct Said {
    author: Option<String>,
    subject: Option<String>,
    thread: Option<String>,
    text: Option<String>,
    html: Option<String>,
    file: FileFacts,
}

impl Said {
    fn of(record: &CanonicalRecord<'_>, fields: &MessageFields) -> Self {
        let text = |path: &str| record.text(path).map(std::borrow::Cow::into_owned);
        let optional = |path: &Option<String>| path.as_deref().and_then(text);
        let name = fields.author.strip_suffix("Id").map(|relation| format!("{relation}.Name"));
        Self {
            author: name.and_then(|path| text(&path)).or_else(|| text(&fields.author)),
            subject: optional(&fields.subject),
            thread: optional(&fields.thread),
            text: fields.text.iter().find_map(|path| text(path)),
            html: optional(&fields.html),
            file: fields.file.as_ref().map(|file| file.facts(record)).unwrap_or_default(),
        }
    }
}
