//! The front door: what a Salesforce client sees.
//!
//! `front` takes a request in, applies injected faults and the allowance, and hands it to `data` or
//! `oauth`. New resources are new arms in `data::dispatch`. Nothing below `dispatch` knows of sockets,
//! so composite sub-requests take the same way.

mod answer;
mod composite;
mod data;
mod front;
mod identity;
mod limits;
pub mod listen;
mod oauth;
mod query;
mod request;
mod sobjects;
pub mod tls;

use answer::Answer;

use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::SimClock;
use crate::id::SfId;
use crate::org::Org;
use crate::org::gates::Gates;

/// Oldest and newest API version answered.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 60..=66;

/// Everything the front door reaches.
#[derive(Debug)]
pub struct World {
    /// The clock of all orgs.
    pub clock: Arc<SimClock>,
    /// Gates for held requests.
    pub gates: Gates,
    /// Public key that verifies JWT assertions.
    pub jwt_public_key: Vec<u8>,
    orgs: RwLock<Vec<Arc<Org>>>,
}

impl World {
    /// A world without orgs.
    pub fn new(clock: Arc<SimClock>, jwt_public_key: Vec<u8>) -> Self {
        Self { clock, gates: Gates::default(), jwt_public_key, orgs: RwLock::new(Vec::new()) }
    }

    /// Adds an org.
    pub fn add(&self, org: Arc<Org>) {
        self.orgs.write().unwrap_or_else(PoisonError::into_inner).push(org);
    }

    /// All orgs in the order they were made.
    pub fn orgs(&self) -> Vec<Arc<Org>> {
        self.orgs.read().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// The org that an access token names.
    pub fn by_token(&self, token: &str) -> Option<Arc<Org>> {
        self.by_id(token.split_once('!')?.0)
    }
}
