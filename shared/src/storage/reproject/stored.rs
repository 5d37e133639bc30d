//! Records as they are here, each with what it was projected to.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::{Database, TenantTx};
use super::super::records::{ObjectKey, payload_row_key};
use crate::catalog::FieldSet;
use crate::clock::Timestamp;
use crate::crypto::TenantKeys;
use crate::ids::{FieldSetId, SalesforceId, TenantId};
use crate::record::ReadOrder;
use crate::record::canonical::{CanonicalRecord, spans_of};
use crate::tenant::TenantScope;
use crate::ticket::{FacetValue, MessageRow, Projected, TicketRow};

/// A live record, still sealed.
#[derive(Debug)]
pub struct Stored {
    /// Its id.
    pub id: SalesforceId,
    /// The read that brought it.
    pub order: ReadOrder,
    payload: Vec<u8>,
    shown: Shown,
}

/// What it was projected to.
#[derive(Debug)]
enum Shown {
    /// A live ticket.
    Ticket(Box<TicketRow>),
    /// An item.
    Item(Item),
    /// Neither.
    Nothing,
}

/// An item's columns, as they are stored.
#[derive(Debug, PartialEq)]
struct Item {
    ticket_record: String,
    state: i16,
    kind: String,
    direction: String,
    public: bool,
    author_id: Option<String>,
    sent_at: Timestamp,
    characters: i32,
    same_as: Option<String>,
    holds: bool,
    file: Option<String>,
}

impl Stored {
    /// Whether this is what it was projected to already.
    #[must_use]
    pub fn is_shown_as(&self, projected: &Projected) -> bool {
        match (&self.shown, projected) {
            (Shown::Ticket(was), Projected::Ticket(now)) => {
                by_name(&was.facets) == by_name(&now.facets)
                    && TicketRow { facets: Vec::new(), ..(**was).clone() }
                        == TicketRow { facets: Vec::new(), ..now.clone() }
            }
            (Shown::Item(was), Projected::Message(now)) => *was == Item::of(now),
            (Shown::Nothing, Projected::Unlinked | Projected::Nothing) => true,
            (Shown::Ticket(_) | Shown::Item(_) | Shown::Nothing, _) => false,
        }
    }

    /// Opens the record and hands its values to `read`.
    pub fn open<T>(
        &self,
        keys: &TenantKeys,
        sets: &HashMap<FieldSetId, FieldSet>,
        key: ObjectKey,
        read: impl FnOnce(&CanonicalRecord<'_>) -> T,
    ) -> Result<T, StoreError> {
        let set = sets.get(&self.order.field_set).ok_or(StoreError::Missing("the record's field set"))?;
        let row = payload_row_key(key, self.id.as_str());
        let bytes = keys.open("records.payload", &row, &self.payload)?;
        let spans = spans_of(&bytes, set.len()).ok_or(StoreError::Unreadable("records.payload"))?;
        Ok(read(&CanonicalRecord::stored(&bytes, &spans, set)))
    }
}

impl Item {
    fn of(row: &MessageRow) -> Self {
        Self {
            ticket_record: row.ticket_record.to_string(),
            state: 0,
            kind: row.kind.word().to_owned(),
            direction: row.direction.to_owned(),
            public: row.public,
            author_id: row.author_id.clone(),
            sent_at: row.sent_at,
            characters: row.characters,
            same_as: row.same_as.clone(),
            holds: row.holds,
            file: row.file.as_ref().map(|file| file.id.to_string()),
        }
    }
}

/// The last of a name wins, as in the table.
fn by_name(facets: &[(String, FacetValue)]) -> BTreeMap<&str, &FacetValue> {
    facets.iter().map(|(name, value)| (name.as_str(), value)).collect()
}

/// Reads these records of one object, as far as they are live, in the way that
/// [`page_commit`](super::super::page_commit) explains.
pub async fn records_stored(
    db: &Database,
    tenant: TenantId,
    key: ObjectKey,
    ids: &[String],
) -> Result<Vec<Stored>, StoreError> {
    const SQL: &str = "-- reproject_stored
        SELECT k.id, r.modstamp, r.read_at, r.field_set_id, r.payload,
               m.ticket_record_id, m.state, m.kind, m.direction, m.public, m.author_id, m.sent_at, m.characters,
               m.same_as, m.holds, m.file_id,
               t.state, t.number, t.status, t.priority, t.channel, t.owner_id, t.contact_id, t.opened_at, t.closed_at,
               t.record_at, f.names, f.texts, f.times, f.numbers
          FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT modstamp, read_at, field_set_id, payload, state FROM records
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) r
          LEFT JOIN LATERAL (
               SELECT * FROM messages
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) m ON true
          LEFT JOIN LATERAL (
               SELECT * FROM tickets
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) t ON true
          LEFT JOIN LATERAL (
               SELECT array_agg(facet) AS names, array_agg(text_value) AS texts, array_agg(time_value) AS times,
                      array_agg(number_value) AS numbers
                 FROM (SELECT * FROM ticket_facets
                        WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) f) f ON true
         WHERE r.state = 0";
    let scope = TenantScope::leased(tenant);
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &scope).await?;
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("reproject_stored"))?;
    tx.commit().await?;
    rows.iter().map(stored).collect()
}

fn stored(row: &Row) -> Result<Stored, StoreError> {
    let id = SalesforceId::parse(row.get(0)).map_err(|_| StoreError::Unreadable("records.record_id"))?;
    let (item, ticket) = (row.get::<_, Option<String>>(5), row.get::<_, Option<i16>>(16));
    let shown = match (item, ticket) {
        (Some(ticket_record), ticket) if ticket != Some(0) => Shown::Item(Item {
            ticket_record,
            state: row.get(6),
            kind: row.get(7),
            direction: row.get(8),
            public: row.get(9),
            author_id: row.get(10),
            sent_at: row.get(11),
            characters: row.get(12),
            same_as: row.get(13),
            holds: row.get(14),
            file: row.get(15),
        }),
        (None, Some(0)) => Shown::Ticket(Box::new(ticket_row(row)?)),
        _ => Shown::Nothing,
    };
    Ok(Stored {
        id,
        order: ReadOrder { stamp: row.get(1), read_at: row.get(2), field_set: FieldSetId(row.get(3)) },
        payload: row.get(4),
        shown,
    })
}

fn ticket_row(row: &Row) -> Result<TicketRow, StoreError> {
    Ok(TicketRow {
        number: row.get(17),
        status: row.get(18),
        priority: row.get(19),
        channel: row.get(20),
        owner_id: row.get(21),
        contact_id: row.get(22),
        opened_at: row.get(23),
        closed_at: row.get(24),
        record_at: row.get::<_, Option<_>>(25).ok_or(StoreError::Unreadable("tickets.record_at"))?,
        facets: facets(row)?,
    })
}

fn facets(row: &Row) -> Result<Vec<(String, FacetValue)>, StoreError> {
    let names: Vec<String> = row.get::<_, Option<_>>(26).unwrap_or_default();
    let texts: Vec<Option<String>> = row.get::<_, Option<_>>(27).unwrap_or_default();
    let times: Vec<Option<Timestamp>> = row.get::<_, Option<_>>(28).unwrap_or_default();
    let numbers: Vec<Option<i64>> = row.get::<_, Option<_>>(29).unwrap_or_default();
    names
        .into_iter()
        .zip(texts)
        .zip(times)
        .zip(numbers)
        .map(|(((name, text), time), number)| {
            let value = text
                .map(FacetValue::Text)
                .or(time.map(FacetValue::Time))
                .or(number.map(FacetValue::Number))
                .ok_or(StoreError::Unreadable("ticket_facets"))?;
            Ok((name, value))
        })
        .collect()
}
