//! The front door: what a Salesforce client sees.
//!
//! `front` takes a request in, lets `harm` do what faults ask, applies the allowance, and hands it to `data` or
//! `oauth`; `respond` makes bytes of the answer. New resources are new arms in `data::dispatch`. Nothing below
//! `dispatch` knows of sockets, so composite sub-requests take the same way.

mod answer;
mod bulk;
mod composite;
mod conversations;
mod data;
mod front;
mod harm;
mod identity;
mod limits;
pub mod listen;
mod oauth;
mod query;
mod replication;
mod request;
mod respond;
mod rows;
mod soap;
mod sobjects;
mod status;
pub mod tls;
mod versions;
mod wire;

use answer::Answer;

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use crate::clock::SimClock;
use crate::id::SfId;
use crate::options::NEWEST_VERSION;
use crate::org::Org;
use crate::org::gates::Gates;

/// Everything the front door reaches.
pub struct World {
    /// The clock of all orgs.
    pub clock: Arc<SimClock>,
    /// Gates for held requests.
    pub gates: Gates,
    /// Public key that verifies JWT assertions.
    pub jwt_public_key: Vec<u8>,
    orgs: RwLock<Vec<Arc<Org>>>,
    steering: OnceLock<Steering>,
    troubles: Mutex<Vec<String>>,
}

/// Makes calls of the control API from inside: (org, path below it, body) to a refusal, if any.
pub type Steering = Box<
    dyn Fn(SfId, String, serde_json::Value) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>>
        + Send
        + Sync,
>;

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("orgs", &self.orgs().len()).finish_non_exhaustive()
    }
}

impl World {
    /// A world without orgs.
    pub fn new(clock: Arc<SimClock>, jwt_public_key: Vec<u8>) -> Self {
        Self {
            clock,
            gates: Gates::default(),
            jwt_public_key,
            orgs: RwLock::default(),
            steering: OnceLock::new(),
            troubles: Mutex::default(),
        }
    }

    /// Lets faults and scenarios make calls of the control API. Only the first call counts.
    pub fn set_steering(&self, steering: Steering) {
        _ = self.steering.set(steering);
    }

    /// Makes a call of the control API.
    ///
    /// # Errors
    /// The control API's refusal.
    pub async fn steer(&self, org: SfId, path: &str, body: &serde_json::Value) -> Result<(), String> {
        match self.steering.get() {
            Some(steering) => steering(org, path.to_owned(), body.clone()).await,
            None => Err("This simulator has no control API.".to_owned()),
        }
    }

    /// Notes that a step of a fault or of a scenario could not be done: for the log and the status page.
    pub fn note_trouble(&self, trouble: String) {
        tracing::error!(%trouble, "a step was refused");
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).push(trouble);
    }

    fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds an org.
    pub fn add(&self, org: Arc<Org>) {
        self.orgs.write().unwrap_or_else(PoisonError::into_inner).push(org);
    }

    /// All orgs in the order they were made.
    pub fn orgs(&self) -> Vec<Arc<Org>> {
        self.orgs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest API version that any org knows.
    fn newest_version(&self) -> u32 {
        self.orgs().iter().map(|org| org.newest_version()).max().unwrap_or(NEWEST_VERSION)
    }

    fn find(&self, wanted: impl Fn(&Org) -> bool) -> Option<Arc<Org>> {
        let orgs = self.orgs.read().unwrap_or_else(PoisonError::into_inner);
        orgs.iter().find(|org| wanted(org)).map(Arc::clone)
    }

    /// The org of an id in either form.
    pub fn by_id(&self, id: &str) -> Option<Arc<Org>> {
        let id = SfId::parse(id)?;
        self.find(|org| org.identity.org_id == id)
    }

    /// The org whose client has this id.
    pub fn by_client(&self, client_id: &str) -> Option<Arc<Org>> {
        self.find(|org| org.identity.client_id == client_id)
    }

    /// The org that has a user of this name.
    fn by_username(&self, username: &str) -> Option<Arc<Org>> {
        self.find(|org| org.logins().all().iter().any(|login| login.username.eq_ignore_ascii_case(username)))
    }

    /// Takes an org out; its requests find nobody from now on.
    pub fn remove(&self, id: SfId) {
        let mut orgs = self.orgs.write().unwrap_or_else(PoisonError::into_inner);
        orgs.retain(|org| org.identity.org_id != id);
    }

    /// The org that an access token names.
    pub fn by_token(&self, token: &str) -> Option<Arc<Org>> {
        self.by_id(token.split_once('!')?.0)
    }
}
