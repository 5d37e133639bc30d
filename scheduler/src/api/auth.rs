//! Who asks, and for which tenant. One of the two places where a [`TenantScope`] is made.
//!
//! A tenant that the caller may not act for looks exactly like one that does not exist.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use refrain_shared::ids::{ApiKeyId, TenantId};
use refrain_shared::storage::control::api_keys::{KeyRole, api_key_find};
use refrain_shared::storage::control::tenants::tenant_get;
use refrain_shared::tenant::{Actor, TenantScope};

use super::Api;
use super::key::ApiKey;
use super::problem::ApiError;

/// Whoever holds a key that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    key: ApiKeyId,
    role: KeyRole,
    tenant: Option<TenantId>,
}

impl Caller {
    /// Whether it may act for this tenant.
    #[must_use]
    pub fn may_act_for(&self, tenant: TenantId) -> bool {
        match self.role {
            KeyRole::Operator => true,
            KeyRole::TenantAdmin | KeyRole::TenantReader => self.tenant == Some(tenant),
        }
    }

    /// Whether it may change anything.
    #[must_use]
    pub fn may_change(&self) -> bool {
        match self.role {
            KeyRole::Operator | KeyRole::TenantAdmin => true,
            KeyRole::TenantReader => false,
        }
    }

    /// The one tenant of a tenant's key.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }
}

/// The operator, and nobody else; by which key.
pub struct Operator(pub Actor);

/// A caller with the right to the path's tenant; for a method that changes something, with the right to change.
pub struct Tenant(pub TenantScope);

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let text = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(given) = text.and_then(|text| text.strip_prefix("Bearer ")) else {
            return Err(unauthorized("no_key", "This request has no API key."));
        };
        let wrong = || unauthorized("wrong_key", "This API key is not in force.");
        let key: ApiKey = given.trim().parse().map_err(|_| wrong())?;
        let stored = api_key_find(&api.control, key.id()).await?.ok_or_else(wrong)?;
        if !key.matches(&stored.secret_hash) {
            return Err(wrong());
        }
        Ok(Self { key: stored.id, role: stored.role, tenant: stored.tenant })
    }
}

impl FromRequestParts<Arc<Api>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, api).await?;
        match caller.role {
            KeyRole::Operator => Ok(Self(Actor::Key(caller.key))),
            KeyRole::TenantAdmin | KeyRole::TenantReader => Err(forbidden("Only the operator may do this.")),
        }
    }
}

impl FromRequestParts<Arc<Api>> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, api).await?;
        let path = RawPathParams::from_request_parts(parts, api).await.ok();
        let tenant: Option<TenantId> = path
            .as_ref()
            .and_then(|path| path.iter().find(|(name, _)| *name == "tenant"))
            .and_then(|(_, text)| text.parse().ok());
        let Some(tenant) = tenant.filter(|tenant| caller.may_act_for(*tenant)) else {
            return Err(ApiError::not_found("tenant"));
        };
        if parts.method != Method::GET && !caller.may_change() {
            return Err(forbidden("This API key may only read."));
        }
        // A tenant's own key proves that it exists; the operator may have mistyped.
        if caller.tenant.is_none() && tenant_get(&api.control, tenant).await?.is_none() {
            return Err(ApiError::not_found("tenant"));
        }
        Ok(Self(TenantScope::acting(tenant, caller.key)))
    }
}

fn unauthorized(code: &str, what: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        code,
        what,
        "Every operation needs an API key that was not revoked and has not ended.",
        "Send the header `Authorization: Bearer rfk_…` with a key of this installation.",
    )
}

fn forbidden(what: &str) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        what,
        "The key's role does not allow it.",
        "Use a key with the role that is needed.",
    )
}
