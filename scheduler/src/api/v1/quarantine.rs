//! `/v1/tenants/{tenant}/quarantine`: records set aside, and why; never what they hold.

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use refrain_shared::ids::{ConnectionId, ObjectId};
use refrain_shared::storage::content::quarantine::quarantine_list;
use refrain_shared::storage::control::object_syncs::object_sync_get;
use refrain_shared::storage::dispatch::quarantine_retry;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Tenant;
use crate::api::extract::{ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::tenants::PageQuery;
use crate::api::{Shared, cursor};

const LIST: &str = "quarantine.1";

/// A record set aside.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SetAside {
    /// The connection.
    #[schema(value_type = String)]
    pub connection_id: ConnectionId,
    /// The object.
    #[schema(value_type = String)]
    pub object_id: ObjectId,
    /// The record's id, or a keyed hash where there is none.
    pub record: String,
    /// Why, in a closed word.
    pub reason: String,
    /// The field at fault.
    pub field: Option<String>,
    /// When it was read.
    pub read_at: DateTime<Utc>,
    /// The shape of the value at fault: its length and kinds of characters, never what it says.
    pub sample: Option<String>,
    /// How often it was tried again from its sealed bytes: once a day, when other fields are read, and when asked for.
    pub tries: i32,
    /// When it was tried last.
    pub tried_at: Option<DateTime<Utc>>,
}

/// A page of them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Quarantine {
    /// In a stable order.
    pub records: Vec<SetAside>,
    /// The next page's cursor, if there may be more.
    pub next: Option<String>,
}

/// Records set aside while their page went on.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/quarantine", params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = Quarantine), (status = 404, body = Problem)))]
pub(in crate::api) async fn list(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Quarantine>, ApiError> {
    let limit = page_size(query.limit);
    let after = cursor::decode::<(ConnectionId, ObjectId, String)>(LIST, query.cursor.as_deref())?;
    let records = quarantine_list(&api.db, &scope, after, limit).await?;
    let full = records.len() == usize::from(limit);
    let next = records
        .last()
        .filter(|_| full)
        .map(|last| cursor::encode(LIST, &(last.connection, last.object, last.record.clone())));
    let records = records.into_iter().map(|record| SetAside {
        connection_id: record.connection,
        object_id: record.object,
        record: record.record,
        reason: record.reason,
        field: record.field,
        read_at: record.read_at,
        sample: record.sample,
        tries: record.tries,
        tried_at: record.tried_at,
    });
    Ok(Json(Quarantine { records: records.collect(), next }))
}

/// Of which object.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RetryQuery {
    /// Of this object sync alone.
    #[param(value_type = Option<String>)]
    pub object: Option<ObjectId>,
}

/// What is tried again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Retried {
    /// The object syncs of which anything was ever set aside.
    #[schema(value_type = Vec<String>)]
    pub objects: Vec<ObjectId>,
}

/// Tries again now what was set aside, from its sealed bytes: Salesforce is not asked. What can be kept leaves the quarantine,
/// unless Salesforce told something newer of it since.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/quarantine/retry", params(("tenant" = String, Path), RetryQuery),
    responses((status = 202, body = Retried), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn retry(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<RetryQuery>,
) -> Result<(StatusCode, Json<Retried>), ApiError> {
    if let Some(object) = query.object
        && object_sync_get(&api.control, &scope, object).await?.is_none()
    {
        return Err(ApiError::not_found("object sync"));
    }
    let objects = quarantine_retry(&api.db, &scope, query.object).await?;
    api.wakes.dispatcher.notify_one();
    Ok((StatusCode::ACCEPTED, Json(Retried { objects })))
}
