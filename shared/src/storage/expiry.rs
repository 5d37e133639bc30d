//! Tickets whose time is over, or that are outside of their object's filter, leave, whole and in one commit: the record, all of its items with their records, facets,
//! what was set aside of them, and the bodies of files that nobody else names. What stays is a stub of each record, so
//! that no read brings it back, and a row in the feed that says that the ticket left.
//!
//! The order of locks is the page commit's: tenant gate (shared) → records in key order → items and files → job →
//! checkpoints → feed head → tickets. What is due is chosen without a lock and looked at once more under the feed's: when
//! something was said meanwhile, nothing of the chunk is done, and the next look chooses anew.

pub mod again;
pub mod bodies;
mod items;
mod tickets;

use deadpool_postgres::Object;
use serde_json::Value;

use super::chunks::{ChunkStore, FileAt};
use super::error::StoreError;
use super::files::{Loads, file_forget};
use super::jobs::job_touch;
use super::keys::gate_share;
use super::pool::TenantTx;
use super::records::ObjectKey;
use crate::clock::Timestamp;
use crate::job::lease::Lease;
use crate::record::StateReason;
use crate::tenant::TenantScope;

/// What is to be done, under which lease.
#[derive(Debug)]
pub struct Expire<'a> {
    /// The lease of the object's job.
    pub lease: &'a Lease,
    /// Why tickets go: their time is over, or they are outside of the object's filter.
    pub why: StateReason,
    /// Whose days are counted: our clock.
    pub now: Timestamp,
    /// So many tickets in one commit, at most.
    pub each: i64,
    /// Tickets whose own record has not come yet go too: it is not on its way.
    pub shells: bool,
    /// Where bodies of files are.
    pub chunks: &'a ChunkStore,
    /// How far the job is.
    pub progress: &'a Value,
    /// Called when all is sent and nothing is committed; tests die there.
    pub before_commit: fn(),
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Nothing is due.
    Nothing,
    /// Something was said meanwhile: nothing was done, and what is due is to be chosen anew.
    Moved,
    /// These left.
    Left {
        /// Tickets that were live or awaited.
        tickets: i64,
        /// Records that were live, their own included.
        records: i64,
    },
}

/// Lets a chunk of an object's tickets go whose time is over; or the items of those that are outside of its filter.
pub async fn tickets_expire(client: &mut Object, expire: &Expire<'_>) -> Result<Expired, StoreError> {
    let scope = TenantScope::leased(expire.lease.tenant);
    let key = ObjectKey { connection: expire.lease.connection, object: expire.lease.object };
    let tx = TenantTx::begin(client, &scope).await?;
    let cut_offs = gate_share(&tx).await?.retention.cut_offs(expire.now);
    let due = tickets::due(&tx, key, cut_offs, expire).await?;
    if due.is_empty() {
        return Ok(Expired::Nothing);
    }
    items::stubs(&tx, key, &due, expire.why).await?;
    let found = items::of(&tx, key, &due).await?;
    items::lock(&tx, key, &found).await?;
    if items::of(&tx, key, &due).await? != found {
        return Ok(Expired::Moved);
    }
    let left = items::remove(&tx, key, &found, expire.why).await?;
    let mut forgotten = Vec::new();
    for file in &left.files {
        if file_forget(&tx, key.connection, file).await? {
            forgotten.push(file);
        }
    }
    job_touch(tx.sql(), expire.lease, Some(expire.progress)).await?;
    items::count(&tx, &left).await?;
    let Some(tickets) = tickets::leave(&tx, key, (expire.why, cut_offs), &due).await? else {
        return Ok(Expired::Moved);
    };
    if items::any_left(&tx, key, &found).await? {
        return Ok(Expired::Moved);
    }
    // Objects go before the commit that forgets them: afterwards nobody would know of them.
    for file in forgotten {
        expire.chunks.sweep(FileAt { scope: &scope, connection: key.connection, file }, Loads::All).await?;
    }
    (expire.before_commit)();
    tx.commit().await?;
    Ok(Expired::Left { tickets, records: left.records() })
}
