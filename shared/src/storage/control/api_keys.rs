//! API keys: stored as a hash, found by their public id.

use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::error::ControlError;
use crate::audit::{Action, Event};
use crate::clock::Timestamp;
use crate::ids::{ApiKeyId, TenantId};
use crate::tenant::TenantScope;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// Everything, for every tenant.
    Operator,
    /// Everything of one tenant.
    TenantAdmin,
    /// Reading of one tenant.
    TenantReader,
}

impl KeyRole {
    /// The closed word in SQL and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::TenantAdmin => "tenant_admin",
            Self::TenantReader => "tenant_reader",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Operator, Self::TenantAdmin, Self::TenantReader].into_iter().find(|role| role.word() == word)
    }
}

/// A key that is in force.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Its public id.
    pub id: ApiKeyId,
    /// The tenant it is good for; none for the operator's.
    pub tenant: Option<TenantId>,
    /// SHA-256 of its secret.
    pub secret_hash: Vec<u8>,
    /// What it may do.
    pub role: KeyRole,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// The key of that id, unless it was revoked or has ended.
pub async fn api_key_find(pool: &PgPool, id: ApiKeyId) -> Result<Option<StoredKey>, ControlError> {
    const SQL: &str = "-- api_key_find
        SELECT tenant_id, secret_hash, role, expires_at FROM api_keys
         WHERE key_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())";
    let row =
        sqlx::query(SQL).bind(id.0).fetch_optional(pool).await.map_err(ControlError::at("api_key_find"))?;
    row.map(|row| {
        Ok(StoredKey {
            id,
            tenant: row.get::<Option<_>, _>(0).map(TenantId),
            secret_hash: row.get(1),
            role: KeyRole::from_word(row.get(2)).ok_or(ControlError::Unreadable("api_keys.role"))?,
            expires_at: row.get(3),
        })
    })
    .transpose()
}

/// Stores a tenant's new key.
pub async fn api_key_create(
    pool: &PgPool,
    scope: &TenantScope,
    id: ApiKeyId,
    name: &str,
    role: KeyRole,
    secret_hash: &[u8],
) -> Result<(), ControlError> {
    const SQL: &str = "-- api_key_create
        WITH made AS (
            INSERT INTO api_keys (key_id, tenant_id, name, secret_hash, role) VALUES ($1, $2, $3, $4, $5)
            RETURNING tenant_id)
        SELECT audit_write(tenant_id, $6) FROM made";
    let event = Event::of(scope, Action::KeyCreate).details(json!({ "key": id, "role": role.word() }));
    sqlx::query(SQL)
        .bind(id.0)
        .bind(scope.tenant().0)
        .bind(name)
        .bind(secret_hash)
        .bind(role.word())
        .bind(event.json())
        .execute(pool)
        .await
        .map_err(ControlError::at_unique("api_key_create", "the key"))?;
    Ok(())
}

/// A tenant's key as people see it.
#[derive(Debug, Clone)]
pub struct ListedKey {
    /// Its public id.
    pub id: ApiKeyId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: KeyRole,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

const LISTED: &str = "key_id, name, role, created_at, expires_at, revoked_at";

fn listed(row: &PgRow) -> Result<ListedKey, ControlError> {
    Ok(ListedKey {
        id: ApiKeyId(row.get(0)),
        name: row.get(1),
        role: KeyRole::from_word(row.get(2)).ok_or(ControlError::Unreadable("api_keys.role"))?,
        created_at: row.get(3),
        expires_at: row.get(4),
        revoked_at: row.get(5),
    })
}

/// All keys of a tenant, oldest first; revoked ones stay in the list.
pub async fn api_keys_list(pool: &PgPool, scope: &TenantScope) -> Result<Vec<ListedKey>, ControlError> {
    let sql = format!("-- api_keys_list\nSELECT {LISTED} FROM api_keys WHERE tenant_id = $1 ORDER BY key_id");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .fetch_all(pool)
        .await
        .map_err(ControlError::at("api_keys_list"))?;
    rows.iter().map(listed).collect()
}

/// Revokes a tenant's key for good. Again changes nothing.
pub async fn api_key_revoke(
    pool: &PgPool,
    scope: &TenantScope,
    id: ApiKeyId,
) -> Result<Option<ListedKey>, ControlError> {
    let sql = format!(
        "-- api_key_revoke
        WITH before AS (
            SELECT revoked_at IS NULL AS in_force FROM api_keys WHERE tenant_id = $1 AND key_id = $2 FOR UPDATE),
        revoked AS (
            UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) FROM before
             WHERE tenant_id = $1 AND key_id = $2 RETURNING {LISTED}, in_force)
        SELECT {LISTED}, CASE WHEN in_force THEN audit_write($1, $3) END FROM revoked"
    );
    let event = Event::of(scope, Action::KeyRevoke).details(json!({ "key": id }));
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .bind(id.0)
        .bind(event.json())
        .fetch_optional(pool)
        .await
        .map_err(ControlError::at("api_key_revoke"))?;
    row.as_ref().map(listed).transpose()
}

/// Whether any operator's key is in force.
pub async fn operator_key_exists(pool: &PgPool) -> Result<bool, ControlError> {
    const SQL: &str = "-- operator_key_exists
        SELECT EXISTS (SELECT FROM api_keys WHERE role = 'operator' AND revoked_at IS NULL
                                              AND (expires_at IS NULL OR expires_at > now()))";
    sqlx::query_scalar(SQL).fetch_one(pool).await.map_err(ControlError::at("operator_key_exists"))
}

/// Stores an operator's key.
pub async fn operator_key_create(
    pool: &PgPool,
    id: ApiKeyId,
    name: &str,
    secret_hash: &[u8],
) -> Result<(), ControlError> {
    const SQL: &str = "-- operator_key_create
        INSERT INTO api_keys (key_id, name, secret_hash, role) VALUES ($1, $2, $3, 'operator')";
    sqlx::query(SQL)
        .bind(id.0)
        .bind(name)
        .bind(secret_hash)
        .execute(pool)
        .await
        .map_err(ControlError::at_unique("operator_key_create", "the key"))?;
    Ok(())
}
