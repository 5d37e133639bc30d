//! The standing job of an object that reads again what is here of it, because values are shown with it that are not its own:
//! the children of changed parents, which [`follow`](super::follow) noted, a batch of parents at a time; and everything on a
//! schedule, id by id, where formulas or parents that cannot be followed are read. What is as it was writes nothing, what is
//! written leads to nothing else, and what is not kept here is passed over.
//!
//! A parent of very many children, of which few are kept here, is no way to them: then everything that is here is read
//! instead, which is never more than that. Turns are short: whatever changed by itself, and people, come first.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use refrain_shared::clock::Timestamp;
use refrain_shared::error::{Disposition, ReplanHint};
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::checkpoint::SyncState;
use refrain_shared::job::lease::{JobEnd, Kind, Lease};
use refrain_shared::job::refresh::{Asked, Batch, EACH, RefreshProgress, Walk, every, walk_is_cheaper};
use refrain_shared::salesforce::SalesforceError;
use refrain_shared::salesforce::slice::{RecordPage, RecordPages, Selection};
use refrain_shared::salesforce::soql::FieldPath;
use refrain_shared::storage::checkpoints::PlanInputs;
use refrain_shared::storage::jobs::job_touch;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use refrain_shared::storage::read_again::{RefreshBasis, live_next, refresh_basis, stale_done, stale_next};
use refrain_shared::storage::records::ObjectKey;
use refrain_shared::storage::sweeps::standing_ask;
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::telemetry::names;
use refrain_shared::tenant::TenantScope;
use tokio::time::Instant;

use super::deleted::{finish, not_ready, read};
use super::incremental::{not_described, report};
use super::{IDLE, Job, Left, wants_describe};
use crate::context::Context;
use crate::crash::{CrashPoint, pass};
use crate::engine::load::{commit, prepare};
use crate::engine::{ReadPlan, Tally, reader};
use crate::error::{JobError, Step};

/// A turn is no longer than this: it holds one of the org's lanes.
const TURN: Duration = Duration::from_secs(10);
/// Whoever notes a changed parent asks for this job; it looks by itself this often.
const LOOK: Duration = Duration::from_secs(3600);
/// While history is being read, everything that is here changes under a walk.
const LOADING: Duration = Duration::from_secs(60);

/// How the job waits when nothing is to be read.
pub async fn rests(
    context: &Context,
    lease: &Lease,
    inputs: &PlanInputs,
) -> Result<Option<JobEnd>, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, context.clock.now());
    let state = inputs.checkpoint.state;
    if let Some(end) = not_ready(state) {
        return Ok(Some(end));
    }
    let progress: RefreshProgress = read(&lease.progress, "a job's progress").map_err(failed)?;
    let asked: Asked = read(&lease.params, "what a person asked for").map_err(failed)?;
    let basis = refresh_basis(&context.db, &TenantScope::leased(lease.tenant), key(lease)).await;
    let basis = basis.map_err(failed)?;
    let Some(derived) = &basis.derived else { return Ok(Some(wait(IDLE, "not_described"))) };
    if basis.stale > 0 || progress.batch.is_some() || progress.walk.is_some() {
        return Ok(None);
    }
    let due = progress.due(every(&inputs.settings, derived), basis.loaded_at, asked);
    Ok(match due.map(|due| due - basis.now) {
        Some(left) if left <= TimeDelta::zero() && state == SyncState::Loading => {
            Some(wait(LOADING, "loading"))
        }
        Some(left) if left <= TimeDelta::zero() => None,
        left => {
            let left = left.and_then(|left| left.to_std().ok()).unwrap_or(LOOK);
            Some(wait(left.min(LOOK), "cadence"))
        }
    })
}

/// Reads on from the last commit, until nothing is left or the turn is over.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, job.context.clock.now());
    let progress: RefreshProgress = read(&job.lease.progress, "a job's progress").map_err(failed)?;
    let asked: Asked = read(&job.lease.params, "what a person asked for").map_err(failed)?;
    let Some(plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(&job));
    };
    let selection = reader::selection(&plan)
        .map_err(|error| JobError::of(Step::Plan, &error, job.context.clock.now()))?;
    let each = progress
        .each
        .unwrap_or_else(|| job.client.references_at_once(&selection, &FieldPath::id()).min(EACH));
    let mut refresh = Refresh {
        job: &job,
        plan: Arc::new(plan),
        scope: TenantScope::leased(job.lease.tenant),
        key: key(job.lease),
        selection,
        progress,
        asked,
        each,
        begun: Instant::now(),
    };
    let end = match refresh.go_on(tally).await {
        // The schema moved: the object's own job looks at it again, and this one goes on afterwards.
        Err(error) if wants_describe(&error) => {
            let ask = standing_ask(&job.context.db, Kind::Incremental, job.lease.object).await;
            ask.map_err(failed)?;
            wait(LOADING, "replan")
        }
        end => end?,
    };
    tally.calls += job.lane.attempts_taken();
    let attempt = report(tally, end != JobEnd::More);
    finish(job.context, job.lease, &refresh.progress, &end, &attempt).await.map_err(failed)?;
    Ok(Left::Ended)
}

/// A turn.
struct Refresh<'a> {
    job: &'a Job<'a>,
    plan: Arc<ReadPlan>,
    scope: TenantScope,
    key: ObjectKey,
    selection: Selection,
    progress: RefreshProgress,
    asked: Asked,
    /// Ids asked for at once.
    each: usize,
    begun: Instant,
}

impl Refresh<'_> {
    async fn go_on(&mut self, tally: &mut Tally) -> Result<JobEnd, JobError> {
        let mut has_begun = false;
        loop {
            if has_begun && (self.begun.elapsed() >= TURN || self.is_cut_off()) {
                return Ok(JobEnd::More);
            }
            has_begun = true;
            if let Some(walk) = self.progress.walk.clone() {
                self.walk(walk, tally).await?;
            } else if let Some(batch) = self.progress.batch.clone() {
                self.children(batch, tally).await?;
            } else if let Some(end) = self.choose().await? {
                return Ok(end);
            }
        }
    }

    /// What to read next; how the job waits when that is nothing.
    async fn choose(&mut self) -> Result<Option<JobEnd>, JobError> {
        let (db, settings) = (&self.job.context.db, &self.job.inputs.settings);
        let RefreshBasis { derived, live, loaded_at, stale, now } =
            refresh_basis(db, &self.scope, self.key).await.map_err(|e| self.failed(&e))?;
        let every = every(settings, &derived.unwrap_or_default());
        let is_due = self.progress.due(every, loaded_at, self.asked).is_some_and(|due| due <= now);
        // A walk finds the children of every parent that was noted before it.
        if is_due || stale > live {
            if self.job.inputs.checkpoint.state == SyncState::Loading {
                return Ok(Some(wait(LOADING, "loading")));
            }
            self.progress = self.progress.walking(now);
            return self.keep().await.map(|()| None);
        }
        let most = self.job.client.references_at_once(&self.selection, &FieldPath::id()).min(EACH);
        let stale = stale_next(db, &self.scope, self.key, most).await.map_err(|e| self.failed(&e))?;
        let Some((field, ids)) = stale else {
            let due = self.progress.due(every, loaded_at, self.asked).map(|due| due - now);
            let left = due.and_then(|left| left.to_std().ok()).unwrap_or(LOOK);
            return Ok(Some(wait(left.min(LOOK), "cadence")));
        };
        self.progress.batch = Some(Batch { field, ids, until: now, after: None });
        self.keep().await.map(|()| None)
    }

    /// The next records that are here, by their ids.
    async fn walk(&mut self, walk: Walk, tally: &mut Tally) -> Result<(), JobError> {
        let db = &self.job.context.db;
        let ids = live_next(db, &self.scope, self.key, walk.after.as_deref(), self.each).await;
        let ids = ids.map_err(|e| self.failed(&e))?;
        let Some(last) = ids.last() else {
            self.progress = self.progress.walked();
            let oldest = self.done(None, walk.began).await?;
            tracing::info!(object = %self.plan.api_name, "everything that is here was read again");
            self.tell(oldest);
            return Ok(());
        };
        let after = Some(last.to_string());
        let mut pages = self.job.client.read_references(self.selection.clone(), FieldPath::id(), &ids);
        while let Some(page) = self.page(&mut pages, ids.len()).await? {
            if page.done {
                self.progress.walk = Some(Walk { after: after.clone(), ..walk.clone() });
            }
            let is_done = page.done;
            self.store(page, tally).await?;
            if is_done {
                break;
            }
        }
        Ok(())
    }

    /// The next children of a batch of changed parents, in the order of their ids.
    async fn children(&mut self, batch: Batch, tally: &mut Tally) -> Result<(), JobError> {
        let field = FieldPath::parse(&batch.field).map_err(|e| self.refused(Step::Plan, &e.into()))?;
        let ids: Vec<SalesforceId> = batch.ids.iter().filter_map(|id| SalesforceId::parse(id).ok()).collect();
        let after = batch.after.as_deref().and_then(|id| SalesforceId::parse(id).ok());
        let mut pages = self.job.client.read_children(self.selection.clone(), field, &ids, after);
        let mut is_first = after.is_none();
        while let Some(page) = self.page(&mut pages, 0).await? {
            if std::mem::take(&mut is_first) && self.is_a_detour(&page).await? {
                return Ok(());
            }
            let is_done = page.done;
            if let (Some(last), Some(batch)) = (page.last, &mut self.progress.batch) {
                batch.after = Some(last.id.to_string());
            }
            self.store(page, tally).await?;
            if is_done {
                self.progress.batch = None;
                let oldest = self.done(Some((&batch.field, &batch.ids)), batch.until).await?;
                self.tell(oldest);
                return Ok(());
            }
            if self.begun.elapsed() >= TURN || self.is_cut_off() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the parents have so many children that it is cheaper to read everything that is here; then that is begun.
    async fn is_a_detour(&mut self, page: &RecordPage) -> Result<bool, JobError> {
        let is_current = self.job.inputs.checkpoint.state == SyncState::Current;
        if page.done || !is_current {
            return Ok(false);
        }
        let basis = refresh_basis(&self.job.context.db, &self.scope, self.key).await;
        let RefreshBasis { live, now, .. } = basis.map_err(|e| self.failed(&e))?;
        if !walk_is_cheaper(page.total_size, page.rows as u64, live, self.each as u64) {
            return Ok(false);
        }
        tracing::info!(object = %self.plan.api_name, children = page.total_size, live, "everything is read again instead");
        self.progress = self.progress.walking(now);
        self.keep().await.map(|()| true)
    }

    /// The next page; none when it was too much, and less is asked for from now on.
    async fn page(&mut self, pages: &mut RecordPages, asked: usize) -> Result<Option<RecordPage>, JobError> {
        let error = match pages.next_page().await {
            Ok(page) => {
                pass(CrashPoint::AfterPage);
                return Ok(page);
            }
            Err(error) => self.refused(Step::Extract, &error),
        };
        let is_too_much = matches!(
            error.disposition,
            Disposition::Replan { hint: ReplanHint::HalveSlice | ReplanHint::FewerRows }
        );
        let less = self.progress.narrower(asked, self.job.context.clock.now());
        let Some(less) = less.filter(|_| is_too_much) else { return Err(error) };
        self.each = less.each.unwrap_or(self.each);
        self.progress = less;
        self.keep().await.map(|()| None)
    }

    /// Makes a page last, with how far the job is.
    async fn store(&mut self, page: RecordPage, tally: &mut Tally) -> Result<(), JobError> {
        let prepared = prepare(self.job.context, &self.plan, vec![page]).await?;
        let stored = self.stored();
        let step = |_: &Tally| JobStep::Continue(stored);
        commit(self.job.context, &self.plan, prepared, CheckpointMove::Stays, step, tally).await
    }

    /// Takes what was read off the list, with how far the job is; gives the oldest change among it.
    async fn done(
        &self,
        of: Option<(&str, &[String])>,
        noted_by: Timestamp,
    ) -> Result<Option<Timestamp>, JobError> {
        let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
        let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
        let oldest = stale_done(&tx, self.key, of, noted_by).await.map_err(|e| self.failed(&e))?;
        job_touch(tx.sql(), self.job.lease, Some(&self.stored())).await.map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        Ok(oldest)
    }

    /// How long the oldest change of a parent took to its children.
    fn tell(&self, oldest: Option<Timestamp>) {
        let lag = oldest.and_then(|at| (self.job.context.clock.now() - at).to_std().ok());
        if let Some(lag) = lag {
            metrics::histogram!(names::LINKED_LAG, "object" => self.plan.label).record(lag.as_secs_f64());
        }
    }

    async fn keep(&self) -> Result<(), JobError> {
        let client = self.job.context.db.control().await.map_err(|e| self.failed(&e))?;
        job_touch(&client, self.job.lease, Some(&self.stored())).await.map_err(|e| self.failed(&e))
    }

    fn stored(&self) -> serde_json::Value {
        serde_json::to_value(&self.progress).unwrap_or_default()
    }

    fn is_cut_off(&self) -> bool {
        self.job.context.draining.is_cancelled() || self.job.stop.is_cancelled()
    }

    fn failed(&self, error: &StoreError) -> JobError {
        JobError::of(Step::Load, error, self.job.context.clock.now())
    }

    fn refused(&self, step: Step, error: &SalesforceError) -> JobError {
        JobError::of(step, error, self.job.context.clock.now())
    }
}

fn key(lease: &Lease) -> ObjectKey {
    ObjectKey { connection: lease.connection, object: lease.object }
}

fn wait(delay: Duration, reason: &'static str) -> JobEnd {
    JobEnd::WaitFor { delay, reason, attempt: 0 }
}
