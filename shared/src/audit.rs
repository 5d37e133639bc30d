//! What the audit log tells, and the chain that shows whether anything of it was changed. All pure.
//!
//! An event's hash covers its own parts and the hash before it (`audit_write` in the migrations makes it, [`hash`] makes
//! it once more). So a change, a gap, another order and a removal from the middle show by themselves; an end that was
//! cut off shows beside the head's row, or beside an [`Anchor`] that somebody keeps elsewhere.

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::ids::{ConnectionId, ObjectId};
use crate::tenant::{Actor, TenantScope};

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What was done. The words are closed: they stay, whatever the code calls them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action { $($(#[$doc])* $name,)* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The closed word in SQL and the API.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

actions! {
    /// A tenant was made.
    TenantCreate = "tenant.create";
    /// A key of the tenant was made.
    KeyCreate = "key.create";
    /// A key of the tenant was revoked.
    KeyRevoke = "key.revoke";
    /// An org was connected.
    ConnectionCreate = "connection.create";
    /// A connection has other credentials.
    ConnectionCredentials = "connection.credentials";
    /// A connection's credentials were proved again.
    ConnectionCheck = "connection.check";
    /// A connection waits for a person.
    ConnectionPark = "connection.park";
    /// Other limits bind a connection.
    ConnectionLimits = "connection.limits";
    /// An object is kept fresh from now on.
    ObjectCreate = "object.create";
    /// An object is kept fresh in another way, or not any more.
    ObjectUpdate = "object.update";
    /// Another retention policy is in force.
    RetentionSet = "retention.set";
    /// A ticket was put under a hold.
    HoldSet = "hold.set";
    /// A ticket's hold was released.
    HoldRelease = "hold.release";
    /// An object's changes were asked for now.
    SyncNow = "sync.now";
    /// Everything of an object was asked to be held against Salesforce now.
    SyncVerify = "sync.verify";
    /// One record was asked for now.
    SyncRecord = "sync.record";
    /// What was set aside was asked to be tried again now.
    SyncRetry = "sync.retry";
    /// Reading was paused.
    ControlPause = "control.pause";
    /// Reading goes on.
    ControlResume = "control.resume";
    /// What changed since some moment was asked for once more.
    ControlResync = "control.resync";
    /// An object begins anew.
    ControlReset = "control.reset";
    /// Work was called off.
    ControlCancel = "control.cancel";
    /// Work that stood still is tried again.
    JobRetry = "job.retry";
    /// Work that stood still was given up.
    JobDrop = "job.drop";
}

/// An event to be written.
#[derive(Debug, Clone)]
pub struct Event {
    actor: Actor,
    action: Action,
    connection: Option<ConnectionId>,
    object: Option<ObjectId>,
    details: Value,
}

impl Event {
    /// Of the scope's actor.
    #[must_use]
    pub fn of(scope: &TenantScope, action: Action) -> Self {
        Self::by(scope.actor(), action)
    }

    /// Of this actor.
    #[must_use]
    pub fn by(actor: Actor, action: Action) -> Self {
        Self { actor, action, connection: None, object: None, details: json!({}) }
    }

    /// About this connection.
    #[must_use]
    pub fn connection(self, connection: ConnectionId) -> Self {
        Self { connection: Some(connection), ..self }
    }

    /// About this object sync.
    #[must_use]
    pub fn object(self, object: ObjectId) -> Self {
        Self { object: Some(object), ..self }
    }

    /// With these facts: numbers, closed words and ids, never what people or records say.
    #[must_use]
    pub fn details(self, details: Value) -> Self {
        Self { details, ..self }
    }

    /// As `audit_write` takes it.
    #[must_use]
    pub fn json(&self) -> Value {
        let key = match self.actor {
            Actor::Key(key) => Some(key.0),
            Actor::System => None,
        };
        json!({
            "key": key, "action": self.action.word(), "connection": self.connection.map(|id| id.0),
            "object": self.object.map(|id| id.0), "details": self.details,
        })
    }
}

/// The hash of an event, or of nothing before the first one.
pub type Hash = [u8; 32];

/// An event as it is hashed: all as PostgreSQL writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The tenant.
    pub tenant: String,
    /// Its number.
    pub seq: i64,
    /// When, to the microsecond.
    pub at: Timestamp,
    /// Who, in a closed word.
    pub actor: String,
    /// The key that was used.
    pub key: Option<String>,
    /// Its name then.
    pub key_name: Option<String>,
    /// What was done.
    pub action: String,
    /// The connection.
    pub connection: Option<String>,
    /// The object sync.
    pub object: Option<String>,
    /// The facts, as text.
    pub details: String,
    /// The hash of the event before.
    pub previous: Vec<u8>,
    /// Its own hash.
    pub hash: Vec<u8>,
}

/// The hash that an event must have after one of `previous`.
#[must_use]
pub fn hash(previous: &[u8], entry: &Entry) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    let (seq, at) = (entry.seq.to_string(), entry.at.timestamp_micros().to_string());
    let parts = [
        Some(entry.tenant.as_str()),
        Some(&seq),
        Some(&at),
        Some(&entry.actor),
        entry.key.as_deref(),
        entry.key_name.as_deref(),
        Some(&entry.action),
        entry.connection.as_deref(),
        entry.object.as_deref(),
        Some(&entry.details),
    ];
    for part in parts {
        match part {
            Some(part) => context.update(format!("{}:{part},", part.len()).as_bytes()),
            None => context.update(b"-,"),
        }
    }
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// An event whose number and hash somebody keeps elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Its number.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

impl Anchor {
    /// Reads a hash in hex.
    #[must_use]
    pub fn read(seq: i64, hash: &str) -> Option<Self> {
        Some(Self { seq, hash: hex::decode(hash).ok()? })
    }
}

/// A hash as people see it.
#[must_use]
pub fn shown(hash: &[u8]) -> String {
    hex::encode(hash)
}

/// Where a chain breaks, first of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The number of the event.
    pub seq: i64,
    /// What is wrong, in a closed word: `missing`, `unlinked`, `changed`, `cut_off` or `not_the_anchor`.
    pub what: &'static str,
}

/// A chain that is being followed from its first event on.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    seq: i64,
    hash: Hash,
    has_met_anchor: bool,
}

impl Chain {
    /// Events so far.
    #[must_use]
    pub fn events(&self) -> i64 {
        self.seq
    }

    /// The last event's hash.
    #[must_use]
    pub fn head(&self) -> Hash {
        self.hash
    }

    /// Follows the chain over the next event.
    pub fn follow(&mut self, entry: &Entry, anchor: Option<&Anchor>) -> Result<(), Break> {
        let seq = self.seq + 1;
        let broken = |what| Err(Break { seq, what });
        if entry.seq != seq {
            return broken("missing");
        }
        if entry.previous != self.hash {
            return broken("unlinked");
        }
        let hash = hash(&self.hash, entry);
        if entry.hash != hash {
            return broken("changed");
        }
        if let Some(anchor) = anchor.filter(|anchor| anchor.seq == seq) {
            self.has_met_anchor = true;
            if anchor.hash != hash {
                return broken("not_the_anchor");
            }
        }
        (self.seq, self.hash) = (seq, hash);
        Ok(())
    }

    /// Holds the chain's end against the head that was stored with it, and against the anchor.
    pub fn end(&self, head: Option<(i64, &[u8])>, anchor: Option<&Anchor>) -> Result<(), Break> {
        let (seq, hash) = head.unwrap_or((0, &[0; 32]));
        let is_short = anchor.is_some_and(|anchor| anchor.seq > 0 && !self.has_met_anchor);
        if seq != self.seq || hash != self.hash || is_short {
            return Err(Break { seq: self.seq + 1, what: "cut_off" });
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "audit_test.rs"]
mod tests;
