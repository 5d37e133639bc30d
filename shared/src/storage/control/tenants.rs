//! Tenants, each born with its keys, its gate and its feed.

use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::error::ControlError;
use crate::audit::{Action, Event};
use crate::clock::Timestamp;
use crate::crypto::{KeyPurpose, KeyRing};
use crate::ids::TenantId;
use crate::retention::Policy;
use crate::storage::keys::new_wrapped_key;
use crate::tenant::Actor;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name, for people.
    pub name: String,
    /// `active`, `closing` or `closed`.
    pub state: String,
    /// When it was made.
    pub created_at: Timestamp,
}

fn from_row(row: &PgRow) -> Tenant {
    Tenant { id: TenantId(row.get(0)), name: row.get(1), state: row.get(2), created_at: row.get(3) }
}

/// Makes a tenant with a fresh data key and index key, in one statement.
pub async fn tenant_create(
    pool: &PgPool,
    ring: &KeyRing,
    name: &str,
    retention: &Policy,
    by: Actor,
) -> Result<Tenant, ControlError> {
    const SQL: &str = "-- tenant_create
        WITH made AS (INSERT INTO tenants (tenant_id, name) VALUES ($1, $2)
                      RETURNING tenant_id, name, state, created_at),
             data_key AS (INSERT INTO tenant_keys (tenant_id, purpose, state, kek_id, wrapped)
                          SELECT tenant_id, 'data', 'active', $3, $4 FROM made RETURNING key_id),
             index_key AS (INSERT INTO tenant_keys (tenant_id, purpose, state, kek_id, wrapped)
                           SELECT tenant_id, 'index', 'active', $5, $6 FROM made RETURNING key_id),
             feed AS (INSERT INTO tenant_feed (tenant_id) SELECT tenant_id FROM made),
             gate AS (INSERT INTO tenant_gates (tenant_id, data_key_id, index_key_id,
                                                ticket_days, held_days, attachment_days)
                      SELECT made.tenant_id, data_key.key_id, index_key.key_id, $7, $8, $9
                        FROM made, data_key, index_key RETURNING tenant_id)
        SELECT tenant_id, name, state, created_at, audit_write(tenant_id, $10)
          FROM made CROSS JOIN (SELECT count(*) FROM gate) AS locked";
    let id = TenantId::generate();
    let (data_kek, data) = new_wrapped_key(ring, id, KeyPurpose::Data)?;
    let (index_kek, index) = new_wrapped_key(ring, id, KeyPurpose::Index)?;
    let event = Event::by(by, Action::TenantCreate).details(json!(retention));
    let row = sqlx::query(SQL)
        .bind(id.0)
        .bind(name)
        .bind(data_kek)
        .bind(data)
        .bind(index_kek)
        .bind(index)
        .bind(i32::from(retention.ticket_days))
        .bind(i32::from(retention.held_days))
        .bind(i32::from(retention.attachment_days))
        .bind(event.json())
        .fetch_one(pool)
        .await
        .map_err(ControlError::at("tenant_create"))?;
    Ok(from_row(&row))
}

/// The tenant of that id.
pub async fn tenant_get(pool: &PgPool, id: TenantId) -> Result<Option<Tenant>, ControlError> {
    const SQL: &str = "-- tenant_get
        SELECT tenant_id, name, state, created_at FROM tenants WHERE tenant_id = $1";
    let row =
        sqlx::query(SQL).bind(id.0).fetch_optional(pool).await.map_err(ControlError::at("tenant_get"))?;
    Ok(row.as_ref().map(from_row))
}

/// Tenants in the order of their making, after the one of the cursor.
pub async fn tenants_list(
    pool: &PgPool,
    after: Option<TenantId>,
    limit: u16,
) -> Result<Vec<Tenant>, ControlError> {
    const SQL: &str = "-- tenants_list
        SELECT tenant_id, name, state, created_at FROM tenants
         WHERE $1::uuid IS NULL OR tenant_id > $1 ORDER BY tenant_id LIMIT $2";
    let rows = sqlx::query(SQL)
        .bind(after.map(|id| id.0))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
        .map_err(ControlError::at("tenants_list"))?;
    Ok(rows.iter().map(from_row).collect())
}
