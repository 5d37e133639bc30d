//! The standing job that holds everything that is here against everything that Salesforce shows: what the log of deletions
//! cannot tell, and what any window missed. One [`scan`] of the ids and stamps of the whole object is set down and
//! compared ([`verify`]); records that are found by what they belong to alone are asked for id by id, in a walk in key
//! order. It takes up where its last commit left off.
//!
//! What is not answered is looked for again and removed only as [`removal`](refrain_shared::job::removal) decides. Where
//! that is for a person, this job alone is parked: increments go on, for what they bring is true all the same. Purged and
//! hidden records look alike; what was removed for either reason is live again once a sweep finds it answered.

mod look;
mod scan;
mod scan_bulk;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use refrain_shared::clock::Timestamp;
use refrain_shared::job::checkpoint::SyncState;
use refrain_shared::job::lease::{Class, JobEnd, Kind};
use refrain_shared::job::related::Related;
use refrain_shared::job::removal::{Found, Log, Removal, decide};
use refrain_shared::job::sweep::{AGAIN, Finding, SweepProgress, Swept, compare, every};
use refrain_shared::record::{ReadOrder, RecordState};
use refrain_shared::storage::jobs::job_touch;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use refrain_shared::storage::records::ObjectKey;
use refrain_shared::storage::related::{Owner, related_jobs_insert};
use refrain_shared::storage::sweeps::{
    Missing, Stored, following_get, let_go_count, missing_add, missing_count, missing_forget, missing_next,
    standing_ask, sweep_next,
};
use refrain_shared::storage::verify::scanned_clear;
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::tenant::TenantScope;
use tokio::time::Instant;

use super::deleted::{finish, not_ready, read};
use super::incremental::{not_described, report};
use super::{Job, Left};
use crate::engine::load::{Prepared, commit, gone};
use crate::engine::{ReadPlan, Tally};
use crate::error::{JobError, Step};
use look::Looked;

/// A sweep that is to come after a load looks this often whether that is done.
const LOADING: Duration = Duration::from_secs(60);

/// A sweep under way.
struct Sweep<'a> {
    job: &'a Job<'a>,
    plan: Arc<ReadPlan>,
    scope: TenantScope,
    key: ObjectKey,
    progress: SweepProgress,
    /// When the object was first wanted.
    wanted: Timestamp,
    /// Calls of this turn that are counted already.
    taken: i64,
    started: Instant,
}

/// Sweeps on from where the last commit left off.
pub async fn run(job: Job<'_>, tally: &mut Tally) -> Result<Left, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, job.context.clock.now());
    let state = job.inputs.checkpoint.state;
    let made: Swept = read(&job.lease.params, "when an object was wanted").map_err(failed)?;
    let progress: SweepProgress = read(&job.lease.progress, "a job's progress").map_err(failed)?;
    let loads = progress.after_load && matches!(state, SyncState::New | SyncState::Loading);
    // What another filter brings is not here yet, and nothing is amiss because of it.
    let loads = loads || !job.inputs.filters.is_only(job.inputs.settings.filter.as_ref());
    let rests = if loads { Some(wait(LOADING, "loading")) } else { not_ready(state) };
    if let Some(end) = rests.clone().filter(|_| !progress.cancelled) {
        return Ok(Left::Open(end));
    }
    let Some(plan) = ReadPlan::new(job.lease, &job.lane, job.view.clone(), &job.inputs) else {
        return Err(not_described(&job));
    };
    let mut sweep = Sweep {
        job: &job,
        plan: Arc::new(plan),
        scope: TenantScope::leased(job.lease.tenant),
        key: ObjectKey { connection: job.lease.connection, object: job.lease.object },
        progress,
        wanted: made.from,
        taken: 0,
        started: Instant::now(),
    };
    let end = match (sweep.progress.cancelled, rests) {
        (true, rests) => {
            let next = wait(every(&job.inputs.settings), "cadence");
            let after_load = sweep.progress.after_load.then_some(JobEnd::More);
            sweep.call_off().await.map(|()| rests.or(after_load).unwrap_or(next))
        }
        (false, _) => sweep.go_on(tally).await,
    };
    sweep.count_calls();
    tally.calls += sweep.taken;
    let end = end?;
    finish(job.context, job.lease, &sweep.progress, &end, &report(tally, end != JobEnd::More))
        .await
        .map_err(failed)?;
    Ok(Left::Ended)
}

impl Sweep<'_> {
    async fn go_on(&mut self, tally: &mut Tally) -> Result<JobEnd, JobError> {
        if self.progress.began.is_none() {
            self.begin().await?;
        }
        if let Some(until) = self.progress.not_before
            && let Ok(left) = (until - self.job.context.clock.now()).to_std()
        {
            return Ok(wait(left, "look_again"));
        }
        if !self.progress.walked
            && let Some(end) = self.look_at_all().await?
        {
            return Ok(end);
        }
        loop {
            if let Some(state) = self.progress.removal() {
                return if self.remove(state, tally).await? { self.over().await } else { Ok(JobEnd::More) };
            }
            if !self.progress.looked && !self.look_again().await? {
                return Ok(JobEnd::More);
            }
            let found = self.found().await?;
            let removal = match decide(&found) {
                Removal::Prove => {
                    decide(&Found { proof: Some(look::prove(self.job, &self.plan).await?), ..found })
                }
                decided => decided,
            };
            tracing::info!(object = %self.plan.api_name, ?found, ?removal, "missing records judged");
            match removal {
                Removal::Nothing => return self.over().await,
                Removal::Remove(reason) => {
                    self.progress.removes = Some(reason as i16);
                    self.progress.after = None;
                }
                Removal::LookNow => self.progress.looked = false,
                Removal::LookAgain | Removal::Prove => {
                    self.progress.looked = false;
                    self.progress.not_before = Some(self.job.context.clock.now() + AGAIN);
                    let log = standing_ask(&self.job.context.db, Kind::Deleted, self.key.object).await;
                    log.map_err(|e| self.failed(&e))?;
                    return Ok(wait(AGAIN, "look_again"));
                }
                Removal::Ask(doubt) => {
                    return self.ask(doubt.ask(&self.plan.api_name, &found), found.missing).await;
                }
            }
        }
    }

    /// Puts its Bulk job away and clears what it set down.
    async fn call_off(&mut self) -> Result<(), JobError> {
        self.put_scan_away().await?;
        let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
        let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
        missing_forget(&tx, self.key, None).await.map_err(|e| self.failed(&e))?;
        scanned_clear(&tx, self.key, (None, None), &[]).await.map_err(|e| self.failed(&e))?;
        self.progress = self.progress.called_off();
        tracing::info!(object = %self.plan.api_name, "a sweep was called off");
        self.commit(tx).await
    }

    async fn begin(&mut self) -> Result<(), JobError> {
        let scan = self.new_scan().await?;
        let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
        let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
        missing_forget(&tx, self.key, None).await.map_err(|e| self.failed(&e))?;
        scanned_clear(&tx, self.key, (None, None), &[]).await.map_err(|e| self.failed(&e))?;
        self.progress.after_load = false;
        self.progress.began = Some(self.job.context.clock.now());
        self.progress.scan = scan;
        self.commit(tx).await
    }

    /// Looks at everything, there and here; gives how the turn ends, or nothing when that is done.
    async fn look_at_all(&mut self) -> Result<Option<JobEnd>, JobError> {
        if let Some(end) = self.scan().await? {
            return Ok(Some(end));
        }
        if self.progress.scan.is_some() {
            return self.compare().await;
        }
        Ok((!self.walk().await?).then_some(JobEnd::More))
    }

    /// Asks for everything that is here; gives whether the walk is over.
    async fn walk(&mut self) -> Result<bool, JobError> {
        let job = self.job;
        let db = &job.context.db;
        loop {
            let (after, each) = (self.progress.after.as_deref(), self.progress.each);
            let stored = sweep_next(db, &self.scope, self.key, after, each).await;
            let stored = stored.map_err(|e| self.failed(&e))?;
            let Some(last) = stored.last() else { break };
            let ids: Vec<_> = stored.iter().map(|record| record.id).collect();
            let Some(looked) = look::look(self.job, &self.plan, &ids, &mut self.progress.each).await? else {
                continue;
            };
            let finding = |record: &Stored| {
                compare(record.state, record.stamp, looked.answered.get(&record.id).copied())
            };
            let of = |wanted: Finding| -> Vec<&str> {
                let found = stored.iter().filter(|record| finding(record) == wanted);
                found.map(|record| record.id.as_str()).collect()
            };
            let (missing, changed) = (of(Finding::Missing), of(Finding::Read));
            let live = stored.iter().filter(|record| record.state == RecordState::Live).count();
            self.progress.asked += u64::try_from(live).unwrap_or_default();
            self.progress.answered += u64::try_from(looked.answered.len()).unwrap_or_default();
            self.progress.after = Some(last.id.to_string());
            let mut client = db.tenant().await.map_err(|e| self.failed(&e))?;
            let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
            missing_add(&tx, self.key, &missing, looked.read_at).await.map_err(|e| self.failed(&e))?;
            self.read_whole(&tx, &changed).await?;
            self.commit(tx).await?;
            if self.is_time_to_stop() {
                return Ok(false);
            }
        }
        self.progress.walked = true;
        self.seen_once_more();
        Ok(true)
    }

    /// Asks again for what is missing; gives whether all of it was looked for.
    async fn look_again(&mut self) -> Result<bool, JobError> {
        while let Some((missing, looked)) = self.missing().await? {
            let (back, still): (Vec<&Missing>, Vec<&Missing>) =
                missing.iter().partition(|record| looked.answered.contains_key(&record.id));
            let back: Vec<&str> = back.iter().map(|record| record.id.as_str()).collect();
            let still: Vec<&str> = still.iter().map(|record| record.id.as_str()).collect();
            let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
            let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
            missing_forget(&tx, self.key, Some(&back)).await.map_err(|e| self.failed(&e))?;
            missing_add(&tx, self.key, &still, looked.read_at).await.map_err(|e| self.failed(&e))?;
            self.read_whole(&tx, &back).await?;
            self.progress.answered += u64::try_from(back.len()).unwrap_or_default();
            self.commit(tx).await?;
            if self.is_time_to_stop() {
                return Ok(false);
            }
        }
        self.seen_once_more();
        Ok(true)
    }

    /// The next of the missing, and what is answered for them; none at their end.
    async fn missing(&mut self) -> Result<Option<(Vec<Missing>, Looked)>, JobError> {
        loop {
            let (after, each) = (self.progress.after.as_deref(), self.progress.each);
            let missing = missing_next(&self.job.context.db, &self.scope, self.key, after, each).await;
            let missing = missing.map_err(|e| self.failed(&e))?;
            let Some(last) = missing.last().map(|record| record.id.to_string()) else { return Ok(None) };
            let ids: Vec<_> = missing.iter().map(|record| record.id).collect();
            if let Some(looked) = look::look(self.job, &self.plan, &ids, &mut self.progress.each).await? {
                self.progress.after = Some(last);
                return Ok(Some((missing, looked)));
            }
        }
    }

    /// A look is over: everything missing was missing by now.
    fn seen_once_more(&mut self) {
        self.progress.after = None;
        self.progress.looked = true;
        self.progress.looks += 1;
        self.progress.missing_at.get_or_insert(self.job.context.clock.now());
    }

    /// Takes away what stayed missing, as of when it was missed last; gives whether all of it is done with.
    async fn remove(&mut self, state: RecordState, tally: &mut Tally) -> Result<bool, JobError> {
        loop {
            let missing =
                missing_next(&self.job.context.db, &self.scope, self.key, None, self.progress.each).await;
            let missing = missing.map_err(|e| self.failed(&e))?;
            if missing.is_empty() {
                return Ok(true);
            }
            let field_set = self.plan.transform.fields.id;
            let row = |record: &Missing| {
                // Its own stamp: a record that comes back, whatever its stamp, was read later.
                let order = ReadOrder { stamp: record.stamp, read_at: record.missed_at, field_set };
                gone(record.id, order, state)
            };
            let rows: Vec<_> = missing.iter().map(row).collect();
            let read_at = missing.iter().map(|record| record.missed_at).max().unwrap_or_default();
            self.count_calls();
            let stored = self.stored();
            let step = |_: &Tally| JobStep::Continue(stored);
            let prepared = Prepared::gone(rows, read_at);
            commit(self.job.context, &self.plan, prepared, CheckpointMove::Stays, step, tally).await?;
            // What was read again meanwhile was not taken away, and is not missing.
            let ids: Vec<&str> = missing.iter().map(|record| record.id.as_str()).collect();
            let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
            let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
            missing_forget(&tx, self.key, Some(&ids)).await.map_err(|e| self.failed(&e))?;
            if let Some(scan) = &mut self.progress.scan {
                scan.balance.extra += missing.len() as u64;
            }
            self.commit(tx).await?;
            if self.is_time_to_stop() {
                return Ok(false);
            }
        }
    }

    async fn found(&self) -> Result<Found, JobError> {
        let db = &self.job.context.db;
        let missing = missing_count(db, &self.scope, self.key).await.map_err(|e| self.failed(&e))?;
        let following = following_get(db, self.key.object).await.map_err(|e| self.failed(&e))?;
        let from = self.progress.last.unwrap_or(self.wanted);
        let to = self.progress.missing_at.unwrap_or(from);
        let log = match following.since {
            Some(_) if following.knows(from, to) => Log::Denies,
            Some(since) if since <= from => Log::Pending,
            Some(_) | None => Log::Silent,
        };
        Ok(Found {
            asked: self.progress.asked,
            answered: self.progress.answered,
            missing,
            log,
            looks: self.progress.looks,
            // A scan counts them among what was answered.
            let_go: if missing == 0 || self.progress.scan.is_some() {
                0
            } else {
                let_go_count(db, &self.scope, self.key).await.map_err(|e| self.failed(&e))?
            },
            whole: self.job.inputs.checkpoint.scope_from.is_none(),
            proof: None,
        })
    }

    async fn over(&mut self) -> Result<JobEnd, JobError> {
        if let Some(end) = self.close().await? {
            return Ok(end);
        }
        self.end().await?;
        Ok(wait(every(&self.job.inputs.settings), "cadence"))
    }

    /// Lets these be read with all of their fields.
    async fn read_whole(&self, tx: &TenantTx<'_>, ids: &[&str]) -> Result<(), JobError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let related = Related { field: "Id".to_owned(), ids, numbers: Vec::new(), gone: false };
        let owner = Owner::from(self.job.lease);
        related_jobs_insert(tx, owner, Class::Verify, self.key.object, &related)
            .await
            .map_err(|e| self.failed(&e))
    }

    /// Adds the calls since it was asked last.
    fn count_calls(&mut self) {
        let calls = self.job.lane.attempts_taken();
        self.taken += calls;
        self.progress.calls += u64::try_from(calls).unwrap_or_default();
    }

    /// Commits with how far the sweep is.
    async fn commit(&mut self, tx: TenantTx<'_>) -> Result<(), JobError> {
        self.count_calls();
        job_touch(tx.sql(), self.job.lease, Some(&self.stored())).await.map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))
    }

    fn stored(&self) -> serde_json::Value {
        serde_json::to_value(&self.progress).unwrap_or_default()
    }

    fn is_time_to_stop(&self) -> bool {
        self.started.elapsed() >= refrain_shared::job::lease::SLICE_TIME
            || self.job.context.draining.is_cancelled()
            || self.job.stop.is_cancelled()
    }

    fn failed(&self, error: &StoreError) -> JobError {
        JobError::of(Step::Load, error, self.job.context.clock.now())
    }
}

fn wait(delay: Duration, reason: &'static str) -> JobEnd {
    JobEnd::WaitFor { delay, reason, attempt: 0 }
}
