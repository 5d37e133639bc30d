//! `/v1/tenants/{tenant}/quarantine`: records set aside, and why; never what they hold.

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use refrain_shared::ids::{ConnectionId, ObjectId, TenantId};
use refrain_shared::job::Kind;
use refrain_shared::storage::content::quarantine::quarantine_list;
use refrain_shared::storage::control::object_syncs::object_sync_get;
use refrain_shared::storage::sweeps::standing_ask;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::Tenant;
use crate::api::extract::{ApiPath, ApiQuery, page_size};
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

/// Tries again what was set aside of an object, from its sealed bytes: Salesforce is not asked.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/objects/{object}/quarantine/retry",
    params(("tenant" = String, Path), ("object" = String, Path)),
    responses((status = 202), (status = 404, body = Problem)))]
pub(in crate::api) async fn retry(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, object)): ApiPath<(TenantId, ObjectId)>,
) -> Result<StatusCode, ApiError> {
    if object_sync_get(&api.control, &scope, object).await?.is_none() {
        return Err(ApiError::not_found("object sync"));
    }
    standing_ask(&api.db, Kind::Retry, object).await?;
    api.wakes.dispatcher.notify_one();
    Ok(StatusCode::ACCEPTED)
}
