//! Records that others lead to: a message's ticket that is older than what is read of history, a ticket's messages
//! from before, a record that a person asks for. They come by reference, beside every window.

use std::collections::HashSet;
use std::sync::Arc;

use refrain_shared::clock::Timestamp;
use refrain_shared::error::UserMessage;
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::checkpoint::SyncState;
use refrain_shared::job::lease::{JobEnd, Lease, SLICE_TIME};
use refrain_shared::job::related::{Related, RelatedProgress};
use refrain_shared::record::{ReadOrder, RecordState, StateReason};
use refrain_shared::salesforce::SalesforceError;
use refrain_shared::salesforce::soql::FieldPath;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::jobs::{AttemptReport, job_end, job_progress, job_touch};
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep, PageRow};
use refrain_shared::storage::records::{Known, records_known};
use refrain_shared::tenant::TenantScope;
use serde_json::Value;
use tokio::time::Instant;

use super::incremental::{not_described, report};
use super::{IDLE, Job, Left, narrow};
use crate::context::Context;
use crate::engine::load::{commit, gone, prepare};
use crate::engine::{ReadPlan, Tally, reader};
use crate::error::{JobError, Step};

/// Reads on from the last id that was done with.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let now = || job.context.clock.now();
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, now());
    if let Some(end) = not_ready(job.inputs.checkpoint.state) {
        return Ok(Left::Open(end));
    }
    let related = related_of(job.lease).map_err(failed)?;
    let mut progress = progress_of(job.lease.progress.clone()).map_err(failed)?;
    let Some(plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(&job));
    };
    let plan = Arc::new(plan);
    let field = FieldPath::parse(&related.field)
        .map_err(|e| JobError::of(Step::Plan, &SalesforceError::from(e), now()))?;
    let selection = reader::selection(&plan).map_err(|e| JobError::of(Step::Plan, &e, now()))?;
    let begun = Instant::now();
    loop {
        let ids = progress.next(&related);
        progress = progress.advanced();
        let stops =
            begun.elapsed() >= SLICE_TIME || job.context.draining.is_cancelled() || job.stop.is_cancelled();
        let is_over = progress.is_done(&related);
        let mut pages = if related.numbers.is_empty() {
            job.client.read_references(selection.clone(), field.clone(), &ids)
        } else {
            job.client.read_numbers(selection.clone(), field.clone(), &related.numbers)
        };
        let asked = !ids.is_empty() || !related.numbers.is_empty();
        let mut open = asked;
        let mut unanswered: HashSet<SalesforceId> = ids.iter().copied().collect();
        while open {
            let page = pages.next_page().await.map_err(|e| JobError::of(Step::Extract, &e, now()))?;
            open = page.as_ref().is_some_and(|page| !page.done);
            let mut prepared = prepare(job.context, &plan, page.into_iter().collect()).await?;
            for id in &prepared.ids {
                unanswered.remove(id);
            }
            if related.gone && !open {
                let rows = purged(&job, &plan, &unanswered, prepared.read_at).await?;
                prepared.add_gone(rows);
            }
            let step = |tally: &Tally| match (open, is_over, stops) {
                // The ids under way are done with when all of their pages are here.
                (true, ..) => JobStep::Continue(stored(&RelatedProgress {
                    done: progress.done - progress.each,
                    ..progress
                })),
                (false, true, _) => JobStep::End(JobEnd::Done, report(tally, true)),
                (false, false, true) => JobStep::Pause(stored(&progress), report(tally, false)),
                (false, false, false) => JobStep::Continue(stored(&progress)),
            };
            commit(job.context, &plan, prepared, CheckpointMove::Stays, step, tally).await?;
        }
        match (asked, is_over) {
            (false, true) => return Ok(Left::Open(JobEnd::Done)),
            (true, true) => return Ok(Left::Ended),
            (true, false) if stops => return Ok(Left::Ended),
            (_, false) => {}
        }
    }
}

/// How such a job ends while its object cannot be read: its standing job looks at it first; what is absent has nothing
/// to give.
pub(super) fn not_ready(state: SyncState) -> Option<JobEnd> {
    match state {
        SyncState::Loading | SyncState::Current => None,
        SyncState::New | SyncState::Parked => {
            Some(JobEnd::WaitFor { delay: IDLE, reason: "not_described", attempt: 0 })
        }
        SyncState::Absent => Some(JobEnd::Done),
    }
}

/// What is live here of records that were asked for and not answered, as tombstones. They keep their stamps: whatever is
/// read of them later wins.
pub(super) async fn purged(
    job: &Job<'_>,
    plan: &ReadPlan,
    unanswered: &HashSet<SalesforceId>,
    read_at: Timestamp,
) -> Result<Vec<PageRow>, JobError> {
    if unanswered.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = unanswered.iter().map(SalesforceId::as_str).collect();
    let scope = TenantScope::leased(job.lease.tenant);
    let known = records_known(&job.context.db, &scope, plan.transform.key, &ids)
        .await
        .map_err(|error| JobError::of(Step::Transform, &error, job.context.clock.now()))?;
    let live = known.iter().filter(|(_, known)| known.state == Some(RecordState::Live));
    let tombstone = |(id, known): (&SalesforceId, &Known)| {
        let order = ReadOrder { read_at, ..known.order };
        gone(*id, order, RecordState::Tombstone(StateReason::Purged))
    };
    Ok(live.map(tombstone).collect())
}

/// Lets the job ask for fewer ids at once; gives what a person is told when it was one alone.
pub async fn narrower(
    context: &Context,
    lease: &Lease,
    attempt: &AttemptReport,
) -> Result<Option<UserMessage>, StoreError> {
    let related = related_of(lease)?;
    let progress = progress_of(job_progress(&context.db, lease).await?)?;
    let Some(less) = progress.narrower(&related) else {
        return Ok(Some(narrow::too_much("a record")));
    };
    let mut client = context.db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    job_touch(&tx, lease, Some(&stored(&less))).await?;
    job_end(&tx, lease, &JobEnd::More, attempt).await?;
    tx.commit().await.map_err(StoreError::at("commit"))?;
    Ok(None)
}

pub(super) fn related_of(lease: &Lease) -> Result<Related, StoreError> {
    serde_json::from_value(lease.params.clone())
        .map_err(|_| StoreError::Unreadable("a list of related records"))
}

pub(super) fn progress_of(stored: Value) -> Result<RelatedProgress, StoreError> {
    serde_json::from_value(stored).map_err(|_| StoreError::Unreadable("a job's progress"))
}

pub(super) fn stored(progress: &RelatedProgress) -> Value {
    serde_json::to_value(progress).unwrap_or_default()
}
