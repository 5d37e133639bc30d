//! What tenants allow us over their connections. It binds once the org's row has it
//! ([`crate::storage::org_limits::org_settings_refresh`]).

use serde_json::json;
use sqlx::types::Json;
use sqlx::{PgPool, Row};

use super::error::ControlError;
use crate::audit::{Action, Event};
use crate::ids::ConnectionId;
use crate::limits::ConnectionLimits;
use crate::tenant::TenantScope;

/// What is allowed over a connection; `None` when the tenant has no such connection.
pub async fn limits_get(
    pool: &PgPool,
    scope: &TenantScope,
    id: ConnectionId,
) -> Result<Option<ConnectionLimits>, ControlError> {
    const SQL: &str = "-- connection_limits_get
        SELECT limits FROM connections WHERE tenant_id = $1 AND connection_id = $2";
    let row = sqlx::query(SQL)
        .bind(scope.tenant().0)
        .bind(id.0)
        .fetch_optional(pool)
        .await
        .map_err(ControlError::at("connection_limits_get"))?;
    row.map(|row| row.try_get::<Json<ConnectionLimits>, _>(0).map(|limits| limits.0))
        .transpose()
        .map_err(|_| ControlError::Unreadable("connections.limits"))
}

/// Replaces what is allowed over a connection, which the caller knows to be the tenant's.
pub async fn limits_set(
    pool: &PgPool,
    scope: &TenantScope,
    id: ConnectionId,
    limits: &ConnectionLimits,
) -> Result<(), ControlError> {
    const SQL: &str = "-- connection_limits_set
        WITH before AS (
            SELECT limits FROM connections WHERE tenant_id = $1 AND connection_id = $2 FOR UPDATE),
        changed AS (
            UPDATE connections c SET limits = $3, updated_at = now() FROM before
             WHERE c.tenant_id = $1 AND c.connection_id = $2 RETURNING before.limits)
        SELECT audit_write($1, jsonb_set($4::jsonb, '{details,before}', limits)) FROM changed";
    let event = Event::of(scope, Action::ConnectionLimits).connection(id).details(json!(limits));
    sqlx::query(SQL)
        .bind(scope.tenant().0)
        .bind(id.0)
        .bind(Json(limits))
        .bind(event.json())
        .execute(pool)
        .await
        .map_err(ControlError::at("connection_limits_set"))?;
    Ok(())
}
