//! Making the job at Salesforce, and finding the one that was made without an answer.

use std::time::Duration;

use refrain_shared::clock::Timestamp;
use refrain_shared::job::bulk::{BulkProgress, Found, Running, Unheard, next_look, unheard};
use refrain_shared::job::lease::JobEnd;
use refrain_shared::job::price::{Quote, rest_instead};
use refrain_shared::salesforce::bulk::{BulkAddress, BulkListed, BulkMade};
use refrain_shared::salesforce::soql::Soql;
use refrain_shared::salesforce::{FaultKind, SalesforceError};
use refrain_shared::storage::jobs::job_touch;
use refrain_shared::storage::slices::{BulkKnown, bulk_known};

use super::leave::{by_rest, gave_up, leave};
use super::{Job, Left, Turn, put_away, stored, waits};
use crate::crash::{CrashPoint, pass};
use crate::engine::{Tally, reader};
use crate::error::{JobError, Step};

/// A spent allowance of Bulk jobs is looked at again this much later.
pub(in crate::jobs) const LIMITED: Duration = Duration::from_mins(15);

/// Makes the job; the slice then waits for it.
pub(super) async fn begin(
    turn: &Turn<'_>,
    progress: BulkProgress,
    tally: &mut Tally,
) -> Result<Left, JobError> {
    if let Some(since) = progress.making_since {
        remove_unheard(turn.job, since).await?;
    }
    let selection = reader::selection(&turn.plan).map_err(|e| turn.failed(Step::Plan, &e))?;
    let (lo, hi) = (turn.slice.lo, turn.slice.hi);
    let soql = Soql::slice(&selection.object, &selection.fields, &selection.cursor, lo, hi)
        .under(selection.filter.as_ref());
    let making = BulkProgress { making_since: Some(turn.job.context.clock.now()), ..progress };
    note(turn, &making).await?;
    let made = turn.job.client.bulk_create(&soql).await;
    pass(CrashPoint::AfterPage);
    let progress = BulkProgress { making_since: None, ..making };
    match made {
        Ok(BulkMade { address, read_at }) => {
            tracing::info!(object = %turn.plan.api_name, bulk.id = %address.id, from = %lo, to = %hi, "a Bulk job is made");
            let running = Running {
                id: address.id.to_string(),
                version: address.version.to_string(),
                field_set: turn.plan.transform.fields.id,
                read_at,
                looks: 0,
                complete: false,
                total: None,
                locator: None,
                rows: 0,
            };
            let progress = BulkProgress { running: Some(running), ..progress };
            leave(turn, &progress, waits(next_look(0)), tally).await
        }
        Err(error) => {
            if was_not_made(&error) {
                note(turn, &progress).await?;
            }
            refused(turn, progress, &error, tally).await
        }
    }
}

async fn note(turn: &Turn<'_>, progress: &BulkProgress) -> Result<(), JobError> {
    let client = turn.job.context.db.control().await.map_err(|e| turn.store_failed(&e))?;
    job_touch(&client, turn.job.lease, Some(&stored(progress))).await.map_err(|e| turn.store_failed(&e))
}

/// A refusal says that nothing was made; a broken wire or a hiccup of the platform says nothing.
pub(in crate::jobs) fn was_not_made(error: &SalesforceError) -> bool {
    match error {
        SalesforceError::Api(fault) => (400..500).contains(&fault.status),
        SalesforceError::Held(_) | SalesforceError::Name(_) => true,
        _ => false,
    }
}

/// What else becomes of the slice.
async fn refused(
    turn: &Turn<'_>,
    progress: BulkProgress,
    error: &SalesforceError,
    tally: &mut Tally,
) -> Result<Left, JobError> {
    match error.fault().map(|fault| fault.kind) {
        Some(FaultKind::NotInBulk | FaultKind::NotQueryable) => {
            tracing::info!(object = %turn.plan.api_name, %error, "Bulk refuses the object");
            by_rest(turn, "bulk_refused", &error.to_string(), tally).await
        }
        Some(FaultKind::BulkLimit) => {
            tracing::warn!(object = %turn.plan.api_name, %error, "no Bulk job can be had");
            let settings = turn.job.client.settings();
            let quote = Quote {
                rows: turn.rows,
                page_rows: u64::from(settings.page_rows),
                parts: 1,
                calls_left: turn.job.lane.calls_left(),
                jobs_left: Some(0),
            };
            if rest_instead(turn.job.inputs.settings.read_by, &quote) {
                return by_rest(turn, "bulk_limit", &error.to_string(), tally).await;
            }
            let end = JobEnd::WaitFor { delay: LIMITED, reason: "bulk_limit", attempt: 0 };
            leave(turn, &progress, end, tally).await
        }
        Some(FaultKind::TooLarge) => gave_up(turn, progress, &error.to_string(), tally).await,
        _ => Err(turn.failed(Step::Extract, error)),
    }
}

/// Takes away what this job made at Salesforce without hearing of it.
pub(in crate::jobs) async fn remove_unheard(job: &Job<'_>, since: Timestamp) -> Result<(), JobError> {
    let now = job.context.clock.now();
    let (listed, there) = job.client.bulk_list().await.map_err(|e| JobError::of(Step::Extract, &e, now))?;
    let known = bulk_known(&job.context.db, job.lease).await;
    let BulkKnown { user, ids, making } = known.map_err(|e| JobError::of(Step::Load, &e, now))?;
    let found: Vec<Found> = listed.iter().map(found).collect();
    let of = Unheard {
        user: &user,
        object: &job.inputs.api_name,
        since,
        ahead: there - now,
        known: &ids,
        others: &making,
    };
    let version = job.client.settings().api_version;
    for id in unheard(&found, &of) {
        let Some(lost) = listed.iter().find(|listed| listed.id.as_str() == id) else { continue };
        tracing::info!(object = %job.inputs.api_name, bulk.id = %lost.id, "a Bulk job nobody heard of is put away");
        put_away(job, BulkAddress { id: lost.id, version }).await?;
    }
    Ok(())
}

fn found(job: &BulkListed) -> Found {
    Found {
        id: job.id.to_string(),
        by: job.by.to_string(),
        made_at: job.made_at,
        object: job.object.clone(),
        sees_deleted: job.sees_deleted,
    }
}
