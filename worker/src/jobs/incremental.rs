//! The standing job of an object sync: plan the object when that was not done, then read what changed.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use refrain_shared::job::cadence::until_next;
use refrain_shared::job::checkpoint::{SyncState, Window, clamp_watermark, next_window, wanted_further_back};
use refrain_shared::job::lease::JobEnd;
use refrain_shared::job::narrow::Progress;
use refrain_shared::storage::checkpoints::{checkpoint_follow, plan_inputs};
use refrain_shared::storage::jobs::AttemptReport;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::tenant::TenantScope;

use super::backfill::{progress_of, stored};
use super::first_plan::{self, Planned, wanted_paths};
use super::{Job, Left, absent, wants_describe};
use crate::engine::load::commit;
use crate::engine::{ReadPlan, Reading, Tally};
use crate::error::{JobError, Step};

/// How often it is looked whether the object has other fields than are read: new ones, or some whose permission came back.
/// Fields that went away are missed at once.
const LOOK_EVERY: TimeDelta = TimeDelta::days(1);
/// When it is looked again whether everything is here that others led to.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Runs the standing job once.
pub async fn run(mut job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    if matches!(job.inputs.checkpoint.state, SyncState::New | SyncState::Absent) {
        return match first_plan::run(&job).await? {
            Planned::Absent => Ok(Left::Open(absent())),
            // The first increment comes soon after: history is being read meanwhile.
            Planned::Ready => Ok(Left::Open(JobEnd::More)),
        };
    }
    if is_to_be_looked_at(&job) {
        look_again(&mut job).await?;
    }
    if first_plan::found_of(&job).is_by_parents() {
        return follow(&job).await;
    }
    let (checkpoint, settings) = (&job.inputs.checkpoint, &job.inputs.settings);
    if let Some(wanted) = wanted_further_back(checkpoint, settings, job.context.clock.now()) {
        first_plan::further_back(&job, wanted).await?;
    }
    if job.inputs.closes {
        first_plan::close(&job).await?;
    }
    if let Some(from) = job.inputs.resync_from {
        first_plan::beyond_called_off(&job, from).await?;
        first_plan::resync(&job, from).await?;
    }
    match pass(&job, tally).await {
        // The schema moved under us: look again and try once more with the fields that are there now.
        Err(error) if wants_describe(&error) => {
            look_again(&mut job).await?;
            pass(&job, tally).await
        }
        other => other,
    }
}

/// Whether other paths, or another filter, are wanted than when the object was looked at, or that was long ago.
fn is_to_be_looked_at(job: &Job<'_>) -> bool {
    let inputs = &job.inputs;
    let other = inputs.described_for.as_ref().is_some_and(|paths| *paths != wanted_paths(&inputs.settings));
    let is_other_filter = !inputs.filters.is_only(inputs.settings.filter.as_ref());
    other
        || is_other_filter
        || inputs.described_at.is_some_and(|at| job.context.clock.now() - at >= LOOK_EVERY)
}

async fn look_again(job: &mut Job<'_>) -> Result<(), JobError> {
    first_plan::describe_again(job).await?;
    let (context, scope) = (job.context, TenantScope::leased(job.lease.tenant));
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, context.clock.now());
    // What is seen no more moves the gate. The gate comes first: what the plan rests on is never older than it.
    context.tenants.forget(job.lease.tenant);
    job.view = context.tenants.view(&context.db, &context.ring, &scope).await.map_err(failed)?;
    job.inputs = plan_inputs(&context.db, &scope, job.lease.object).await.map_err(failed)?;
    Ok(())
}

/// When the standing job is due next.
fn next_turn(job: &Job<'_>) -> JobEnd {
    let interval = Duration::from_secs(u64::try_from(job.inputs.interval_s).unwrap_or(3600));
    let delay = until_next(job.lease.object, interval, job.context.clock.now());
    JobEnd::WaitFor { delay, reason: "cadence", attempt: 0 }
}

/// Nothing is read here of an object whose records are found by what they belong to: jobs of related records bring them.
/// Its watermark follows.
async fn follow(job: &Job<'_>) -> Result<Left, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let parents = &job.inputs.parents;
    let leading = parents.tickets.values().chain(parents.holders.values()).chain(&parents.with_children);
    let leading: Vec<i32> = leading.map(|object| object.0).collect();
    let mut client = job.context.db.tenant().await.map_err(failed)?;
    let tx = TenantTx::begin(&mut client, &TenantScope::leased(job.lease.tenant)).await.map_err(failed)?;
    let is_here = checkpoint_follow(&tx, job.lease.object, &leading).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(Left::Open(match next_turn(job) {
        JobEnd::WaitFor { delay, .. } if !is_here => {
            JobEnd::WaitFor { delay: delay.min(LOOK_AGAIN), reason: "related", attempt: 0 }
        }
        turn => turn,
    }))
}

async fn pass(job: &Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let next_turn = || next_turn(job);
    let settings = &job.inputs.settings;
    let Some(window) = next_window(&job.inputs.checkpoint, settings, job.context.clock.now()) else {
        return Ok(Left::Open(next_turn()));
    };
    let progress = progress_of(job.lease.progress.clone())
        .map_err(|error| JobError::of(Step::Plan, &error, job.context.clock.now()))?;
    let window = Window { rows: progress.rows, ..window };
    let Some(mut plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(job));
    };
    plan.transform.late_before = job.inputs.checkpoint.watermark;
    let plan = Arc::new(plan);
    let mut reading = Reading::open(job.context, &plan, &job.client, &window, job.stop)?;
    // Only the first response's Date counts: what was settled when the reading began.
    let mut settled = None;
    while let Some(batch) = reading.next().await? {
        let (read_at, settle_s) = (batch.prepared.read_at, settings.settle_s);
        let watermark = *settled.get_or_insert_with(|| clamp_watermark(window.hi, read_at, settle_s));
        let moves = match (&batch.position, batch.ends_window) {
            (_, true) => CheckpointMove::WindowDone { watermark },
            // The window's end is kept clamped, so that a later part of it promises no more than the first.
            (Some(position), false) => CheckpointMove::Inside { hi: watermark, position: position.clone() },
            (None, false) => CheckpointMove::Stays,
        };
        let (ends_window, stops) = (batch.ends_window, batch.stops);
        let progress = progress.clone();
        let step = |tally: &Tally| match (ends_window, stops) {
            // The rest of a window that was cut is read next, with as much at once as ever.
            (true, _) if progress != Progress::default() => {
                JobStep::Pause(stored(&Progress::default()), report(tally, true))
            }
            (true, _) => JobStep::End(next_turn(), report(tally, true)),
            (false, true) => JobStep::Pause(stored(&progress.relaxed()), report(tally, false)),
            (false, false) => JobStep::Continue(stored(&progress)),
        };
        commit(job.context, &plan, batch.prepared, moves, step, tally).await?;
    }
    Ok(Left::Ended)
}

/// The attempt's history line of a read that went well.
#[must_use]
pub fn report(tally: &Tally, complete: bool) -> AttemptReport {
    AttemptReport {
        outcome: if complete { "done" } else { "more" },
        pages: tally.pages,
        records_read: tally.read,
        written: tally.written,
        api_calls: i32::try_from(tally.calls).unwrap_or(i32::MAX),
        calls_apart: tally.calls - tally.calls_counted,
        ..AttemptReport::default()
    }
}

/// A checkpoint that is past its first plan always has a field set.
pub(super) fn not_described(job: &Job<'_>) -> JobError {
    JobError {
        step: Step::Plan,
        disposition: refrain_shared::error::Disposition::Bug,
        code: "not_described",
        detail: format!(
            "{} has no field set although it is {}",
            job.inputs.api_name,
            job.inputs.checkpoint.state.word()
        ),
    }
}
