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

/// More tenants than this are not remembered: a view holds key material. A fleet has that many, and each of its workers
/// meets all of them.
const MOST: usize = 10_000;

/// The tenants seen lately.
#[derive(Default)]
pub struct Tenants(Mutex<Kept<TenantView>>);

impl Tenants {
    /// The tenant's view, from memory or read now.
    pub async fn view(
        &self,
        db: &Database,
        ring: &KeyRing,
        scope: &TenantScope,
    ) -> Result<TenantView, StoreError> {
        if let Some(view) = self.lock().get(scope.tenant()) {
            return Ok(view);
        }
        // The gate is read before the suppressions: one that comes between the two raises the epoch, and
        // the commit notices.
        let (gate, keys) = keys_load(db, ring, scope).await?;
        let suppressed = Arc::new(suppressions_load(db, scope).await?);
        let view = TenantView { gate, keys, suppressed };
        self.lock().keep(scope.tenant(), view.clone(), MOST);
        Ok(view)
    }

    /// Forgets a tenant whose gate moved.
    pub fn forget(&self, tenant: TenantId) {
        self.lock().of.remove(&tenant);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept<TenantView>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Values by tenant with the turn in which each was last asked for.
struct Kept<V> {
    of: HashMap<TenantId, (u64, V)>,
    turn: u64,
}

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Self { of: HashMap::new(), turn: 0 }
    }
}

impl<V: Clone> Kept<V> {
    fn get(&mut self, tenant: TenantId) -> Option<V> {
        self.turn += 1;
        let (used, value) = self.of.get_mut(&tenant)?;
        *used = self.turn;
        Some(value.clone())
    }

    /// Keeps a value; of `most`, the one that was not asked for longest makes place. Looking through all of them for it costs
    /// little beside what was read for the new one.
    fn keep(&mut self, tenant: TenantId, value: V, most: usize) {
        self.turn += 1;
        if self.of.len() >= most
            && !self.of.contains_key(&tenant)
            && let Some(oldest) = self.of.iter().min_by_key(|(_, (used, _))| *used).map(|(tenant, _)| *tenant)
        {
            self.of.remove(&oldest);
        }
        self.of.insert(tenant, (self.turn, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_that_was_not_met_longest_is_forgotten_first() {
        let tenants: Vec<TenantId> = (0..4).map(|n| TenantId(uuid::Uuid::from_u128(n))).collect();
        let mut kept = Kept::default();
        for tenant in &tenants[..3] {
            kept.keep(*tenant, (), 3);
        }
        kept.get(tenants[0]);
        kept.keep(tenants[2], (), 3);
        kept.keep(tenants[3], (), 3);
        let known: Vec<bool> = tenants.iter().map(|tenant| kept.get(*tenant).is_some()).collect();
        assert_eq!(known, [true, false, true, true]);
    }
}
