//! Cancel and reset: `/v1/tenants/{tenant}/cancel`, and of a connection or an object; `/v1/tenants/{tenant}/objects/{object}/reset`.
//!
//! Cancelling calls off what is being read beside changes; changes go on being followed. A reset lets one object begin anew,
//! with what is here staying readable.

use axum::Json;
use axum::http::StatusCode;
use refrain_shared::ids::{ConnectionId, ObjectId, TenantId};
use refrain_shared::storage::control::pauses::Level;
use refrain_shared::storage::dispatch::{Reset, object_reset, work_cancel};
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pauses::check;
use crate::api::auth::Tenant;
use crate::api::extract::ApiPath;
use crate::api::problem::{ApiError, Problem};
use crate::api::{Api, Shared};

/// What was called off.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Cancel {
    /// `tenant`, `connection` or `object`.
    pub level: String,
    /// How many things were; 0 when nothing ran.
    pub cancelled: usize,
    /// Each of them, in the order of the objects' making.
    pub objects: Vec<CancelledWork>,
}

/// Something that was called off.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CancelledWork {
    /// The object sync.
    #[schema(value_type = String)]
    pub id: ObjectId,
    /// `first_load` or `history` (what is here is all of history that is wanted by now; a resync from an earlier moment
    /// brings more), `resync`, `sweep`, or `refresh`.
    pub what: String,
}

/// Whether an object begins anew.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ResetObject {
    /// The object sync.
    #[schema(value_type = String)]
    pub id: ObjectId,
    /// `new`: its first load is planned next. What is here stays readable.
    pub state: String,
}

/// Calls off what is being read beside changes, of every object of the tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/cancel", params(("tenant" = String, Path)),
    responses((status = 200, body = Cancel), (status = 404, body = Problem)))]
pub(in crate::api) async fn tenant(api: Shared, Tenant(scope): Tenant) -> Result<Json<Cancel>, ApiError> {
    cancel(&api, &scope, Level::Tenant).await
}

/// Calls off what is being read beside changes, of every object of a connection.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connections/{connection}/cancel",
    params(("tenant" = String, Path), ("connection" = String, Path)),
    responses((status = 200, body = Cancel), (status = 404, body = Problem)))]
pub(in crate::api) async fn connection(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, connection)): ApiPath<(TenantId, ConnectionId)>,
) -> Result<Json<Cancel>, ApiError> {
    cancel(&api, &scope, Level::Connection(connection)).await
}

/// Calls off what is being read beside changes, of an object.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/objects/{object}/cancel",
    params(("tenant" = String, Path), ("object" = String, Path)),
    responses((status = 200, body = Cancel), (status = 404, body = Problem)))]
pub(in crate::api) async fn object(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, object)): ApiPath<(TenantId, ObjectId)>,
) -> Result<Json<Cancel>, ApiError> {
    cancel(&api, &scope, Level::Object(object)).await
}

async fn cancel(api: &Api, scope: &TenantScope, level: Level) -> Result<Json<Cancel>, ApiError> {
    check(api, scope, level).await?;
    let objects: Vec<CancelledWork> = work_cancel(&api.db, scope, level)
        .await?
        .into_iter()
        .map(|one| CancelledWork { id: one.object, what: one.what.to_owned() })
        .collect();
    tracing::info!(tenant.id = %scope.tenant(), level = ?level, cancelled = objects.len(), "work was called off");
    api.wakes.dispatcher.notify_one();
    Ok(Json(Cancel { level: level.word().to_owned(), cancelled: objects.len(), objects }))
}

/// Lets an object begin anew: its first load is planned again, and a sweep after it finds what is gone.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/objects/{object}/reset",
    params(("tenant" = String, Path), ("object" = String, Path)),
    responses((status = 202, body = ResetObject), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::api) async fn reset(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, object)): ApiPath<(TenantId, ObjectId)>,
) -> Result<(StatusCode, Json<ResetObject>), ApiError> {
    check(&api, &scope, Level::Object(object)).await?;
    let refused = |why: &str, fix: &str| {
        let what = "The object cannot begin anew now.";
        Err(ApiError::new(StatusCode::CONFLICT, "nothing_to_reset", what, why, fix))
    };
    match object_reset(&api.db, &scope, object).await? {
        Reset::Done => {}
        Reset::NotBegun => return refused("Nothing of it was ever read.", "Wait for its first load."),
        Reset::Disabled => return refused("It is disabled.", "Enable it first."),
        Reset::FoundByOthers => {
            return refused(
                "What its records belong to leads to them: no load of its own would bring them.",
                "Reset the objects of its tickets, or ask for a sweep of it.",
            );
        }
    }
    tracing::info!(tenant.id = %scope.tenant(), object = %object, "an object begins anew");
    api.wakes.dispatcher.notify_one();
    Ok((StatusCode::ACCEPTED, Json(ResetObject { id: object, state: "new".to_owned() })))
}
