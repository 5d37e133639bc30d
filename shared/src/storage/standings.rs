//! What a page has to know of tickets before it may keep what it brings of them: whether their time is over, or they are
//! outside of their object's filter. Where there is no filter only records from before the cut-off are asked for, so a page
//! of what changed lately asks nothing.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::Type;

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use super::records::ObjectKey;
use crate::clock::Timestamp;
use crate::ids::{ObjectId, SalesforceId};
use crate::record::StateReason;
use crate::retention::Class;
use crate::tenant::TenantScope;

/// Of which records is to be known how they stand.
#[derive(Debug, Default)]
pub struct Asked {
    /// Tickets of the page.
    pub tickets: Vec<SalesforceId>,
    /// What the page's items belong to, with its object.
    pub parents: Vec<(ObjectId, SalesforceId)>,
    /// Items of the page to which others belong.
    pub holders: Vec<SalesforceId>,
}

impl Asked {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty() && self.parents.is_empty() && self.holders.is_empty()
    }
}

/// How they stand.
#[derive(Debug, Default)]
pub struct Standings {
    /// Tickets that are here, or were: their class, and when something was said last.
    pub tickets: HashMap<SalesforceId, (Class, Option<Timestamp>)>,
    /// Of the parents, those whose time is over, with their class.
    pub let_go: HashMap<SalesforceId, Class>,
    /// Of the parents, those that are outside of their object's filter, or left with such a ticket.
    pub filtered: HashSet<SalesforceId>,
    /// When something was said last in a session, a call or a chat.
    pub said: HashMap<SalesforceId, Timestamp>,
}

/// Looks them up, in the way that [`page_commit`](super::page_commit) explains.
pub async fn standings(
    db: &Database,
    scope: &TenantScope,
    key: ObjectKey,
    asked: &Asked,
) -> Result<Standings, StoreError> {
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let (let_go, filtered) = let_go(&tx, key, &asked.parents).await?;
    let standings = Standings {
        tickets: tickets(&tx, key, &asked.tickets).await?,
        let_go,
        filtered,
        said: said(&tx, key, &asked.holders).await?,
    };
    tx.commit().await?;
    Ok(standings)
}

async fn tickets(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    ids: &[SalesforceId],
) -> Result<HashMap<SalesforceId, (Class, Option<Timestamp>)>, StoreError> {
    const SQL: &str = "-- standings_tickets
        SELECT k.id, t.held, t.last_message_at FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT held, last_message_at FROM tickets
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) t";
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<&str> = ids.iter().map(SalesforceId::as_str).collect();
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("standings_tickets"))?;
    rows.iter().map(|row| Ok((id_of(row.get(0))?, (Class::of(row.get(1)), row.get(2))))).collect()
}

/// Those whose time is over, with their class, and those outside of a filter. A ticket's hold counts for its items; what is
/// no ticket has none.
type LetGo = (HashMap<SalesforceId, Class>, HashSet<SalesforceId>);

async fn let_go(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    parents: &[(ObjectId, SalesforceId)],
) -> Result<LetGo, StoreError> {
    const SQL: &str = "-- standings_let_go
        SELECT k.id, coalesce(t.held, false), r.reason FROM unnest($2::int[], $3::text[]) AS k (object_id, id)
         CROSS JOIN LATERAL (
               SELECT state, reason FROM records
                WHERE connection_id = $1 AND object_id = k.object_id AND record_id = k.id OFFSET 0) r
          LEFT JOIN LATERAL (
               SELECT held FROM tickets
                WHERE connection_id = $1 AND object_id = k.object_id AND record_id = k.id OFFSET 0) t ON true
         WHERE r.state = 1 AND r.reason = ANY ($4)";
    if parents.is_empty() {
        return Ok(LetGo::default());
    }
    let objects: Vec<i32> = parents.iter().map(|(object, _)| object.0).collect();
    let ids: Vec<&str> = parents.iter().map(|(_, id)| id.as_str()).collect();
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[
                (&key.connection.0, Type::UUID),
                (&objects, Type::INT4_ARRAY),
                (&ids, Type::TEXT_ARRAY),
                (&[StateReason::Expired as i16, StateReason::Filtered as i16].as_slice(), Type::INT2_ARRAY),
            ],
        )
        .await
        .map_err(StoreError::at("standings_let_go"))?;
    let (mut over, mut filtered) = LetGo::default();
    for row in &rows {
        let id = id_of(row.get(0))?;
        if row.get::<_, i16>(2) == StateReason::Filtered as i16 {
            filtered.insert(id);
        } else {
            over.insert(id, Class::of(row.get(1)));
        }
    }
    Ok((over, filtered))
}

async fn said(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    holders: &[SalesforceId],
) -> Result<HashMap<SalesforceId, Timestamp>, StoreError> {
    const SQL: &str = "-- standings_said
        SELECT k.id, m.last_at FROM unnest($2::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT max(sent_at) AS last_at FROM messages
                WHERE connection_id IS NOT DISTINCT FROM $1 AND ticket_record_id = k.id AND state = 0
                  AND kind NOT IN ('event', 'file')) m
         WHERE m.last_at IS NOT NULL";
    if holders.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<&str> = holders.iter().map(SalesforceId::as_str).collect();
    let rows = tx
        .sql()
        .query_typed(SQL, &[(&key.connection.0, Type::UUID), (&ids, Type::TEXT_ARRAY)])
        .await
        .map_err(StoreError::at("standings_said"))?;
    rows.iter().map(|row| Ok((id_of(row.get(0))?, row.get(1)))).collect()
}

fn id_of(text: &str) -> Result<SalesforceId, StoreError> {
    SalesforceId::parse(text).map_err(|_| StoreError::Unreadable("a record's id"))
}
