//! One module a kind of job, and what they share: from a lease to an orderly end.

pub mod backfill;
pub mod bulk;
pub mod deleted;
pub mod expire;
pub mod file;
pub mod first_plan;
pub mod follow;
pub mod incremental;
pub mod narrow;
mod org;
pub mod refresh;
pub mod related;
pub mod reproject;
pub mod retry;
pub mod sweep;
pub mod transcript;

use std::sync::Arc;
use std::time::Duration;

use refrain_shared::catalog::Found;
use refrain_shared::catalog::filter::keep::Keep;
use refrain_shared::clock::Timestamp;
use refrain_shared::error::{Disposition, ReplanHint};
use refrain_shared::job::checkpoint::SyncState;
use refrain_shared::job::lease::{JobEnd, Kind, Lease};
use refrain_shared::salesforce::Client;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::checkpoints::{PlanInputs, plan_inputs};
use refrain_shared::storage::connection_secrets::SecretStore;
use refrain_shared::storage::filters::filter_note;
use refrain_shared::tenant::TenantScope;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::crash::{CrashPoint, pass};
use crate::engine::{self, Tally};
use crate::error::{JobError, Step};
use crate::lane::Lane;
use crate::tenants::TenantView;

/// A job as its handler sees it.
pub struct Job<'a> {
    /// The process.
    pub context: &'a Context,
    /// The lease.
    pub lease: &'a Lease,
    /// The right to call.
    pub lane: Arc<Lane>,
    /// The way to the org.
    pub client: Client,
    /// What is stored.
    pub inputs: PlanInputs,
    /// The tenant as of planning.
    pub view: TenantView,
    /// Set when it is to end at its next commit: a gate closed, or the lease is lost.
    pub stop: &'a CancellationToken,
}

/// How a handler left the job.
pub enum Left {
    /// Its last commit ended the lease already.
    Ended,
    /// The lease is still ours; this is how it ends.
    Open(JobEnd),
}

/// An object that a person switched off, or whose connection is not active, is looked at again this much later.
const IDLE: Duration = Duration::from_secs(300);
/// An object that the org lacks is asked for again once a day: a licence may come.
const ABSENT: Duration = Duration::from_secs(24 * 3600);

/// Runs a leased job to its end or its failure.
pub async fn run(
    context: &Context,
    lease: &Lease,
    stop: &CancellationToken,
    tally: &mut Tally,
) -> Result<Left, JobError> {
    if let Some(reason) = lease.held {
        // Due as before: the gate that was closed holds it up, and when that opens it goes on.
        let (delay, attempt) = (Duration::ZERO, lease.attempt);
        return Ok(Left::Open(JobEnd::WaitFor { delay, reason, attempt }));
    }
    let now = context.clock.now();
    let plan_failed = |error: StoreError| JobError::of(Step::Plan, &error, now);
    let scope = TenantScope::leased(lease.tenant);
    if lease.kind == Kind::Reproject {
        // None of the three that follow asks Salesforce for anything: no lane, and nothing there holds them up.
        return reproject::run(context, lease, stop, tally).await.map(Left::Open);
    }
    if lease.kind == Kind::Expire {
        let inputs = plan_inputs(&context.db, &scope, lease.object).await.map_err(plan_failed)?;
        tally.object = Some(engine::label(&inputs.api_name));
        return expire::run(context, lease, &inputs, stop).await.map(Left::Open);
    }
    // The gate is read before what it guards: a mapping that changes between the two is then met by the commit.
    let view = context.tenants.view(&context.db, &context.ring, &scope).await.map_err(plan_failed)?;
    let inputs = plan_inputs(&context.db, &scope, lease.object).await.map_err(plan_failed)?;
    tally.object = Some(engine::label(&inputs.api_name));
    if lease.kind == Kind::Retry {
        note_filter(context, lease, &inputs).await.map_err(plan_failed)?;
        return retry::run(context, lease, (view, &inputs), stop, tally).await.map(Left::Open);
    }
    note_filter(context, lease, &inputs).await.map_err(plan_failed)?;
    if let Some(end) = not_to_run(&inputs, lease.kind) {
        return Ok(Left::Open(end));
    }
    if lease.kind == Kind::Refresh
        && let Some(end) = refresh::rests(context, lease, &inputs).await?
    {
        // Most turns find nothing to do, and are not worth a lane.
        return Ok(Left::Open(end));
    }
    let lane = match Lane::take(context, lease).await.map_err(plan_failed)? {
        Ok(lane) => lane,
        Err(refusal) => return Err(refused(refusal, context.clock.now())),
    };
    pass(CrashPoint::AfterGrant);
    let client = client(context, lease, &lane, &inputs, &view);
    let job = Job { context, lease, lane: Arc::clone(&lane), client, inputs, view, stop };
    if let Err(error) = org::look(&job).await {
        tally.calls += lane.attempts_taken();
        engine::settle(&lane).await;
        return Err(error);
    }
    let left = match lease.kind {
        Kind::Incremental => incremental::run(job, tally).await,
        Kind::Backfill => backfill::run(job, tally).await,
        Kind::Bulk => Box::pin(bulk::run(job, tally)).await,
        Kind::Related if first_plan::found_of(&job) == Found::ByCalls => transcript::run(job, tally).await,
        Kind::Related => related::run(job, tally).await,
        Kind::File => file::run(job, tally).await,
        // Salesforce knows no such object: it can tell of nothing that is gone.
        Kind::Deleted | Kind::Sweep if first_plan::found_of(&job) == Found::ByCalls => {
            Ok(Left::Open(JobEnd::WaitFor { delay: ABSENT, reason: "not_kept", attempt: 0 }))
        }
        Kind::Deleted => deleted::run(job, tally).await,
        Kind::Sweep => Box::pin(sweep::run(job, tally)).await,
        Kind::Follow => Box::pin(follow::run(&job)).await,
        Kind::Refresh => Box::pin(refresh::run(job, tally)).await,
        // Ran without a lane, above.
        Kind::Expire | Kind::Reproject | Kind::Retry => Ok(Left::Open(JobEnd::More)),
    };
    tally.calls += lane.attempts_taken();
    engine::settle(&lane).await;
    left
}

/// Whatever is judged by a filter that the standing job has not looked at yet is noted before.
async fn note_filter(context: &Context, lease: &Lease, inputs: &PlanInputs) -> Result<(), StoreError> {
    match &inputs.settings.filter {
        Some(filter) if lease.kind != Kind::Incremental => {
            filter_note(&context.db, lease.object, &inputs.filters, filter).await
        }
        Some(_) | None => Ok(()),
    }
}

fn not_to_run(inputs: &PlanInputs, kind: Kind) -> Option<JobEnd> {
    let wait = |delay, reason| Some(JobEnd::WaitFor { delay, reason, attempt: 0 });
    if !inputs.enabled {
        return wait(IDLE, "disabled");
    }
    if !inputs.connection.active {
        return wait(IDLE, "connection");
    }
    let lacks_field = inputs
        .settings
        .filter
        .as_ref()
        .zip(inputs.field_set.as_ref())
        .is_some_and(|(filter, fields)| Keep::of(filter, fields).is_none());
    if lacks_field && !matches!(kind, Kind::Incremental | Kind::Follow | Kind::File) {
        // The standing job looks whether the object has the filter's fields, and asks if not.
        return wait(IDLE, "not_described");
    }
    match inputs.checkpoint.state {
        // It is there for the whole connection, whatever becomes of the object that it stands under.
        SyncState::Parked if kind == Kind::Follow => None,
        SyncState::Parked => wait(IDLE, "parked"),
        SyncState::New | SyncState::Loading | SyncState::Current | SyncState::Absent => None,
    }
}

fn refused(refusal: refrain_shared::limits::Refusal, now: Timestamp) -> JobError {
    let seconds = refusal.wait.as_secs();
    let until = now + chrono::Duration::from_std(refusal.wait).unwrap_or(chrono::Duration::hours(24));
    JobError {
        step: Step::Plan,
        disposition: Disposition::Defer { until, why: refusal.why },
        code: refusal.why.word(),
        detail: format!("the org's {} allow no call for {seconds} s", refusal.why.word()),
    }
}

fn client(
    context: &Context,
    lease: &Lease,
    lane: &Arc<Lane>,
    inputs: &PlanInputs,
    view: &TenantView,
) -> Client {
    let tokens = SecretStore::new(
        context.db.clone(),
        TenantScope::leased(lease.tenant),
        inputs.connection.clone(),
        Arc::clone(&view.keys),
        Some(lease.org),
    );
    Client::new(
        context.http.clone(),
        Arc::new(tokens),
        Arc::clone(lane) as Arc<dyn refrain_shared::ports::CallGate>,
        context.clock.clone(),
        context.client.clone(),
    )
}

/// How an absent object's job waits.
#[must_use]
pub fn absent() -> JobEnd {
    JobEnd::WaitFor { delay: ABSENT, reason: "not_licensed", attempt: 0 }
}

/// Whether a failure asks for a fresh describe before the job is given up.
#[must_use]
pub fn wants_describe(error: &JobError) -> bool {
    matches!(error.disposition, Disposition::Replan { hint: ReplanHint::DescribeAgain })
}
