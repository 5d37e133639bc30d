//! One slice of history. Any worker may take it, and it takes up where its last commit left off.

use std::sync::Arc;

use refrain_shared::job::checkpoint::{Position, Slice, Window};
use refrain_shared::job::lease::JobEnd;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use serde::{Deserialize, Serialize};

use super::incremental::{not_described, report};
use super::{Job, Left};
use crate::engine::load::commit;
use crate::engine::{ReadPlan, Reading, Tally};
use crate::error::{JobError, Step};

/// How far a slice is; the job's own progress.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// The last row committed.
    position: Option<Position>,
}

/// Reads the slice on from its last commit.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let unreadable = |_| {
        let error = refrain_shared::storage::StoreError::Unreadable("a slice of history");
        JobError::of(Step::Plan, &error, job.context.clock.now())
    };
    let slice: Slice = serde_json::from_value(job.lease.params.clone()).map_err(unreadable)?;
    let progress: Progress = serde_json::from_value(job.lease.progress.clone()).map_err(unreadable)?;
    let Some(plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(&job));
    };
    let plan = Arc::new(plan);
    let window = Window { lo: slice.lo, hi: slice.hi, resume: progress.position };
    let generation = job.inputs.checkpoint.generation;
    let mut reading = Reading::open(job.context, &plan, &job.client, &window, job.lost)?;
    while let Some(page) = reading.next().await? {
        let progress = serde_json::to_value(Progress { position: page.position }).unwrap_or_default();
        let moves = if page.ends_window {
            CheckpointMove::SliceDone { slice: slice.clone(), generation }
        } else {
            CheckpointMove::Stays
        };
        let (ends_window, stops) = (page.ends_window, page.stops);
        let step = |tally: &Tally| match (ends_window, stops) {
            (true, _) => JobStep::End(JobEnd::Done, report(tally, true)),
            (false, true) => JobStep::Pause(progress, report(tally, false)),
            (false, false) => JobStep::Continue(progress),
        };
        commit(job.context, &plan, page.prepared, moves, step, tally).await?;
    }
    Ok(Left::Ended)
}
