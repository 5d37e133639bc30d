//! `/v1/tenants/{tenant}/tickets/{ticket}/hold`: tickets that somebody works with are kept for longer.

use axum::Json;
use chrono::{DateTime, Utc};
use refrain_shared::job::lease::Kind;
use refrain_shared::storage::holds::{self as store, LONGEST_REASON, hold_set};
use refrain_shared::storage::sweeps::standing_ask;
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::Tenant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::tickets::{record_id, record_key};
use crate::api::{Api, Shared};

/// Why a ticket is held.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// In a few words for people, like "graded"; kept as it is, so nothing of a customer belongs into it.
    pub reason: String,
}

/// How a ticket stands now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hold {
    /// The ticket.
    pub ticket_id: String,
    /// Whether it is under a hold.
    pub held: bool,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub held_at: Option<DateTime<Utc>>,
    /// When its time is over, unless something happens to it before.
    pub expires_at: DateTime<Utc>,
    /// Whether it is here. One that left comes back soon if it is not to expire before now.
    pub is_here: bool,
}

/// Puts a ticket under a hold, or gives its hold another reason.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/tickets/{ticket}/hold",
    params(("tenant" = String, Path), ("ticket" = String, Path)), request_body = NewHold,
    responses((status = 200, body = Hold), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn put(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, ticket)): ApiPath<(String, String)>,
    ApiJson(hold): ApiJson<NewHold>,
) -> Result<Json<Hold>, ApiError> {
    let reason = hold.reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON || reason.contains('\0') {
        return Err(ApiError::invalid(
            "The reason is empty, too long, or no text.",
            format!("Give a reason of 1 to {LONGEST_REASON} characters."),
        ));
    }
    set(&api, &scope, &ticket, Some(reason)).await
}

/// Releases a ticket's hold: its time runs as any ticket's again.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/tickets/{ticket}/hold",
    params(("tenant" = String, Path), ("ticket" = String, Path)),
    responses((status = 200, body = Hold), (status = 404, body = Problem)))]
pub(in crate::api) async fn release(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, ticket)): ApiPath<(String, String)>,
) -> Result<Json<Hold>, ApiError> {
    set(&api, &scope, &ticket, None).await
}

async fn set(
    api: &Api,
    scope: &TenantScope,
    ticket: &str,
    reason: Option<&str>,
) -> Result<Json<Hold>, ApiError> {
    let missing = || ApiError::not_found("ticket");
    let (object, record) = record_key(ticket).ok_or_else(missing)?;
    let hold = hold_set(&api.db, scope, object, record, reason).await?.ok_or_else(missing)?;
    tracing::info!(tenant.id = %scope.tenant(), object = %object, held = reason.is_some(), "a ticket's hold was set");
    if !hold.is_here {
        standing_ask(&api.db, Kind::Expire, object).await?;
        api.wakes.dispatcher.notify_one();
    }
    Ok(Json(shown(hold)))
}

fn shown(hold: store::Hold) -> Hold {
    Hold {
        ticket_id: record_id(hold.key),
        held: hold.reason.is_some(),
        expires_at: hold.policy.expires_at(hold.class, hold.last_activity_at),
        reason: hold.reason,
        held_at: hold.held_at,
        is_here: hold.is_here,
    }
}
