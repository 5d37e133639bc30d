//! How a turn ends: with its place stored, with the slice in smaller parts, or with the slice read by REST.

use refrain_shared::job::bulk::{BulkProgress, MOST_FAILED};
use refrain_shared::job::checkpoint::Window;
use refrain_shared::job::lease::JobEnd;
use refrain_shared::job::narrow::{Excess, Narrower, Progress, narrower};
use refrain_shared::storage::jobs::{AttemptReport, job_end, job_touch};
use refrain_shared::storage::slices::{SliceJob, slice_jobs_insert, slice_split};
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::tenant::TenantScope;

use super::super::incremental::report;
use super::{Left, Turn, stored};
use crate::engine::Tally;
use crate::error::JobError;

/// Ends the turn with its place stored, both or neither.
pub(super) async fn leave(
    turn: &Turn<'_>,
    progress: &BulkProgress,
    end: JobEnd,
    tally: &mut Tally,
) -> Result<Left, JobError> {
    let report = spent(turn, tally);
    let stored = stored(progress);
    let written = async {
        let mut client = turn.job.context.db.control().await?;
        let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
        job_touch(&tx, turn.job.lease, Some(&stored)).await?;
        job_end(&tx, turn.job.lease, &end, &report).await?;
        tx.commit().await.map_err(StoreError::at("commit"))
    };
    written.await.map_err(|e| turn.store_failed(&e))?;
    Ok(Left::Ended)
}

/// Salesforce gave the job up, with these words: the slice is halved, or read by REST when that was tried before or
/// cannot be done.
pub(super) async fn gave_up(
    turn: &Turn<'_>,
    progress: BulkProgress,
    said: &str,
    tally: &mut Tally,
) -> Result<Left, JobError> {
    let failed = progress.failed + 1;
    let window = Window { lo: turn.slice.lo, hi: turn.slice.hi, resume: None, rows: None };
    match narrower(&window, turn.slice.lo, Excess::Time) {
        Narrower::Cut(at) if failed < MOST_FAILED => {
            let report = instead(turn, "bulk_failed", said, tally);
            let progress = BulkProgress { failed, ..BulkProgress::default() };
            let parts = turn
                .slice
                .cut(at)
                .map(|part| SliceJob::by_bulk(part, turn.rows.map(|rows| rows / 2), &progress));
            let hi = turn.slice.hi;
            let generation = turn.job.inputs.checkpoint.generation;
            let split = async {
                let mut client = turn.job.context.db.tenant().await?;
                let tx = TenantTx::begin(&mut client, &TenantScope::leased(turn.job.lease.tenant)).await?;
                job_end(tx.sql(), turn.job.lease, &JobEnd::Done, &report).await?;
                slice_split(&tx, turn.job.lease, generation, hi, &parts).await?;
                tx.commit().await
            };
            split.await.map_err(|e| turn.store_failed(&e))?;
            Ok(Left::Ended)
        }
        Narrower::Cut(_) | Narrower::Rows(_) | Narrower::Nothing => {
            by_rest(turn, "bulk_failed", said, tally).await
        }
    }
}

/// Puts an ordinary job of the slice in the place of this one. What Salesforce said stands in the attempt's history.
pub(super) async fn by_rest(
    turn: &Turn<'_>,
    code: &'static str,
    said: &str,
    tally: &mut Tally,
) -> Result<Left, JobError> {
    tracing::info!(object = %turn.plan.api_name, why = code, "a slice goes on by REST");
    let report = instead(turn, code, said, tally);
    let slice = [SliceJob::by_rest(turn.slice.clone(), &Progress::default())];
    let generation = turn.job.inputs.checkpoint.generation;
    let handed = async {
        let mut client = turn.job.context.db.tenant().await?;
        let tx = TenantTx::begin(&mut client, &TenantScope::leased(turn.job.lease.tenant)).await?;
        job_end(tx.sql(), turn.job.lease, &JobEnd::Done, &report).await?;
        slice_jobs_insert(&tx, turn.job.lease, generation, &slice).await?;
        tx.commit().await
    };
    handed.await.map_err(|e| turn.store_failed(&e))?;
    Ok(Left::Ended)
}

/// The turn's history line, with why the slice goes on in another way, and what Salesforce said.
fn instead(turn: &Turn<'_>, code: &str, said: &str, tally: &mut Tally) -> AttemptReport {
    AttemptReport { code: Some(code.to_owned()), detail: Some(said.to_owned()), ..spent(turn, tally) }
}

/// The turn's history line, with the calls since the last commit.
fn spent(turn: &Turn<'_>, tally: &mut Tally) -> AttemptReport {
    tally.calls += turn.job.lane.attempts_taken();
    report(tally, false)
}
