//! `/v1/tenants`

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use refrain_shared::ids::TenantId;
use refrain_shared::retention::Policy;
use refrain_shared::storage::control::tenants as store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::{Caller, Operator, Tenant as TenantAccess};
use crate::api::extract::{ApiJson, ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::checked_name;
use crate::api::v1::retention::checked;
use crate::api::{Shared, cursor};

const LIST: &str = "tenants.1";

/// A tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// `active`, `closing` or `closed`.
    pub state: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl From<store::Tenant> for Tenant {
    fn from(tenant: store::Tenant) -> Self {
        Self { id: tenant.id, name: tenant.name, state: tenant.state, created_at: tenant.created_at }
    }
}

/// A page of tenants.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Tenants {
    /// In the order of their making.
    pub tenants: Vec<Tenant>,
    /// The next page's cursor, if there may be more.
    pub next: Option<String>,
}

/// What a new tenant needs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name.
    pub name: String,
    /// How long its tickets are kept; 30 days unless given.
    #[serde(default)]
    pub retention: Policy,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// 1 to 200; 50 unless given.
    pub limit: Option<u16>,
}

/// Tenants that this key may see.
#[utoipa::path(get, path = "/v1/tenants", params(PageQuery), responses((status = 200, body = Tenants)))]
pub(in crate::api) async fn list(
    api: Shared,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Tenants>, ApiError> {
    if let Some(own) = caller.tenant() {
        let own = store::tenant_get(&api.control, own).await?;
        return Ok(Json(Tenants { tenants: own.into_iter().map(Tenant::from).collect(), next: None }));
    }
    let limit = page_size(query.limit);
    let after = cursor::decode(LIST, query.cursor.as_deref())?;
    let tenants = store::tenants_list(&api.control, after, limit).await?;
    let full = tenants.len() == usize::from(limit);
    let next = tenants.last().filter(|_| full).map(|last| cursor::encode(LIST, &last.id));
    Ok(Json(Tenants { tenants: tenants.into_iter().map(Tenant::from).collect(), next }))
}

/// Makes a tenant, with keys of its own.
#[utoipa::path(post, path = "/v1/tenants", request_body = NewTenant,
    responses((status = 201, body = Tenant), (status = 422, body = Problem)))]
pub(in crate::api) async fn create(
    api: Shared,
    Operator(by): Operator,
    ApiJson(new): ApiJson<NewTenant>,
) -> Result<(StatusCode, Json<Tenant>), ApiError> {
    let (name, retention) = (checked_name(&new.name)?, checked(new.retention)?);
    let tenant = store::tenant_create(&api.control, &api.ring, &name, &retention, by).await?;
    tracing::info!(tenant.id = %tenant.id, "made a tenant");
    Ok((StatusCode::CREATED, Json(tenant.into())))
}

/// One tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", params(("tenant" = String, Path)),
    responses((status = 200, body = Tenant), (status = 404, body = Problem)))]
pub(in crate::api) async fn get(
    api: Shared,
    TenantAccess(scope): TenantAccess,
) -> Result<Json<Tenant>, ApiError> {
    let tenant = store::tenant_get(&api.control, scope.tenant()).await?;
    tenant.map(|tenant| Json(tenant.into())).ok_or_else(|| ApiError::not_found("tenant"))
}
