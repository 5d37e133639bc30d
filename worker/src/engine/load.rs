//! Making a batch of pages last: the steps of the transform on a thread that may block, the look-ups between them,
//! and the page commit.

use std::sync::Arc;

use bytes::Bytes;
use refrain_shared::clock::Timestamp;
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::checkpoint::Position;
use refrain_shared::record::{Columns, ReadOrder, RecordState};
use refrain_shared::salesforce::slice::RecordPage;
use refrain_shared::storage::content::retried::SetAsideRecord;
use refrain_shared::storage::page_commit::{
    CheckpointMove, JobStep, PageCommit, PageCounts, PageRow, Retried, page_commit,
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
    /// Those that can be kept, and when they were read.
    kept: Vec<(SalesforceId, Timestamp)>,
    /// How many they were.
    read: usize,
    /// How many of them cannot be kept.
    set_aside: usize,
    /// Those that were tried again, instead.
    retried: Retried,
}

impl Prepared {
    /// Records that are known to be gone, by whatever told it.
    #[must_use]
    pub fn gone(rows: Vec<PageRow>, read_at: Timestamp) -> Self {
        let counts = PageCounts::default();
        let transformed = Transformed { rows, quarantined: Vec::new(), counts };
        Self {
            transformed,
            pages: 0,
            read_at,
            ids: Vec::new(),
            kept: Vec::new(),
            read: 0,
            set_aside: 0,
            retried: Retried::default(),
        }
    }

    /// How many that were set aside before can be kept now.
    #[must_use]
    pub fn healed(&self) -> usize {
        self.retried.healed.len()
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

/// Where more than this share of a commit's records cannot be kept, something is wrong with all of them.
const HALF_PERCENT: usize = 50;
/// Fewer records than this prove nothing about that.
const HALF_FROM: usize = 20;
/// Of fewer records than this, the object's own share proves nothing.
const SHARE_FROM: usize = 200;

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
    let (parsed, read) = blocking(move || {
        let (mut parsed, mut read) = (Parsed::new(&planned.transform), 0);
        // Each page's body is let go as soon as its records are in their canonical form.
        for page in pages {
            let records = page.records();
            parsed.add(&planned.transform, &records, page.read_at)?;
            read += records.len();
        }
        Ok((parsed, read))
    })
    .await?;
    built(context, plan, (parsed, read), count, read_at).await
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
    let (parsed, read) = blocking(move || {
        let mut parsed = Parsed::new(&planned.transform);
        let read = parsed.add_rows(&planned.transform, &columns, &part, read_at)?;
        Ok((parsed, read))
    })
    .await?;
    built(context, plan, (parsed, read), 1, read_at).await
}

/// Tries records again that were set aside: those that can be kept now become rows to store.
pub async fn prepare_again(
    context: &Context,
    plan: &Arc<ReadPlan>,
    records: Vec<SetAsideRecord>,
) -> Result<Prepared, JobError> {
    let now = context.clock.now();
    let planned = Arc::clone(plan);
    let (parsed, retried) = blocking(move || {
        let (mut parsed, mut retried) = (Parsed::new(&planned.transform), Retried::default());
        for record in records {
            let is_kept = parsed.add_again(&planned.transform, &record).unwrap_or(false);
            let outcome = if is_kept { &mut retried.healed } else { &mut retried.failed };
            outcome.push((record.key, record.read_at));
        }
        Ok((parsed, retried))
    })
    .await?;
    let mut prepared = built(context, plan, (parsed, 0), 0, now).await?;
    // They were counted when they were read: each that is kept now ended otherwise after all.
    prepared.transformed.counts.quarantined -= i64::try_from(retried.healed.len()).unwrap_or(i64::MAX);
    prepared.retried = retried;
    Ok(prepared)
}

/// What is stored already is looked up, then how the tickets stand to which old records belong, and only what is new and
/// kept is sealed.
async fn built(
    context: &Context,
    plan: &Arc<ReadPlan>,
    (parsed, read): (Parsed, usize),
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
    let count_aside = parsed.set_aside();
    let set_aside = parsed.quarantined.iter().filter_map(|row| SalesforceId::parse(&row.record_id).ok());
    let ids = parsed.heads.iter().map(|head| head.id).chain(set_aside).collect();
    let kept = parsed.heads.iter().map(|head| (head.id, head.order.read_at)).collect();
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
    let retried = Retried::default();
    Ok(Prepared { transformed, pages, read_at, ids, kept, read, set_aside: count_aside, retried })
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

/// Whether so many of so many records cannot be kept that a person must look, by the object's own share in percent.
fn is_too_much(set_aside: usize, records: usize, percent: u8) -> bool {
    let above = |percent: usize| set_aside * 100 > records * percent;
    (records >= HALF_FROM && above(HALF_PERCENT.max(percent.into())))
        || (records >= SHARE_FROM && above(percent.into()))
}

/// Parks the object, when what was committed is too much set aside: the rest of it is here, and so are the samples.
///
/// A crash between the two leaves the object going on: the next commit judges its own records.
fn check_share(plan: &ReadPlan, set_aside: usize, records: usize) -> Result<(), JobError> {
    if !is_too_much(set_aside, records, plan.quarantine_percent) {
        return Ok(());
    }
    let ask = refrain_shared::error::UserMessage::new(
        "TOO_MANY_QUARANTINED",
        format!("{set_aside} of {records} records of {}, read together, could not be kept.", plan.api_name),
        "Their values do not have the types that Salesforce describes.",
        "Look at the object's quarantine and mend it in Salesforce, or let more of them pass by quarantine_percent in the object's settings; then press Sync now. It goes on after them, and what is set aside is tried again when the types are others.",
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
    counts.api_calls = plan.lane.as_ref().map_or(0, |lane| lane.attempts_taken());
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
            kept: prepared.kept,
            quarantined: prepared.transformed.quarantined,
            retried: prepared.retried,
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
    check_share(plan, prepared.set_aside, prepared.read)
}

#[cfg(test)]
mod tests {
    use super::is_too_much;

    #[test]
    fn few_records_prove_nothing_and_many_by_their_share() {
        for (set_aside, records, percent, parks) in [
            (19, 19, 5, false),
            (10, 20, 5, false),
            (11, 20, 5, true),
            (99, 199, 5, false),
            (10, 200, 5, false),
            (11, 200, 5, true),
            (1, 200, 0, true),
            (0, 2_000, 0, false),
            (150, 200, 80, false),
            (200, 200, 100, false),
        ] {
            assert_eq!(is_too_much(set_aside, records, percent), parks, "{set_aside} of {records}");
        }
    }
}
