//! Pause and resume: `/v1/tenants/{tenant}/pause`, and of a connection or an object.
//!
//! A pause stops all that reads Salesforce: what runs ends at its next commit, within seconds, and goes on from there later.
//! Tickets whose time is over leave all the same.

use axum::Json;
use chrono::{DateTime, Utc};
use refrain_shared::ids::{ConnectionId, ObjectId, TenantId};
use refrain_shared::storage::control::connections::connection_get;
use refrain_shared::storage::control::object_syncs::object_sync_get;
use refrain_shared::storage::control::pauses::{self as store, Level, pauses_get};
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::Tenant;
use crate::api::extract::ApiPath;
use crate::api::problem::{ApiError, Problem};
use crate::api::{Api, Shared};

/// Whether reading is held up at one level; it may be so at another.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Pause {
    /// `tenant`, `connection` or `object`.
    pub level: String,
    /// Whether it is paused.
    pub paused: bool,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// The name of the API key by which it was.
    pub by: Option<String>,
}

/// A pause that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paused {
    /// Since when.
    pub since: DateTime<Utc>,
    /// The name of the API key by which it was.
    pub by: String,
}

impl From<store::Paused> for Paused {
    fn from(paused: store::Paused) -> Self {
        Self { since: paused.since, by: paused.by }
    }
}

/// Holds up all reading of the tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/pause", params(("tenant" = String, Path)),
    responses((status = 200, body = Pause), (status = 404, body = Problem)))]
pub(in crate::api) async fn pause_tenant(
    api: Shared,
    Tenant(scope): Tenant,
) -> Result<Json<Pause>, ApiError> {
    pause(&api, &scope, Level::Tenant).await
}

/// Lets reading of the tenant go on.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/pause", params(("tenant" = String, Path)),
    responses((status = 200, body = Pause), (status = 404, body = Problem)))]
pub(in crate::api) async fn resume_tenant(
    api: Shared,
    Tenant(scope): Tenant,
) -> Result<Json<Pause>, ApiError> {
    resume(&api, &scope, Level::Tenant).await
}

/// Holds up all reading through a connection.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/connections/{connection}/pause",
    params(("tenant" = String, Path), ("connection" = String, Path)),
    responses((status = 200, body = Pause), (status = 404, body = Problem)))]
pub(in crate::api) async fn pause_connection(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, connection)): ApiPath<(TenantId, ConnectionId)>,
) -> Result<Json<Pause>, ApiError> {
    pause(&api, &scope, Level::Connection(connection)).await
}

/// Lets reading through a connection go on.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/connections/{connection}/pause",
    params(("tenant" = String, Path), ("connection" = String, Path)),
    responses((status = 200, body = Pause), (status = 404, body = Problem)))]
pub(in crate::api) async fn resume_connection(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, connection)): ApiPath<(TenantId, ConnectionId)>,
) -> Result<Json<Pause>, ApiError> {
    resume(&api, &scope, Level::Connection(connection)).await
}

/// Holds up all reading of an object.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/objects/{object}/pause",
    params(("tenant" = String, Path), ("object" = String, Path)),
    responses((status = 200, body = Pause), (status = 404, body = Problem)))]
pub(in crate::api) async fn pause_object(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, object)): ApiPath<(TenantId, ObjectId)>,
) -> Result<Json<Pause>, ApiError> {
    pause(&api, &scope, Level::Object(object)).await
}

/// Lets reading of an object go on.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/objects/{object}/pause",
    params(("tenant" = String, Path), ("object" = String, Path)),
    responses((status = 200, body = Pause), (status = 404, body = Problem)))]
pub(in crate::api) async fn resume_object(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, object)): ApiPath<(TenantId, ObjectId)>,
) -> Result<Json<Pause>, ApiError> {
    resume(&api, &scope, Level::Object(object)).await
}

async fn pause(api: &Api, scope: &TenantScope, level: Level) -> Result<Json<Pause>, ApiError> {
    check(api, scope, level).await?;
    store::pause(&api.control, scope, level).await?;
    tracing::info!(tenant.id = %scope.tenant(), level = ?level, "reading was paused");
    shown(api, scope, level).await
}

async fn resume(api: &Api, scope: &TenantScope, level: Level) -> Result<Json<Pause>, ApiError> {
    check(api, scope, level).await?;
    store::resume(&api.control, scope, level).await?;
    tracing::info!(tenant.id = %scope.tenant(), level = ?level, "reading goes on");
    api.wakes.dispatcher.notify_one();
    shown(api, scope, level).await
}

/// Refuses what is not the tenant's.
pub(super) async fn check(api: &Api, scope: &TenantScope, level: Level) -> Result<(), ApiError> {
    let (is_there, what) = match level {
        Level::Tenant => (true, "tenant"),
        Level::Connection(id) => (connection_get(&api.control, scope, id).await?.is_some(), "connection"),
        Level::Object(id) => (object_sync_get(&api.control, scope, id).await?.is_some(), "object sync"),
    };
    if is_there { Ok(()) } else { Err(ApiError::not_found(what)) }
}

async fn shown(api: &Api, scope: &TenantScope, level: Level) -> Result<Json<Pause>, ApiError> {
    let paused = pauses_get(&api.control, scope).await?.at(scope, level);
    Ok(Json(Pause {
        level: level.word().to_owned(),
        paused: paused.is_some(),
        since: paused.as_ref().map(|paused| paused.since),
        by: paused.map(|paused| paused.by),
    }))
}
