//! Resync: `/v1/tenants/{tenant}/resync`, and of a connection or an object.
//!
//! What is stamped since a moment is read once more, beside all else. Readers lose nothing meanwhile: the objects stay
//! current, their freshness goes on, and what is equal is not written.

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use refrain_shared::ids::{ConnectionId, ObjectId, TenantId};
use refrain_shared::storage::control::pauses::Level;
use refrain_shared::storage::dispatch::resync_wish;
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pauses::check;
use crate::api::auth::Tenant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::{ApiError, Problem};
use crate::api::{Api, Shared};

/// What is to be read once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResyncWish {
    /// Everything that Salesforce stamped since then.
    pub from: DateTime<Utc>,
}

/// What is read once more.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Resync {
    /// `tenant`, `connection` or `object`.
    pub level: String,
    /// Everything that Salesforce stamped since then.
    pub from: DateTime<Utc>,
    /// The level's objects, in the order of their making.
    pub objects: Vec<ResyncedObject>,
}

/// Whether an object is read once more.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ResyncedObject {
    /// The object sync.
    #[schema(value_type = String)]
    pub id: ObjectId,
    /// Why it is not: `disabled`, `parked`, `absent`, `loading` (its history is being read), `found_by_others` (what its
    /// records belong to leads to them), `resyncing` (it is already) or `later` (all since then is still to come).
    pub left_out: Option<String>,
}

/// Reads once more what is stamped since a moment, of every object of the tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/resync", params(("tenant" = String, Path)),
    request_body = ResyncWish, responses((status = 202, body = Resync), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn tenant(
    api: Shared,
    Tenant(scope): Tenant,
    ApiJson(wish): ApiJson<ResyncWish>,
) -> Result<(StatusCode, Json<Resync>), ApiError> {
    resync(&api, &scope, Level::Tenant, wish.from).await
}

/// Reads once more what is stamped since a moment, of every object of a connection.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connections/{connection}/resync",
    params(("tenant" = String, Path), ("connection" = String, Path)),
    request_body = ResyncWish, responses((status = 202, body = Resync), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn connection(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, connection)): ApiPath<(TenantId, ConnectionId)>,
    ApiJson(wish): ApiJson<ResyncWish>,
) -> Result<(StatusCode, Json<Resync>), ApiError> {
    resync(&api, &scope, Level::Connection(connection), wish.from).await
}

/// Reads once more what is stamped since a moment, of an object.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/objects/{object}/resync",
    params(("tenant" = String, Path), ("object" = String, Path)),
    request_body = ResyncWish, responses((status = 202, body = Resync), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn object(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, object)): ApiPath<(TenantId, ObjectId)>,
    ApiJson(wish): ApiJson<ResyncWish>,
) -> Result<(StatusCode, Json<Resync>), ApiError> {
    resync(&api, &scope, Level::Object(object), wish.from).await
}

async fn resync(
    api: &Api,
    scope: &TenantScope,
    level: Level,
    from: DateTime<Utc>,
) -> Result<(StatusCode, Json<Resync>), ApiError> {
    // Whatever Salesforce keeps is younger; and times far off are none that PostgreSQL or SOQL could hold.
    if !(DateTime::UNIX_EPOCH..=api.clock.now()).contains(&from) {
        return Err(ApiError::invalid(
            "The moment to read from is in the future, or before 1970.",
            "Give from as a past moment, like 2026-11-01T00:00:00Z.",
        ));
    }
    check(api, scope, level).await?;
    let objects: Vec<ResyncedObject> = resync_wish(&api.db, scope, level, from)
        .await?
        .into_iter()
        .map(|one| ResyncedObject { id: one.object, left_out: one.left_out.map(str::to_owned) })
        .collect();
    if objects.iter().all(|object| object.left_out.is_some()) {
        return Err(nothing_to_read(&objects));
    }
    tracing::info!(tenant.id = %scope.tenant(), level = ?level, "a part of history is to be read once more");
    api.wakes.dispatcher.notify_one();
    Ok((StatusCode::ACCEPTED, Json(Resync { level: level.word().to_owned(), from, objects })))
}

fn nothing_to_read(objects: &[ResyncedObject]) -> ApiError {
    let whys =
        objects.iter().map(|one| format!("{} is {}", one.id, one.left_out.as_deref().unwrap_or_default()));
    let whys = whys.collect::<Vec<_>>().join(", ");
    ApiError::new(
        StatusCode::CONFLICT,
        "nothing_to_resync",
        "No object can be read once more now.",
        if whys.is_empty() { "None was ever read.".to_owned() } else { format!("{whys}.") },
        "Wait until history is here or the resync that runs is done (see the status), or enable and unpark the object.",
    )
}
