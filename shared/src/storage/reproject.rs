//! What is here is projected anew when its mapping changes: from the sealed records, without a call to Salesforce.
//!
//! A mapping is what decides how an object's records are projected: its role, the fields that feed a ticket or a message,
//! the facets, which records its items may belong to, which fields may not be seen any more, and which records are kept at
//! all. The checkpoint keeps the one under which all that is here of the object was projected; where it is not the one that
//! is wanted, the reconciler makes a job, and the job's last commit writes the new one down. So nothing is forgotten,
//! whoever dies, and a mapping that changes meanwhile makes it begin anew.
//!
//! - [`next`]: what comes next, in the order of keys.
//! - [`stored`]: records as they are here, with what they were projected to.
//! - [`switch_commit`](super::page_commit::switch_commit): a batch of tickets with all that belongs to them, in one commit.

pub mod next;
pub mod stored;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use tokio_postgres::types::Json;

use super::checkpoints::{ParentObject, parents};
use super::error::StoreError;
use super::jobs::job_touch;
use super::keys::gate_share;
use super::page_commit::ParentObjects;
use super::pool::{Database, TenantTx};
use crate::catalog::{Field, FieldSet, Filter, Projection, Role, ticket_kinds};
use crate::ids::{FieldSetId, ObjectId};
use crate::job::ObjectSettings;
use crate::job::lease::Lease;
use crate::tenant::TenantScope;
use crate::ticket::{ProjectionPlan, ticket_paths};

/// The mapping of the object sync `o`, with the beginnings of ids of standard ticket objects as a parameter: those are
/// known before the object is, the tenant's own are not. `lost` are the paths of its checkpoint that may not be seen any
/// more.
pub(in crate::storage) fn mapping_sql(standard: &str, lost: &str) -> String {
    format!(
        "CASE WHEN o.role = 'ticket' AND {lost} <> '[]' THEN jsonb_build_object('lost', {lost}) ELSE '{{}}' END
         || jsonb_build_object(
            'role', o.role, 'ticket', o.settings->'ticket', 'facets', o.settings->'facets', 'message', o.settings->'message',
            'kinds', CASE WHEN o.role IN ('message', 'event', 'file') THEN (
                SELECT coalesce(jsonb_agg(k.key_prefix ORDER BY k.key_prefix), '[]')
                  FROM object_syncs s JOIN checkpoints k USING (object_id)
                 WHERE s.connection_id = o.connection_id AND s.role = 'ticket'
                   AND k.key_prefix <> ALL ({standard}::text[])) END)
         || CASE WHEN o.settings ? 'filter' THEN jsonb_build_object('filter', o.settings->'filter') ELSE '{{}}'::jsonb END"
    )
}

/// What the parameter of [`mapping_sql`] is.
pub(in crate::storage) fn standard_kinds() -> Vec<String> {
    ticket_kinds(std::iter::empty()).into_iter().collect()
}

/// An object of a connection, as it is mapped.
#[derive(Debug, Clone)]
pub struct MappedObject {
    /// Its API name.
    pub api_name: String,
    /// How its records are projected.
    pub plan: ProjectionPlan,
    /// What is here of it may be projected under another mapping.
    pub is_stale: bool,
    /// What it is to a ticket.
    pub role: Option<Role>,
    /// What it was under the mapping of what is here; the same where nothing tells.
    pub was: Option<Role>,
    /// The mapping that is wanted.
    pub mapping: Value,
    /// The mapping of what is here; none where nothing tells.
    pub projected: Option<Value>,
    /// Which of its records are kept.
    pub filter: Option<Filter>,
    /// Live records here.
    pub live: i64,
    /// The paths of which tickets are made.
    pub uses: BTreeSet<String>,
}

impl MappedObject {
    /// Whether its records are projected to something of another kind than before.
    #[must_use]
    pub fn changed_role(&self) -> bool {
        self.role != self.was
    }

    /// Whether another mapping makes nothing else of its records: of what was lost nothing is made of them; or it differs in
    /// what they may belong to alone, and each of them names one record at most.
    #[must_use]
    pub fn is_as_before(&self) -> bool {
        let Some(projected) = &self.projected else { return false };
        let (before, now) = (self.made_of(projected), self.made_of(&self.mapping));
        let without_kinds = |mapping: &Value| {
            let mut mapping = mapping.clone();
            mapping["kinds"] = Value::Null;
            mapping.as_object_mut().map(|words| words.remove("filter"));
            mapping
        };
        let names_one = match &self.plan.projection {
            Projection::Message(fields) => fields.parents.len() < 2,
            Projection::Ticket(_) | Projection::Agent | Projection::Customer | Projection::None => false,
        };
        before == now || (names_one && without_kinds(&before) == without_kinds(&now))
    }

    /// A mapping with only those lost paths of which something is made.
    fn made_of(&self, mapping: &Value) -> Value {
        let mut mapping = mapping.clone();
        let lost = mapping["lost"].as_array().into_iter().flatten().filter_map(Value::as_str);
        mapping["lost"] = lost.filter(|path| self.uses.contains(*path)).collect();
        mapping
    }

    /// Whether another filter is wanted than the one under which all that is here was kept.
    #[must_use]
    pub fn changed_filter(&self) -> bool {
        let before = self.projected.as_ref().and_then(|mapping| mapping.get("filter"));
        self.filter.is_some() && before != self.mapping.get("filter")
    }

    /// Whether nothing but the filter is another one: what is kept is projected as before.
    #[must_use]
    pub fn differs_by_filter_alone(&self) -> bool {
        let others = |mapping: &Value| {
            let mut mapping = mapping.clone();
            mapping.as_object_mut().map(|words| words.remove("filter"));
            mapping
        };
        self.projected.as_ref().is_some_and(|before| others(before) == others(&self.mapping))
    }

    /// Whether its records are items of conversations, or were.
    #[must_use]
    pub fn has_items(&self) -> bool {
        let is_item = |role| matches!(role, Some(Role::Message | Role::Event | Role::File));
        is_item(self.role) || is_item(self.was)
    }
}

/// A connection's objects as they are mapped at one moment.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// The tenant's mapping version of that moment; a commit under another one is refused.
    pub version: i64,
    /// The objects that have a checkpoint.
    pub objects: BTreeMap<ObjectId, MappedObject>,
    /// What their records were read with.
    pub sets: HashMap<FieldSetId, FieldSet>,
    /// What messages may belong to.
    pub parents: ParentObjects,
}

impl Mapped {
    /// Objects whose items are to be projected anew.
    #[must_use]
    pub fn stale_items(&self) -> Vec<ObjectId> {
        self.objects.iter().filter(|(_, o)| o.is_stale && o.has_items()).map(|(id, _)| *id).collect()
    }

    /// Objects whose records are projected to something of another kind than before.
    #[must_use]
    pub fn changed_roles(&self) -> Vec<ObjectId> {
        self.objects.iter().filter(|(_, o)| o.changed_role()).map(|(id, _)| *id).collect()
    }

    /// Objects whose records are to be made tickets.
    pub fn tickets_to_make(&self) -> impl Iterator<Item = ObjectId> {
        let is_made = |o: &MappedObject| o.is_stale && o.changed_role() && o.role == Some(Role::Ticket);
        self.objects.iter().filter(move |(_, o)| is_made(o)).map(|(id, _)| *id)
    }

    /// Objects whose records are tickets.
    #[must_use]
    pub fn tickets(&self) -> Vec<ObjectId> {
        let is_ticket = |o: &MappedObject| o.role == Some(Role::Ticket);
        self.objects.iter().filter(|(_, o)| is_ticket(o)).map(|(id, _)| *id).collect()
    }
}

/// Reads it, under the gate, so that version and settings belong together.
pub async fn mapped_load(db: &Database, lease: &Lease) -> Result<Mapped, StoreError> {
    const SETS: &str = "-- reproject_field_sets
        SELECT field_set_id, fields FROM field_sets WHERE tenant_id = $1 AND object_id = ANY ($2)";
    let sql = format!(
        "-- reproject_objects
        SELECT o.object_id, o.api_name, o.role, o.settings, p.key_prefix, p.projected, {} AS mapping, p.live, p.lost
          FROM object_syncs o JOIN checkpoints p USING (object_id)
         WHERE o.tenant_id = $1 AND o.connection_id = $2",
        mapping_sql("$3", "p.lost")
    );
    let scope = TenantScope::leased(lease.tenant);
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &scope).await?;
    let version = gate_share(&tx).await?.mapping;
    let (tenant, connection) = (scope.tenant().0, lease.connection.0);
    let rows = tx
        .sql()
        .query(&sql, &[&tenant, &connection, &standard_kinds()])
        .await
        .map_err(StoreError::at("reproject_objects"))?;
    let ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    let sets =
        tx.sql().query(SETS, &[&tenant, &ids]).await.map_err(StoreError::at("reproject_field_sets"))?;
    let all: Vec<ParentObject> = rows.iter().map(parent_object).collect::<Result<_, _>>()?;
    tx.commit().await?;

    let kept: Vec<(String, ObjectSettings)> =
        all.iter().map(|object| (object.role.clone(), object.settings.clone())).collect();
    let parents = parents(all);
    let kinds = ticket_kinds(parents.tickets.keys());
    let objects = rows.iter().zip(kept).map(|(row, (role, settings))| {
        let (api_name, projected): (String, Option<Json<Value>>) = (row.get(1), row.get(5));
        let (role, mapping) = (Role::from_word(&role), row.get::<_, Json<Value>>(6).0);
        let was = projected.as_ref().and_then(|before| Role::from_word(before.0["role"].as_str()?)).or(role);
        let plan = ProjectionPlan {
            projection: role.map_or(Projection::None, |role| Projection::of(&api_name, role, &settings)),
            ticket_kinds: kinds.clone(),
            facets: settings.facets,
            files: settings.files,
        };
        let uses = ticket_paths(&plan.projection, &plan.facets);
        let plan = plan.without(&row.get::<_, Json<BTreeSet<String>>>(8).0);
        let projected = projected.map(|projected| projected.0);
        let is_stale = projected.as_ref().is_none_or(|projected| *projected != mapping);
        let (live, filter) = (row.get(7), settings.filter);
        (
            ObjectId(row.get(0)),
            MappedObject { api_name, plan, is_stale, role, was, mapping, projected, filter, live, uses },
        )
    });
    Ok(Mapped {
        version,
        objects: objects.collect(),
        sets: sets
            .iter()
            .map(|row| {
                let id = FieldSetId(row.get(0));
                (id, FieldSet::new(id, row.get::<_, Json<Vec<Field>>>(1).0))
            })
            .collect(),
        parents,
    })
}

fn parent_object(row: &tokio_postgres::Row) -> Result<ParentObject, StoreError> {
    let settings: Json<ObjectSettings> =
        row.try_get(3).map_err(|_| StoreError::Unreadable("object_syncs.settings"))?;
    Ok(ParentObject {
        id: row.get(0),
        api_name: row.get(1),
        role: row.get(2),
        key_prefix: row.get(4),
        settings: settings.0,
    })
}

/// Writes down that all that is here of the job's object is projected under this mapping, if it is still the one of this
/// version.
pub async fn mapping_done(
    db: &Database,
    lease: &Lease,
    version: i64,
    mapping: &Value,
) -> Result<(), StoreError> {
    const SQL: &str = "-- reproject_done
        UPDATE checkpoints SET projected = $2, updated_at = now() WHERE object_id = $1";
    let scope = TenantScope::leased(lease.tenant);
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &scope).await?;
    if gate_share(&tx).await?.mapping != version {
        return Err(StoreError::GateMoved { what: "mapping" });
    }
    job_touch(tx.sql(), lease, None).await?;
    tx.sql()
        .execute(SQL, &[&lease.object.0, &Json(mapping)])
        .await
        .map_err(StoreError::at("reproject_done"))?;
    tx.commit().await
}
