//! Entries whose session or call left: nobody answers for an entry alone, so the session is asked for, and what was said in
//! one that is gone is gone as well.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use refrain_shared::catalog::StandardObject;
use refrain_shared::clock::Timestamp;
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::lease::{JobEnd, SLICE_TIME};
use refrain_shared::job::related::{Related, RelatedProgress};
use refrain_shared::salesforce::SalesforceError;
use refrain_shared::salesforce::query::Scope;
use refrain_shared::salesforce::slice::Selection;
use refrain_shared::salesforce::soql::{FieldPath, ObjectName};
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use refrain_shared::storage::related::sessions_of;
use refrain_shared::tenant::TenantScope;
use serde_json::Value;
use tokio::time::Instant;

use super::super::related::{purged, stored};
use super::super::{Job, Left};
use crate::engine::load::{Prepared, commit};
use crate::engine::{ReadPlan, Tally};
use crate::error::{JobError, Step};

/// Makes tombstones of the job's entries whose session is gone.
pub(super) async fn run(
    job: Job<'_>,
    plan: Arc<ReadPlan>,
    related: Related,
    mut progress: RelatedProgress,
    tally: &mut Tally,
) -> Result<Left, JobError> {
    let begun = Instant::now();
    while !progress.is_done(&related) {
        if begun.elapsed() >= SLICE_TIME || job.context.draining.is_cancelled() || job.stop.is_cancelled() {
            return Ok(Left::Open(JobEnd::More));
        }
        let ids = progress.next(&related);
        progress = progress.advanced();
        let said_in = sessions(&job, &ids).await?;
        let sessions: BTreeSet<SalesforceId> = said_in.values().copied().collect();
        let mut gone = HashSet::new();
        let mut read_at = job.context.clock.now();
        for (kind, asked) in by_kind(sessions) {
            let (answered, at) = answered(&job, kind, &asked).await?;
            let left = said_in.iter().filter(|(_, of)| asked.contains(of) && !answered.contains(of));
            gone.extend(left.map(|(entry, _)| *entry));
            read_at = at.min(read_at);
        }
        let rows = purged(&job, &plan, &gone, read_at).await?;
        let step = |_: &Tally| JobStep::Continue(stored(&progress));
        commit(job.context, &plan, Prepared::gone(rows, read_at), CheckpointMove::Stays, step, tally).await?;
    }
    Ok(Left::Open(JobEnd::Done))
}

/// The sessions and calls in which these entries were said, as far as they are shown.
async fn sessions(
    job: &Job<'_>,
    ids: &[SalesforceId],
) -> Result<HashMap<SalesforceId, SalesforceId>, JobError> {
    let scope = TenantScope::leased(job.lease.tenant);
    sessions_of(&job.context.db, &scope, job.lease.connection, job.lease.object, ids)
        .await
        .map_err(|error| JobError::of(Step::Plan, &error, job.context.clock.now()))
}

/// By the object that each is a record of.
fn by_kind(sessions: BTreeSet<SalesforceId>) -> HashMap<&'static str, Vec<SalesforceId>> {
    let mut kinds: HashMap<&'static str, Vec<SalesforceId>> = HashMap::new();
    for session in sessions {
        if let Some(object) = StandardObject::of_prefix(session.key_prefix()) {
            kinds.entry(object.api_name).or_default().push(session);
        }
    }
    kinds
}

/// Those of these records that are live in the org, and when it said so.
async fn answered(
    job: &Job<'_>,
    object: &str,
    ids: &[SalesforceId],
) -> Result<(HashSet<SalesforceId>, Timestamp), JobError> {
    let extract = |error: SalesforceError| JobError::of(Step::Extract, &error, job.context.clock.now());
    let selection = || -> Result<Selection, SalesforceError> {
        Ok(Selection {
            filter: None,
            object: ObjectName::parse(object)?,
            fields: vec![FieldPath::id()],
            cursor: FieldPath::parse("SystemModstamp")?,
            scope: Scope::Live,
        })
    };
    let mut pages = job.client.read_references(selection().map_err(extract)?, FieldPath::id(), ids);
    let (mut found, mut read_at) = (HashSet::new(), job.context.clock.now());
    while let Some(page) = pages.next_page().await.map_err(extract)? {
        read_at = read_at.min(page.read_at);
        for record in page.records() {
            let record: Value = serde_json::from_str(record.get()).unwrap_or_default();
            found.extend(record["Id"].as_str().and_then(|id| SalesforceId::parse(id).ok()));
        }
    }
    Ok((found, read_at))
}
