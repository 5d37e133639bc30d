//! Tickets: the list with its filters, and one by its key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::RecordKey;
use super::opened::{Opener, record_key, sealed};
use crate::catalog::registry::{Projection, StandardObject, TicketFields};
use crate::clock::Timestamp;
use crate::crypto::TenantKeys;
use crate::ids::{ObjectId, SalesforceId};
use crate::record::canonical::CanonicalRecord;
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// Which tickets are wanted; `None` and an empty list mean all.
#[derive(Debug, Clone, Default)]
pub struct TicketFilter {
    /// Status as the org names it.
    pub status: Option<String>,
    /// Priority as the org names it.
    pub priority: Option<String>,
    /// Channel as the org names it.
    pub channel: Option<String>,
    /// The owner's Salesforce id.
    pub owner: Option<SalesforceId>,
    /// Last activity at or after.
    pub active_after: Option<Timestamp>,
    /// Last activity before.
    pub active_before: Option<Timestamp>,
    /// Mapped fields and the value each must have, as text: a word, a moment, or a decimal number.
    pub facets: Vec<(String, String)>,
}

/// A place in the list: newest activity first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketCursor {
    /// Last activity of the last ticket of the page before.
    pub active_at: Timestamp,
    /// Its key.
    pub key: RecordKey,
}

/// A ticket as people see it.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Its key.
    pub key: RecordKey,
    /// The object's API name.
    pub api_name: String,
    /// `live`, `awaiting_parent` or `deleted`.
    pub state: &'static str,
    /// Human number.
    pub number: Option<String>,
    /// Subject line, opened.
    pub subject: Option<String>,
    /// Status.
    pub status: Option<String>,
    /// Priority.
    pub priority: Option<String>,
    /// Channel.
    pub channel: Option<String>,
    /// Owner.
    pub owner_id: Option<String>,
    /// Contact.
    pub contact_id: Option<String>,
    /// When it was opened.
    pub opened_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Items of its conversation.
    pub messages: i32,
    /// Those the customer sent.
    pub customer_messages: i32,
    /// The newest of them.
    pub last_message_at: Option<Timestamp>,
    /// The later of that and the record's own.
    pub last_activity_at: Timestamp,
}

/// A ticket with the whole of its record.
#[derive(Debug, Clone)]
pub struct TicketDetail {
    /// The ticket.
    pub ticket: Ticket,
    /// Opening text.
    pub body: Option<String>,
    /// Every value that was read, by path.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

const COLUMNS: &str =
    "t.connection_id, t.object_id, t.record_id, t.state, t.number, t.status, t.priority, t.channel,
    t.owner_id, t.contact_id, t.opened_at, t.closed_at, t.messages, t.customer_messages, t.last_message_at,
    t.last_activity_at, r.field_set_id, r.payload";
const RECORDS: &str = "LEFT JOIN records r ON r.tenant_id = t.tenant_id AND r.connection_id = t.connection_id
    AND r.object_id = t.object_id AND r.record_id = t.record_id AND r.state = 0";

/// Live tickets, newest activity first, after the cursor.
pub async fn tickets_list(
    db: &Database,
    scope: &TenantScope,
    keys: Arc<TenantKeys>,
    filter: &TicketFilter,
    after: Option<TicketCursor>,
    limit: u16,
) -> Result<Vec<Ticket>, StoreError> {
    // The page is cut before records are joined, so that no payload is read in vain.
    let sql = format!(
        "-- tickets_list
        WITH page AS (
            SELECT * FROM tickets t
             WHERE t.tenant_id = $1 AND t.state = 0
               AND ($2::text IS NULL OR t.status = $2) AND ($3::text IS NULL OR t.priority = $3)
               AND ($4::text IS NULL OR t.channel = $4) AND ($5::text IS NULL OR t.owner_id = $5)
               AND ($6::timestamptz IS NULL OR t.last_activity_at >= $6)
               AND ($7::timestamptz IS NULL OR t.last_activity_at < $7)
               AND ($8::timestamptz IS NULL OR t.last_activity_at <= $8)
               AND ($8::timestamptz IS NULL OR t.last_activity_at < $8
                    OR (t.connection_id, t.object_id, t.record_id) > ($9::uuid, $10::int, $11::text))
               AND NOT EXISTS (
                    SELECT FROM unnest($12::text[], $13::text[], $14::timestamptz[]) w (facet, text_value, time_value)
                     WHERE NOT EXISTS (
                        SELECT FROM ticket_facets f
                         WHERE f.tenant_id = t.tenant_id AND f.connection_id = t.connection_id
                           AND f.object_id = t.object_id AND f.record_id = t.record_id AND f.facet = w.facet
                           AND (f.text_value = w.text_value OR f.time_value = w.time_value OR f.number_value = {SCALED})))
             ORDER BY t.last_activity_at DESC, t.connection_id, t.object_id, t.record_id LIMIT $15)
        SELECT {COLUMNS} FROM page t {RECORDS} ORDER BY t.last_activity_at DESC, t.connection_id, t.object_id, t.record_id",
    );
    let names: Vec<&str> = filter.facets.iter().map(|(name, _)| name.as_str()).collect();
    let texts: Vec<&str> = filter.facets.iter().map(|(_, value)| value.as_str()).collect();
    let times: Vec<Option<Timestamp>> = filter.facets.iter().map(|(_, value)| value.parse().ok()).collect();
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let opener = Opener::load(&tx, keys).await?;
    let rows = tx
        .sql()
        .query(
            &sql,
            &[
                &scope.tenant().0,
                &filter.status,
                &filter.priority,
                &filter.channel,
                &filter.owner.as_ref().map(SalesforceId::as_str),
                &filter.active_after,
                &filter.active_before,
                &after.map(|cursor| cursor.active_at),
                &after.map(|cursor| cursor.key.connection.0),
                &after.map(|cursor| cursor.key.object.0),
                &after.as_ref().map(|cursor| cursor.key.record.as_str()),
                &names,
                &texts,
                &times,
                &i64::from(limit),
            ],
        )
        .await
        .map_err(StoreError::at("tickets_list"))?;
    tx.commit().await?;
    rows.iter().map(|row| Ok(detail(row, &opener)?.ticket)).collect()
}

/// A wanted decimal as the facet's own scaled integer; NULL when it is no number.
const SCALED: &str = "CASE WHEN w.text_value ~ '^-?[0-9]{1,15}([.][0-9]{1,9})?$' THEN
    (w.text_value::numeric * power(10::numeric, (
        SELECT (x -> 'as' -> 'number' ->> 'scale')::int
          FROM object_syncs o, jsonb_array_elements(o.settings -> 'facets') x
         WHERE o.object_id = t.object_id AND x ->> 'name' = f.facet LIMIT 1)))::bigint END";

/// One ticket by its object and record, with everything that was read of it. Deleted ones are found too.
pub async fn ticket_get(
    db: &Database,
    scope: &TenantScope,
    keys: Arc<TenantKeys>,
    object: ObjectId,
    record: SalesforceId,
) -> Result<Option<TicketDetail>, StoreError> {
    // The object belongs to one connection; naming it lets the primary key answer.
    let sql = format!(
        "-- ticket_get
        SELECT {COLUMNS} FROM tickets t {RECORDS}
         WHERE t.tenant_id = $1 AND t.object_id = $2 AND t.record_id = $3
           AND t.connection_id = (SELECT connection_id FROM object_syncs WHERE object_id = $2)"
    );
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let opener = Opener::load(&tx, keys).await?;
    let row = tx
        .sql()
        .query_opt(&sql, &[&scope.tenant().0, &object.0, &record.as_str()])
        .await
        .map_err(StoreError::at("ticket_get"))?;
    tx.commit().await?;
    row.map(|row| detail(&row, &opener)).transpose()
}

fn detail(row: &Row, opener: &Opener) -> Result<TicketDetail, StoreError> {
    let key = record_key(row, 0)?;
    let api_name = opener.object_name(key.object).unwrap_or_default().to_owned();
    let fields = ticket_fields(&api_name);
    let values = opener.read(key, sealed(row, 16), |record| Opened::of(record, fields))?.unwrap_or_default();
    Ok(TicketDetail {
        body: values.body,
        fields: values.fields,
        ticket: Ticket {
            key,
            api_name,
            state: match row.get::<_, i16>(3) {
                0 => "live",
                1 => "awaiting_parent",
                _ => "deleted",
            },
            number: row.get(4),
            subject: values.subject,
            status: row.get(5),
            priority: row.get(6),
            channel: row.get(7),
            owner_id: row.get(8),
            contact_id: row.get(9),
            opened_at: row.get(10),
            closed_at: row.get(11),
            messages: row.get(12),
            customer_messages: row.get(13),
            last_message_at: row.get(14),
            last_activity_at: row.get(15),
        },
    })
}

#[derive(Default)]
struct Opened {
    subject: Option<String>,
    body: Option<String>,
    fields: serde_json::Map<String, serde_json::Value>,
}

impl Opened {
    fn of(record: &CanonicalRecord<'_>, fields: Option<TicketFields>) -> Self {
        let text = |path: &str| record.text(path).map(std::borrow::Cow::into_owned);
        Self {
            subject: fields.and_then(|fields| text(fields.subject)),
            body: fields.and_then(|fields| text(fields.body)),
            fields: record.to_json(),
        }
    }
}

fn ticket_fields(api_name: &str) -> Option<TicketFields> {
    match StandardObject::find(api_name)?.projection {
        Projection::Ticket(fields) => Some(fields),
        Projection::Message(_) | Projection::Agent | Projection::Customer | Projection::None => None,
    }
}
