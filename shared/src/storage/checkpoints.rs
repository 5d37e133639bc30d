//! What a job needs to plan, and the moves of a checkpoint that are not part of a page.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::error::StoreError;
use super::filters::FilterSeen;
use super::jobs::job_touch;
use super::page_commit::ParentObjects;
use super::pool::{Database, TenantTx};
use super::related::related_at_first_plan;
use super::schema_changes::schema_object_lost;
use super::slices::{SliceJob, open_slices, slice_jobs_insert};
use crate::catalog::{Field, FieldSet, Filter, Found, Projection, Role, StandardObject};
use crate::clock::Timestamp;
use crate::error::UserMessage;
use crate::ids::{ConnectionId, FieldSetId, ObjectId};
use crate::job::checkpoint::{Checkpoint, ObjectSettings, Position, SyncState};
use crate::job::lease::{Kind, Lease};
use crate::salesforce::FaultKind;
use crate::tenant::TenantScope;

/// How a connection signs in; its secrets are read apart.
#[derive(Debug, Clone)]
pub struct ConnectionFacts {
    /// The connection.
    pub id: ConnectionId,
    /// Where tokens are asked for.
    pub login_url: String,
    /// `client_credentials`, `jwt_bearer` or `refresh_token`.
    pub auth_method: String,
    /// The app's client id.
    pub client_id: String,
    /// JWT bearer's subject.
    pub username: Option<String>,
    /// Whether its jobs may run at all.
    pub active: bool,
    /// When the org last said that it is the one to which the connection belongs.
    pub org_checked_at: Option<Timestamp>,
}

/// Everything stored that a plan rests on.
#[derive(Debug, Clone)]
pub struct PlanInputs {
    /// API name of the object.
    pub api_name: String,
    /// What it is to a ticket; `None` for a word that this build does not know.
    pub role: Option<Role>,
    /// Whether people want it.
    pub enabled: bool,
    /// How often, in seconds.
    pub interval_s: i32,
    /// What people set.
    pub settings: ObjectSettings,
    /// The connection.
    pub connection: ConnectionFacts,
    /// Progress.
    pub checkpoint: Checkpoint,
    /// The set that reads use now.
    pub field_set: Option<FieldSet>,
    /// The paths that people wanted read along when the object was described last; `None` before.
    pub described_for: Option<Vec<String>>,
    /// When that was.
    pub described_at: Option<Timestamp>,
    /// A person wants what is stamped since then to be read once more; only where nothing else of history is being read.
    pub resync_from: Option<Timestamp>,
    /// History begins later than it was to, and what belongs to the tickets that are here is to be read from before.
    pub closes: bool,
    /// Paths that were read of its records once, and that the integration user may see no more.
    pub lost: BTreeSet<String>,
    /// What its records had to pass so far.
    pub filters: FilterSeen,
    /// What messages may belong to: a standard object's beginning of ids is known before it was ever described.
    pub parents: ParentObjects,
}

/// An object of the connection to which others may belong.
#[derive(Deserialize)]
pub(super) struct ParentObject {
    pub(super) id: i32,
    pub(super) api_name: String,
    pub(super) key_prefix: Option<String>,
    pub(super) role: String,
    pub(super) settings: ObjectSettings,
}

/// Reads a job's plan inputs in one transaction of its tenant.
pub async fn plan_inputs(
    db: &Database,
    scope: &TenantScope,
    object: ObjectId,
) -> Result<PlanInputs, StoreError> {
    const SQL: &str = "-- plan_inputs
        SELECT o.api_name, o.enabled, o.interval_s, o.settings,
               c.connection_id, c.login_url, c.auth_method, c.client_id, c.username, c.state = 'active',
               p.state, p.ask, p.generation, p.cursor_field, p.field_set_id, p.watermark_at, p.window_hi,
               p.position_stamp, p.position_id, f.fields,
               (SELECT jsonb_agg(jsonb_build_object('id', s.object_id, 'api_name', s.api_name, 'role', s.role,
                                                    'key_prefix', t.key_prefix, 'settings', s.settings))
                  FROM object_syncs s LEFT JOIN checkpoints t USING (object_id)
                 WHERE s.connection_id = o.connection_id), d.linked, o.role,
               CASE WHEN isfinite(p.scope_from) THEN p.scope_from END,
               (SELECT NOT (x->>'sortable')::bool FROM jsonb_array_elements(d.body->'fields') x
                 WHERE x->>'name' = p.cursor_field), d.fetched_at,
               c.org_checked_at,
               CASE WHEN p.state = 'current' AND p.open_slices = '[]' THEN (p.wish->>'from')::timestamptz END,
               p.called_off, p.state = 'current' AND p.wish->>'what' = 'close', p.lost, p.filter, p.filter_since
          FROM object_syncs o JOIN connections c USING (connection_id) JOIN checkpoints p USING (object_id)
          LEFT JOIN field_sets f ON f.field_set_id = p.field_set_id
          LEFT JOIN describes d ON d.object_id = o.object_id
         WHERE o.object_id = $1 AND o.tenant_id = $2";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let statement = tx.sql().prepare_cached(SQL).await.map_err(StoreError::at("plan_inputs"))?;
    let row = tx
        .sql()
        .query_opt(&statement, &[&object.0, &scope.tenant().0])
        .await
        .map_err(StoreError::at("plan_inputs"))?
        .ok_or(StoreError::Missing("the object sync"))?;
    tx.commit().await?;

    let settings = serde_json::from_value(row.get::<_, Json<Value>>(3).0)
        .map_err(|_| StoreError::Unreadable("object_syncs.settings"))?;
    let field_set_id = row.get::<_, Option<i32>>(14).map(FieldSetId);
    let fields: Option<Json<Vec<Field>>> = row.get(19);
    let others: Option<Json<Vec<ParentObject>>> =
        row.try_get(20).map_err(|_| StoreError::Unreadable("object_syncs.settings"))?;
    let described_for: Option<Json<Vec<String>>> = row.get(21);
    Ok(PlanInputs {
        api_name: row.get(0),
        role: Role::from_word(row.get(22)),
        enabled: row.get(1),
        interval_s: row.get(2),
        settings,
        connection: ConnectionFacts {
            id: ConnectionId(row.get(4)),
            login_url: row.get(5),
            auth_method: row.get(6),
            client_id: row.get(7),
            username: row.get(8),
            active: row.get(9),
            org_checked_at: row.get(26),
        },
        checkpoint: Checkpoint {
            state: SyncState::from_word(row.get(10)).ok_or(StoreError::Unreadable("checkpoints.state"))?,
            ask: row.get::<_, Option<Json<UserMessage>>>(11).map(|ask| ask.0),
            generation: row.get(12),
            cursor_field: row.get(13),
            field_set: field_set_id,
            watermark: row.get(15),
            window_hi: row.get(16),
            position: position(row.get(17), row.get(18)),
            scope_from: row.get(23),
            by_id: row.get::<_, Option<bool>>(24).unwrap_or(false),
            called_off: row.get::<_, Option<i32>>(28).and_then(|days| u32::try_from(days).ok()),
        },
        field_set: field_set_id.zip(fields).map(|(id, fields)| FieldSet::new(id, fields.0)),
        described_for: described_for.map(|linked| linked.0),
        described_at: row.get(25),
        resync_from: row.get(27),
        closes: row.get::<_, Option<bool>>(29).unwrap_or(false),
        lost: row.get::<_, Json<BTreeSet<String>>>(30).0,
        filters: FilterSeen { filter: filter(&row, 31)?, since: filter(&row, 32)? },
        parents: parents(others.map_or_else(Vec::new, |others| others.0)),
    })
}

fn filter(row: &Row, place: usize) -> Result<Option<Filter>, StoreError> {
    let filter: Option<Json<Filter>> =
        row.try_get(place).map_err(|_| StoreError::Unreadable("checkpoints.filter"))?;
    Ok(filter.map(|filter| filter.0))
}

/// What the connection's messages may belong to.
pub(super) fn parents(objects: Vec<ParentObject>) -> ParentObjects {
    let mut parents = ParentObjects::default();
    for object in objects {
        let (id, standard) = (ObjectId(object.id), StandardObject::find(&object.api_name));
        match standard.map(|object| object.found) {
            Some(Found::ByParents) => drop(parents.by_parents.insert(id)),
            Some(Found::ByCalls) => drop(parents.by_calls.insert(id)),
            Some(Found::WithChildren) => drop(parents.with_children.insert(id)),
            Some(Found::ByStamp) | None => {}
        }
        let has_filter = object.settings.filter.is_some();
        let known = standard.map(|object| object.key_prefix.to_owned());
        let (Some(prefix), Some(role)) = (object.key_prefix.clone().or(known), Role::from_word(&object.role))
        else {
            continue;
        };
        match Projection::of(&object.api_name, role, &object.settings) {
            Projection::Ticket(_) => {
                parents.filters |= has_filter;
                parents.tickets.insert(prefix, id);
            }
            Projection::Message(fields) => {
                if fields.holds {
                    parents.filters |= has_filter;
                    parents.holders.insert(prefix, id);
                }
                let own = fields.parents.into_iter().filter(|path| !path.contains('.'));
                parents.children.extend(own.map(|field| (id, field)));
            }
            Projection::Agent | Projection::Customer | Projection::None => {}
        }
    }
    parents
}

fn position(stamp: Option<Timestamp>, id: Option<String>) -> Option<Position> {
    Some(Position { stamp: stamp?, id: id? })
}

/// What the first plan of an object decides: where changes start, and which slices of history to read.
#[derive(Debug, Clone)]
pub struct FirstPlan {
    /// History is wanted from here; all of it where there is no such moment.
    pub scope_from: Option<Timestamp>,
    /// Changes are read from here.
    pub watermark: Timestamp,
    /// How many records the org counted; `None` where they are too many to count in Salesforce's time.
    pub expected: Option<i64>,
    /// History, newest first; empty when there is none.
    pub slices: Vec<SliceJob>,
    /// No window brings any record: what they belong to leads to them.
    pub by_parents: bool,
}

/// Stores the first plan: the watermark, the open slices and one job a slice.
pub async fn first_plan_store(tx: &TenantTx<'_>, lease: &Lease, plan: &FirstPlan) -> Result<(), StoreError> {
    const PLAN: &str = "-- checkpoint_first_plan
        UPDATE checkpoints
           SET state = CASE WHEN $4 = '[]'::jsonb THEN 'current' ELSE 'loading' END, ask = NULL,
               watermark_at = $2::timestamptz, window_hi = NULL, position_stamp = NULL, position_id = NULL,
               expected = $3, open_slices = $4,
               scope_from = CASE WHEN $6::bool THEN 'infinity' ELSE coalesce($5::timestamptz, '-infinity') END,
               covered_from = CASE WHEN $4 = '[]'::jsonb THEN coalesce($5::timestamptz, '-infinity') ELSE $2::timestamptz END,
               loaded_at = CASE WHEN $4 = '[]'::jsonb THEN now() END, updated_at = now()
         WHERE object_id = $1 RETURNING generation";
    let slices = Json(open_slices(&plan.slices));
    let row = tx
        .sql()
        .query_one(
            PLAN,
            &[&lease.object.0, &plan.watermark, &plan.expected, &slices, &plan.scope_from, &plan.by_parents],
        )
        .await
        .map_err(StoreError::at("checkpoint_first_plan"))?;
    slice_jobs_insert(tx, lease, row.get(0), &plan.slices).await
}

/// Lets the watermark of an object whose records are found by what they belong to follow those objects' own, once what
/// they led to is read. Gives whether it is.
pub async fn checkpoint_follow(
    tx: &TenantTx<'_>,
    object: ObjectId,
    parents: &[i32],
) -> Result<bool, StoreError> {
    const SQL: &str = "-- checkpoint_follow
        UPDATE checkpoints c SET watermark_at = greatest(c.watermark_at, w.at), passed_at = now(), updated_at = now()
          FROM (SELECT min(p.watermark_at) AS at FROM checkpoints p WHERE p.object_id = ANY ($2)) w
         WHERE c.object_id = $1 AND w.at IS NOT NULL
           AND NOT EXISTS (SELECT FROM jobs j WHERE j.object_id = $1 AND j.kind = $3)";
    let changed = tx
        .sql()
        .execute(SQL, &[&object.0, &parents, &Kind::Related.word()])
        .await
        .map_err(StoreError::at("checkpoint_follow"))?;
    Ok(changed == 1)
}

/// Lets all that is wanted be read once more, for fields that were not read with it: a new generation of slices takes the
/// place of those that are open, and a window that was begun begins anew. What is here stays, and so does the watermark.
pub async fn history_again(
    tx: &TenantTx<'_>,
    lease: &Lease,
    expected: Option<i64>,
    slices: &[SliceJob],
) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_history_again
        UPDATE checkpoints SET generation = generation + 1, state = 'loading', open_slices = $2, expected = $3,
               covered_from = watermark_at, window_hi = NULL, position_stamp = NULL, position_id = NULL, updated_at = now()
         WHERE object_id = $1 RETURNING generation";
    let row = tx
        .sql()
        .query_one(SQL, &[&lease.object.0, &Json(open_slices(slices)), &expected])
        .await
        .map_err(StoreError::at("checkpoint_history_again"))?;
    slice_jobs_insert(tx, lease, row.get(0), slices).await
}

/// Lets what is stamped since a moment be read once more, by these slices, and so grants the wish. State, watermark and what is
/// covered stay: to readers nothing changes but what is repaired.
pub async fn resync_begin(tx: &TenantTx<'_>, lease: &Lease, slices: &[SliceJob]) -> Result<(), StoreError> {
    // Not where more of history came to be read meanwhile: its own slices must not be lost, and the wish waits for them.
    // Nor where it was called off.
    const SQL: &str = "-- checkpoint_resync
        UPDATE checkpoints SET generation = generation + 1, open_slices = $2, wish = NULL, updated_at = now()
         WHERE object_id = $1 AND state = 'current' AND open_slices = '[]' AND wish->>'what' = 'resync' RETURNING generation";
    job_touch(tx.sql(), lease, None).await?;
    let row = tx
        .sql()
        .query_opt(SQL, &[&lease.object.0, &Json(open_slices(slices))])
        .await
        .map_err(StoreError::at("checkpoint_resync"))?;
    let Some(row) = row else { return Ok(()) };
    slice_jobs_insert(tx, lease, row.get(0), slices).await
}

/// Lets history reach further back: more open slices, and one job for each. What a person called off stays so beyond what
/// a resync asks for.
pub async fn scope_extend(
    tx: &TenantTx<'_>,
    lease: &Lease,
    scope_from: Option<Timestamp>,
    expected: Option<i64>,
    slices: &[SliceJob],
) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_scope_extend
        UPDATE checkpoints
           SET scope_from = coalesce($2::timestamptz, '-infinity'), open_slices = open_slices || $3::jsonb, expected = expected + $4,
               called_off = CASE WHEN wish IS NOT NULL THEN called_off END,
               state = CASE WHEN $3::jsonb = '[]'::jsonb THEN state ELSE 'loading' END,
               covered_from = CASE WHEN open_slices || $3::jsonb = '[]'::jsonb THEN coalesce($2::timestamptz, '-infinity') ELSE covered_from END,
               updated_at = now()
         WHERE object_id = $1 RETURNING generation";
    job_touch(tx.sql(), lease, None).await?;
    let row = tx
        .sql()
        .query_one(SQL, &[&lease.object.0, &scope_from, &Json(open_slices(slices)), &expected])
        .await
        .map_err(StoreError::at("checkpoint_scope_extend"))?;
    slice_jobs_insert(tx, lease, row.get(0), slices).await
}

/// Reads, of what belongs to tickets that are here, what is from before where history begins now: once, after a load that
/// was called off.
pub async fn history_close(
    tx: &TenantTx<'_>,
    lease: &Lease,
    parents: &ParentObjects,
) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_close
        UPDATE checkpoints SET wish = NULL, updated_at = now() WHERE object_id = $1 AND wish->>'what' = 'close'";
    job_touch(tx.sql(), lease, None).await?;
    let closed =
        tx.sql().execute(SQL, &[&lease.object.0]).await.map_err(StoreError::at("checkpoint_close"))?;
    if closed == 1 { related_at_first_plan(tx, lease, parents).await } else { Ok(()) }
}

/// Lets the window that is being read end earlier; what it leaves out is read after it.
pub async fn window_cut(tx: &TenantTx<'_>, object: ObjectId, at: Timestamp) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_window_cut
        UPDATE checkpoints SET window_hi = $2, updated_at = now() WHERE object_id = $1";
    tx.sql().execute(SQL, &[&object.0, &at]).await.map_err(StoreError::at("checkpoint_window_cut"))?;
    Ok(())
}

/// Marks that the object cannot go on (`ask`), or that the org has no such object (no `ask`). Before one that was parked goes
/// on it is described anew: what stopped it may have been mended there.
pub async fn checkpoint_stop(
    tx: &TenantTx<'_>,
    object: ObjectId,
    ask: Option<&UserMessage>,
) -> Result<(), StoreError> {
    const SQL: &str = "-- checkpoint_stop
        UPDATE checkpoints SET state = CASE WHEN $2::jsonb IS NULL THEN 'absent' ELSE 'parked' END, ask = $2,
               updated_at = now()
         WHERE object_id = $1";
    const LOOK: &str = "-- describe_is_old
        UPDATE describes SET fetched_at = 'epoch' WHERE object_id = $1";
    if ask.is_some() {
        tx.sql().execute(LOOK, &[&object.0]).await.map_err(StoreError::at("describe_is_old"))?;
    }
    tx.sql().execute(SQL, &[&object.0, &ask.map(Json)]).await.map_err(StoreError::at("checkpoint_stop"))?;
    if ask.is_none_or(|ask| ask.code == FaultKind::UnknownObject.code()) {
        schema_object_lost(tx, object).await?;
    }
    Ok(())
}
