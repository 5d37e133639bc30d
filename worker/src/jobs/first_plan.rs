//! The first plan of an object: what it looks like to us, where changes start, and which slices of history to
//! read. Also the fresh look at an object whose schema may have moved, and history read once more for what is new in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use refrain_shared::catalog::field_set::{FieldSet, choose_fields, linked_paths};
use refrain_shared::catalog::filter::check::{ask, problems};
use refrain_shared::catalog::filter::keep::Keep;
use refrain_shared::catalog::transcript;
use refrain_shared::catalog::{
    Found, MessageFields, ObjectDescribe, Parents, Projection, Role, StandardObject, TicketFields, Walk, walk,
};
use refrain_shared::clock::Timestamp;
use refrain_shared::error::{Classify as _, Disposition, ReplanHint, UserMessage};
use refrain_shared::ids::FieldSetId;
use refrain_shared::job::ObjectSettings;
use refrain_shared::job::checkpoint::{clamp_watermark, wanted_from};
use refrain_shared::job::price::{History, Quote, cut_history, may_be_bulk, page_rows};
use refrain_shared::salesforce::condition::Condition;
use refrain_shared::salesforce::describe::Described;
use refrain_shared::salesforce::query::Scope;
use refrain_shared::salesforce::soql::{FieldPath, ObjectName, Soql};
use refrain_shared::salesforce::{SalesforceError, object_refused};
use refrain_shared::storage::checkpoints::{
    FirstPlan, checkpoint_stop, first_plan_store, history_again, history_close, resync_begin, scope_extend,
};
use refrain_shared::storage::describes::{SeenObject, describe_store};
use refrain_shared::storage::filters::{filter_store, filtered_again};
use refrain_shared::storage::related::{beyond_history_again, related_at_first_plan};
use refrain_shared::storage::slices::SliceJob;
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::tenant::TenantScope;
use refrain_shared::ticket::ticket_paths;

use super::Job;
use crate::error::{JobError, Step};

/// Whether what is remembered of parents may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remembered {
    /// It is good enough to begin with.
    Counts,
    /// A query was refused because of it.
    IsStale,
}

/// What planning found.
pub enum Planned {
    /// The org has no such object, or no licence for it.
    Absent,
    /// It can be read.
    Ready,
}

/// Describes, counts, cuts, and stores it all in one transaction.
pub async fn run(job: &Job<'_>) -> Result<Planned, JobError> {
    let Some(describe) = describe(job).await? else { return stop_absent(job).await };
    let cursor = cursor_of(&describe)?;
    check_filter(job, &describe)?;
    let parents = parents(job, &describe, Remembered::Counts).await?;
    let plan = if found_of(job).is_by_parents() {
        // Its watermark follows those of what leads to its records.
        let watermark = Timestamp::UNIX_EPOCH;
        FirstPlan { scope_from: None, watermark, expected: None, slices: Vec::new(), by_parents: true }
    } else {
        history(job, &describe, &cursor).await?
    };
    store(job, &describe, &parents, Then::Begin(&plan)).await?;
    tracing::info!(
        object = %describe.name, expected = plan.expected, slices = plan.slices.len(), "first load planned"
    );
    Ok(Planned::Ready)
}

/// How the object's records are found.
pub fn found_of(job: &Job<'_>) -> Found {
    StandardObject::find(&job.inputs.api_name).map_or(Found::ByStamp, |object| object.found)
}

/// Looks at the object again and stores what is there now; the checkpoint's place is kept. Fields that were not read before
/// are read back: all of history once more, and what is here from before it. So it is where another filter may keep more; one
/// that keeps less is applied to what is here, by another job. An object that cannot be seen any more waits for a person.
pub async fn describe_again(job: &Job<'_>) -> Result<(), JobError> {
    let describe = describe(job).await?.ok_or_else(|| not_readable(&job.inputs.api_name))?;
    let cursor = cursor_of(&describe)?;
    check_filter(job, &describe)?;
    let parents = parents(job, &describe, Remembered::IsStale).await?;
    let (fields, _) = choose_fields(&describe, &wanted_paths(&job.inputs.settings), &parents);
    let is_new = |path: &str| job.inputs.field_set.as_ref().is_some_and(|set| set.position(path).is_none());
    let gains = fields.iter().any(|field| is_new(&field.path))
        || job.inputs.filters.may_lack(job.inputs.settings.filter.as_ref());
    // What is found by others has no slices; it is read with all of its fields when they lead to it again.
    if !gains || found_of(job).is_by_parents() {
        return store(job, &describe, &parents, Then::GoOn).await;
    }
    let scope_from = job.inputs.checkpoint.scope_from;
    let to = job.inputs.checkpoint.watermark.unwrap_or(Timestamp::UNIX_EPOCH);
    let by_id = job.inputs.checkpoint.by_id;
    let condition = condition(job, &FieldSet::new(FieldSetId(0), fields));
    let Past { rows, oldest, .. } =
        past(job, (&cursor, by_id, condition), scope_from, Timestamp::MAX_UTC).await?;
    let page_rows = page_rows(&describe, page_rows_asked(job));
    let slices = cut(job, &span(oldest, to, scope_from), rows, page_rows).await?;
    tracing::info!(object = %describe.name, rows, slices = slices.len(), "history is read back for new fields");
    store(job, &describe, &parents, Then::ReadBack(expected(rows), &slices)).await
}

async fn describe(job: &Job<'_>) -> Result<Option<ObjectDescribe>, JobError> {
    if found_of(job) == Found::ByCalls {
        return Ok(Some(transcript::describe()));
    }
    let object = object_name(job)?;
    match job.client.describe(&object, None).await.map_err(|e| extract_failed(job, &e))? {
        Described::Absent => Ok(None),
        Described::Found { describe, .. } if describe.queryable => Ok(Some(*describe)),
        Described::Found { describe, .. } => Err(not_readable(&describe.name)),
        // No condition was sent, so an answer without a body is a broken one.
        Described::Unchanged => {
            let received = "nothing".to_owned();
            let error = SalesforceError::Unreadable { expected: "a describe", status: 304, received };
            Err(extract_failed(job, &error))
        }
    }
}

/// The describes of every parent that a linked path walks through, a composite call for each level of them.
async fn parents(
    job: &Job<'_>,
    describe: &ObjectDescribe,
    remembered: Remembered,
) -> Result<Parents, JobError> {
    let paths = linked_paths(describe, &wanted_paths(&job.inputs.settings));
    let mut parents = Parents::from([(describe.name.clone(), Some(Arc::new(describe.clone())))]);
    loop {
        let needed = paths.iter().filter_map(|path| match walk(describe, path, &parents) {
            Walk::Needs(object) => Some(object),
            Walk::Reads | Walk::Broken => None,
        });
        let needed: BTreeSet<String> = needed.collect();
        if needed.is_empty() {
            return Ok(parents);
        }
        let mut unknown = Vec::new();
        for object in needed {
            match job.context.parents.get(job.lease.connection, &object) {
                Some(seen) if remembered == Remembered::Counts => drop(parents.insert(object, seen)),
                _ => unknown.push(object),
            }
        }
        for (object, seen) in look(job, &unknown).await? {
            job.context.parents.put(job.lease.connection, &object, seen.clone());
            parents.insert(object, seen);
        }
    }
}

/// Describes objects by one composite call.
pub(super) async fn look(
    job: &Job<'_>,
    objects: &[String],
) -> Result<Vec<(String, Option<Arc<ObjectDescribe>>)>, JobError> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = Vec::with_capacity(objects.len());
    for object in objects {
        asked.push((ObjectName::parse(object).map_err(|e| extract_failed(job, &e.into()))?, None));
    }
    let answers = job.client.describe_many(&asked).await.map_err(|e| extract_failed(job, &e))?;
    let seen = objects.iter().zip(answers).map(|(object, answer)| {
        let describe = match answer {
            Ok(Described::Found { describe, .. }) => Some(Arc::from(describe)),
            // No condition was sent, so there is no other answer without a body.
            Ok(Described::Absent | Described::Unchanged) => None,
            Err(error) => match error.disposition(job.context.clock.now()) {
                // Refused to this user: its paths are left out, the object itself goes on.
                Disposition::ParkObject { .. } | Disposition::ParkConnection { .. } => None,
                Disposition::Retry { .. }
                | Disposition::Defer { .. }
                | Disposition::Replan { .. }
                | Disposition::Discard
                | Disposition::Bug => return Err(extract_failed(job, &error)),
            },
        };
        Ok((object.clone(), describe))
    });
    seen.collect()
}

/// A filter that cannot be asked waits for a person: anything else would keep the wrong records.
fn check_filter(job: &Job<'_>, describe: &ObjectDescribe) -> Result<(), JobError> {
    let problems =
        job.inputs.settings.filter.as_ref().map_or_else(Vec::new, |filter| problems(filter, describe));
    if problems.is_empty() { Ok(()) } else { Err(park(ask(&describe.name, &problems), "filter_not_usable")) }
}

/// The filter as history is asked for under it, by these fields.
fn condition(job: &Job<'_>, fields: &FieldSet) -> Option<Condition> {
    let keep = Keep::of(job.inputs.settings.filter.as_ref()?, fields)?;
    Some(Condition::of(&keep))
}

fn condition_now(job: &Job<'_>) -> Option<Condition> {
    condition(job, job.inputs.field_set.as_ref()?)
}

fn cursor_of(describe: &ObjectDescribe) -> Result<String, JobError> {
    describe.cursor_field().map(str::to_owned).ok_or_else(|| {
        let ask = UserMessage::new(
            "SF_NO_CURSOR_FIELD",
            format!("{} cannot be followed.", describe.name),
            "The integration user sees none of SystemModstamp, LastModifiedDate and CreatedDate on it.",
            "Give the integration user read access to those fields, then start the sync again.",
        );
        park(ask, "no_cursor_field")
    })
}

/// Changes start at the answer's own Date, less what may not have settled; history ends there. Never later than now by our
/// own clock: a Date that is ahead of the time would hide all that happens until then.
async fn history(job: &Job<'_>, describe: &ObjectDescribe, cursor: &str) -> Result<FirstPlan, JobError> {
    let scope_from = wanted_from(&job.inputs.settings, job.context.clock.now());
    let by_id = describe.field(cursor).is_some_and(|field| !field.sortable);
    let (fields, _) = choose_fields(describe, &[], &Parents::new());
    let condition = condition(job, &FieldSet::new(FieldSetId(0), fields));
    let Past { rows, read_at, oldest } =
        past(job, (cursor, by_id, condition), scope_from, Timestamp::MAX_UTC).await?;
    let watermark = clamp_watermark(job.context.clock.now(), read_at, job.inputs.settings.settle_s);
    let history = span(oldest, watermark, scope_from);
    let slices = cut(job, &history, rows, page_rows(describe, page_rows_asked(job))).await?;
    tracing::debug!(object = %describe.name, rows, "history counted");
    Ok(FirstPlan { scope_from, watermark, expected: expected(rows), slices, by_parents: false })
}

/// Plans the history between `wanted` and what was planned before.
pub async fn further_back(job: &Job<'_>, wanted: Option<Timestamp>) -> Result<(), JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let checkpoint = &job.inputs.checkpoint;
    let Some((planned, cursor)) = checkpoint.scope_from.zip(checkpoint.cursor_field.as_deref()) else {
        return Ok(());
    };
    let how = (cursor, checkpoint.by_id, condition_now(job));
    let Past { rows, oldest, .. } = past(job, how, wanted, planned).await?;
    let slices = cut(job, &span(oldest, planned, wanted), rows, page_rows_asked(job)).await?;
    let mut client = job.context.db.tenant().await.map_err(failed)?;
    let scope = TenantScope::leased(job.lease.tenant);
    let tx = TenantTx::begin(&mut client, &scope).await.map_err(failed)?;
    scope_extend(&tx, job.lease, wanted, expected(rows), &slices).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    tracing::info!(object = %job.inputs.api_name, rows, slices = slices.len(), "history reaches further back");
    Ok(())
}

/// A resync from before what was called off brings that back, as far as history is wanted.
pub async fn beyond_called_off(job: &Job<'_>, from: Timestamp) -> Result<(), JobError> {
    let checkpoint = &job.inputs.checkpoint;
    let wanted = wanted_from(&job.inputs.settings, job.context.clock.now());
    let from = wanted.map_or(from, |wanted| wanted.max(from));
    if checkpoint.called_off.is_some() && checkpoint.scope_from.is_some_and(|begins| from < begins) {
        further_back(job, Some(from)).await?;
    }
    Ok(())
}

/// Reads what belongs to the tickets that are here, from before where history begins since it was called off.
pub async fn close(job: &Job<'_>) -> Result<(), JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let scope = TenantScope::leased(job.lease.tenant);
    let mut client = job.context.db.tenant().await.map_err(failed)?;
    let tx = TenantTx::begin(&mut client, &scope).await.map_err(failed)?;
    history_close(&tx, job.lease, &job.inputs.parents).await.map_err(failed)?;
    tx.commit().await.map_err(failed)
}

/// Plans what is stamped since `from`, up to the watermark, to be read once more beside all that goes on.
pub async fn resync(job: &Job<'_>, from: Timestamp) -> Result<(), JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let checkpoint = &job.inputs.checkpoint;
    let Some((to, cursor)) = checkpoint.watermark.zip(checkpoint.cursor_field.as_deref()) else {
        return Ok(());
    };
    // What is older than what is wanted of history is not here, and stays away.
    let from = checkpoint.scope_from.map_or(from, |scope| from.max(scope));
    let how = (cursor, checkpoint.by_id, condition_now(job));
    let Past { rows, oldest, .. } = past(job, how, Some(from), to).await?;
    let slices = cut(job, &span(oldest, to, Some(from)), rows, page_rows_asked(job)).await?;
    let mut client = job.context.db.tenant().await.map_err(failed)?;
    let scope = TenantScope::leased(job.lease.tenant);
    let tx = TenantTx::begin(&mut client, &scope).await.map_err(failed)?;
    resync_begin(&tx, job.lease, &slices).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    tracing::info!(object = %job.inputs.api_name, rows, slices = slices.len(), "a part of history is read once more");
    Ok(())
}

/// A part of history before it is cut.
struct Past {
    /// How many records there are; `None` where Salesforce cannot count so many in its time.
    rows: Option<u64>,
    /// Salesforce's clock.
    read_at: Timestamp,
    /// The oldest stamp, where it matters.
    oldest: Option<Timestamp>,
}

async fn past(
    job: &Job<'_>,
    (cursor, by_id, condition): (&str, bool, Option<Condition>),
    from: Option<Timestamp>,
    to: Timestamp,
) -> Result<Past, JobError> {
    let object = object_name(job)?;
    let field = FieldPath::parse(cursor).map_err(|e| extract_failed(job, &e.into()))?;
    let soql = if from.is_none() && to == Timestamp::MAX_UTC {
        Soql::count_all(&object)
    } else {
        let latest = job.context.clock.now() + chrono::Duration::days(1);
        Soql::count(&object, &field, from.unwrap_or(Timestamp::UNIX_EPOCH), to.min(latest))
    };
    let counted = count(job, soql.under(condition.as_ref())).await?;
    let (found, read_at) = match counted {
        // What cannot be ordered has no oldest one: then history is not cut.
        Some(Counted { rows, read_at }) if by_id || rows <= page_rows_asked(job) => (None, read_at),
        Some(Counted { read_at, .. }) => (oldest(job, &object, &field).await?.0, read_at),
        None if by_id => return Err(extract_failed(job, &SalesforceError::LocatorLost)),
        None => oldest(job, &object, &field).await?,
    };
    Ok(Past { rows: counted.map(|counted| counted.rows), read_at, oldest: found.max(from) })
}

fn span(oldest: Option<Timestamp>, newest: Timestamp, from: Option<Timestamp>) -> History {
    History { oldest: oldest.unwrap_or(newest), newest, from: from.unwrap_or(Timestamp::UNIX_EPOCH) }
}

/// Cuts history into slices, each to be read the way that costs the org less.
async fn cut(
    job: &Job<'_>,
    history: &History,
    rows: Option<u64>,
    page_rows: u64,
) -> Result<Vec<SliceJob>, JobError> {
    let (object, read_by) = (&job.inputs.api_name, job.inputs.settings.read_by);
    let mut quote = Quote { rows, page_rows, parts: 1, calls_left: job.lane.calls_left(), jobs_left: None };
    if read_by.is_auto() && may_be_bulk(object, read_by, &quote) {
        quote.jobs_left = job.client.bulk_jobs_left().await.map_err(|e| extract_failed(job, &e))?;
    }
    Ok(cut_history(history, object, read_by, &quote).into_iter().map(SliceJob::from).collect())
}

fn page_rows_asked(job: &Job<'_>) -> u64 {
    u64::from(job.client.settings().page_rows)
}

fn expected(rows: Option<u64>) -> Option<i64> {
    rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX))
}

/// How many records an object has, and when that was.
#[derive(Debug, Clone, Copy)]
struct Counted {
    rows: u64,
    read_at: Timestamp,
}

/// `None` where Salesforce cannot count so many in its time: history is then read without knowing its size.
async fn count(job: &Job<'_>, soql: Soql) -> Result<Option<Counted>, JobError> {
    match job.client.query(soql, Scope::All).next_page().await {
        Ok(Some(page)) => Ok(Some(Counted { rows: page.total_size, read_at: page.read_at })),
        Ok(None) => Err(extract_failed(job, &SalesforceError::LocatorLost)),
        Err(error) => {
            let failed = extract_failed(job, &error);
            match failed.disposition {
                Disposition::Replan { hint: ReplanHint::HalveSlice } => Ok(None),
                _ => Err(failed),
            }
        }
    }
}

async fn oldest(
    job: &Job<'_>,
    object: &ObjectName,
    cursor: &FieldPath,
) -> Result<(Option<Timestamp>, Timestamp), JobError> {
    job.client.oldest(object, cursor, Scope::All).await.map_err(|e| extract_failed(job, &e))
}

/// What follows from what the object looks like.
enum Then<'a> {
    /// It is read for the first time.
    Begin(&'a FirstPlan),
    /// It goes on as it was.
    GoOn,
    /// These slices of history, of about so many records, are read once more.
    ReadBack(Option<i64>, &'a [SliceJob]),
}

async fn store(
    job: &Job<'_>,
    describe: &ObjectDescribe,
    parents: &Parents,
    then: Then<'_>,
) -> Result<(), JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let linked = wanted_paths(&job.inputs.settings);
    let (fields, dropped) = choose_fields(describe, &linked, parents);
    let key_prefix = describe
        .key_prefix
        .as_deref()
        .or_else(|| StandardObject::find(&describe.name).map(|object| object.key_prefix));
    let scope = TenantScope::leased(job.lease.tenant);
    let mut client = job.context.db.tenant().await.map_err(failed)?;
    let tx = TenantTx::begin(&mut client, &scope).await.map_err(failed)?;
    let settings = &job.inputs.settings;
    let role = job.inputs.role.unwrap_or(Role::Reference);
    let shown = ticket_paths(&Projection::of(&job.inputs.api_name, role, settings), &settings.facets);
    let seen = SeenObject {
        describe,
        linked: &linked,
        fields: &fields,
        dropped: &dropped,
        key_prefix,
        shown: &shown,
    };
    let widens = job.inputs.filters.may_lack(job.inputs.settings.filter.as_ref());
    describe_store(&tx, job.lease, &seen).await.map_err(failed)?;
    filter_store(&tx, job.lease.object, job.inputs.settings.filter.as_ref()).await.map_err(failed)?;
    match then {
        Then::Begin(plan) => {
            first_plan_store(&tx, job.lease, plan).await.map_err(failed)?;
            if plan.slices.is_empty() || plan.scope_from.is_some() || plan.by_parents {
                related_at_first_plan(&tx, job.lease, &job.inputs.parents).await.map_err(failed)?;
            }
        }
        Then::ReadBack(expected, slices) => {
            if !slices.is_empty() {
                history_again(&tx, job.lease, expected, slices).await.map_err(failed)?;
            }
            beyond_history_again(&tx, job.lease).await.map_err(failed)?;
            if widens {
                filtered_again(&tx, job.lease).await.map_err(failed)?;
            }
        }
        Then::GoOn => {}
    }
    tx.commit().await.map_err(failed)
}

/// The paths that people asked for: linked fields, and whatever else of their settings walks to a parent.
pub fn wanted_paths(settings: &ObjectSettings) -> Vec<String> {
    let facets = settings.facets.iter().map(|facet| &facet.path);
    let ticket = settings.ticket.iter().flat_map(TicketFields::paths);
    let message = settings.message.iter().flat_map(MessageFields::paths);
    let walking = facets.chain(ticket).chain(message).filter(|path| path.contains('.'));
    settings.linked.iter().chain(walking).cloned().collect()
}

async fn stop_absent(job: &Job<'_>) -> Result<Planned, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let scope = TenantScope::leased(job.lease.tenant);
    let mut client = job.context.db.tenant().await.map_err(failed)?;
    let tx = TenantTx::begin(&mut client, &scope).await.map_err(failed)?;
    checkpoint_stop(&tx, job.lease.object, None).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    tracing::info!(object = %job.inputs.api_name, "the org has no such object, or no licence for it");
    Ok(Planned::Absent)
}

fn object_name(job: &Job<'_>) -> Result<ObjectName, JobError> {
    ObjectName::parse(&job.inputs.api_name).map_err(|e| extract_failed(job, &e.into()))
}

fn extract_failed(job: &Job<'_>, error: &SalesforceError) -> JobError {
    JobError::of(Step::Plan, error, job.context.clock.now())
}

fn not_readable(object: &str) -> JobError {
    park(object_refused(object), "object_not_readable")
}

fn park(ask: UserMessage, code: &'static str) -> JobError {
    let detail = ask.to_string();
    JobError { step: Step::Plan, disposition: Disposition::ParkObject { ask }, code, detail }
}
