//! The standing job that tries again what was set aside of an object, from the sealed bytes: once a day, when other fields
//! are read, and when a person asks. What can be kept now is committed like a page; where Salesforce told something newer
//! since, that stays. It makes no call; a lane it takes like every other reader.

use std::sync::Arc;
use std::time::Duration;

use refrain_shared::job::lease::{JobEnd, SLICE_TIME};
use refrain_shared::storage::StoreError;
use refrain_shared::storage::content::retried::set_aside_next;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::deleted::read;
use super::incremental::not_described;
use super::related::not_ready;
use super::{Job, Left};
use crate::engine::load::{commit, prepare_again};
use crate::engine::{ReadPlan, Tally};
use crate::error::{JobError, Step};

/// Records tried in one commit.
const EACH: i64 = 500;
/// Something may have been mended by then.
const DAILY: Duration = Duration::from_secs(24 * 3600);

/// How far the job is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// Records up to this key were tried in this round.
    after: String,
}

/// Tries on from where the last commit left off.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, job.context.clock.now());
    if let Some(end) = not_ready(job.inputs.checkpoint.state) {
        return Ok(Left::Open(end));
    }
    let mut progress: Progress = read(&job.lease.progress, "a job's progress").map_err(failed)?;
    let Some(plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(&job));
    };
    let (plan, begun) = (Arc::new(plan), Instant::now());
    loop {
        let from = (progress.after.as_str(), EACH);
        let keys = &job.view.keys;
        let records = set_aside_next(&job.context.db, job.lease.tenant, keys, plan.transform.key, from)
            .await
            .map_err(failed)?;
        let Some(last) = records.last() else { break };
        progress.after.clone_from(&last.key);
        let prepared = prepare_again(job.context, &plan, records).await?;
        let stored = serde_json::to_value(&progress).unwrap_or_default();
        let step = |_: &Tally| JobStep::Continue(stored);
        commit(job.context, &plan, prepared, CheckpointMove::Stays, step, tally).await?;
        if begun.elapsed() >= SLICE_TIME || job.context.draining.is_cancelled() || job.lost.is_cancelled() {
            return Ok(Left::Open(JobEnd::More));
        }
    }
    // The next round begins anew.
    let client = job.context.db.control().await.map_err(failed)?;
    let begin = serde_json::to_value(Progress::default()).unwrap_or_default();
    refrain_shared::storage::jobs::job_touch(&client, job.lease, Some(&begin)).await.map_err(failed)?;
    Ok(Left::Open(JobEnd::WaitFor { delay: DAILY, reason: "cadence", attempt: 0 }))
}
