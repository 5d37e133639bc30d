//! The standing job that follows Salesforce's log of deletions: it names what left without a trace in any window. Of
//! what is here and live it makes tombstones, stamped with the moment of the deletion, so that whatever came later wins.
//!
//! Its class is that of increments: the log forgets, so it must not wait behind history.

use std::collections::HashMap;
use std::sync::Arc;

use refrain_shared::clock::Timestamp;
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::cadence::until_next;
use refrain_shared::job::checkpoint::SyncState;
use refrain_shared::job::deleted::{Followed, Following, Span, every};
use refrain_shared::job::lease::{JobEnd, Kind, Lease};
use refrain_shared::record::{ReadOrder, RecordState, StateReason};
use refrain_shared::salesforce::deleted::{DeletedAnswer, DeletedLog};
use refrain_shared::salesforce::soql::ObjectName;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::jobs::{AttemptReport, job_end, job_touch};
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use refrain_shared::storage::records::{Known, ObjectKey, records_known};
use refrain_shared::storage::sweeps::standing_ask;
use refrain_shared::tenant::TenantScope;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::incremental::{not_described, report};
use super::{ABSENT, IDLE, Job, Left};
use crate::context::Context;
use crate::engine::load::{Prepared, commit, gone};
use crate::engine::{ReadPlan, Tally};
use crate::error::{JobError, Step};

/// Ids looked up and made tombstones of in one commit.
const EACH: usize = 2000;

/// Follows the log on from where it was left.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let now = job.context.clock.now();
    let plan_failed = |error: StoreError| JobError::of(Step::Plan, &error, now);
    if let Some(end) = not_ready(job.inputs.checkpoint.state) {
        return Ok(Left::Open(end));
    }
    let made: Followed = read(&job.lease.params, "when an object was wanted").map_err(plan_failed)?;
    let following: Following = read(&job.lease.progress, "a job's progress").map_err(plan_failed)?;
    let delay = until_next(job.lease.object, every(job.inputs.interval_s), now);
    let next_turn = JobEnd::WaitFor { delay, reason: "cadence", attempt: 0 };
    let Some(span) = following.next(made, now) else { return Ok(Left::Open(next_turn)) };
    let load_failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let (followed, end) = match listed(&job, span).await? {
        Listed::NotKept => {
            let end = JobEnd::WaitFor { delay: ABSENT, reason: "not_kept", attempt: 0 };
            return Ok(Left::Open(end));
        }
        Listed::Lost(piece) => {
            let followed = following.lost(span, piece);
            let goes_on = piece.to < span.to && followed.covered >= Some(piece.to);
            (followed, if goes_on { JobEnd::More } else { next_turn })
        }
        Listed::Log(asked, log) => {
            let whole = log.earliest <= asked.from;
            let followed = following.advanced(asked, log.covered, whole);
            apply(&job, log, tally).await?;
            (followed, if asked.to < span.to { JobEnd::More } else { next_turn })
        }
    };
    if followed.since != Some(following.since.unwrap_or(span.from)) {
        // Before this is stored: asked for twice is better than never.
        standing_ask(&job.context.db, Kind::Sweep, job.lease.object).await.map_err(load_failed)?;
    }
    tally.calls += job.lane.attempts_taken();
    finish(job.context, job.lease, &followed, &end, &report(tally, true)).await.map_err(load_failed)?;
    Ok(Left::Ended)
}

/// What the log gave.
enum Listed {
    /// The deletions of this span, which may be a part of the one that was wanted.
    Log(Span, DeletedLog),
    /// It cannot tell of this span, which may be a part of the one that was wanted.
    Lost(Span),
    /// There is none for this object: sweeps find its deletions.
    NotKept,
}

async fn listed(job: &Job<'_>, mut span: Span) -> Result<Listed, JobError> {
    let failed = |error| JobError::of(Step::Plan, &error, job.context.clock.now());
    let object = ObjectName::parse(&job.inputs.api_name).map_err(|error| failed(error.into()))?;
    loop {
        match job.client.deleted(&object, span.from, span.to).await.map_err(failed)? {
            DeletedAnswer::Log(log) => return Ok(Listed::Log(span, log)),
            DeletedAnswer::OutOfReach => return Ok(Listed::Lost(span)),
            DeletedAnswer::NotKept => return Ok(Listed::NotKept),
            DeletedAnswer::TooMuch => match span.halved() {
                Some(half) => span = half,
                None => return Ok(Listed::Lost(span)),
            },
        }
    }
}

/// Makes tombstones of what is live here, or hidden, and was deleted. Ids that are not here are nothing to us: the log of a
/// history object names those of all of them.
async fn apply(job: &Job<'_>, log: DeletedLog, tally: &mut Tally) -> Result<(), JobError> {
    let Some(plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(job));
    };
    let (plan, scope) = (Arc::new(plan), TenantScope::leased(job.lease.tenant));
    let key = ObjectKey { connection: job.lease.connection, object: job.lease.object };
    let moves_stamp = plan.transform.cursor == "SystemModstamp";
    let mut last: HashMap<SalesforceId, Timestamp> = HashMap::new();
    for (id, at) in log.records {
        last.entry(id).and_modify(|known| *known = at.max(*known)).or_insert(at);
    }
    let deletions: Vec<(SalesforceId, Timestamp)> = last.into_iter().collect();
    for chunk in deletions.chunks(EACH) {
        let ids: Vec<&str> = chunk.iter().map(|(id, _)| id.as_str()).collect();
        let known = records_known(&job.context.db, &scope, key, &ids)
            .await
            .map_err(|error| JobError::of(Step::Transform, &error, job.context.clock.now()))?;
        let rows: Vec<_> = chunk
            .iter()
            .filter_map(|(id, at)| {
                let known = known.get(id).filter(|known| may_leave(known))?;
                // Where deletions move no stamp, as of histories, neither do returns: the record keeps its own, so that
                // one read later wins; and what was read since the deletion is back.
                let stamp = if moves_stamp { *at } else { known.order.stamp };
                let is_back = !moves_stamp && known.order.read_at > *at;
                let order = ReadOrder { stamp, read_at: log.read_at, field_set: plan.transform.fields.id };
                (!is_back).then(|| gone(*id, order, RecordState::Tombstone(StateReason::Deleted)))
            })
            .collect();
        if !rows.is_empty() {
            let prepared = Prepared::gone(rows, log.read_at);
            let step = |_: &Tally| JobStep::Continue(job.lease.progress.clone());
            commit(job.context, &plan, prepared, CheckpointMove::Stays, step, tally).await?;
        }
    }
    Ok(())
}

/// What is a tombstone already keeps its reason, and what was erased is not told apart from what never was.
fn may_leave(known: &Known) -> bool {
    match known.state {
        Some(RecordState::Live) => true,
        Some(RecordState::Stub(reason)) => reason != StateReason::Erased,
        Some(RecordState::Tombstone(_)) | None => false,
    }
}

/// How the job waits while its object is not in a state to be compared.
pub(super) fn not_ready(state: SyncState) -> Option<JobEnd> {
    let wait = |delay, reason| Some(JobEnd::WaitFor { delay, reason, attempt: 0 });
    match state {
        SyncState::Loading | SyncState::Current => None,
        SyncState::New | SyncState::Parked => wait(IDLE, "not_described"),
        SyncState::Absent => wait(ABSENT, "not_licensed"),
    }
}

/// Reads what is stored with a job.
pub(super) fn read<T: DeserializeOwned>(stored: &Value, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_value(stored.clone()).map_err(|_| StoreError::Unreadable(what))
}

/// Stores how far a job is, with its end.
pub(super) async fn finish(
    context: &Context,
    lease: &Lease,
    progress: &impl serde::Serialize,
    end: &JobEnd,
    attempt: &AttemptReport,
) -> Result<(), StoreError> {
    let stored = serde_json::to_value(progress).unwrap_or_default();
    let mut client = context.db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    job_touch(&tx, lease, Some(&stored)).await?;
    job_end(&tx, lease, end, attempt).await?;
    tx.commit().await.map_err(StoreError::at("commit"))
}
