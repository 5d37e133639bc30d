//! A ticket's conversation in the order it was held.

use std::sync::Arc;

// Moments by their own name, which the API's description knows.
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use utoipa::ToSchema;

use super::RecordKey;
use super::opened::{Opener, record_key, sealed};
use crate::catalog::registry::{MessageFields, Projection, StandardObject};
use crate::crypto::TenantKeys;
use crate::record::canonical::CanonicalRecord;
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// One item: a message or an event; the API shows it as it is, with an id instead of the key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Item {
    /// Its own record.
    #[serde(skip)]
    pub key: RecordKey,
    /// `comment`, `email` or `event`.
    pub kind: String,
    /// `inbound`, `outbound` or `internal`.
    pub direction: String,
    /// Whether the customer may read it.
    pub public: bool,
    /// A Salesforce id, where the author is one.
    pub author_id: Option<String>,
    /// The author as the record says: a name or an address.
    pub author: Option<String>,
    /// When it was said.
    pub sent_at: DateTime<Utc>,
    /// Its plain text, opened.
    pub text: Option<String>,
}

/// A place in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemCursor {
    /// When the last item of the page before was said.
    pub sent_at: DateTime<Utc>,
    /// Its key.
    pub key: RecordKey,
}

/// Live items ordered by (sent at, object, id), after the cursor.
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
               r.field_set_id, r.payload
          FROM messages m LEFT JOIN records r ON r.tenant_id = m.tenant_id AND r.connection_id = m.connection_id
               AND r.object_id = m.object_id AND r.record_id = m.record_id AND r.state = 0
         WHERE m.tenant_id = $1 AND m.connection_id = $2 AND m.ticket_record_id = $3
           AND m.state = 0
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
            ],
        )
        .await
        .map_err(StoreError::at("conversation_list"))?;
    tx.commit().await?;
    rows.iter().map(|row| item(row, &opener)).collect()
}

fn item(row: &Row, opener: &Opener) -> Result<Item, StoreError> {
    let key = record_key(row, 0)?;
    let fields = opener.object_name(key.object).and_then(message_fields);
    let said = opener.read(key, sealed(row, 8), |record| said(record, fields))?;
    let (author, text) = said.unwrap_or_default();
    Ok(Item {
        key,
        kind: row.get(3),
        direction: row.get(4),
        public: row.get(5),
        author_id: row.get(6),
        author,
        sent_at: row.get(7),
        text,
    })
}

fn message_fields(api_name: &str) -> Option<MessageFields> {
    match StandardObject::find(api_name)?.projection {
        Projection::Message(fields) => Some(fields),
        Projection::Ticket(_) | Projection::Agent | Projection::Customer | Projection::None => None,
    }
}

/// The author and the text of a message's record.
fn said(record: &CanonicalRecord<'_>, fields: Option<MessageFields>) -> (Option<String>, Option<String>) {
    let Some(fields) = fields else {
        return (None, None);
    };
    let text = |path: &str| record.text(path).map(std::borrow::Cow::into_owned);
    let name = fields.author.strip_suffix("Id").map(|relation| format!("{relation}.Name"));
    let author = name.and_then(|path| text(&path)).or_else(|| text(fields.author));
    (author, fields.text.iter().find_map(|path| text(path)))
}
