//! Tickets as people see them, and one by its key.

use std::sync::Arc;

// Moments by their own name, which the API's description knows.
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::Row;
use utoipa::ToSchema;

use super::RecordKey;
use super::opened::{Opener, record_key, sealed};
use crate::catalog::{Projection, TicketFields};
use crate::crypto::TenantKeys;
use crate::ids::{ObjectId, SalesforceId};
use crate::record::StateReason;
use crate::record::canonical::CanonicalRecord;
use crate::retention::Class;
use crate::storage::page_commit::UNMADE;
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// A ticket as people see it; the API shows it as it is, with an id instead of the key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TicketFacts)]
pub struct Ticket {
    /// Its key.
    #[serde(skip)]
    pub key: RecordKey,
    /// The object's API name.
    pub api_name: String,
    /// `live`, `awaiting_parent` (its own record has not come yet) or `deleted`.
    pub state: &'static str,
    /// Why it is gone: `expired`, `filtered`, `deleted`, `merged`, `purged`, `not_visible`, `erased`, or `no_ticket` where
    /// its object is none of tickets any more.
    pub reason: Option<&'static str>,
    /// Human number.
    pub number: Option<String>,
    /// Subject line, opened.
    pub subject: Option<String>,
    /// Status as the org names it.
    pub status: Option<String>,
    /// Priority as the org names it.
    pub priority: Option<String>,
    /// Channel as the org names it.
    pub channel: Option<String>,
    /// The owner's Salesforce id.
    pub owner_id: Option<String>,
    /// The contact's Salesforce id.
    pub contact_id: Option<String>,
    /// When it was opened.
    pub opened_at: Option<DateTime<Utc>>,
    /// When it was closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// The record that it was merged into, while it is gone for that.
    pub merged_into: Option<String>,
    /// Items of its conversation.
    pub messages: i32,
    /// Those the customer sent.
    pub customer_messages: i32,
    /// The newest of them.
    pub last_message_at: Option<DateTime<Utc>>,
    /// The later of that and the record's own.
    pub last_activity_at: DateTime<Utc>,
    /// The mapping version under which it was projected last, with all that belongs to it.
    pub mapping_version: i64,
    /// When its time is over, by the policy in force, unless something happens to it before; none when it is gone.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why then: `ticket`, or `held` while it is under a hold.
    pub retention_class: &'static str,
    /// Why it is under a hold, in the words of whoever put it there.
    pub hold_reason: Option<String>,
    /// Since when it is under a hold.
    pub held_at: Option<DateTime<Utc>>,
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
    /// Paths that were read once and are shown no more: the integration user may not see them, or they are gone.
    pub lost_fields: Vec<String>,
}

pub(super) const COLUMNS: &str =
    "t.connection_id, t.object_id, t.record_id, t.state, t.number, t.status, t.priority, t.channel,
    t.owner_id, t.contact_id, t.opened_at, t.closed_at, t.messages, t.customer_messages, t.last_message_at,
    t.last_activity_at, r.field_set_id, r.payload, t.merged_into, t.reason, t.held, t.hold_reason, t.held_at, t.mapping_epoch";
pub(super) const RECORDS: &str =
    "LEFT JOIN records r ON r.tenant_id = $1 AND r.connection_id = t.connection_id
    AND r.object_id = t.object_id AND r.record_id = t.record_id AND r.state = 0";

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

pub(super) fn detail(row: &Row, opener: &Opener) -> Result<TicketDetail, StoreError> {
    let key = record_key(row, 0)?;
    let api_name = opener.object_name(key.object).unwrap_or_default().to_owned();
    let fields = match opener.projection(key.object) {
        Projection::Ticket(fields) => Some(fields),
        Projection::Message(_) | Projection::Agent | Projection::Customer | Projection::None => None,
    };
    let values = opener.read(key, sealed(row, 16), |record| Opened::of(record, fields))?.unwrap_or_default();
    let lost_fields = sealed(row, 16).map_or_else(Vec::new, |(set, _)| opener.lost_paths(key.object, set));
    let (state, class, last_activity_at) = (row.get::<_, i16>(3), Class::of(row.get(20)), row.get(15));
    Ok(TicketDetail {
        body: values.body,
        fields: values.fields,
        lost_fields,
        ticket: Ticket {
            key,
            api_name,
            state: match state {
                0 => "live",
                1 => "awaiting_parent",
                _ => "deleted",
            },
            reason: row.get::<_, Option<i16>>(19).and_then(reason_word),
            number: row.get(4),
            subject: values.subject,
            status: row.get(5),
            priority: row.get(6),
            channel: row.get(7),
            owner_id: row.get(8),
            contact_id: row.get(9),
            opened_at: row.get(10),
            closed_at: row.get(11),
            merged_into: row.get(18),
            messages: row.get(12),
            customer_messages: row.get(13),
            last_message_at: row.get(14),
            last_activity_at,
            mapping_version: row.get(23),
            expires_at: (state < 2).then(|| opener.retention().expires_at(class, last_activity_at)),
            retention_class: class.word(),
            hold_reason: row.get(21),
            held_at: row.get(22),
        },
    })
}

/// Why a ticket is gone, in a closed word: its record's reason, or its own.
pub(super) fn reason_word(number: i16) -> Option<&'static str> {
    if number == UNMADE { Some("no_ticket") } else { StateReason::from_number(number).map(StateReason::word) }
}

#[derive(Default)]
struct Opened {
    subject: Option<String>,
    body: Option<String>,
    fields: serde_json::Map<String, serde_json::Value>,
}

impl Opened {
    fn of(record: &CanonicalRecord<'_>, fields: Option<&TicketFields>) -> Self {
        let text = |path: &str| record.text(path).map(std::borrow::Cow::into_owned);
        Self {
            subject: fields.and_then(|fields| text(fields.subject.as_deref()?)),
            body: fields.and_then(|fields| text(fields.body.as_deref()?)),
            fields: record.to_json(),
        }
    }
}
