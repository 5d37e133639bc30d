//! Tickets, under the feed's lock: their own columns, the sequence of the changes feed, and how many tickets there are.

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::super::related::feed_lock;
use super::aggregates::aggregate;
use super::messages::holders_tickets;
use super::{Applied, ParentObjects, TicketRow, expiry, facets, gone};
use crate::clock::Timestamp;
use crate::ids::{ObjectId, SalesforceId};
use crate::record::{RecordState, StateReason};
use crate::retention::CutOffs;

/// How many tickets a statement made live, and how many it made shells; negative for fewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Made {
    live: i64,
    shells: i64,
}

impl Made {
    pub(super) fn of(row: &Row) -> Self {
        Self { live: row.get(0), shells: row.get(1) }
    }

    /// Tickets that are none any more: so many live ones and shells.
    pub(super) fn left(live: usize, shells: usize) -> Self {
        let less = |of: usize| -i64::try_from(of).unwrap_or(i64::MAX);
        Self { live: less(live), shells: less(shells) }
    }

    fn add(&mut self, other: Self) {
        self.live += other.live;
        self.shells += other.shells;
    }
}

/// What a page's tickets and messages lead to.
#[derive(Debug, Default)]
pub(super) struct Led {
    /// Records to be read: of tickets that are shells now and were none, and of sessions that are not here although
    /// something was said in them.
    pub(super) wanted: Vec<(ObjectId, String)>,
    /// Tickets and sessions that had left, or were outside of their filter, before the page's messages were said to belong to them.
    pub(super) gone: Vec<String>,
}

impl Led {
    fn add(&mut self, other: Self) {
        self.wanted.extend(other.wanted);
        self.gone.extend(other.gone);
    }
}

/// Under what tickets are written.
pub(super) struct Under<'a> {
    /// What messages may belong to.
    pub(super) parents: &'a ParentObjects,
    /// The tenant's mapping.
    pub(super) mapping_epoch: i64,
    /// What is from before these moments goes.
    pub(super) cut_offs: CutOffs,
    /// All that belongs to the tickets is projected under that mapping, so that it is theirs. A page brings one record at a
    /// time: a ticket that is here keeps its version.
    pub(super) switches: bool,
}

/// Writes the page's tickets and what its messages change of others.
pub(super) async fn write(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    under: &Under<'_>,
    applied: &[Applied<'_>],
    touched: &BTreeSet<String>,
) -> Result<Led, StoreError> {
    let Under { parents, mapping_epoch, cut_offs, .. } = *under;
    let holders = of_objects(&parents.holders, touched);
    let (mut touched, mut led) = (touched.clone(), Led::default());
    if !holders.is_empty() {
        // Only under the feed's lock is it certain which items are here and where they belong.
        feed_lock(tx).await?;
        for holder in holders_tickets(tx, key, &holders).await? {
            touched.insert(holder.ticket);
            led.gone.extend(holder.has_left.then_some(holder.id));
        }
        led.wanted = expiry::holders_let_go(tx, key, &holders).await?;
        if parents.filters {
            led.gone.extend(expiry::holders_filtered(tx, key, &holders).await?);
        }
    }
    let mut talked = of_objects(&parents.tickets, &touched);
    let tickets: Vec<(&Applied<'_>, &TicketRow)> =
        applied.iter().filter_map(|row| Some((row, row.ticket()?))).collect();
    let is_ticket = parents.tickets.values().any(|object| *object == key.object);
    let bare: Vec<&Applied<'_>> = applied.iter().filter(|row| is_ticket && row.is_bare()).collect();
    if tickets.is_empty() && bare.is_empty() && talked.is_empty() {
        return Ok(led);
    }
    let own = tickets.len() + bare.len();
    let first = feed_advance(tx, own + talked.len()).await?;
    let (mut made, mut awaited) = (Made::default(), Vec::new());
    if !tickets.is_empty() {
        let ids: Vec<&str> = tickets.iter().map(|(applied, _)| applied.id.as_str()).collect();
        let live = tickets.iter().filter(|(applied, _)| applied.record.state == RecordState::Live).count();
        let known = known(tx, key, &ids).await?;
        made.add(known.made(live));
        awaited = known.awaited;
        let active = expiry::active_after_all(tx, key, cut_offs, &tickets).await?;
        made.shells += i64::try_from(active.len()).unwrap_or(i64::MAX);
        upsert(tx, key, (under, first), &tickets, &active, &awaited).await?;
        facets::replace(tx, key, &tickets).await?;
        led.wanted.extend(active.into_iter().map(|id| (key.object, id)));
    }
    if !bare.is_empty() {
        let ids: Vec<&str> = bare.iter().map(|row| row.id.as_str()).collect();
        let known = known(tx, key, &ids).await?;
        made.add(known.made(0));
        let first = first + i64::try_from(tickets.len()).unwrap_or(i64::MAX);
        gone::tickets(tx, key, mapping_epoch, first, (&bare, &known.awaited)).await?;
    }
    if !talked.is_empty() {
        let first = first + i64::try_from(own).unwrap_or(i64::MAX);
        let (more, others) = aggregate(tx, key, mapping_epoch, cut_offs, first, &talked).await?;
        made.add(more);
        led.add(others);
    }
    if !awaited.is_empty() {
        let first = feed_advance(tx, awaited.len()).await?;
        talked = awaited.iter().map(|record| (key.object, record.as_str())).collect();
        // Their own records came with this page, so none of them is a shell, unless they were let go too early.
        let (more, others) = aggregate(tx, key, mapping_epoch, cut_offs, first, &talked).await?;
        made.add(more);
        led.add(others);
    }
    count(tx, made).await?;
    Ok(led)
}

/// The records of these objects, told by the beginnings of their ids.
pub(super) fn of_objects<'a>(
    objects: &HashMap<String, ObjectId>,
    records: &'a BTreeSet<String>,
) -> Vec<(ObjectId, &'a str)> {
    records.iter().filter_map(|record| Some((*objects.get(record.get(..3)?)?, record.as_str()))).collect()
}

/// Exact, because tickets are written under the feed's lock only: what a statement finds before it writes is what
/// it replaces.
pub(super) async fn count(tx: &TenantTx<'_>, made: Made) -> Result<(), StoreError> {
    const SQL: &str = "-- feed_count
        UPDATE tenant_feed SET tickets = tickets + $2, shells = shells + $3 WHERE tenant_id = $1";
    if made == Made::default() {
        return Ok(());
    }
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("feed_count"))?;
    tx.sql()
        .execute(&statement, &[&tx.scope().tenant().0, &made.live, &made.shells])
        .await
        .map_err(StoreError::at("feed_count"))?;
    Ok(())
}

/// Takes the feed's lock until the commit and gives the first of this many new numbers.
pub(super) async fn feed_advance(tx: &TenantTx<'_>, changes: usize) -> Result<i64, StoreError> {
    const SQL: &str = "-- feed_advance
        UPDATE tenant_feed SET head = head + $2 WHERE tenant_id = $1 RETURNING head - $2 + 1";
    let changes = i64::try_from(changes).unwrap_or(i64::MAX);
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("feed_advance"))?;
    let row = tx
        .sql()
        .query_opt(&statement, &[&tx.scope().tenant().0, &changes])
        .await
        .map_err(StoreError::at("feed_advance"))?
        .ok_or(StoreError::Missing("the tenant's feed"))?;
    Ok(row.get(0))
}

/// What is here of the page's tickets.
#[derive(Default)]
struct Known {
    live: i64,
    shells: i64,
    /// Not here although messages name them already: those came before their object was a ticket at all, so they
    /// made no shell.
    awaited: Vec<String>,
}

impl Known {
    /// What is made when tickets of which so many are live replace what is here.
    fn made(&self, live: usize) -> Made {
        Made { live: i64::try_from(live).unwrap_or(i64::MAX) - self.live, shells: -self.shells }
    }
}

/// Looks the page's tickets up. The feed's lock is held: nobody else writes tickets, and no message slips in between.
async fn known(tx: &TenantTx<'_>, key: ObjectKey, ids: &[&str]) -> Result<Known, StoreError> {
    const SQL: &str = "-- tickets_known
        SELECT k.id, t.state FROM unnest($3::text[]) AS k (id)
          LEFT JOIN LATERAL (
               SELECT state FROM tickets
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) t ON true
         CROSS JOIN LATERAL (
               SELECT count(*) AS here FROM messages m
                WHERE t.state IS NULL AND m.connection_id IS NOT DISTINCT FROM $1 AND m.ticket_record_id = k.id) m
         WHERE t.state IN (0, 1) OR m.here > 0";
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("tickets_known"))?;
    let mut known = Known::default();
    for row in &rows {
        match row.get::<_, Option<i16>>(1) {
            Some(0) => known.live += 1,
            Some(_) => known.shells += 1,
            None => known.awaited.push(row.get(0)),
        }
    }
    Ok(known)
}

async fn upsert(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    (under, first): (&Under<'_>, i64),
    tickets: &[(&Applied<'_>, &TicketRow)],
    active: &HashSet<String>,
    awaited: &[String],
) -> Result<(), StoreError> {
    // What was a ticket until now is not gone with its record: its items are still here, until its purge. Items that came
    // before there was a ticket at all may be projected under any mapping.
    const SQL: &str = "-- tickets_upsert
        INSERT INTO tickets AS t (tenant_id, connection_id, object_id, record_id, state, reason, number, status, priority,
                                  channel, owner_id, contact_id, opened_at, closed_at, record_at, last_activity_at,
                                  mapping_epoch, feed_seq, merged_into, expired)
        SELECT $1, $2, $3, i.id, i.state, i.reason, i.number, i.status, i.priority, i.channel, i.owner_id,
               i.contact_id, i.opened_at, i.closed_at, i.record_at, i.record_at,
               CASE WHEN i.id = ANY ($20::text[]) THEN 0 ELSE $4::int8 END, $5 + i.n - 1, i.merged_into,
               i.reason IS NOT DISTINCT FROM $19::int2
          FROM unnest($6::text[], $7::int2[], $8::int2[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
                      $14::text[], $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::text[])
               WITH ORDINALITY AS i (id, state, reason, number, status, priority, channel, owner_id, contact_id,
                                     opened_at, closed_at, record_at, merged_into, n)
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET state = excluded.state, reason = excluded.reason, number = excluded.number, status = excluded.status,
               priority = excluded.priority, channel = excluded.channel, owner_id = excluded.owner_id,
               contact_id = excluded.contact_id, opened_at = excluded.opened_at, closed_at = excluded.closed_at,
               record_at = excluded.record_at,
               last_activity_at = greatest(excluded.record_at, t.last_message_at),
               mapping_epoch = CASE WHEN $21::bool THEN $4::int8 ELSE t.mapping_epoch END, feed_seq = excluded.feed_seq,
               merged_into = excluded.merged_into, expired = t.expired AND excluded.expired";
    let rows = || tickets.iter().map(|(_, row)| *row);
    // A stub has no values: what it may not keep must not stay in the ticket either.
    let shown = || tickets.iter().map(|(applied, row)| applied.shows_values().then_some(*row));
    let text = |pick: fn(&TicketRow) -> &Option<String>| -> Vec<Option<&str>> {
        shown().map(|row| row.and_then(|row| pick(row).as_deref())).collect()
    };
    let ids: Vec<&str> = tickets.iter().map(|(applied, _)| applied.id.as_str()).collect();
    let (states, reasons): (Vec<i16>, Vec<Option<i16>>) =
        tickets.iter().map(|(applied, _)| state_of(applied, active)).unzip();
    let opened: Vec<Option<Timestamp>> = shown().map(|row| row?.opened_at).collect();
    let closed: Vec<Option<Timestamp>> = shown().map(|row| row?.closed_at).collect();
    let merged: Vec<Option<&str>> = tickets
        .iter()
        .map(|(applied, _)| applied.row.merged_into.as_ref().map(SalesforceId::as_str))
        .collect();
    let active: Vec<Timestamp> = rows().map(|row| row.record_at).collect();
    let (numbers, statuses, priorities) =
        (text(|row| &row.number), text(|row| &row.status), text(|row| &row.priority));
    let (channels, owners, contacts) =
        (text(|row| &row.channel), text(|row| &row.owner_id), text(|row| &row.contact_id));
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("tickets_upsert"))?;
    tx.sql()
        .execute(
            &statement,
            &[
                &tx.scope().tenant().0,
                &key.connection.0,
                &key.object.0,
                &under.mapping_epoch,
                &first,
                &ids,
                &states,
                &reasons,
                &numbers,
                &statuses,
                &priorities,
                &channels,
                &owners,
                &contacts,
                &opened,
                &closed,
                &active,
                &merged,
                &(StateReason::Expired as i16),
                &awaited,
                &under.switches,
            ],
        )
        .await
        .map_err(StoreError::at("tickets_upsert"))?;
    Ok(())
}

/// A ticket that its page lets go, but that was talked about lately, is a shell: its record is asked for once more.
fn state_of(applied: &Applied<'_>, active: &HashSet<String>) -> (i16, Option<i16>) {
    if active.contains(applied.id.as_str()) { (1, None) } else { ticket_state(applied.record.state) }
}

/// A ticket's state and reason as its record's state gives them.
pub(super) fn ticket_state(state: RecordState) -> (i16, Option<i16>) {
    match state {
        RecordState::Live => (0, None),
        RecordState::Stub(reason) | RecordState::Tombstone(reason) => (2, Some(reason as i16)),
    }
}
