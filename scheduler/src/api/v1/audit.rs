//! `/v1/tenants/{tenant}/audit`: who did what to what, and whether anything of that was changed since.

use axum::Json;
use chrono::{DateTime, Utc};
use refrain_shared::audit::{Anchor, shown};
use refrain_shared::ids::{ApiKeyId, ConnectionId, ObjectId};
use refrain_shared::storage::audit::{self as store, audit_list, audit_verify};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Tenant;
use crate::api::extract::{ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::tenants::PageQuery;
use crate::api::{Shared, cursor};

const LIST: &str = "audit.1";

/// One event. Its hash covers all of it and the event before.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// Counts the tenant's events from 1 on, without a gap.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// `operator` or `key` (whoever held that API key), or `system` (Refrain itself).
    pub actor: String,
    /// The key that was used.
    #[schema(value_type = Option<String>)]
    pub key_id: Option<ApiKeyId>,
    /// Its name then.
    pub key_name: Option<String>,
    /// What was done, like `object.update` or `control.pause`.
    pub action: String,
    /// To which connection.
    #[schema(value_type = Option<String>)]
    pub connection_id: Option<ConnectionId>,
    /// To which object sync.
    #[schema(value_type = Option<String>)]
    pub object_id: Option<ObjectId>,
    /// Numbers, closed words and ids.
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
    /// The hash of the event before, in hex; zeros for the first.
    pub previous: String,
    /// Its own hash, SHA-256 in hex.
    pub hash: String,
}

impl From<store::AuditEvent> for AuditEvent {
    fn from(event: store::AuditEvent) -> Self {
        Self {
            seq: event.seq,
            at: event.at,
            actor: event.actor,
            key_id: event.key,
            key_name: event.key_name,
            action: event.action,
            connection_id: event.connection,
            object_id: event.object,
            details: event.details,
            previous: shown(&event.previous),
            hash: shown(&event.hash),
        }
    }
}

/// A page of events.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEvents {
    /// The newest first.
    pub events: Vec<AuditEvent>,
    /// The next page's cursor, if there may be more.
    pub next: Option<String>,
}

/// The tenant's audit log.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/audit", params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = AuditEvents), (status = 404, body = Problem)))]
pub(in crate::api) async fn list(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<AuditEvents>, ApiError> {
    let limit = page_size(query.limit);
    let before = cursor::decode(LIST, query.cursor.as_deref())?;
    let events = audit_list(&api.db, &scope, before, limit).await?;
    let full = events.len() == usize::from(limit);
    let next = events.last().filter(|_| full).map(|last| cursor::encode(LIST, &last.seq));
    Ok(Json(AuditEvents { events: events.into_iter().map(AuditEvent::from).collect(), next }))
}

/// An event that was noted elsewhere.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AnchorQuery {
    /// Its number; with its hash.
    pub seq: Option<i64>,
    /// Its hash in hex; with its number.
    pub hash: Option<String>,
}

/// Whether the chain is whole.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditVerified {
    /// Whether every event is as it was written, and none is missing.
    pub intact: bool,
    /// Events up to the end, or up to where the chain breaks.
    pub events: i64,
    /// The hash of the last of them, in hex. Kept elsewhere with its number, it shows later that the log was not cut off or
    /// written anew.
    pub head: String,
    /// The number of the first event that is wrong.
    pub broken_at: Option<i64>,
    /// What is wrong: `missing`, `unlinked` (it does not follow the one before), `changed`, `cut_off` or `not_the_anchor`.
    pub broken: Option<String>,
}

/// Follows the chain of hashes over all of the tenant's events, and holds it against an event that was noted elsewhere.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/audit/verify", params(("tenant" = String, Path), AnchorQuery),
    responses((status = 200, body = AuditVerified), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn verify(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<AnchorQuery>,
) -> Result<Json<AuditVerified>, ApiError> {
    let no_event = || {
        ApiError::invalid(
            "This is no event to compare with.",
            "Give seq and hash of an event together, the hash in hex.",
        )
    };
    let anchor = match (query.seq, query.hash) {
        (None, None) => None,
        (Some(seq), Some(hash)) => Some(Anchor::read(seq, &hash).ok_or_else(no_event)?),
        (Some(_), None) | (None, Some(_)) => return Err(no_event()),
    };
    let verified = audit_verify(&api.db, &scope, anchor.as_ref()).await?;
    if let Some(broken) = &verified.broken {
        tracing::error!(tenant.id = %scope.tenant(), seq = broken.seq, what = broken.what, "the audit log is not as it was written");
    }
    Ok(Json(AuditVerified {
        intact: verified.broken.is_none(),
        events: verified.events,
        head: shown(&verified.head),
        broken_at: verified.broken.as_ref().map(|broken| broken.seq),
        broken: verified.broken.map(|broken| broken.what.to_owned()),
    }))
}
