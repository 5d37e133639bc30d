//! What every job of this process shares.

use std::sync::Arc;
use std::time::Duration;

use refrain_shared::clock::Clock;
use refrain_shared::crypto::KeyRing;
use refrain_shared::ids::WorkerId;
use refrain_shared::salesforce::{ClientSettings, Http};
use refrain_shared::storage::Database;
use refrain_shared::storage::chunks::ChunkStore;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::parents::SeenParents;
use crate::tenants::Tenants;

/// The process as jobs see it.
pub struct Context {
    /// This run of the process.
    pub worker: WorkerId,
    /// The database.
    pub db: Database,
    /// The key ring.
    pub ring: Arc<KeyRing>,
    /// The way out to Salesforce.
    pub http: Http,
    /// How queries are asked.
    pub client: ClientSettings,
    /// Where bodies of files go.
    pub chunks: ChunkStore,
    /// Records that one commit takes, at most, where pages are smaller.
    pub commit_rows: usize,
    /// Calls a second in each lane, at most.
    pub calls_per_second: u32,
    /// Longest time of one call.
    pub call_timeout: Duration,
    /// Wall-clock time.
    pub clock: Clock,
    /// What is remembered of tenants.
    pub tenants: Tenants,
    /// What is remembered of parent objects.
    pub parents: SeenParents,
    /// Held while a job runs that may have killed its last workers ([`Lease::is_suspect`]).
    ///
    /// [`Lease::is_suspect`]: refrain_shared::job::lease::Lease::is_suspect
    pub suspect: Mutex<()>,
    /// Set when the process is to stop: jobs end at their next commit.
    pub draining: CancellationToken,
}
