//! Tenancy as a capability: content is reachable only through a [`TenantScope`].

use crate::ids::{ApiKeyId, TenantId};

/// Who acts; the audit log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds this API key: a tenant's, or the operator's.
    Key(ApiKeyId),
    /// Refrain itself.
    System,
}

/// The right to act for one tenant.
///
/// It is made in two places only, after authentication and with a lease; no storage call that touches a
/// tenant's rows takes a bare [`TenantId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantScope {
    tenant: TenantId,
    actor: Actor,
}

impl TenantScope {
    /// For a caller whose API key allows this tenant.
    #[must_use]
    pub fn acting(tenant: TenantId, key: ApiKeyId) -> Self {
        Self { tenant, actor: Actor::Key(key) }
    }

    /// For whoever allows this tenant without a key.
    #[must_use]
    pub fn authenticated(tenant: TenantId) -> Self {
        Self { tenant, actor: Actor::System }
    }

    /// For the holder of a lease on one of this tenant's jobs.
    #[must_use]
    pub fn leased(tenant: TenantId) -> Self {
        Self { tenant, actor: Actor::System }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor
    }
}
