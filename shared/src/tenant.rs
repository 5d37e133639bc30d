//! Tenancy as a capability: content is reachable only through a [`TenantScope`].

use crate::ids::TenantId;

/// The right to act for one tenant.
///
/// It is made in two places only, after authentication and with a lease; no storage call that touches a
/// tenant's rows takes a bare [`TenantId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantScope {
    tenant: TenantId,
}

impl TenantScope {
    /// For a caller whose credentials allow this tenant.
    #[must_use]
    pub fn authenticated(tenant: TenantId) -> Self {
        Self { tenant }
    }

    /// For the holder of a lease on one of this tenant's jobs.
    #[must_use]
    pub fn leased(tenant: TenantId) -> Self {
        Self { tenant }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }
}
