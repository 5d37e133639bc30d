//! The list of tickets: newest activity first, in keyset pages, with filters.
//!
//! There are two ways to a page. The index on activity is walked from the cursor on and each ticket is checked: right
//! for most filters, and endless for a facet's value that one ticket in a million has. Such a value is looked up in its
//! own index instead, and what it finds is put in order. Which way is taken depends on how many tickets have the
//! rarest of the wanted values, counted up to a bound: statistics do not know which facet a value belongs to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_postgres::types::ToSql;

use super::RecordKey;
use super::opened::Opener;
use super::tickets::{COLUMNS, RECORDS, Ticket, detail};
use crate::clock::Timestamp;
use crate::crypto::TenantKeys;
use crate::ids::SalesforceId;
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;
use crate::ticket::project::{column_text, scaled};

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

/// A value that this many tickets have, or fewer, is where its list begins. Fetching them costs as many index look-ups;
/// walking ten million tickets for a page of fifty that this many match passes about as many rows.
const FEW: i64 = 20_000;

/// The wanted facets as the statements take them: one row a facet, and one row for each object that keeps it as a
/// number, scaled as that object scales it.
#[derive(Default)]
struct Wanted<'a> {
    facets: Vec<String>,
    texts: Vec<String>,
    times: Vec<Option<Timestamp>>,
    number_facets: Vec<&'a str>,
    number_objects: Vec<i32>,
    numbers: Vec<i64>,
}

impl<'a> Wanted<'a> {
    async fn load(tx: &TenantTx<'_>, filter: &'a TicketFilter) -> Result<Self, StoreError> {
        const SQL: &str = "-- number_facets
            SELECT o.object_id, f->>'name', (f->'as'->'number'->>'scale')::int
              FROM object_syncs o, jsonb_array_elements(o.settings->'facets') f
             WHERE o.tenant_id = $1 AND f->'as' ? 'number'";
        let mut wanted = Self::default();
        if filter.facets.is_empty() {
            return Ok(wanted);
        }
        let kept =
            tx.sql().query(SQL, &[&tx.scope().tenant().0]).await.map_err(StoreError::at("number_facets"))?;
        for (name, value) in &filter.facets {
            wanted.facets.push(column_text(name));
            wanted.texts.push(column_text(value));
            wanted.times.push(value.parse().ok());
            for row in kept.iter().filter(|row| row.get::<_, &str>(1) == name) {
                let scale = u8::try_from(row.get::<_, i32>(2)).unwrap_or(0);
                if let Some(number) = scaled(value, scale) {
                    wanted.number_facets.push(name);
                    wanted.number_objects.push(row.get(0));
                    wanted.numbers.push(number);
                }
            }
        }
        Ok(wanted)
    }

    /// The facet to begin with: the rarest, if few tickets have its value.
    async fn start(&self, tx: &TenantTx<'_>) -> Result<Option<usize>, StoreError> {
        let sql = format!(
            "-- ticket_facet_count\nSELECT count(*) FROM ({} LIMIT $8) having_it",
            having(["$2", "$3", "$4"], ["$5", "$6", "$7"])
        );
        let statement = tx.sql().prepare_cached(&sql).await.map_err(StoreError::at("ticket_facet_count"))?;
        let mut rarest = None;
        let mut fewest = FEW + 1;
        for index in 0..self.facets.len() {
            let row = tx
                .sql()
                .query_one(
                    &statement,
                    &[
                        &tx.scope().tenant().0,
                        &self.facets[index],
                        &self.texts[index],
                        &self.times[index],
                        &self.number_facets,
                        &self.number_objects,
                        &self.numbers,
                        // No need to count further than the best so far.
                        &fewest,
                    ],
                )
                .await
                .map_err(StoreError::at("ticket_facet_count"))?;
            let count: i64 = row.get(0);
            if count < fewest {
                (rarest, fewest) = (Some(index), count);
            }
        }
        Ok(rarest)
    }
}

/// The keys of tickets that have one value: a branch a column, so that each has its index.
fn having([facet, text, time]: [&str; 3], [number_facets, number_objects, numbers]: [&str; 3]) -> String {
    let of = "SELECT f.connection_id, f.object_id, f.record_id FROM ticket_facets f";
    format!(
        "{of} WHERE f.tenant_id = $1 AND f.facet = {facet}::text AND f.text_value = {text}::text
         UNION ALL {of} WHERE f.tenant_id = $1 AND f.facet = {facet}::text AND f.time_value = {time}::timestamptz
         UNION ALL {of} JOIN unnest({number_facets}::text[], {number_objects}::int[], {numbers}::bigint[])
                                 n (facet, object_id, number)
                             ON n.object_id = f.object_id AND n.number = f.number_value
          WHERE f.tenant_id = $1 AND f.facet = {facet}::text AND n.facet = f.facet"
    )
}

const WANTED: &str = "t.tenant_id = $1 AND t.state = 0
    AND ($2::text IS NULL OR t.status = $2) AND ($3::text IS NULL OR t.priority = $3)
    AND ($4::text IS NULL OR t.channel = $4) AND ($5::text IS NULL OR t.owner_id = $5)
    AND ($6::timestamptz IS NULL OR t.last_activity_at >= $6)
    AND ($7::timestamptz IS NULL OR t.last_activity_at < $7)
    AND ($8::timestamptz IS NULL OR t.last_activity_at <= $8)
    AND ($8::timestamptz IS NULL OR t.last_activity_at < $8
         OR (t.connection_id, t.object_id, t.record_id) > ($9::uuid, $10::int, $11::text))";
/// Every wanted facet, by the ticket's own key; the tenant as a constant, so that one partition is looked at.
const WITH_FACETS: &str = "NOT EXISTS (
    SELECT FROM unnest($13::text[], $14::text[], $15::timestamptz[]) w (facet, text_value, time_value)
     WHERE NOT EXISTS (
        SELECT FROM ticket_facets f
         WHERE f.tenant_id = $1 AND f.connection_id = t.connection_id AND f.object_id = t.object_id
           AND f.record_id = t.record_id AND f.facet = w.facet
           AND (f.text_value = w.text_value OR f.time_value = w.time_value
                OR (f.facet, f.object_id, f.number_value) IN (
                    SELECT n.facet, n.object_id, n.number
                      FROM unnest($16::text[], $17::int[], $18::bigint[]) n (facet, object_id, number)))))";
const ORDER: &str = "ORDER BY t.last_activity_at DESC, t.connection_id, t.object_id, t.record_id";

/// Walks the activity index. The page is cut before records are joined, so that no payload is read in vain.
fn by_activity(facets: bool) -> String {
    let facets = if facets { format!("AND {WITH_FACETS}") } else { String::new() };
    format!(
        "-- tickets_by_activity
        WITH page AS (SELECT * FROM tickets t WHERE {WANTED} {facets} {ORDER} LIMIT $12)
        SELECT {COLUMNS} FROM page t {RECORDS} {ORDER}"
    )
}

/// Begins with the tickets that have one value. `LATERAL … LIMIT` holds the planner to one look-up a ticket.
fn by_facet() -> String {
    let having = having(["$19", "$20", "$21"], ["$16", "$17", "$18"]);
    format!(
        "-- tickets_by_facet
        WITH found AS MATERIALIZED ({having}),
        page AS (
            SELECT t.* FROM found CROSS JOIN LATERAL (
                SELECT * FROM tickets t
                 WHERE t.tenant_id = $1 AND t.connection_id = found.connection_id AND t.object_id = found.object_id
                   AND t.record_id = found.record_id LIMIT 1) t
             WHERE {WANTED} AND {WITH_FACETS} {ORDER} LIMIT $12)
        SELECT {COLUMNS} FROM page t {RECORDS} {ORDER}"
    )
}

/// Live tickets, newest activity first, after the cursor.
pub async fn tickets_list(
    db: &Database,
    scope: &TenantScope,
    keys: Arc<TenantKeys>,
    filter: &TicketFilter,
    after: Option<TicketCursor>,
    limit: u16,
) -> Result<Vec<Ticket>, StoreError> {
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let opener = Opener::load(&tx, keys).await?;
    let wanted = Wanted::load(&tx, filter).await?;
    let start = wanted.start(&tx).await?;

    let (owner, limit) = (filter.owner.as_ref().map(SalesforceId::as_str), i64::from(limit));
    let active_at = after.map(|cursor| cursor.active_at);
    let (connection, object) =
        (after.map(|cursor| cursor.key.connection.0), after.map(|cursor| cursor.key.object.0));
    let record = after.as_ref().map(|cursor| cursor.key.record.as_str());
    let plain = |value: &Option<String>| value.as_deref().map(column_text);
    let (status, priority, channel) =
        (plain(&filter.status), plain(&filter.priority), plain(&filter.channel));
    let tenant = scope.tenant().0;
    let mut arguments: Vec<&(dyn ToSql + Sync)> = vec![
        &tenant,
        &status,
        &priority,
        &channel,
        &owner,
        &filter.active_after,
        &filter.active_before,
        &active_at,
        &connection,
        &object,
        &record,
        &limit,
    ];
    if !wanted.facets.is_empty() {
        let facets: [&(dyn ToSql + Sync); 6] = [
            &wanted.facets,
            &wanted.texts,
            &wanted.times,
            &wanted.number_facets,
            &wanted.number_objects,
            &wanted.numbers,
        ];
        arguments.extend(facets);
    }
    let rows = match start {
        None => {
            // Not kept prepared: the filters that are not given must fall out of the plan.
            let sql = by_activity(!wanted.facets.is_empty());
            tx.sql().query(&sql, &arguments).await.map_err(StoreError::at("tickets_by_activity"))?
        }
        Some(index) => {
            let value: [&(dyn ToSql + Sync); 3] =
                [&wanted.facets[index], &wanted.texts[index], &wanted.times[index]];
            arguments.extend(value);
            let statement =
                tx.sql().prepare_cached(&by_facet()).await.map_err(StoreError::at("tickets_by_facet"))?;
            tx.sql().query(&statement, &arguments).await.map_err(StoreError::at("tickets_by_facet"))?
        }
    };
    tx.commit().await?;
    rows.iter().map(|row| Ok(detail(row, &opener)?.ticket)).collect()
}
