//! What a worker remembers of tenants between jobs: gate, keys, suppressions. A page commit compares the gate,
//! so a memory that is out of date costs one plan more, never a wrong row.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use refrain_shared::crypto::{IdentityToken, KeyRing, TenantKeys};
use refrain_shared::ids::TenantId;
use refrain_shared::storage::keys::{GateEpochs, keys_load, suppressions_load};
use refrain_shared::storage::{Database, StoreError};
use refrain_shared::tenant::TenantScope;

/// A tenant as of one reading of its gate.
#[derive(Debug, Clone)]
pub struct TenantView {
    /// The gate's values; a commit under others is refused.
    pub gate: GateEpochs,
    /// Its keys.
    pub keys: Arc<TenantKeys>,
    /// Who must stay out.
    pub suppressed: Arc<HashSet<IdentityToken>>,
}

/// More tenants than this are not remembered: a view holds key material.
const MOST: usize = 1000;

/// The tenants seen lately.
#[derive(Default)]
pub struct Tenants(Mutex<HashMap<TenantId, TenantView>>);

impl Tenants {
    /// The tenant's view, from memory or read now.
    pub async fn view(
        &self,
        db: &Database,
        ring: &KeyRing,
        scope: &TenantScope,
    ) -> Result<TenantView, StoreError> {
        if let Some(view) = self.lock().get(&scope.tenant()) {
            return Ok(view.clone());
        }
        // The gate is read before the suppressions: one that comes between the two raises the epoch, and
        // the commit notices.
        let (gate, keys) = keys_load(db, ring, scope).await?;
        let suppressed = Arc::new(suppressions_load(db, scope).await?);
        let view = TenantView { gate, keys, suppressed };
        let mut views = self.lock();
        if views.len() >= MOST {
            views.clear();
        }
        views.insert(scope.tenant(), view.clone());
        Ok(view)
    }

    /// Forgets a tenant whose gate moved.
    pub fn forget(&self, tenant: TenantId) {
        self.lock().remove(&tenant);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, TenantView>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
