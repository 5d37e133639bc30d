//! Records that are here already, projected under another mapping: a batch of tickets switches with all that belongs to
//! them in one commit.
//!
//! What is written was made from records read before, without a lock. Each is locked now and looked at again: one that has
//! changed since is left out, for its page was projected under the new mapping too, which the gate makes sure of.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Object;
use serde_json::Value;
use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::jobs::job_touch;
use super::super::keys::gate_share;
use super::super::pool::TenantTx;
use super::super::records::{ObjectKey, RecordRow};
use super::super::related::{Owner, feed_lock, parents_wanted};
use super::tickets::{Made, Under, count, feed_advance};
use super::{Applied, PageRow, ParentObjects, facets, files, messages, people, tickets};
use crate::clock::Timestamp;
use crate::crypto::IdentityToken;
use crate::ids::{ObjectId, SalesforceId};
use crate::job::lease::Lease;
use crate::record::{ReadOrder, RecordState};
use crate::tenant::TenantScope;
use crate::ticket::Projected;

/// Why a ticket is a tombstone: its object is none of tickets any more. Stored; beside the reasons of records, which are
/// smaller.
pub(in crate::storage) const UNMADE: i16 = 22;

/// A live record that is projected to something else now.
#[derive(Debug)]
pub struct Reprojected {
    /// Its id.
    pub id: SalesforceId,
    /// The read that brought it.
    pub order: ReadOrder,
    /// What it became.
    pub projected: Projected,
    /// Keyed token of the person's e-mail address, for agents and customers.
    pub email_token: Option<IdentityToken>,
}

/// A batch, ready to be made to last.
#[derive(Debug)]
pub struct Switch<'a> {
    /// The lease of the object's job.
    pub lease: &'a Lease,
    /// The mapping version that it was projected under; refused when there is another by now.
    pub version: i64,
    /// What messages may belong to.
    pub parents: &'a ParentObjects,
    /// The object of the batch's tickets, and all of them, changed or not: they are of this version now. Without tickets,
    /// the object of the batch's records.
    pub object: ObjectId,
    /// The tickets.
    pub tickets: &'a [String],
    /// What is projected to something else, by object and in key order.
    pub changed: BTreeMap<ObjectId, Vec<Reprojected>>,
    /// Objects whose records may have been projected to something of another kind.
    pub changed_role: &'a [ObjectId],
    /// Our clock.
    pub now: Timestamp,
    /// How far the job is.
    pub progress: &'a Value,
    /// Called when all is sent and nothing is committed; tests die there.
    pub before_commit: fn(),
}

/// Commits the batch; gives how many records were written. [`StoreError::GateMoved`] means that nothing was.
pub async fn switch_commit(client: &mut Object, switch: Switch<'_>) -> Result<i64, StoreError> {
    let scope = TenantScope::leased(switch.lease.tenant);
    let tx = TenantTx::begin(client, &scope).await?;
    let gate = gate_share(&tx).await?;
    if gate.mapping != switch.version {
        return Err(StoreError::GateMoved { what: "mapping" });
    }
    let key = |object| ObjectKey { connection: switch.lease.connection, object };
    let mut rows: BTreeMap<ObjectId, Vec<PageRow>> = BTreeMap::new();
    for (object, changed) in switch.changed {
        let same = lock(&tx, key(object), &changed).await?;
        let kept = changed.into_iter().filter(|row| same.contains(row.id.as_str()));
        rows.insert(object, kept.map(page_row).collect());
    }
    let (mut touched, mut items) = (BTreeSet::new(), BTreeMap::new());
    let applied: BTreeMap<ObjectId, Vec<Applied<'_>>> =
        rows.iter().map(|(id, rows)| (*id, applied(rows, switch.changed_role.contains(id)))).collect();
    for (object, applied) in &applied {
        let wrote = messages::upsert(&tx, key(*object), applied).await?;
        files::want(&tx, Owner::from(switch.lease), *object, applied, &wrote.files).await?;
        if switch.changed_role.contains(object) {
            people::forget(&tx, key(*object), applied).await?;
        }
        people::upsert(&tx, key(*object), applied).await?;
        touched.extend(wrote.tickets);
        items.insert(*object, wrote.items);
    }
    job_touch(tx.sql(), switch.lease, Some(switch.progress)).await?;
    count_items(&tx, &items).await?;
    let own = applied.get(&switch.object).map_or(&[][..], Vec::as_slice);
    if switch.changed_role.contains(&switch.object) {
        // It may be a ticket of before, of which items came and went while it was none.
        touched.extend(own.iter().filter(|row| row.ticket().is_some()).map(|row| row.id.to_string()));
    }
    let under = Under {
        parents: switch.parents,
        mapping_epoch: switch.version,
        cut_offs: gate.retention.cut_offs(switch.now),
        switches: !switch.tickets.is_empty(),
    };
    let led = tickets::write(&tx, key(switch.object), &under, own, &touched).await?;
    if !switch.tickets.is_empty() {
        feed_lock(&tx).await?;
        mark(&tx, key(switch.object), switch.version, switch.tickets).await?;
    }
    parents_wanted(&tx, Owner::from(switch.lease), &led.wanted).await?;
    (switch.before_commit)();
    tx.commit().await?;
    Ok(applied.values().map(|rows| i64::try_from(rows.len()).unwrap_or(i64::MAX)).sum())
}

fn page_row(row: Reprojected) -> PageRow {
    let record = RecordRow {
        id: row.id,
        order: row.order,
        state: RecordState::Live,
        sealed: None,
        identities: Vec::new(),
    };
    // Nothing but our reading of it changed: bodies of files are as they were.
    PageRow {
        record,
        projected: row.projected,
        email_token: row.email_token,
        merged_into: None,
        same_version: true,
    }
}

fn applied(rows: &[PageRow], changed_role: bool) -> Vec<Applied<'_>> {
    rows.iter()
        .map(|row| Applied { id: row.record.id, was: Some(0), record: &row.record, row, changed_role })
        .collect()
}

/// Locks the records in key order, as page commits do; gives those that are as they were read.
async fn lock(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    changed: &[Reprojected],
) -> Result<BTreeSet<String>, StoreError> {
    const SQL: &str = "-- switch_lock
        SELECT k.id FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::int[])
                         AS k (id, modstamp, read_at, field_set)
         CROSS JOIN LATERAL (
               SELECT modstamp, read_at, field_set_id, state FROM records
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id FOR UPDATE) r
         WHERE (r.modstamp, r.read_at, r.field_set_id, r.state) = (k.modstamp, k.read_at, k.field_set, 0)";
    if changed.is_empty() {
        return Ok(BTreeSet::new());
    }
    let ids: Vec<&str> = changed.iter().map(|row| row.id.as_str()).collect();
    let stamps: Vec<Timestamp> = changed.iter().map(|row| row.order.stamp).collect();
    let read_at: Vec<Timestamp> = changed.iter().map(|row| row.order.read_at).collect();
    let sets: Vec<i32> = changed.iter().map(|row| row.order.field_set.0).collect();
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[
                (&key.connection.0, Type::UUID),
                (&key.object.0, Type::INT4),
                (&ids, Type::TEXT_ARRAY),
                (&stamps, Type::TIMESTAMPTZ_ARRAY),
                (&read_at, Type::TIMESTAMPTZ_ARRAY),
                (&sets, Type::INT4_ARRAY),
            ],
        )
        .await
        .map_err(StoreError::at("switch_lock"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// In the order of their keys, as all that writes several checkpoints.
async fn count_items(tx: &TenantTx<'_>, items: &BTreeMap<ObjectId, i64>) -> Result<(), StoreError> {
    const SQL: &str = "-- switch_count_items
        UPDATE checkpoints SET items = items + $2, updated_at = now() WHERE object_id = $1";
    for (object, more) in items.iter().filter(|(_, more)| **more != 0) {
        tx.sql().execute(SQL, &[&object.0, more]).await.map_err(StoreError::at("switch_count_items"))?;
    }
    Ok(())
}

/// Tells that all of these tickets is of this version. Nothing that a reader of the feed follows changes by it. All of them
/// are here: an upsert finds each by its key alone.
async fn mark(tx: &TenantTx<'_>, key: ObjectKey, version: i64, ids: &[String]) -> Result<(), StoreError> {
    const SQL: &str = "-- switch_mark
        INSERT INTO tickets AS t (tenant_id, connection_id, object_id, record_id, state, last_activity_at, mapping_epoch, feed_seq)
        SELECT $1, $2, $3, k.id, 1, 'epoch', $5, 0 FROM unnest($4::text[]) AS k (id)
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE SET mapping_epoch = excluded.mapping_epoch
         WHERE t.mapping_epoch < excluded.mapping_epoch";
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("switch_mark"))?;
    tx.sql()
        .execute(&statement, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids, &version])
        .await
        .map_err(StoreError::at("switch_mark"))?;
    Ok(())
}

/// Tickets whose object is none of tickets any more.
#[derive(Debug)]
pub struct Unmake<'a> {
    /// The lease of the object's job.
    pub lease: &'a Lease,
    /// The mapping version under which that is so.
    pub version: i64,
    /// So many in one commit, at most.
    pub most: i64,
    /// How far the job is.
    pub progress: &'a Value,
    /// Called when all is sent and nothing is committed; tests die there.
    pub before_commit: fn(),
}

/// Makes tombstones of the next of them; gives how many. Their records and their items stay.
pub async fn tickets_unmake(client: &mut Object, unmake: &Unmake<'_>) -> Result<i64, StoreError> {
    const NEXT: &str = "-- unmake_next
        SELECT record_id, state FROM tickets
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND state < 2 ORDER BY record_id LIMIT $4";
    // All of them are here: an upsert finds each by its key alone.
    const SQL: &str = "-- unmake_tickets
        INSERT INTO tickets AS t (tenant_id, connection_id, object_id, record_id, state, reason, last_activity_at,
                                  mapping_epoch, feed_seq)
        SELECT $1, $2, $3, k.id, 2, $5, 'epoch', $6, $7 + k.n - 1 FROM unnest($4::text[]) WITH ORDINALITY AS k (id, n)
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET state = 2, reason = excluded.reason, number = NULL, status = NULL, priority = NULL, channel = NULL,
               owner_id = NULL, contact_id = NULL, opened_at = NULL, closed_at = NULL, messages = 0,
               customer_messages = 0, mapping_epoch = excluded.mapping_epoch, feed_seq = excluded.feed_seq";
    let scope = TenantScope::leased(unmake.lease.tenant);
    let key = ObjectKey { connection: unmake.lease.connection, object: unmake.lease.object };
    let tx = TenantTx::begin(client, &scope).await?;
    if gate_share(&tx).await?.mapping != unmake.version {
        return Err(StoreError::GateMoved { what: "mapping" });
    }
    job_touch(tx.sql(), unmake.lease, Some(unmake.progress)).await?;
    // Tickets are written under the feed's lock only, so what is found is what is replaced.
    feed_lock(&tx).await?;
    let tenant = scope.tenant().0;
    let rows = tx
        .sql()
        .query(NEXT, &[&tenant, &key.connection.0, &key.object.0, &unmake.most])
        .await
        .map_err(StoreError::at("unmake_next"))?;
    let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if !ids.is_empty() {
        let live = rows.iter().filter(|row| row.get::<_, i16>(1) == 0).count();
        let first = feed_advance(&tx, ids.len()).await?;
        tx.sql()
            .execute(
                SQL,
                &[&tenant, &key.connection.0, &key.object.0, &ids, &UNMADE, &unmake.version, &first],
            )
            .await
            .map_err(StoreError::at("unmake_tickets"))?;
        facets::forget(&tx, key, &ids).await?;
        count(&tx, Made::left(live, ids.len() - live)).await?;
    }
    (unmake.before_commit)();
    tx.commit().await?;
    Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX))
}
