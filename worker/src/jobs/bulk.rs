//! One slice of history by a Bulk job of Salesforce: made, waited for without holding anything, fetched a set at a
//! time, put away.
//!
//! Everything that the next turn needs is in the job's row before the turn ends, so a worker may die anywhere: at
//! most two sets are fetched twice: the one in hand and the next. The only thing that Salesforce may know and we not is
//! a job whose making was not answered; that one was making a job is noted before, and the next turn looks for it.

mod begin;
mod fetch;
mod leave;

use std::sync::Arc;

use refrain_shared::error::{Classify as _, Disposition};
use refrain_shared::job::bulk::{BulkProgress, MOST_LOST, Running, next_look};
use refrain_shared::job::checkpoint::Slice;
use refrain_shared::job::lease::JobEnd;
use refrain_shared::salesforce::SalesforceError;
use refrain_shared::salesforce::bulk::{BulkAddress, BulkState};
use refrain_shared::storage::StoreError;
use refrain_shared::storage::slices::slice_is_open;
use serde::Deserialize;
use serde_json::Value;

use super::incremental::not_described;
use super::{Job, Left};
use crate::engine::{ReadPlan, Tally};
use crate::error::{JobError, Step};
use leave::{by_rest, gave_up, leave};

pub(super) use begin::{LIMITED, remove_unheard, was_not_made};

/// The slice of such a job.
#[derive(Deserialize)]
struct Params {
    #[serde(flatten)]
    slice: Slice,
    /// About how many rows it has.
    #[serde(default)]
    rows: Option<u64>,
}

/// What a turn works on.
struct Turn<'a> {
    job: &'a Job<'a>,
    plan: Arc<ReadPlan>,
    slice: Slice,
    rows: Option<u64>,
}

impl Turn<'_> {
    fn failed(&self, step: Step, error: &SalesforceError) -> JobError {
        JobError::of(step, error, self.job.context.clock.now())
    }

    fn store_failed(&self, error: &StoreError) -> JobError {
        JobError::of(Step::Load, error, self.job.context.clock.now())
    }
}

/// Does what is next for the slice.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, job.context.clock.now());
    let Params { slice, rows } = serde_json::from_value(job.lease.params.clone())
        .map_err(|_| failed(StoreError::Unreadable("a slice of history")))?;
    let progress = progress_of(job.lease.progress.clone()).map_err(failed)?;
    let Some(plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(&job));
    };
    let turn = Turn { job: &job, plan: Arc::new(plan), slice, rows };
    if !progress.loaded && !slice_is_open(&job.context.db, job.lease, &turn.slice).await.map_err(failed)? {
        // History was cut anew meanwhile, or called off.
        if let Some(since) = progress.making_since {
            remove_unheard(&job, since).await?;
        }
        if let Some(address) = progress.running.as_ref().and_then(address_of) {
            put_away(&job, address).await?;
        }
        return Ok(Left::Open(JobEnd::Done));
    }
    let Some(running) = progress.running.clone() else {
        return begin::begin(&turn, progress, tally).await;
    };
    let Some(address) = address_of(&running) else {
        return gone(&turn, progress, tally).await;
    };
    if progress.loaded {
        put_away(&job, address).await?;
        return Ok(Left::Open(JobEnd::Done));
    }
    if running.field_set != turn.plan.transform.fields.id {
        // Other fields are read by now; what the job brings would be refused.
        put_away(&job, address).await?;
        let anew = BulkProgress { lost: progress.lost, ..progress.anew() };
        return leave(&turn, &anew, JobEnd::More, tally).await;
    }
    if running.complete {
        return fetch::fetch(&turn, progress, running, address, tally).await;
    }
    look(&turn, progress, running, address, tally).await
}

/// Asks how far the job is.
async fn look(
    turn: &Turn<'_>,
    progress: BulkProgress,
    running: Running,
    address: BulkAddress,
    tally: &mut Tally,
) -> Result<Left, JobError> {
    let state = turn.job.client.bulk_state(address).await.map_err(|e| turn.failed(Step::Extract, &e))?;
    match state {
        Some(BulkState::Running) => {
            let delay = next_look(running.looks + 1);
            let running = Running { looks: running.looks + 1, ..running };
            let progress = BulkProgress { running: Some(running), ..progress };
            leave(turn, &progress, waits(delay), tally).await
        }
        Some(BulkState::Complete(total)) => {
            let running = Running { complete: true, total, ..running };
            let progress = BulkProgress { running: Some(running.clone()), ..progress };
            fetch::fetch(turn, progress, running, address, tally).await
        }
        Some(BulkState::Failed(reason)) => {
            tracing::warn!(object = %turn.plan.api_name, %reason, "Salesforce gave a Bulk job up");
            put_away(turn.job, address).await?;
            gave_up(turn, progress, &reason, tally).await
        }
        Some(BulkState::Aborted) => {
            put_away(turn.job, address).await?;
            gone(turn, progress, tally).await
        }
        None => gone(turn, progress, tally).await,
    }
}

/// The job was taken away, with whatever was not fetched of it: another one, or REST when that happens again and again.
async fn gone(turn: &Turn<'_>, progress: BulkProgress, tally: &mut Tally) -> Result<Left, JobError> {
    let anew = progress.anew();
    tracing::info!(object = %turn.plan.api_name, times = anew.lost, "a Bulk job is gone");
    if anew.lost >= MOST_LOST {
        return by_rest(turn, "bulk_lost", "Its jobs were taken away again and again.", tally).await;
    }
    leave(turn, &anew, JobEnd::More, tally).await
}

/// Takes the job away at Salesforce. What can be tried again is; a refusal leaves it to end of age.
pub(super) async fn put_away(job: &Job<'_>, address: BulkAddress) -> Result<(), JobError> {
    let Err(error) = job.client.bulk_remove(address).await else { return Ok(()) };
    let now = job.context.clock.now();
    match error.disposition(now) {
        Disposition::Retry { .. } | Disposition::Defer { .. } if error.fault().is_none() => {
            Err(JobError::of(Step::Extract, &error, now))
        }
        _ => {
            let detail = crate::error::chain(&error);
            tracing::warn!(bulk.id = %address.id, %detail, "a Bulk job was not put away");
            Ok(())
        }
    }
}

/// How a slice waits for its job.
fn waits(delay: std::time::Duration) -> JobEnd {
    JobEnd::WaitFor { delay, reason: "bulk_running", attempt: 0 }
}

pub(super) fn address_of(running: &Running) -> Option<BulkAddress> {
    let id = refrain_shared::ids::SalesforceId::parse(&running.id).ok()?;
    Some(BulkAddress { id, version: running.version.parse().ok()? })
}

fn progress_of(stored: Value) -> Result<BulkProgress, StoreError> {
    serde_json::from_value(stored).map_err(|_| StoreError::Unreadable("a job's progress"))
}

fn stored(progress: &BulkProgress) -> Value {
    serde_json::to_value(progress).unwrap_or_default()
}
