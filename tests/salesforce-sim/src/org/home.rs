//! Where an org lives: at the simulator's own address, or at another one after an instance move.

use serde::{Deserialize, Serialize};

/// What the old address says after a move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OldAddress {
    /// A redirect to the new one.
    Redirect,
    /// 420 and a web page: nobody there knows the org.
    #[default]
    NoRoute,
    /// An error of the API: the org is not here.
    NotOwned,
}

/// The new address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAddress {
    /// The door by which its requests come in.
    pub door: usize,
    /// Plain.
    pub http: String,
    /// With TLS.
    pub https: String,
    /// What the old address says.
    pub old: OldAddress,
    /// The status of a redirect.
    pub status: u16,
}

/// Where an org lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    /// The new address, after a move.
    pub moved: Option<NewAddress>,
}

impl Home {
    /// The new address, for a request that came to another door.
    pub fn elsewhere(&self, door: usize) -> Option<&NewAddress> {
        self.moved.as_ref().filter(|new| new.door != door)
    }
}
