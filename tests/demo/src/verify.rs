//! The oracle: what is stored, opened and compared value by value with the simulator's own ground truth.
//!
//! It shares with the programs under test only the way into the database and the keys that open what is sealed;
//! what a value means, which record must be there and how many messages a ticket has are worked out here anew.
//! Both sides are read in order of id and walked side by side, so memory does not grow with the org.
//!
//! What it must never do: print a value. Differences name ids and fields.
//!
//! Reading order: [`compare`], `objects` (one object's walk), `links` (values read through a lookup), `tickets`.

mod lines;
mod links;
mod objects;
mod report;
mod stored;
mod tickets;
pub mod values;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use refrain_shared::crypto::KeyRing;
use refrain_shared::ids::{ConnectionId, TenantId};
use refrain_shared::storage::keys::keys_load;
use refrain_shared::storage::{ConnectOptions, Database};
use refrain_shared::tenant::TenantScope;
use tokio::task::JoinSet;

use crate::org::Org;
pub use report::{Difference, ObjectReport, Report, TicketReport};

/// Whose data are compared, and where they are.
#[derive(Debug, Clone)]
pub struct Target {
    /// The database of the programs under test.
    pub database: ConnectOptions,
    /// Their key ring.
    pub key_ring: PathBuf,
    /// The tenant.
    pub tenant: TenantId,
    /// The connection to the simulated org.
    pub connection: ConnectionId,
    /// The simulated org.
    pub org: Org,
}

/// Compares every enabled object of the connection, and its tickets. Nothing may be changing meanwhile, on either
/// side, or the answer means little.
///
/// # Errors
/// When one of the two sides cannot be read. A difference is not an error; it is in the report.
pub async fn compare(target: &Target) -> anyhow::Result<Report> {
    let scope = TenantScope::authenticated(target.tenant);
    let db = Database::open(&target.database).context("open the database")?;
    let ring = KeyRing::load(&target.key_ring).context("load the key ring")?;
    let (_, keys) = keys_load(&db, &ring, &scope).await.context("load the tenant's keys")?;
    let store = Arc::new(stored::Store { db, scope, connection: target.connection, keys });

    let syncs = store.object_syncs().await?;
    let parents = Arc::new(links::Parents::read(&target.org, &store.linked_paths().await?).await?);
    let mut walks = JoinSet::new();
    for sync in &syncs {
        let (store, parents, org) = (Arc::clone(&store), Arc::clone(&parents), target.org.clone());
        let sync = sync.clone();
        walks.spawn(async move { objects::walk(&org, &store, &sync, &parents).await });
    }
    let mut walked = Vec::new();
    while let Some(walk) = walks.join_next().await {
        walked.push(walk.context("compare an object")??);
    }
    walked.sort_by_key(|walk| walk.object);
    let tickets = tickets::compare(&store, &syncs, &walked).await?;
    Ok(Report { objects: walked.into_iter().map(|walk| walk.report).collect(), tickets })
}
