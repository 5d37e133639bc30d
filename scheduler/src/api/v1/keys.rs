//! `/v1/tenants/{tenant}/keys`

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use refrain_shared::ids::{ApiKeyId, TenantId};
use refrain_shared::storage::control::api_keys::{
    KeyRole, ListedKey, api_key_create, api_key_revoke, api_keys_list,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::auth::Tenant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::key::ApiKey;
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::checked_name;

/// What a new key is to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: TenantRole,
}

/// What a tenant's key may do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TenantRole {
    /// Everything of its tenant.
    TenantAdmin,
    /// Reading of its tenant.
    TenantReader,
}

impl TenantRole {
    fn of(role: KeyRole) -> Option<Self> {
        match role {
            KeyRole::TenantAdmin => Some(Self::TenantAdmin),
            KeyRole::TenantReader => Some(Self::TenantReader),
            // The operator's keys belong to no tenant.
            KeyRole::Operator => None,
        }
    }
}

/// A key without its secret, which is not stored.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its public id.
    #[schema(value_type = String)]
    pub id: ApiKeyId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: TenantRole,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

fn shown(key: ListedKey) -> Option<Key> {
    Some(Key {
        id: key.id,
        name: key.name,
        role: TenantRole::of(key.role)?,
        created_at: key.created_at,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
    })
}

/// All keys of a tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Keys {
    /// Oldest first; revoked ones too.
    pub keys: Vec<Key>,
}

/// The tenant's API keys, without their secrets.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/keys", params(("tenant" = String, Path)),
    responses((status = 200, body = Keys), (status = 404, body = Problem)))]
pub(in crate::api) async fn list(api: Shared, Tenant(scope): Tenant) -> Result<Json<Keys>, ApiError> {
    let keys = api_keys_list(&api.control, &scope).await?;
    Ok(Json(Keys { keys: keys.into_iter().filter_map(shown).collect() }))
}

/// Revokes an API key of the tenant: from now on it opens nothing. It stays in the list.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/keys/{key}", params(("tenant" = String, Path), ("key" = String, Path)),
    responses((status = 200, body = Key), (status = 404, body = Problem)))]
pub(in crate::api) async fn revoke(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(TenantId, ApiKeyId)>,
) -> Result<Json<Key>, ApiError> {
    let revoked = api_key_revoke(&api.control, &scope, id).await?;
    let revoked = revoked.and_then(shown).ok_or_else(|| ApiError::not_found("API key"))?;
    tracing::info!(tenant.id = %scope.tenant(), key = %id, "revoked an API key");
    Ok(Json(revoked))
}

/// A key, shown this once.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ShownKey {
    /// Its public id.
    #[schema(value_type = String)]
    pub id: ApiKeyId,
    /// The key itself; it cannot be shown again.
    pub key: String,
}

/// Makes an API key of the tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/keys", params(("tenant" = String, Path)), request_body = NewKey,
    responses((status = 201, body = ShownKey), (status = 404, body = Problem)))]
pub(in crate::api) async fn create(
    api: Shared,
    Tenant(scope): Tenant,
    ApiJson(new): ApiJson<NewKey>,
) -> Result<(StatusCode, Json<ShownKey>), ApiError> {
    let role = match new.role {
        TenantRole::TenantAdmin => KeyRole::TenantAdmin,
        TenantRole::TenantReader => KeyRole::TenantReader,
    };
    let key = ApiKey::generate().map_err(|_| {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_random",
            "No key could be made.",
            "The system gave no random bytes.",
            "Ask again.",
        )
    })?;
    let name = checked_name(&new.name)?;
    api_key_create(&api.control, &scope, key.id(), &name, role, &key.secret_hash()).await?;
    Ok((StatusCode::CREATED, Json(ShownKey { id: key.id(), key: key.expose().expose().clone() })))
}
