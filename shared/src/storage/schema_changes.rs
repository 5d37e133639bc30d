//! The log of what changed in the objects that are read, as it was noticed.

use tokio_postgres::types::Json;

use super::describes::SeenObject;
use super::error::StoreError;
use super::pool::{Database, TenantTx};
use crate::catalog::schema_change::{ChangeKind, Look, SchemaChange, Shape, schema_changes, used_by};
use crate::catalog::{Field, ObjectDescribe, Role};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, ObjectId};
use crate::job::ObjectSettings;
use crate::job::lease::Lease;
use crate::tenant::TenantScope;

/// The log is kept for so many days.
const KEPT_DAYS: i32 = 730;

/// Writes down how an object differs from what was seen of it last, before what is seen now takes its place.
pub(super) async fn schema_compare(
    tx: &TenantTx<'_>,
    lease: &Lease,
    seen: &SeenObject<'_>,
) -> Result<(), StoreError> {
    const BEFORE: &str = "-- schema_before
        SELECT d.body, d.linked, f.fields,
               coalesce((SELECT s.kind = 'lost' AND s.path IS NULL FROM schema_changes s
                          WHERE s.tenant_id = $1 AND s.object_id = $2 AND s.path IS NULL
                          ORDER BY s.change_id DESC LIMIT 1), false)
          FROM describes d
          JOIN LATERAL (SELECT fields FROM field_sets WHERE tenant_id = $1 AND object_id = $2
                         ORDER BY field_set_id DESC LIMIT 1) f ON true
         WHERE d.object_id = $2";
    let tenant = tx.scope().tenant().0;
    let found = tx.sql().query_opt(BEFORE, &[&tenant, &lease.object.0]).await;
    let Some(row) = found.map_err(StoreError::at("schema_before"))? else { return Ok(()) };
    let unreadable = |what| move |_| StoreError::Unreadable(what);
    let describe: Json<ObjectDescribe> = row.try_get(0).map_err(unreadable("describes.body"))?;
    let linked: Json<Vec<String>> = row.try_get(1).map_err(unreadable("describes.linked"))?;
    let fields: Json<Vec<Field>> = row.try_get(2).map_err(unreadable("field_sets.fields"))?;
    let before = Look { describe: &describe.0, linked: &linked.0, fields: &fields.0 };
    let after = Look { describe: seen.describe, linked: seen.linked, fields: seen.fields };
    let mut changes = schema_changes(&before, &after);
    if row.get(3) {
        changes.insert(0, SchemaChange::of_object(ChangeKind::New));
    }
    schema_note(tx, (lease.connection, lease.object), &changes).await
}

/// Writes down that an object that was seen cannot be seen any more; once, however often it is looked for.
pub(super) async fn schema_object_lost(tx: &TenantTx<'_>, object: ObjectId) -> Result<(), StoreError> {
    const KNOWN: &str = "-- schema_object_known
        SELECT o.connection_id, coalesce((SELECT s.kind FROM schema_changes s
                                           WHERE s.tenant_id = $1 AND s.object_id = $2 AND s.path IS NULL
                                           ORDER BY s.change_id DESC LIMIT 1), '')
          FROM object_syncs o JOIN describes d USING (object_id)
         WHERE o.tenant_id = $1 AND o.object_id = $2";
    let row = tx
        .sql()
        .query_opt(KNOWN, &[&tx.scope().tenant().0, &object.0])
        .await
        .map_err(StoreError::at("schema_object_known"))?;
    match row {
        Some(row) if row.get::<_, &str>(1) != ChangeKind::Lost.word() => {
            let lost = SchemaChange::of_object(ChangeKind::Lost);
            schema_note(tx, (ConnectionId(row.get(0)), object), &[lost]).await
        }
        _ => Ok(()),
    }
}

async fn schema_note(
    tx: &TenantTx<'_>,
    (connection, object): (ConnectionId, ObjectId),
    changes: &[SchemaChange],
) -> Result<(), StoreError> {
    const NOTE: &str = "-- schema_note
        INSERT INTO schema_changes (tenant_id, connection_id, object_id, kind, path, before, after, perhaps)
        SELECT $1, $2, $3, i.kind, i.path, i.before, i.after, i.perhaps
          FROM unnest($4::text[], $5::text[], $6::jsonb[], $7::jsonb[], $8::text[])
               WITH ORDINALITY AS i (kind, path, before, after, perhaps, n)
         ORDER BY i.n";
    const FORGET: &str = "-- schema_forget
        DELETE FROM schema_changes WHERE tenant_id = $1 AND seen_at < now() - $2::int * interval '1 day'";
    if changes.is_empty() {
        return Ok(());
    }
    let tenant = tx.scope().tenant().0;
    let kinds: Vec<&str> = changes.iter().map(|change| change.kind.word()).collect();
    let paths: Vec<Option<&str>> = changes.iter().map(|change| change.path.as_deref()).collect();
    let before: Vec<_> = changes.iter().map(|change| change.before.as_ref().map(Json)).collect();
    let after: Vec<_> = changes.iter().map(|change| change.after.as_ref().map(Json)).collect();
    let perhaps: Vec<Option<&str>> = changes.iter().map(|change| change.perhaps.as_deref()).collect();
    tx.sql()
        .execute(NOTE, &[&tenant, &connection.0, &object.0, &kinds, &paths, &before, &after, &perhaps])
        .await
        .map_err(StoreError::at("schema_note"))?;
    tx.sql().execute(FORGET, &[&tenant, &KEPT_DAYS]).await.map_err(StoreError::at("schema_forget"))?;
    Ok(())
}

/// One change, with what it means to what people set up.
#[derive(Debug)]
pub struct NotedChange {
    /// Its place in the log.
    pub id: i64,
    /// The connection.
    pub connection: ConnectionId,
    /// The object sync.
    pub object: ObjectId,
    /// The object's API name.
    pub api_name: String,
    /// When it was noticed.
    pub seen_at: Timestamp,
    /// `new`, `lost` or `changed`.
    pub kind: String,
    /// The field or path; none: the whole object.
    pub path: Option<String>,
    /// The field as it was.
    pub before: Option<Shape>,
    /// The field as it is.
    pub after: Option<Shape>,
    /// What it was perhaps renamed to.
    pub perhaps: Option<String>,
    /// What of the object's settings of today reads it.
    pub used_by: Vec<String>,
}

/// A page of the log, the newest first.
pub async fn schema_changes_list(
    db: &Database,
    scope: &TenantScope,
    object: Option<ObjectId>,
    before: Option<i64>,
    limit: u16,
) -> Result<Vec<NotedChange>, StoreError> {
    const SQL: &str = "-- schema_changes_list
        SELECT s.change_id, s.connection_id, s.object_id, o.api_name, s.seen_at, s.kind, s.path, s.before, s.after,
               s.perhaps, o.settings, o.role
          FROM schema_changes s JOIN object_syncs o USING (tenant_id, object_id)
         WHERE s.tenant_id = $1 AND ($2::int IS NULL OR s.object_id = $2)
           AND ($3::bigint IS NULL OR s.change_id < $3)
         ORDER BY s.change_id DESC LIMIT $4";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(SQL, &[&scope.tenant().0, &object.map(|object| object.0), &before, &i64::from(limit)])
        .await
        .map_err(StoreError::at("schema_changes_list"))?;
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            let shape = |place: usize| {
                let found: Option<Json<Shape>> =
                    row.try_get(place).map_err(|_| StoreError::Unreadable("schema_changes.before, after"))?;
                Ok::<_, StoreError>(found.map(|shape| shape.0))
            };
            let settings: Json<ObjectSettings> =
                row.try_get(10).map_err(|_| StoreError::Unreadable("object_syncs.settings"))?;
            let path: Option<String> = row.get(6);
            let role = Role::from_word(row.get(11));
            let role = role.ok_or(StoreError::Unreadable("object_syncs.role"))?;
            let api_name: String = row.get(3);
            let uses = |path: &str| used_by(&api_name, role, &settings.0, path);
            Ok(NotedChange {
                id: row.get(0),
                connection: ConnectionId(row.get(1)),
                object: ObjectId(row.get(2)),
                seen_at: row.get(4),
                kind: row.get(5),
                before: shape(7)?,
                after: shape(8)?,
                perhaps: row.get(9),
                used_by: path.as_deref().map(uses).unwrap_or_default(),
                api_name,
                path,
            })
        })
        .collect()
}
