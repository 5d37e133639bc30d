//! One org: its records, its users and their sessions, its allowance, its bulk jobs, and what tests have asked of
//! it.
//!
//! Each part has its own lock, held for the length of one operation and never across an await. Parts do not
//! know each other; [`crate::http`] and [`crate::control`] bring them together.

pub mod access;
pub mod allowance;
pub mod app;
pub mod browsers;
pub mod calls;
pub mod conversations;
pub mod cursors;
pub mod faults;
pub mod gates;
pub mod home;
pub mod jobs;
pub mod logins;
pub mod permissions;
pub mod replication;
pub mod sessions;

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aws_lc_rs::rand;

use crate::clock::SimClock;
use crate::id::SfId;
use crate::options::NEWEST_VERSION;
use crate::schema::Catalog;
use crate::store::write::When;
use crate::store::{Reader, Store};
use crate::value::{Cell, Value};

use access::Access;
use allowance::Allowance;
use app::AppPolicy;
use browsers::Browsers;
use calls::CallLog;
use conversations::Conversations;
use cursors::Cursors;
use faults::Faults;
use home::Home;
use jobs::Jobs;
use logins::{Login, Logins};
use permissions::Permissions;
use replication::Replication;
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
    access: RwLock<Access>,
    sessions: Mutex<Sessions>,
    allowance: Mutex<Allowance>,
    cursors: Mutex<Cursors>,
    faults: Mutex<Faults>,
    calls: Mutex<CallLog>,
    jobs: Mutex<Jobs>,
    logins: Mutex<Logins>,
    browsers: Mutex<Browsers>,
    app: RwLock<Arc<AppPolicy>>,
    jwt_key: RwLock<Option<Arc<[u8]>>>,
    latency_ms: AtomicU64,
    page_rows: AtomicUsize,
    newest_version: AtomicU32,
    home: RwLock<Home>,
    replication: Mutex<Replication>,
    conversations: Mutex<Conversations>,
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
        let mut logins = Logins::default();
        logins.add(Login {
            username: identity.username.clone(),
            password: identity.password.clone(),
            user_id: identity.user_id,
            active: true,
            api_only: false,
            api_enabled: true,
        });
        Self {
            identity,
            clock,
            store: RwLock::new(store),
            access: RwLock::new(Access::new(started)),
            sessions: Mutex::new(sessions),
            allowance: Mutex::new(Allowance::new(daily_max)),
            cursors: Mutex::new(Cursors::default()),
            faults: Mutex::new(Faults::default()),
            calls: Mutex::new(CallLog::default()),
            jobs: Mutex::new(Jobs::default()),
            logins: Mutex::new(logins),
            browsers: Mutex::default(),
            app: RwLock::default(),
            jwt_key: RwLock::default(),
            latency_ms: AtomicU64::new(0),
            page_rows: AtomicUsize::new(usize::MAX),
            newest_version: AtomicU32::new(NEWEST_VERSION),
            home: RwLock::default(),
            replication: Mutex::default(),
            conversations: Mutex::default(),
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

    /// The text in a field of a record.
    pub fn text_of(&self, id: SfId, field: &str) -> Option<String> {
        let store = self.records();
        let (object, handle) = store.find(id)?;
        let index = store.tables[object].schema.field_index(field)?;
        match Reader::now(&store).value(object, handle, index).cell() {
            Cell::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }

    /// The org's objects.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.store.read().unwrap_or_else(PoisonError::into_inner).catalog)
    }

    /// What a user may see.
    pub fn permissions_of(&self, user: SfId) -> Arc<Permissions> {
        self.access.read().unwrap_or_else(PoisonError::into_inner).of(user)
    }

    /// What a user might see at a moment.
    pub fn permissions_at(&self, user: SfId, at: i64) -> Arc<Permissions> {
        self.access.read().unwrap_or_else(PoisonError::into_inner).at(user, at)
    }

    /// Notes that describes have changed for everybody.
    pub fn describe_again(&self) {
        let now = self.clock.now_ms();
        self.access.write().unwrap_or_else(PoisonError::into_inner).describe_again(now);
    }

    /// What the integration user may see.
    pub fn permissions(&self) -> Arc<Permissions> {
        self.permissions_of(self.identity.user_id)
    }

    /// Replaces what a user may see.
    pub fn set_permissions_of(&self, user: SfId, permissions: Permissions) {
        let now = self.clock.now_ms();
        self.access.write().unwrap_or_else(PoisonError::into_inner).set(user, permissions, now);
    }

    /// Sessions and refresh tokens.
    pub fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    /// The daily allowance.
    pub fn allowance(&self) -> MutexGuard<'_, Allowance> {
        lock(&self.allowance)
    }

    /// Counts a call against the allowance; `false` when it is used up.
    pub fn spend_call(&self) -> bool {
        let spent = self.allowance().spend(self.clock.now_ms());
        if spent {
            self.calls().count_api();
        }
        spent
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

    /// Bulk query jobs.
    pub fn jobs(&self) -> MutexGuard<'_, Jobs> {
        lock(&self.jobs)
    }

    /// Users who can log in.
    pub fn logins(&self) -> MutexGuard<'_, Logins> {
        lock(&self.logins)
    }

    /// How far back and how fresh the lists of changes are.
    pub fn replication(&self) -> MutexGuard<'_, Replication> {
        lock(&self.replication)
    }

    /// Transcripts beyond what the records keep.
    pub fn conversations(&self) -> MutexGuard<'_, Conversations> {
        lock(&self.conversations)
    }

    /// Where the org lives.
    pub fn home(&self) -> Home {
        self.home.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves the org: its sessions and cursors end.
    pub fn set_home(&self, home: Home) {
        *self.home.write().unwrap_or_else(PoisonError::into_inner) = home;
        self.sessions().expire_all();
        self.cursors().clear();
    }

    /// The address that clients are told, for one that reached a login at `base_url`.
    pub fn instance_url(&self, base_url: &str) -> String {
        self.home().told(base_url)
    }

    /// The newest API version that the org knows.
    pub fn newest_version(&self) -> u32 {
        self.newest_version.load(Ordering::Relaxed)
    }

    /// A release: the org knows another newest version from now on.
    pub fn set_newest_version(&self, version: u32) {
        self.newest_version.store(version, Ordering::Relaxed);
    }

    /// Adds a user who can log in, with a record of its own.
    ///
    /// # Errors
    /// A sentence for people when there is a user of this name already.
    pub fn add_user(
        &self,
        username: &str,
        password: Option<String>,
        api_only: bool,
    ) -> Result<Login, String> {
        if self.logins().named(username).is_some() {
            return Err(format!("There is a user '{username}' already. Choose another name."));
        }
        let now = self.clock.now_ms();
        let mut store = self.records_mut();
        let object = store.object("User");
        let name = username.split('@').next().unwrap_or(username);
        let fields = [
            ("Username", Value::text(username)),
            ("LastName", Value::text(name)),
            ("Email", Value::text(username)),
            ("IsActive", Value::Bool(true)),
        ];
        let slots: Vec<(usize, Value)> =
            fields.map(|(field, value)| (store.tables[object].schema.slot(field), value)).into();
        let user_id = store.insert(object, &slots, When::at(now, self.identity.user_id));
        drop(store);
        let login = Login {
            username: username.to_owned(),
            password: password.unwrap_or_else(|| secret(16)),
            user_id,
            active: true,
            api_only,
            api_enabled: true,
        };
        self.logins().add(login.clone());
        Ok(login)
    }

    /// Browsers that have logged in.
    pub fn browsers(&self) -> MutexGuard<'_, Browsers> {
        lock(&self.browsers)
    }

    /// The app's policies.
    pub fn app(&self) -> Arc<AppPolicy> {
        Arc::clone(&self.app.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the app's policies. An app that is no longer there takes its tokens with it.
    pub fn set_app(&self, policy: AppPolicy) {
        if policy.installation != app::Installation::Installed {
            self.sessions().revoke_all();
            self.browsers().clear();
        }
        *self.app.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// The public key that verifies JWTs, when it is not the simulator's own.
    pub fn jwt_key(&self) -> Option<Arc<[u8]>> {
        self.jwt_key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the certificate on the app: JWTs signed with another key are refused from now on.
    pub fn set_jwt_key(&self, public_key: Vec<u8>) {
        *self.jwt_key.write().unwrap_or_else(PoisonError::into_inner) = Some(public_key.into());
    }

    /// The name of the user behind an access token, without using the token.
    pub fn user_of(&self, token: &str) -> Option<String> {
        let (session, _) = self.sessions().peek(token, self.clock.now_ms())?;
        self.logins().of(session.grant.user).map(|login| login.username.clone())
    }

    /// Freezes or thaws a user; freezing ends all sessions of the user. `false` when there is none of this name.
    pub fn set_user_active(&self, username: &str, active: bool) -> bool {
        let user = {
            let mut logins = self.logins();
            let Some(login) = logins.named_mut(username) else {
                return false;
            };
            login.active = active;
            login.user_id
        };
        if !active {
            self.sessions().expire_user(user);
        }
        true
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
