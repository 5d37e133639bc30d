//! Object syncs: the standing instruction "keep this object of this connection fresh, like so".

use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgPool, Row};

use super::error::ControlError;
use crate::audit::{Action, Event};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, ObjectId};
use crate::job::ObjectSettings;
use crate::tenant::TenantScope;

/// An object sync.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectSync {
    /// Its id.
    pub id: ObjectId,
    /// The connection it reads through.
    pub connection: ConnectionId,
    /// The object's API name.
    pub api_name: String,
    /// What it is to a ticket.
    pub role: String,
    /// Whether it is wanted now.
    pub enabled: bool,
    /// How often it is read, in seconds.
    pub interval_s: i32,
    /// Linked paths, facets, settle and overlap.
    pub settings: ObjectSettings,
    /// When it was made.
    pub created_at: Timestamp,
}

const COLUMNS: &str = "object_id, connection_id, api_name, role, enabled, interval_s, settings, created_at";

fn from_row(row: &PgRow) -> Result<ObjectSync, ControlError> {
    Ok(ObjectSync {
        id: ObjectId(row.get(0)),
        connection: ConnectionId(row.get(1)),
        api_name: row.get(2),
        role: row.get(3),
        enabled: row.get(4),
        interval_s: row.get(5),
        settings: serde_json::from_value(row.get(6))
            .map_err(|_| ControlError::Unreadable("object_syncs.settings"))?,
        created_at: row.get(7),
    })
}

/// What a new object sync is to be.
#[derive(Debug, Clone)]
pub struct NewObjectSync {
    /// The object's API name.
    pub api_name: String,
    /// What it is to a ticket.
    pub role: String,
    /// How often it is read, in seconds.
    pub interval_s: i32,
    /// The rest.
    pub settings: ObjectSettings,
}

/// Makes an object sync of a connection of this tenant; `None` when there is no such connection.
pub async fn object_sync_create(
    pool: &PgPool,
    scope: &TenantScope,
    connection: ConnectionId,
    new: &NewObjectSync,
) -> Result<Option<ObjectSync>, ControlError> {
    // Raising the mapping epoch makes pages in flight plan again: a new ticket object gives children a parent.
    let sql = format!(
        "-- object_sync_create
        WITH made AS (
            INSERT INTO object_syncs (tenant_id, connection_id, api_name, role, interval_s, settings)
            SELECT tenant_id, connection_id, $3, $4, $5, $6 FROM connections
             WHERE tenant_id = $1 AND connection_id = $2 RETURNING {COLUMNS}),
        raised AS (
            UPDATE tenant_gates SET mapping_epoch = mapping_epoch + 1
             WHERE tenant_id = $1 AND EXISTS (SELECT FROM made) RETURNING tenant_id)
        SELECT {COLUMNS}, audit_write($1, jsonb_set($7::jsonb, '{{object}}', to_jsonb(object_id)))
          FROM made CROSS JOIN (SELECT count(*) FROM raised) AS locked"
    );
    let facts = json!({ "api_name": new.api_name, "role": new.role, "interval_s": new.interval_s,
                        "settings": names(&json!(new.settings)) });
    let event = Event::of(scope, Action::ObjectCreate).connection(connection).details(facts);
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .bind(connection.0)
        .bind(&new.api_name)
        .bind(&new.role)
        .bind(new.interval_s)
        .bind(Json(&new.settings))
        .bind(event.json())
        .fetch_optional(pool)
        .await
        .map_err(ControlError::at_unique(
            "object_sync_create",
            "an object sync of this connection and object",
        ))?;
    row.as_ref().map(from_row).transpose()
}

/// The names of settings: their values may say more than a log of who did what should.
fn names(settings: &Value) -> Value {
    json!(settings.as_object().map(|settings| settings.keys().collect::<Vec<_>>()))
}

/// What is to change; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct ObjectSyncPatch {
    /// Whether it is wanted.
    pub enabled: Option<bool>,
    /// What it is to a ticket.
    pub role: Option<String>,
    /// How often, in seconds.
    pub interval_s: Option<i32>,
    /// Linked paths, facets, settle and overlap, as a whole.
    pub settings: Option<ObjectSettings>,
}

/// Changes an object sync; changed settings or another role raise the tenant's mapping epoch. Where they make something
/// else of what is here, the reconciler sees that the checkpoint's mapping is not the one that is wanted any more.
pub async fn object_sync_update(
    pool: &PgPool,
    scope: &TenantScope,
    id: ObjectId,
    patch: &ObjectSyncPatch,
) -> Result<Option<ObjectSync>, ControlError> {
    let sql = format!(
        "-- object_sync_update
        WITH before AS (
            SELECT jsonb_build_object('enabled', enabled, 'interval_s', interval_s, 'role', role) AS was FROM object_syncs
             WHERE tenant_id = $1 AND object_id = $2 FOR UPDATE),
        changed AS (
            UPDATE object_syncs SET enabled = coalesce($3, enabled), interval_s = coalesce($4, interval_s),
                   settings = coalesce($5, settings), role = coalesce($7, role), updated_at = now() FROM before
             WHERE tenant_id = $1 AND object_id = $2 RETURNING {COLUMNS}, was),
        raised AS (
            UPDATE tenant_gates SET mapping_epoch = mapping_epoch + 1
             WHERE tenant_id = $1 AND ($5::jsonb IS NOT NULL OR $7::text IS NOT NULL) AND EXISTS (SELECT FROM changed) RETURNING tenant_id)
        SELECT {COLUMNS}, audit_write($1, jsonb_set(
                   jsonb_set($6::jsonb, '{{connection}}', to_jsonb(connection_id)), '{{details,before}}', was))
          FROM changed CROSS JOIN (SELECT count(*) FROM raised) AS locked"
    );
    let settings = patch.settings.as_ref().map(|settings| names(&json!(settings)));
    let facts = json!({ "enabled": patch.enabled, "interval_s": patch.interval_s, "role": patch.role, "settings": settings });
    let event = Event::of(scope, Action::ObjectUpdate).object(id).details(facts);
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .bind(id.0)
        .bind(patch.enabled)
        .bind(patch.interval_s)
        .bind(patch.settings.as_ref().map(Json))
        .bind(event.json())
        .bind(&patch.role)
        .fetch_optional(pool)
        .await
        .map_err(ControlError::at("object_sync_update"))?;
    row.as_ref().map(from_row).transpose()
}

/// The object syncs of a connection, or of all of the tenant's, in the order of their making.
pub async fn object_syncs_list(
    pool: &PgPool,
    scope: &TenantScope,
    connection: Option<ConnectionId>,
) -> Result<Vec<ObjectSync>, ControlError> {
    let sql = format!(
        "-- object_syncs_list
        SELECT {COLUMNS} FROM object_syncs
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR connection_id = $2) ORDER BY object_id"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .bind(connection.map(|id| id.0))
        .fetch_all(pool)
        .await
        .map_err(ControlError::at("object_syncs_list"))?;
    rows.iter().map(from_row).collect()
}

/// One object sync of the tenant.
pub async fn object_sync_get(
    pool: &PgPool,
    scope: &TenantScope,
    id: ObjectId,
) -> Result<Option<ObjectSync>, ControlError> {
    let sql = format!(
        "-- object_sync_get\nSELECT {COLUMNS} FROM object_syncs WHERE tenant_id = $1 AND object_id = $2"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .bind(id.0)
        .fetch_optional(pool)
        .await
        .map_err(ControlError::at("object_sync_get"))?;
    row.as_ref().map(from_row).transpose()
}
