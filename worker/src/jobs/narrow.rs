//! What becomes of a job whose read was too slow or too large: it ends, and what takes its place asks for less.
//!
//! The place is read back from the database, where the last commit left it. So nothing committed is read again, and
//! whoever lost the lease meanwhile changes nothing.

use refrain_shared::error::{Disposition, ReplanHint, UserMessage};
use refrain_shared::job::checkpoint::{Window, next_window};
use refrain_shared::job::lease::{JobEnd, Kind, Lease};
use refrain_shared::job::narrow::{Excess, Narrower, Progress, narrower};
use refrain_shared::storage::checkpoints::{PlanInputs, plan_inputs, window_cut};
use refrain_shared::storage::jobs::{AttemptReport, job_end, job_progress, job_touch};
use refrain_shared::storage::slices::{SliceJob, slice_split};
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::tenant::TenantScope;

use super::backfill::{progress_of, slice_of, stored};
use super::related;
use crate::context::Context;
use crate::error::{JobError, Step};

/// What there was too much of, if that is why the job failed.
#[must_use]
pub fn excess_of(error: &JobError) -> Option<Excess> {
    match (error.step, &error.disposition) {
        (Step::Extract, Disposition::Replan { hint: ReplanHint::HalveSlice }) => Some(Excess::Time),
        (Step::Extract, Disposition::Replan { hint: ReplanHint::FewerRows }) => Some(Excess::Bytes),
        _ => None,
    }
}

/// Ends the job for one or two that ask for less; gives what a person is told when nothing less can be asked for.
pub async fn narrow(
    context: &Context,
    lease: &Lease,
    excess: Excess,
    report: &AttemptReport,
) -> Result<Option<UserMessage>, StoreError> {
    match lease.kind {
        Kind::Related => return related::narrower(context, lease, report).await,
        // Bodies are fetched one by one already.
        Kind::File => return Ok(Some(too_much("a file"))),
        Kind::Incremental
        | Kind::Backfill
        | Kind::Bulk
        | Kind::Deleted
        | Kind::Sweep
        | Kind::Expire
        | Kind::Reproject
        | Kind::Follow
        | Kind::Refresh
        | Kind::Retry => {}
    }
    let scope = TenantScope::leased(lease.tenant);
    let inputs = plan_inputs(&context.db, &scope, lease.object).await?;
    let progress = progress_of(job_progress(&context.db, lease).await?)?;
    let Some((window, floor)) = window(context, lease, &inputs, &progress)? else {
        // Nothing is left to read; the next plan sees that itself.
        return finish(context, lease, &progress, report).await.map(|()| None);
    };
    let next = narrower(&window, floor, excess);
    tracing::info!(object = %inputs.api_name, ?next, from = %window.lo, to = %window.hi, "asking for less");
    match next {
        Narrower::Rows(rows) => {
            let progress = Progress { rows: Some(rows), ..progress };
            finish(context, lease, &progress, report).await?;
        }
        Narrower::Cut(at) => {
            let mut client = context.db.tenant().await?;
            let tx = TenantTx::begin(&mut client, &scope).await?;
            match lease.kind {
                Kind::Backfill => {
                    job_end(tx.sql(), lease, &JobEnd::Done, report).await?;
                    let (generation, slice) = (inputs.checkpoint.generation, slice_of(lease)?);
                    // The older part holds the last committed row, so it goes on from there.
                    let [newer, older] = slice.cut(at);
                    let newer = SliceJob::by_rest(newer, &Progress::default());
                    let parts = [newer, SliceJob::by_rest(older, &progress)];
                    slice_split(&tx, lease, generation, slice.hi, &parts).await?;
                }
                // The others have no window, so none is cut.
                Kind::Incremental
                | Kind::Bulk
                | Kind::Related
                | Kind::File
                | Kind::Deleted
                | Kind::Sweep
                | Kind::Expire
                | Kind::Reproject
                | Kind::Follow
                | Kind::Refresh
                | Kind::Retry => {
                    let progress = Progress { cut: true, ..progress };
                    job_touch(tx.sql(), lease, Some(&stored(&progress))).await?;
                    job_end(tx.sql(), lease, &JobEnd::More, report).await?;
                    window_cut(&tx, lease.object, at).await?;
                }
            }
            tx.commit().await?;
        }
        Narrower::Nothing => {
            // Whoever starts it again has changed something: it begins with whole pages.
            let client = context.db.control().await?;
            job_touch(&client, lease, Some(&stored(&Progress { rows: None, ..progress }))).await?;
            return Ok(Some(too_much(&inputs.api_name)));
        }
    }
    Ok(None)
}

/// What the job was reading, and the moment that a cut must come after.
fn window(
    context: &Context,
    lease: &Lease,
    inputs: &PlanInputs,
    progress: &Progress,
) -> Result<Option<(Window, refrain_shared::clock::Timestamp)>, StoreError> {
    Ok(match lease.kind {
        Kind::Backfill => {
            let slice = slice_of(lease)?;
            let (resume, rows) = (progress.position.clone(), progress.rows);
            Some((Window { lo: slice.lo, hi: slice.hi, resume, rows }, slice.lo))
        }
        // What asks by ids or for deletions asks for less by itself.
        Kind::Bulk
        | Kind::Related
        | Kind::File
        | Kind::Deleted
        | Kind::Sweep
        | Kind::Expire
        | Kind::Reproject
        | Kind::Follow
        | Kind::Refresh
        | Kind::Retry => None,
        // A part that ends at the watermark or before it would not bring the watermark on.
        Kind::Incremental => next_window(&inputs.checkpoint, &inputs.settings, context.clock.now())
            .zip(inputs.checkpoint.watermark)
            .map(|(window, watermark)| (Window { rows: progress.rows, ..window }, watermark)),
    })
}

async fn finish(
    context: &Context,
    lease: &Lease,
    progress: &Progress,
    report: &AttemptReport,
) -> Result<(), StoreError> {
    let mut client = context.db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    job_touch(&tx, lease, Some(&stored(progress))).await?;
    job_end(&tx, lease, &JobEnd::More, report).await?;
    tx.commit().await.map_err(StoreError::at("commit"))
}

/// What a person is told when the least that can be asked for is too much.
#[must_use]
pub fn too_much(object: &str) -> UserMessage {
    UserMessage::new(
        "SF_QUERY_TOO_LARGE",
        format!("Salesforce cannot give {object} in parts that are small enough."),
        "Even the least that can be asked for, a count or one record, is too slow or too large, with the fields that are \
         read now.",
        format!(
            "Take linked paths and formula fields out of what is read of {object}, or ask Salesforce to index its \
             SystemModstamp; then start its sync again."
        ),
    )
}
