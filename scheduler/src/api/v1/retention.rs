//! `/v1/tenants/{tenant}/retention`: how long tickets are kept, and what would go by another policy before it goes.

use axum::Json;
use chrono::{DateTime, Utc};
use refrain_shared::retention::{FEWEST_DAYS, MOST_DAYS, Policy};
use refrain_shared::storage::content::retention::{Kept, Outlook, WouldGo, retention_outlook};
use refrain_shared::storage::control::retention::{retention_get, retention_set};
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::Tenant;
use crate::api::extract::ApiJson;
use crate::api::problem::{ApiError, Problem};
use crate::api::{Api, Shared};

/// How long tickets are kept, and what that means now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Retention {
    /// The policy in force.
    pub policy: Policy,
    /// When this was counted.
    pub as_of: DateTime<Utc>,
    /// When what is due goes next; none while no tickets can be here.
    pub next_purge_at: Option<DateTime<Utc>>,
    /// What is due.
    pub would_go: WouldGo,
    /// What is here, by class and age.
    pub kept: Vec<Kept>,
}

/// What another policy would mean.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RetentionPreview {
    /// The policy that was asked about.
    pub policy: Policy,
    /// When this was counted.
    pub as_of: DateTime<Utc>,
    /// What would go by it, at once.
    pub would_go: WouldGo,
}

/// The policy in force, what is here by class and age, and what goes next.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/retention", params(("tenant" = String, Path)),
    responses((status = 200, body = Retention), (status = 404, body = Problem)))]
pub(in crate::api) async fn get(api: Shared, Tenant(scope): Tenant) -> Result<Json<Retention>, ApiError> {
    let policy = retention_get(&api.control, &scope).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
    shown(&api, &scope, policy).await
}

/// Puts another policy in force. What is due by it goes with the next purge, not before; ask for a preview first.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/retention", params(("tenant" = String, Path)),
    request_body = Policy,
    responses((status = 200, body = Retention), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn set(
    api: Shared,
    Tenant(scope): Tenant,
    ApiJson(policy): ApiJson<Policy>,
) -> Result<Json<Retention>, ApiError> {
    let policy = checked(policy)?;
    retention_set(&api.control, &scope, &policy).await?;
    tracing::info!(tenant.id = %scope.tenant(), ?policy, "another retention policy is in force");
    shown(&api, &scope, policy).await
}

/// What would go by a policy, without putting it in force.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/retention/preview", params(("tenant" = String, Path)),
    request_body = Policy,
    responses((status = 200, body = RetentionPreview), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn preview(
    api: Shared,
    Tenant(scope): Tenant,
    ApiJson(policy): ApiJson<Policy>,
) -> Result<Json<RetentionPreview>, ApiError> {
    let policy = checked(policy)?;
    let as_of = api.clock.now();
    let outlook = outlook(&api, &scope, policy, as_of).await?;
    Ok(Json(RetentionPreview { policy, as_of, would_go: outlook.would_go }))
}

/// A policy within its bounds.
pub(super) fn checked(policy: Policy) -> Result<Policy, ApiError> {
    let wrong = policy.out_of_bounds();
    if wrong.is_empty() {
        return Ok(policy);
    }
    Err(ApiError::invalid(
        format!("{} cannot be so many days.", wrong.join(", ")),
        format!("Give {FEWEST_DAYS} to {MOST_DAYS} days."),
    ))
}

async fn shown(api: &Api, scope: &TenantScope, policy: Policy) -> Result<Json<Retention>, ApiError> {
    let as_of = api.clock.now();
    let Outlook { kept, would_go, next_at } = outlook(api, scope, policy, as_of).await?;
    Ok(Json(Retention { policy, as_of, next_purge_at: next_at, would_go, kept }))
}

async fn outlook(
    api: &Api,
    scope: &TenantScope,
    policy: Policy,
    as_of: DateTime<Utc>,
) -> Result<Outlook, ApiError> {
    Ok(retention_outlook(&api.db, scope, policy.cut_offs(as_of), as_of).await?)
}
