//! Which record a person's words name, and asking for it.

use std::collections::HashMap;

use serde_json::json;

use crate::audit::{Action, Event};
use crate::catalog::{Projection, Role, StandardObject};
use crate::ids::{ConnectionId, ObjectId, SalesforceId};
use crate::job::ObjectSettings;
use crate::job::lease::Class;
use crate::job::related::Related;
use crate::record::named::{Named, spellings};
use crate::storage::audit::audit_write;
use crate::storage::related::{Owner, record_wanted, related_jobs_insert};
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// What became of asking for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It is being read, with everything that belongs to it.
    Record(ObjectId, SalesforceId),
    /// No ticket here has this number; Salesforce is asked for it.
    Number(String),
    /// An id of an object that this connection does not keep, with the object's name where it is known.
    OtherObject(SalesforceId, Option<&'static str>),
    /// There is no such connection.
    NoConnection,
}

/// An object of the connection.
struct Kept {
    id: ObjectId,
    projection: Projection,
}

/// Has the record read now, whatever windows bring, with its children; or asks Salesforce for a ticket's number.
pub async fn record_ask(
    db: &Database,
    scope: &TenantScope,
    connection: ConnectionId,
    named: &Named,
) -> Result<Asked, StoreError> {
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let Some(org) = org_of(&tx, connection).await? else { return Ok(Asked::NoConnection) };
    let owner = Owner { connection, org };
    let kept = kept_objects(&tx, connection).await?;
    let records = match named {
        Named::Records(ids) => ids.clone(),
        Named::Number(number) => numbered(&tx, connection, number).await?.into_iter().collect(),
    };
    let asked = match (records.iter().find(|id| kept.contains_key(id.key_prefix())), named) {
        (Some(id), _) => {
            let object = kept[id.key_prefix()].id;
            record_wanted(&tx, owner, object, id, &children(&kept)).await?;
            Asked::Record(object, *id)
        }
        (None, Named::Records(ids)) => {
            let id = ids.first().copied().ok_or(StoreError::Missing("an id"))?;
            Asked::OtherObject(id, StandardObject::of_prefix(id.key_prefix()).map(|object| object.api_name))
        }
        (None, Named::Number(number)) => {
            ask_number(&tx, owner, &kept, number).await?;
            Asked::Number(number.clone())
        }
    };
    let event = Event::of(scope, Action::SyncRecord).connection(connection);
    match &asked {
        Asked::Record(object, id) => {
            let event = event.object(*object).details(json!({ "record": id }));
            audit_write(tx.sql(), scope.tenant(), &event).await?;
        }
        Asked::Number(_) => audit_write(tx.sql(), scope.tenant(), &event).await?,
        Asked::OtherObject(..) | Asked::NoConnection => {}
    }
    tx.commit().await?;
    Ok(asked)
}

async fn org_of(tx: &TenantTx<'_>, connection: ConnectionId) -> Result<Option<SalesforceId>, StoreError> {
    const SQL: &str = "-- connection_org
        SELECT org_id FROM connections WHERE tenant_id = $1 AND connection_id = $2 AND org_id IS NOT NULL";
    let row = tx
        .sql()
        .query_opt(SQL, &[&tx.scope().tenant().0, &connection.0])
        .await
        .map_err(StoreError::at("connection_org"))?;
    row.map(|row| SalesforceId::parse(row.get(0)).map_err(|_| StoreError::Unreadable("connections.org_id")))
        .transpose()
}

/// The connection's enabled objects, by what their ids begin with.
async fn kept_objects(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
) -> Result<HashMap<String, Kept>, StoreError> {
    const SQL: &str = "-- objects_kept
        SELECT o.object_id, o.api_name, o.role, o.settings, c.key_prefix
          FROM object_syncs o LEFT JOIN checkpoints c USING (object_id)
         WHERE o.tenant_id = $1 AND o.connection_id = $2 AND o.enabled";
    let rows = tx
        .sql()
        .query(SQL, &[&tx.scope().tenant().0, &connection.0])
        .await
        .map_err(StoreError::at("objects_kept"))?;
    let mut kept = HashMap::new();
    for row in &rows {
        let api_name: &str = row.get(1);
        let settings: tokio_postgres::types::Json<ObjectSettings> =
            row.try_get(3).map_err(|_| StoreError::Unreadable("object_syncs.settings"))?;
        let known = || StandardObject::find(api_name).map(|object| object.key_prefix.to_owned());
        let Some(prefix) = row.get::<_, Option<String>>(4).or_else(known) else { continue };
        let projection = Role::from_word(row.get(2))
            .map_or(Projection::None, |role| Projection::of(api_name, role, &settings.0));
        kept.insert(prefix, Kept { id: ObjectId(row.get(0)), projection });
    }
    Ok(kept)
}

/// Fields by which items name what they belong to.
fn children(kept: &HashMap<String, Kept>) -> Vec<(ObjectId, String)> {
    let fields = kept.values().filter_map(|object| match &object.projection {
        Projection::Message(fields) => Some((object.id, fields)),
        Projection::Ticket(_) | Projection::Agent | Projection::Customer | Projection::None => None,
    });
    let own = fields.flat_map(|(id, fields)| fields.parents.iter().map(move |path| (id, path.clone())));
    own.filter(|(_, path)| !path.contains('.')).collect()
}

async fn numbered(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    number: &str,
) -> Result<Option<SalesforceId>, StoreError> {
    const SQL: &str = "-- ticket_numbered
        SELECT record_id FROM tickets
         WHERE tenant_id = $1 AND number = ANY ($3) AND connection_id = $2 ORDER BY state, record_id LIMIT 1";
    let row = tx
        .sql()
        .query_opt(SQL, &[&tx.scope().tenant().0, &connection.0, &spellings(number)])
        .await
        .map_err(StoreError::at("ticket_numbered"))?;
    row.map(|row| SalesforceId::parse(row.get(0)).map_err(|_| StoreError::Unreadable("tickets.record_id")))
        .transpose()
}

/// Asks every ticket object that has a number.
async fn ask_number(
    tx: &TenantTx<'_>,
    owner: Owner,
    kept: &HashMap<String, Kept>,
    number: &str,
) -> Result<(), StoreError> {
    for object in kept.values() {
        let Projection::Ticket(fields) = &object.projection else { continue };
        if let Some(field) = &fields.number {
            let related =
                Related { field: field.clone(), ids: Vec::new(), numbers: spellings(number), gone: false };
            related_jobs_insert(tx, owner, Class::Interactive, object.id, &related).await?;
        }
    }
    Ok(())
}
