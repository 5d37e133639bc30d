//! How far back the lists of changed and deleted records reach, and how fresh they are.

use crate::time::DAY_MS;

/// What an org answers to getUpdated and getDeleted.
#[derive(Clone, Copy, Debug)]
pub struct Replication {
    /// Changes are known this far back.
    pub updated_ms: i64,
    /// Deletions are known this far back.
    pub deleted_ms: i64,
    /// Most ids in one answer.
    pub most_ids: usize,
    /// What is newer than this is not covered yet, even if no transaction runs.
    pub lag_ms: i64,
    /// Deletions before this moment have been purged from the log (milliseconds since 1970).
    pub purged_before: Option<i64>,
}

impl Default for Replication {
    fn default() -> Self {
        Self {
            updated_ms: 30 * DAY_MS,
            deleted_ms: 15 * DAY_MS,
            most_ids: 600_000,
            lag_ms: 0,
            purged_before: None,
        }
    }
}
