//! Transcripts of sessions and calls that ended: read one by one through the Connect API, in a class of their own, since
//! Salesforce counts these calls by the hour. What SOQL tells already is not asked for again.

mod departed;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use refrain_shared::catalog::transcript::{self, TranscriptEntry};
use refrain_shared::catalog::{Found, StandardObject};
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::lease::{JobEnd, SLICE_TIME};
use refrain_shared::job::related::RelatedProgress;
use refrain_shared::salesforce::query::Scope;
use refrain_shared::salesforce::slice::{RecordPage, Selection};
use refrain_shared::salesforce::soql::{FieldPath, ObjectName};
use refrain_shared::salesforce::{FaultKind, SalesforceError};
use refrain_shared::storage::StoreError;
use refrain_shared::storage::jobs::job_touch;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use refrain_shared::storage::related::spoken_here;
use refrain_shared::tenant::TenantScope;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::incremental::not_described;
use super::related::{not_ready, progress_of, related_of, stored};
use super::{Job, Left};
use crate::engine::load::{commit, prepare};
use crate::engine::{ReadPlan, Tally};
use crate::error::{JobError, Step};

/// Sessions looked up at once.
const AT_ONCE: usize = 20;
/// The hourly limit lets calls through again bit by bit.
const LIMITED: Duration = Duration::from_secs(15 * 60);

/// A session or call whose transcript is complete.
struct Ended {
    id: SalesforceId,
    conversation: String,
}

/// How reading a transcript went.
enum Told {
    /// It is here, or there is none.
    Done,
    /// The hour's calls are spent.
    Limited,
}

/// Reads the transcripts of the job's sessions and calls.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let now = || job.context.clock.now();
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, now());
    if let Some(end) = not_ready(job.inputs.checkpoint.state) {
        return Ok(Left::Open(end));
    }
    let related = related_of(job.lease).map_err(failed)?;
    let mut progress = progress_of(job.lease.progress.clone()).map_err(failed)?;
    progress.each = progress.each.min(AT_ONCE);
    let Some(plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(&job));
    };
    let (plan, begun) = (Arc::new(plan), Instant::now());
    if related.gone {
        // Rare and large.
        return Box::pin(departed::run(job, plan, related, progress, tally)).await;
    }
    while !progress.is_done(&related) {
        if begun.elapsed() >= SLICE_TIME || job.context.draining.is_cancelled() || job.stop.is_cancelled() {
            return Ok(Left::Open(JobEnd::More));
        }
        let ids = progress.next(&related);
        for session in wanted(&job, &ids).await? {
            match tell(&job, &plan, &session, progress, tally).await? {
                Told::Done => {}
                Told::Limited => {
                    let reason = "transcript_limit";
                    return Ok(Left::Open(JobEnd::WaitFor { delay: LIMITED, reason, attempt: 0 }));
                }
            }
        }
        progress = progress.advanced();
        let client = job.context.db.control().await.map_err(failed)?;
        job_touch(&client, job.lease, Some(&stored(&progress))).await.map_err(failed)?;
    }
    Ok(Left::Open(JobEnd::Done))
}

/// Of these sessions and calls, those that ended and whose words are not here.
async fn wanted(job: &Job<'_>, ids: &[SalesforceId]) -> Result<Vec<Ended>, JobError> {
    let scope = TenantScope::leased(job.lease.tenant);
    let ids_here: Vec<&str> = ids.iter().map(SalesforceId::as_str).collect();
    let spoken = spoken_here(&job.context.db, &scope, job.lease.connection, job.lease.object, &ids_here)
        .await
        .map_err(|error| JobError::of(Step::Plan, &error, job.context.clock.now()))?;
    let silent: Vec<SalesforceId> = ids.iter().filter(|id| !spoken.contains(id.as_str())).copied().collect();
    let kinds: HashSet<&str> = silent.iter().map(SalesforceId::key_prefix).collect();
    let mut ended = Vec::new();
    for kind in kinds {
        let known = StandardObject::of_prefix(kind);
        // An entry is no session, and no object of Salesforce.
        let Some(object) = known.filter(|object| object.found != Found::ByCalls) else { continue };
        let of_kind: Vec<SalesforceId> =
            silent.iter().filter(|id| id.key_prefix() == kind).copied().collect();
        ended.extend(looked_up(job, object.api_name, &of_kind).await?);
    }
    Ok(ended)
}

async fn looked_up(
    job: &Job<'_>,
    object: &'static str,
    ids: &[SalesforceId],
) -> Result<Vec<Ended>, JobError> {
    let extract = |error: SalesforceError| JobError::of(Step::Extract, &error, job.context.clock.now());
    let ends = if object == "VoiceCall" { "CallEndDateTime" } else { "EndTime" };
    let selection = || -> Result<Selection, SalesforceError> {
        Ok(Selection {
            filter: None,
            object: ObjectName::parse(object)?,
            fields: vec![FieldPath::parse(transcript::IDENTIFIER)?, FieldPath::parse(ends)?],
            cursor: FieldPath::parse("SystemModstamp")?,
            scope: Scope::Live,
        })
    };
    let selection = selection().map_err(extract)?;
    let mut pages = job.client.read_references(selection, FieldPath::id(), ids);
    let mut found = Vec::new();
    while let Some(page) = pages.next_page().await.map_err(extract)? {
        for record in page.records() {
            let record: Value = serde_json::from_str(record.get()).unwrap_or_default();
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let id = text(&record["Id"]).and_then(|id| SalesforceId::parse(&id).ok());
            let conversation = text(&record["Conversation"]["ConversationIdentifier"]);
            if let (Some(id), Some(conversation), false) = (id, conversation, record[ends].is_null()) {
                found.push(Ended { id, conversation });
            }
        }
    }
    Ok(found)
}

/// Reads a transcript part by part, each committed before the next is asked for.
async fn tell(
    job: &Job<'_>,
    plan: &Arc<ReadPlan>,
    session: &Ended,
    progress: RelatedProgress,
    tally: &mut Tally,
) -> Result<Told, JobError> {
    let mut from = 0;
    loop {
        let page = match job.client.transcript(&session.conversation, from).await {
            Ok(page) => page,
            Err(error) => {
                return match error.fault().map(|fault| (fault.status, fault.kind)) {
                    Some((503, _)) => Ok(Told::Limited),
                    // Calls inside of a web page may leave none.
                    Some((_, FaultKind::NotFound)) => Ok(Told::Done),
                    _ => Err(JobError::of(Step::Extract, &error, job.context.clock.now())),
                };
            }
        };
        let records: Vec<Box<RawValue>> =
            page.entries.iter().filter_map(|entry| raw(&session.id, entry)).collect();
        let next = page.next_from;
        let page = RecordPage::made(records, page.read_at, next.is_none());
        let prepared = prepare(job.context, plan, vec![page]).await?;
        // The session is done with when all of its job's are.
        let step = |_: &Tally| JobStep::Continue(stored(&progress));
        commit(job.context, plan, prepared, CheckpointMove::Stays, step, tally).await?;
        match next {
            Some(next) => from = next,
            None => return Ok(Told::Done),
        }
    }
}

fn raw(session: &SalesforceId, entry: &TranscriptEntry) -> Option<Box<RawValue>> {
    RawValue::from_string(transcript::record(session, entry)?).ok()
}
