//! Making a batch of pages last: the steps of the transform on a thread that may block, the look-ups between them,
//! and the page commit.

use std::sync::Arc;

use bytes::Bytes;
use refrain_shared::clock::Timestamp;
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::checkpoint::Position;
use refrain_shared::record::{Columns, ReadOrder, RecordState};
use refrain_shared::salesforce::slice::RecordPage;
use refrain_shared::storage::page_commit::{
    CheckpointMove, JobStep, PageCommit, PageCounts, PageRow, page_commit,
};
use refrain_shared::storage::records::{RecordRow, records_known};
use refrain_shared::storage::standings::{Standings, standings};
use refrain_shared::telemetry::names;
use refrain_shared::tenant::TenantScope;
use refrain_shared::ticket::Projected;
use tokio::time::Instant;

use super::parse::Parsed;
use super::transform::{Transformed, build, draft};
use super::{ReadPlan, Tally};
use crate::context::Context;
use crate::crash::{CrashPoint, pass};
use crate::error::{JobError, Step};

/// Pages ready to be committed together.
pub struct Prepared {
    /// Rows and counts.
    transformed: Transformed,
    /// Of how many pages.
    pages: i32,
    /// The first response's Date.
    pub read_at: Timestamp,
    /// The records that were answered, in whatever state.
    pub ids: Vec<SalesforceId>,
}

impl Prepared {
    /// Records that are known to be gone, by whatever told it.
    #[must_use]
    pub fn gone(rows: Vec<PageRow>, read_at: Timestamp) -> Self {
        let transformed = Transformed { rows, quarantined: Vec::new(), counts: PageCounts::default() };
        Self { transformed, pages: 0, read_at, ids: Vec::new() }
    }

    /// Adds records that are known to be gone because the pages lack them.
    pub fn add_gone(&mut self, rows: Vec<PageRow>) {
        self.transformed.rows.extend(rows);
    }
}

/// A record of which nothing is known but that it is gone, or out of sight.
#[must_use]
pub fn gone(id: SalesforceId, order: ReadOrder, state: RecordState) -> PageRow {
    PageRow {
        record: RecordRow { id, order, state, sealed: None, identities: Vec::new() },
        projected: Projected::Gone,
        email_token: None,
        merged_into: None,
        same_version: false,
    }
}

/// Prepared pages with their place in the read.
pub struct Batch {
    /// The pages.
    pub prepared: Prepared,
    /// The window ends with them.
    pub ends_window: bool,
    /// The job ends with them although the window does not.
    pub stops: bool,
    /// Where the next read goes on.
    pub position: Option<Position>,
}

/// A page of which more than this share cannot be kept stops its object: something is wrong with all of it.
const QUARANTINE_SHARE: (usize, usize) = (1, 2);
/// Fewer records than this prove nothing.
const QUARANTINE_FROM: usize = 20;

/// Turns pages into rows.
pub async fn prepare(
    context: &Context,
    plan: &Arc<ReadPlan>,
    pages: Vec<RecordPage>,
) -> Result<Prepared, JobError> {
    let now = context.clock.now();
    let read_at = pages.first().map_or(now, |page| page.read_at);
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    let planned = Arc::clone(plan);
    let parsed = blocking(move || {
        let mut parsed = Parsed::new(&planned.transform);
        // Each page's body is let go as soon as its records are in their canonical form.
        for page in pages {
            let before = parsed.set_aside();
            let records = page.records();
            parsed.add(&planned.transform, &records, page.read_at)?;
            check_share(&planned, parsed.set_aside() - before, records.len())?;
        }
        Ok(parsed)
    })
    .await?;
    built(context, plan, parsed, count, read_at).await
}

/// Turns rows of a Bulk job's results into rows to store; they were read when the job was made.
pub async fn prepare_rows(
    context: &Context,
    plan: &Arc<ReadPlan>,
    columns: &Arc<Columns>,
    part: Bytes,
    read_at: Timestamp,
) -> Result<Prepared, JobError> {
    let (planned, columns) = (Arc::clone(plan), Arc::clone(columns));
    let parsed = blocking(move || {
        let mut parsed = Parsed::new(&planned.transform);
        let read = parsed.add_rows(&planned.transform, &columns, &part, read_at)?;
        check_share(&planned, parsed.set_aside(), read)?;
        Ok(parsed)
    })
    .await?;
    built(context, plan, parsed, 1, read_at).await
}

/// What is stored already is looked up, then how the tickets stand to which old records belong, and only what is new and
/// kept is sealed.
async fn built(
    context: &Context,
    plan: &Arc<ReadPlan>,
    parsed: Parsed,
    pages: i32,
    read_at: Timestamp,
) -> Result<Prepared, JobError> {
    let now = context.clock.now();
    let ids: Vec<&str> = parsed.heads.iter().map(|head| head.id.as_str()).collect();
    let scope = TenantScope::leased(plan.lease.tenant);
    let known = if ids.is_empty() {
        std::collections::HashMap::new()
    } else {
        records_known(&context.db, &scope, plan.transform.key, &ids)
            .await
            .map_err(|error| JobError::of(Step::Transform, &error, now))?
    };
    let set_aside = parsed.quarantined.iter().filter_map(|row| SalesforceId::parse(&row.record_id).ok());
    let ids = parsed.heads.iter().map(|head| head.id).chain(set_aside).collect();
    let planned = Arc::clone(plan);
    let drafts = blocking(move || Ok(draft(&planned.transform, parsed, &known))).await?;
    let asked = drafts.asks(&plan.transform, &plan.parents);
    let standings = if asked.is_empty() {
        Standings::default()
    } else {
        standings(&context.db, &scope, plan.transform.key, &asked)
            .await
            .map_err(|error| JobError::of(Step::Transform, &error, now))?
    };
    let planned = Arc::clone(plan);
    let transformed = blocking(move || build(&planned.transform, drafts, &standings)).await?;
    Ok(Prepared { transformed, pages, read_at, ids })
}

/// Runs CPU work where it does not hold up other jobs' I/O; slots bound how much of it runs at once.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JobError> + Send + 'static,
) -> Result<T, JobError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| {
        Err(JobError {
            step: Step::Transform,
            disposition: refrain_shared::error::Disposition::Bug,
            code: "panic",
            detail: panic.to_string(),
        })
    })
}

fn check_share(plan: &ReadPlan, set_aside: usize, records: usize) -> Result<(), JobError> {
    let (part, whole) = QUARANTINE_SHARE;
    if records < QUARANTINE_FROM || set_aside * whole <= records * part {
        return Ok(());
    }
    let ask = refrain_shared::error::UserMessage::new(
        "TOO_MANY_QUARANTINED",
        format!("{set_aside} of {records} records of {} in one page could not be read.", plan.api_name),
        "Their values do not have the types that Salesforce describes.",
        "Look at the object's quarantine, then start its sync again.",
    );
    Err(JobError {
        step: Step::Transform,
        disposition: refrain_shared::error::Disposition::ParkObject { ask },
        code: "too_many_quarantined",
        detail: format!("{set_aside} of {records} records set aside"),
    })
}

fn before_commit() {
    pass(CrashPoint::BeforeCommit);
}

/// Commits prepared pages and adds them to the tally.
pub async fn commit(
    context: &Context,
    plan: &ReadPlan,
    prepared: Prepared,
    moves: CheckpointMove,
    step: impl FnOnce(&Tally) -> JobStep,
    tally: &mut Tally,
) -> Result<(), JobError> {
    let now = context.clock.now();
    let failed = |error: &refrain_shared::storage::StoreError| JobError::of(Step::Load, error, now);
    let mut counts = prepared.transformed.counts;
    counts.api_calls = plan.lane.attempts_taken();
    tally.calls += counts.api_calls;
    tally.calls_counted += counts.api_calls;
    tally.pages += prepared.pages;
    tally.read += counts.read() + i64::try_from(prepared.transformed.rows.len()).unwrap_or(i64::MAX);
    let step = step(tally);
    let mut client = context.db.tenant().await.map_err(|error| failed(&error))?;
    let begun = Instant::now();
    let counts = page_commit(
        &mut client,
        PageCommit {
            lease: &plan.lease,
            gate: plan.transform.view.gate,
            field_set: plan.transform.fields.id,
            parents: &plan.parents,
            rows: prepared.transformed.rows,
            quarantined: prepared.transformed.quarantined,
            read_at: prepared.read_at,
            counts,
            moves,
            step,
            before_commit,
        },
    )
    .await
    .map_err(|error| failed(&error))?;
    pass(CrashPoint::AfterCommit);
    metrics::histogram!(names::COMMIT_TIME, "object" => plan.label).record(begun.elapsed().as_secs_f64());
    tally.written += counts.written;
    for (outcome, records) in counts.by_outcome() {
        metrics::counter!(names::RECORDS, "outcome" => outcome)
            .increment(u64::try_from(records).unwrap_or(0));
    }
    Ok(())
}
