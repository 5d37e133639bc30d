//! `/v1/tenants/{tenant}/connections/{connection}/limits`: what a tenant allows us in its org, and how much of it is used.

use axum::Json;
use chrono::{DateTime, Utc};
use refrain_shared::ids::{ConnectionId, SalesforceId, TenantId};
use refrain_shared::limits::{ConnectionLimits, OrgLimits};
use refrain_shared::storage::control::connections::connection_get;
use refrain_shared::storage::control::limits::{limits_get, limits_set};
use refrain_shared::storage::org_limits::{org_limits_get, org_settings_refresh};
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::Tenant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::{ApiError, Problem};
use crate::api::{Api, Shared};

/// What binds a connection.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// What is allowed over this connection; what is not given is the default.
    pub wanted: ConnectionLimits,
    /// What holds: the strictest of all connections to the org, defaults included, and this one's share.
    pub in_force: InForce,
    /// How much of it is used now, by all connections of ours to the org.
    pub now: InUse,
}

/// What holds for the org.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct InForce {
    /// Calls at once, over all workers.
    pub lanes: u32,
    /// Calls a second in each lane, where it is less than the installation sends.
    pub calls_per_second: Option<u32>,
    /// This connection's share of the org's daily calls, in percent.
    pub share_percent: u32,
    /// What all connections of ours to the org may use of them together, in percent.
    pub cap_percent: u32,
    /// What stays for others, in percent of the org's daily calls.
    pub reserve_percent: u32,
}

/// What is used.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct InUse {
    /// When this was read.
    pub as_of: DateTime<Utc>,
    /// Calls at once that the org bears now: fewer than allowed for a while after it refused one.
    pub lanes: u32,
    /// Lanes in use.
    pub callers: usize,
    /// Our calls of the rolling 24 hours, those included that are paid and not made yet.
    pub calls_used: u64,
    /// How many they may be.
    pub calls_allowed: u64,
    /// Calls of all clients in the org's rolling 24 hours, as it said last.
    pub org_used: Option<u64>,
    /// How many it allows.
    pub org_allowed: Option<u64>,
    /// When it said so.
    pub org_said_at: Option<DateTime<Utc>>,
}

/// What is allowed over the connection, what holds, and what is used.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/connections/{connection}/limits",
    params(("tenant" = String, Path), ("connection" = String, Path)),
    responses((status = 200, body = Limits), (status = 404, body = Problem)))]
pub(in crate::api) async fn get(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(TenantId, ConnectionId)>,
) -> Result<Json<Limits>, ApiError> {
    let org = org_of(&api, &scope, id).await?;
    shown(&api, &scope, id, org).await
}

/// Replaces what is allowed over the connection. It binds each call that is asked for from now on; calls that are prepaid
/// already, at most twenty a lane, are still made.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/connections/{connection}/limits",
    params(("tenant" = String, Path), ("connection" = String, Path)), request_body = ConnectionLimits,
    responses((status = 200, body = Limits), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn set(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(TenantId, ConnectionId)>,
    ApiJson(wanted): ApiJson<ConnectionLimits>,
) -> Result<Json<Limits>, ApiError> {
    let org = org_of(&api, &scope, id).await?;
    let wrong = wanted.out_of_bounds();
    if !wrong.is_empty() {
        let names: Vec<&str> = wrong.iter().map(|(name, ..)| *name).collect();
        let bounds: Vec<String> =
            wrong.iter().map(|(name, least, most)| format!("{name} from {least} to {most}")).collect();
        return Err(ApiError::invalid(
            format!("{} cannot be so much or so little.", names.join(", ")),
            format!("Give {}.", bounds.join(", ")),
        ));
    }
    limits_set(&api.control, &scope, id, &wanted).await?;
    if let Some(org) = org {
        org_settings_refresh(&api.db, org).await?;
    }
    tracing::info!(tenant.id = %scope.tenant(), connection.id = %id, ?wanted, "other limits bind a connection");
    shown(&api, &scope, id, org).await
}

async fn org_of(api: &Api, scope: &TenantScope, id: ConnectionId) -> Result<Option<SalesforceId>, ApiError> {
    let known = connection_get(&api.control, scope, id).await?;
    Ok(known.ok_or_else(|| ApiError::not_found("connection"))?.org_id)
}

async fn shown(
    api: &Api,
    scope: &TenantScope,
    id: ConnectionId,
    org: Option<SalesforceId>,
) -> Result<Json<Limits>, ApiError> {
    let wanted =
        limits_get(&api.control, scope, id).await?.ok_or_else(|| ApiError::not_found("connection"))?;
    let limits = match org {
        Some(org) => org_limits_get(&api.db, org).await?,
        None => None,
    };
    let (limits, as_of) = (limits.unwrap_or_default(), api.clock.now());
    let OrgLimits { settings, usage, lanes, .. } = &limits;
    Ok(Json(Limits {
        wanted,
        in_force: InForce {
            lanes: settings.lanes,
            calls_per_second: settings.calls_per_second,
            share_percent: settings.shares.get(&id).copied().unwrap_or(settings.share_percent),
            cap_percent: settings.share_percent,
            reserve_percent: settings.reserve_percent,
        },
        now: InUse {
            as_of,
            lanes: limits.lanes_now(as_of),
            callers: lanes.iter().filter(|lane| lane.until > as_of).count(),
            calls_used: limits.used(as_of),
            calls_allowed: limits.cap(),
            org_used: usage.map(|usage| usage.used),
            org_allowed: usage.map(|usage| usage.limit),
            org_said_at: usage.map(|usage| usage.at),
        },
    }))
}
