//! One org: its records, its users' sessions, its allowance, and what tests have asked of it.
//!
//! Each part has its own lock, held for the length of one operation and never across an await. Parts do not
//! know each other; [`crate::http`] and [`crate::control`] bring them together.

pub mod allowance;
pub mod calls;
pub mod cursors;
pub mod faults;
pub mod gates;
pub mod permissions;
pub mod sessions;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aws_lc_rs::rand;

use crate::clock::SimClock;
use crate::id::SfId;
use crate::schema::Catalog;
use crate::store::Store;

use allowance::Allowance;
use calls::CallLog;
use cursors::Cursors;
use faults::Faults;
use permissions::Permissions;
use sessions::Sessions;

/// Who an org is, and the secrets of its one client and user.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Organization id.
    pub org_id: SfId,
    /// Consumer key.
    pub client_id: String,
    /// Consumer secret.
    pub client_secret: String,
    /// Name of the integration user.
    pub username: String,
    /// Password of the integration user, for clients that can do no better.
    pub password: String,
    /// The integration user's record.
    pub user_id: SfId,
}

/// One org.
#[derive(Debug)]
pub struct Org {
    /// Who it is.
    pub identity: Identity,
    /// The clock of the whole simulator.
    pub clock: Arc<SimClock>,
    store: RwLock<Store>,
    permissions: RwLock<Arc<Permissions>>,
    sessions: Mutex<Sessions>,
    allowance: Mutex<Allowance>,
    cursors: Mutex<Cursors>,
    faults: Mutex<Faults>,
    calls: Mutex<CallLog>,
    latency_ms: AtomicU64,
    page_rows: AtomicUsize,
    user_active: AtomicBool,
}

impl Org {
    /// An org around a filled store.
    pub fn new(
        identity: Identity,
        clock: Arc<SimClock>,
        store: Store,
        sessions: Sessions,
        daily_max: u64,
    ) -> Self {
        let started = clock.now_ms();
        Self {
            identity,
            clock,
            store: RwLock::new(store),
            permissions: RwLock::new(Arc::new(Permissions::everything(started))),
            sessions: Mutex::new(sessions),
            allowance: Mutex::new(Allowance::new(daily_max)),
            cursors: Mutex::new(Cursors::default()),
            faults: Mutex::new(Faults::default()),
            calls: Mutex::new(CallLog::default()),
            latency_ms: AtomicU64::new(0),
            page_rows: AtomicUsize::new(usize::MAX),
            user_active: AtomicBool::new(true),
        }
    }

    /// The records as of now: due commits become visible first.
    pub fn records(&self) -> RwLockReadGuard<'_, Store> {
        let now = self.clock.now_ms();
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        if !store.is_behind(now) {
            return store;
        }
        drop(store);
        self.store.write().unwrap_or_else(PoisonError::into_inner).catch_up(now);
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records, to change them.
    pub fn records_mut(&self) -> RwLockWriteGuard<'_, Store> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        store.catch_up(self.clock.now_ms());
        store
    }

    /// The org's objects.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.store.read().unwrap_or_else(PoisonError::into_inner).catalog)
    }

    /// What the default user may see.
    pub fn permissions(&self) -> Arc<Permissions> {
        Arc::clone(&self.permissions.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces what the default user may see.
    pub fn set_permissions(&self, permissions: Permissions) {
        *self.permissions.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(permissions);
    }

    /// Sessions and refresh tokens.
    pub fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    /// The daily allowance.
    pub fn allowance(&self) -> MutexGuard<'_, Allowance> {
        lock(&self.allowance)
    }

    /// Query cursors.
    pub fn cursors(&self) -> MutexGuard<'_, Cursors> {
        lock(&self.cursors)
    }

    /// Injected faults.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// The record of all calls.
    pub fn calls(&self) -> MutexGuard<'_, CallLog> {
        lock(&self.calls)
    }

    /// Milliseconds each call takes at least.
    pub fn latency_ms(&self) -> u64 {
        self.latency_ms.load(Ordering::Relaxed)
    }

    /// Sets how long each call takes at least.
    pub fn set_latency_ms(&self, millis: u64) {
        self.latency_ms.store(millis, Ordering::Relaxed);
    }

    /// Rows that a page holds at most, however many are asked for.
    pub fn page_rows(&self) -> usize {
        self.page_rows.load(Ordering::Relaxed)
    }

    /// Makes pages smaller than clients ask for, as the platform does with heavy rows.
    pub fn set_page_rows(&self, most: usize) {
        self.page_rows.store(most.max(1), Ordering::Relaxed);
    }

    /// Whether the integration user may log in.
    pub fn user_active(&self) -> bool {
        self.user_active.load(Ordering::Relaxed)
    }

    /// Freezes or thaws the integration user; freezing ends all sessions.
    pub fn set_user_active(&self, active: bool) {
        self.user_active.store(active, Ordering::Relaxed);
        if !active {
            self.sessions().expire_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Unguessable text of `bytes` bytes, in URL-safe characters.
pub fn secret(bytes: usize) -> String {
    use base64::Engine;
    let mut raw = vec![0; bytes];
    rand::fill(&mut raw).expect("the system's random source works");
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(raw)
}
