//! `/v1/tenants/{tenant}/keys`

use axum::Json;
use axum::http::StatusCode;
use refrain_shared::ids::ApiKeyId;
use refrain_shared::storage::control::api_keys::{KeyRole, api_key_create};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::auth::Tenant;
use crate::api::extract::ApiJson;
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
