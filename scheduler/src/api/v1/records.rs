//! `/v1/tenants/{tenant}/connections/{connection}/records/sync`: one record, now.

use axum::Json;
use axum::http::StatusCode;
use refrain_shared::ids::{ConnectionId, TenantId};
use refrain_shared::record::named::named;
use refrain_shared::storage::content::named::{Asked, record_ask};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::auth::Tenant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::{ApiError, Problem};

/// Which record.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSync {
    /// An id of 15 or 18 characters, the address of the record's page, or a ticket's number.
    pub record: String,
}

/// What is being read.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordAsked {
    /// The record, like `obj_3.5003000000D8cuIAAR`; none when Salesforce is asked for a number that is not known here.
    pub record: Option<String>,
    /// The number that Salesforce is asked for.
    pub number: Option<String>,
}

/// Reads one record now with everything that belongs to it, whatever the next windows bring.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connections/{connection}/records/sync",
    params(("tenant" = String, Path), ("connection" = String, Path)), request_body = RecordSync,
    responses((status = 202, body = RecordAsked), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn sync(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, connection)): ApiPath<(TenantId, ConnectionId)>,
    ApiJson(wanted): ApiJson<RecordSync>,
) -> Result<(StatusCode, Json<RecordAsked>), ApiError> {
    let named = named(&wanted.record).ok_or_else(|| {
        ApiError::invalid(
            "This names no record.",
            "Give a Salesforce id of 15 or 18 characters, the address of the record's page, or a ticket's number.",
        )
    })?;
    let asked = match record_ask(&api.db, &scope, connection, &named).await? {
        Asked::Record(object, record) => {
            RecordAsked { record: Some(format!("{object}.{record}")), number: None }
        }
        Asked::Number(number) => RecordAsked { record: None, number: Some(number) },
        Asked::OtherObject(id, object) => return Err(not_kept(id.key_prefix(), object)),
        Asked::NoConnection => return Err(ApiError::not_found("connection")),
    };
    api.wakes.dispatcher.notify_one();
    Ok((StatusCode::ACCEPTED, Json(asked)))
}

fn not_kept(prefix: &str, object: Option<&'static str>) -> ApiError {
    let what = match object {
        Some(object) => {
            format!("This is the id of a record of {object}, which this connection does not keep.")
        }
        None => format!("Ids that begin with {prefix} are of an object that this connection does not keep."),
    };
    ApiError::invalid(what, "Enable the object for this connection, or name a record of one that is kept.")
}
