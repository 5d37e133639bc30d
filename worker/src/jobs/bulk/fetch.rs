//! Fetching a complete job's results, a set at a time, and making them last; the next set comes while one is stored.

use std::sync::Arc;

use refrain_shared::clock::Timestamp;
use refrain_shared::job::bulk::{BulkProgress, Running};
use refrain_shared::job::lease::{JobEnd, SLICE_TIME};
use refrain_shared::record::Columns;
use refrain_shared::salesforce::SalesforceError;
use refrain_shared::salesforce::bulk::BulkAddress;
use refrain_shared::salesforce::results::{ResultSet, Results};
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use tokio::time::Instant;

use super::super::incremental::report;
use super::{Left, Turn, gone, put_away, stored};
use crate::crash::{CrashPoint, pass};
use crate::engine::Tally;
use crate::engine::load::{commit, prepare_rows};
use crate::error::{JobError, Step};

/// Fetches on from the last set that was committed.
pub(super) async fn fetch(
    turn: &Turn<'_>,
    mut progress: BulkProgress,
    mut running: Running,
    address: BulkAddress,
    tally: &mut Tally,
) -> Result<Left, JobError> {
    let begun = Instant::now();
    let mut ahead = None;
    loop {
        let set = match set(turn, &mut progress, &running, address, ahead.take()).await? {
            Results::Set(set) => set,
            Results::Gone => {
                put_away(turn.job, address).await?;
                return gone(turn, progress, tally).await;
            }
        };
        pass(CrashPoint::AfterPage);
        let is_last = set.next.is_none();
        running.rows += set.rows as u64;
        if is_last && running.total.is_some_and(|total| total != running.rows) {
            tracing::warn!(
                object = %turn.plan.api_name, rows = running.rows, total = ?running.total, "a Bulk job's sets do not add up"
            );
            put_away(turn.job, address).await?;
            return gone(turn, progress, tally).await;
        }
        // What was committed last is said again with every part but the last: a set that is half here is read again.
        let before = progress.clone();
        running.locator.clone_from(&set.next);
        progress = progress.after_set(set.rows, set.body_bytes());
        progress = BulkProgress { running: Some(running.clone()), loaded: is_last, ..progress };
        let context = turn.job.context;
        let stops = !is_last
            && (begun.elapsed() >= SLICE_TIME
                || context.draining.is_cancelled()
                || turn.job.stop.is_cancelled());
        let places = Places { before: &before, after: &progress, stops, read_at: running.read_at };
        let goes_on = !is_last && !stops;
        ahead = store_ahead(turn, &set, &places, goes_on.then_some(address), tally).await?;
        if is_last {
            put_away(turn.job, address).await?;
            return Ok(Left::Open(JobEnd::Done));
        }
        if stops {
            return Ok(Left::Ended);
        }
    }
}

/// The answer to asking for a set.
type Answer = Result<Results, SalesforceError>;

/// The next set, which may have been answered already; asked for in smaller ones as long as it is larger than may be held.
async fn set(
    turn: &Turn<'_>,
    progress: &mut BulkProgress,
    running: &Running,
    address: BulkAddress,
    mut answered: Option<Answer>,
) -> Result<Results, JobError> {
    loop {
        let answer = if let Some(answer) = answered.take() {
            answer
        } else {
            let locator = running.locator.as_deref();
            turn.job.client.bulk_results(address, locator, progress.rows_wanted()).await
        };
        match answer {
            Ok(results) => return Ok(results),
            Err(error @ SalesforceError::BodyTooLarge { .. }) => {
                let smaller = progress.with_smaller_sets();
                *progress = smaller.ok_or_else(|| turn.failed(Step::Extract, &error))?;
            }
            Err(error) => return Err(turn.failed(Step::Extract, &error)),
        }
    }
}

/// Where a slice stands before a set and after it.
struct Places<'a> {
    before: &'a BulkProgress,
    after: &'a BulkProgress,
    /// Whether the turn ends with the set.
    stops: bool,
    /// When all of the job's rows were read.
    read_at: Timestamp,
}

/// Stores a set while the one after it comes, if one is wanted.
async fn store_ahead(
    turn: &Turn<'_>,
    set: &ResultSet,
    places: &Places<'_>,
    wanted: Option<BulkAddress>,
    tally: &mut Tally,
) -> Result<Option<Answer>, JobError> {
    let next = async {
        let most = places.after.rows_wanted();
        Some(turn.job.client.bulk_results(wanted?, set.next.as_deref(), most).await)
    };
    let (stored, next) = tokio::join!(store(turn, set, places, tally), next);
    stored.map(|()| next)
}

/// Commits a set in parts that hold the tenant's locks as briefly as a page does; the last one moves the place.
async fn store(
    turn: &Turn<'_>,
    set: &ResultSet,
    places: &Places<'_>,
    tally: &mut Tally,
) -> Result<(), JobError> {
    let Places { before, after, stops, read_at } = *places;
    let (context, generation) = (turn.job.context, turn.job.inputs.checkpoint.generation);
    let columns = columns(turn, set)?;
    let mut parts = set.parts(context.commit_rows).into_iter().peekable();
    while let Some(part) = parts.next() {
        let prepared = prepare_rows(context, &turn.plan, &columns, part, read_at).await?;
        pass(CrashPoint::AfterTransform);
        let ends = parts.peek().is_none();
        let moves = if ends && after.loaded {
            CheckpointMove::SliceDone { slice: turn.slice.clone(), generation }
        } else {
            CheckpointMove::Stays
        };
        let step = |tally: &Tally| match (ends, stops) {
            (false, _) => JobStep::Continue(stored(before)),
            (true, false) => JobStep::Continue(stored(after)),
            (true, true) => JobStep::Pause(stored(after), report(tally, false)),
        };
        commit(context, &turn.plan, prepared, moves, step, tally).await?;
    }
    Ok(())
}

fn columns(turn: &Turn<'_>, set: &ResultSet) -> Result<Arc<Columns>, JobError> {
    let fields = &turn.plan.transform.fields;
    if set.rows == 0 && set.header.is_empty() {
        let header = fields.fields().iter().map(|field| field.path.as_str()).collect::<Vec<_>>().into();
        return Ok(Arc::new(Columns::find(&header, fields).expect("every field is its own column")));
    }
    Columns::find(&set.header, fields).map(Arc::new).map_err(|missing| {
        let received = format!("none for {missing}");
        let error =
            SalesforceError::Unreadable { expected: "a column for each field", status: 200, received };
        turn.failed(Step::Extract, &error)
    })
}
