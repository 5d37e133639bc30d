//! The reconciler: object syncs that people want have a checkpoint and a standing job, others have none.

use std::time::Duration;

use refrain_shared::storage::Database;
use refrain_shared::storage::dispatch::{Reconciled, jobs_reconcile};

use crate::rounds::{RoundError, Wakes};

/// One round.
pub async fn round(db: &Database, every: Duration, wakes: &Wakes) -> Result<Duration, RoundError> {
    let changed = jobs_reconcile(db).await?;
    if changed != Reconciled::default() {
        tracing::info!(
            checkpoints = changed.checkpoints,
            jobs = changed.jobs,
            removed = changed.removed,
            orgs = changed.orgs,
            "brought jobs in step with what people want"
        );
    }
    if changed.jobs > 0 {
        wakes.dispatcher.notify_one();
    }
    Ok(every)
}
