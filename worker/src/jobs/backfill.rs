//! One slice of history. Any worker may take it, and it takes up where its last commit left off.

use std::sync::Arc;

use refrain_shared::job::checkpoint::{Slice, Window};
use refrain_shared::job::lease::{JobEnd, Lease};
use refrain_shared::job::narrow::Progress;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use refrain_shared::storage::slices::slice_is_open;
use serde_json::Value;

use super::incremental::{not_described, report};
use super::{Job, Left};
use crate::engine::load::commit;
use crate::engine::{ReadPlan, Reading, Tally};
use crate::error::{JobError, Step};

/// Reads the slice on from its last commit.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, job.context.clock.now());
    let slice = slice_of(job.lease).map_err(failed)?;
    if !slice_is_open(&job.context.db, job.lease, &slice).await.map_err(failed)? {
        // History was cut anew meanwhile.
        return Ok(Left::Open(JobEnd::Done));
    }
    let progress = progress_of(job.lease.progress.clone()).map_err(failed)?;
    let Some(plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(&job));
    };
    let plan = Arc::new(plan);
    let window = Window { lo: slice.lo, hi: slice.hi, resume: progress.position, rows: progress.rows };
    let generation = job.inputs.checkpoint.generation;
    let mut reading = Reading::open(job.context, &plan, &job.client, &window, job.stop)?;
    while let Some(batch) = reading.next().await? {
        let progress = Progress { position: batch.position, rows: window.rows, cut: false };
        let moves = if batch.ends_window {
            CheckpointMove::SliceDone { slice: slice.clone(), generation }
        } else {
            CheckpointMove::Stays
        };
        let (ends_window, stops) = (batch.ends_window, batch.stops);
        let step = |tally: &Tally| match (ends_window, stops) {
            (true, _) => JobStep::End(JobEnd::Done, report(tally, true)),
            (false, true) => JobStep::Pause(stored(&progress.relaxed()), report(tally, false)),
            (false, false) => JobStep::Continue(stored(&progress)),
        };
        commit(job.context, &plan, batch.prepared, moves, step, tally).await?;
    }
    Ok(Left::Ended)
}

/// The slice that the job is to read.
pub(super) fn slice_of(lease: &Lease) -> Result<Slice, StoreError> {
    serde_json::from_value(lease.params.clone()).map_err(|_| StoreError::Unreadable("a slice of history"))
}

/// How far a job is, as it is stored with it.
pub(super) fn progress_of(stored: Value) -> Result<Progress, StoreError> {
    serde_json::from_value(stored).map_err(|_| StoreError::Unreadable("a job's progress"))
}

/// As it is stored.
pub(super) fn stored(progress: &Progress) -> Value {
    serde_json::to_value(progress).unwrap_or_default()
}
