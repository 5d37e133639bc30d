//! Projects anew what is here of an object whose mapping changed, from the sealed records: Salesforce is not asked. A
//! ticket switches with all that belongs to it in one commit; what is left are records that no ticket has.
//!
//! Before that goes what a changed filter does not hold of any more ([`filter`]).
//!
//! Where it is stands in two places: each ticket tells its own version, and the job's progress from where to look on. A
//! mapping that changes meanwhile makes it begin anew; a gate that moved for another reason, look at everything once more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use refrain_shared::catalog::Role;
use refrain_shared::crypto::TenantKeys;
use refrain_shared::ids::ObjectId;
use refrain_shared::job::lease::{JobEnd, Lease, SLICE_TIME};
use refrain_shared::privacy::identities_of;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::checkpoints::plan_inputs;
use refrain_shared::storage::filters::filter_look;
use refrain_shared::storage::jobs::job_touch;
use refrain_shared::storage::page_commit::{Reprojected, Switch, Unmake, switch_commit, tickets_unmake};
use refrain_shared::storage::records::ObjectKey;
use refrain_shared::storage::reproject::next::{Next, items_of, records_next, tickets_next};
use refrain_shared::storage::reproject::stored::{Stored, records_stored};
use refrain_shared::storage::reproject::{Mapped, MappedObject, mapped_load, mapping_done};
use refrain_shared::telemetry::names;
use refrain_shared::tenant::TenantScope;
use refrain_shared::ticket::{Projected, project};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod filter;

use super::deleted::read;
use crate::context::Context;
use crate::crash::{CrashPoint, pass};
use crate::engine::load::blocking;
use crate::engine::{Tally, label};
use crate::error::{JobError, Step};

/// Tickets in one commit, at most, and items with them: short enough under the feed's lock that page commits do not queue
/// behind it. What one ticket has goes together, however much it is.
const TICKETS: i64 = 500;
const ITEMS: usize = 2_000;
/// Tickets that are made by another job are there by then, as a rule.
const TICKETS_FIRST: Duration = Duration::from_secs(2);
/// Records that are open at once.
const OPEN: usize = 500;

/// What is done, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// What the object's filter does not hold of leaves.
    #[default]
    Filter,
    /// Tickets that are none any more leave.
    Unmake,
    /// Tickets switch with their items.
    Tickets,
    /// Records that no ticket has.
    Records,
}

/// How far the job is. The status shows `version`, `done` and `of`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// To which mapping.
    mapping: Value,
    /// Tickets of this version or a later one are of that mapping.
    version: i64,
    stage: Stage,
    /// The object of tickets that is walked.
    object: i32,
    /// Everything up to here was looked at.
    after: String,
    /// Something was found since the walk began, so it is walked once more: what came behind it is found too.
    found: bool,
    /// Tickets and records that were looked at.
    done: i64,
    /// Of about so many.
    of: i64,
}

/// What the job rests on; fixed until the gate moves.
struct Work<'a> {
    context: &'a Context,
    lease: &'a Lease,
    mapped: Arc<Mapped>,
    keys: Arc<TenantKeys>,
}

/// Goes on from where the last commit left off.
pub async fn run(
    context: &Context,
    lease: &Lease,
    lost: &CancellationToken,
    tally: &mut Tally,
) -> Result<JobEnd, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, context.clock.now());
    let scope = TenantScope::leased(lease.tenant);
    let mapped = mapped_load(&context.db, lease).await.map_err(failed)?;
    let view = context.tenants.view(&context.db, &context.ring, &scope).await.map_err(failed)?;
    let Some(own) = mapped.objects.get(&lease.object).cloned().filter(|own| own.is_stale) else {
        return Ok(JobEnd::Done);
    };
    tally.object = Some(label(&own.api_name));
    let first: Vec<ObjectId> = mapped.tickets_to_make().collect();
    if !first.is_empty() && !first.contains(&lease.object) {
        // Items that name them come after them: otherwise Salesforce would be asked for what is here.
        return Ok(JobEnd::WaitFor { delay: TICKETS_FIRST, reason: "replan", attempt: 0 });
    }
    let work = Work { context, lease, mapped: Arc::new(mapped), keys: view.keys };
    let stored: Progress = read(&lease.progress, "a job's progress").map_err(failed)?;
    let mut progress = if stored.mapping == own.mapping { stored } else { work.begin(&own) };
    let begun = Instant::now();
    while (own.changed_filter() || !own.is_as_before())
        && work.step(&own, &mut progress, tally).await.map_err(|error| *error)?
    {
        pass(CrashPoint::AfterCommit);
        if begun.elapsed() >= SLICE_TIME || context.draining.is_cancelled() || lost.is_cancelled() {
            return Ok(JobEnd::More);
        }
    }
    mapping_done(&context.db, lease, work.mapped.version, &own.mapping).await.map_err(failed)?;
    let inputs = plan_inputs(&context.db, &scope, lease.object).await.map_err(failed)?;
    if inputs.filters.may_lack(own.filter.as_ref()) {
        filter_look(&context.db, lease.object).await.map_err(failed)?;
    }
    tracing::info!(object = %own.api_name, version = progress.version, done = progress.done, "projected anew");
    Ok(JobEnd::Done)
}

impl Work<'_> {
    fn begin(&self, own: &MappedObject) -> Progress {
        let live = |object: &ObjectId| self.mapped.objects.get(object).map_or(0, |object| object.live);
        let tickets: i64 = self.walked(own).iter().map(live).sum();
        let filtered = if own.changed_filter() { own.live } else { 0 };
        let records = if own.has_items() || own.changed_role() { own.live } else { 0 };
        Progress {
            mapping: own.mapping.clone(),
            version: self.mapped.version,
            of: if own.differs_by_filter_alone() { filtered } else { filtered + tickets + records },
            ..Progress::default()
        }
    }

    /// The objects whose tickets the mapping concerns.
    fn walked(&self, own: &MappedObject) -> Vec<ObjectId> {
        let tickets = self.mapped.tickets();
        if own.has_items() {
            tickets
        } else {
            tickets.into_iter().filter(|id| *id == self.lease.object).collect()
        }
    }

    /// Does the next part; gives whether there may be more.
    async fn step(
        &self,
        own: &MappedObject,
        progress: &mut Progress,
        tally: &mut Tally,
    ) -> Result<bool, Box<JobError>> {
        match progress.stage {
            Stage::Filter => {
                if own.changed_filter() && self.let_go(own, progress, tally).await? {
                    return Ok(true);
                }
                let is_more = !own.differs_by_filter_alone() && !own.is_as_before();
                *progress = Progress { stage: Stage::Unmake, after: String::new(), ..progress.clone() };
                Ok(is_more)
            }
            Stage::Unmake => {
                let is_none = own.was == Some(Role::Ticket) && own.role != Some(Role::Ticket);
                if !is_none || self.unmake(progress).await? == 0 {
                    progress.stage = Stage::Tickets;
                }
                Ok(true)
            }
            Stage::Tickets => {
                let walked = self.walked(own);
                let Some(object) = walked.iter().find(|id| id.0 >= progress.object).copied() else {
                    *progress = Progress { stage: Stage::Records, after: String::new(), ..progress.clone() };
                    return Ok(true);
                };
                self.tickets(object, progress, tally).await?;
                Ok(true)
            }
            Stage::Records if own.has_items() || own.changed_role() => {
                self.records(own.changed_role(), progress, tally).await
            }
            Stage::Records => Ok(false),
        }
    }

    async fn unmake(&self, progress: &mut Progress) -> Result<i64, Box<JobError>> {
        let stored = as_json(progress);
        let unmake = Unmake {
            lease: self.lease,
            version: self.mapped.version,
            most: TICKETS,
            progress: &stored,
            before_commit: || pass(CrashPoint::BeforeCommit),
        };
        let mut client = self.context.db.tenant().await.map_err(|e| self.failed(&e))?;
        tickets_unmake(&mut client, &unmake).await.map_err(|e| self.failed(&e))
    }

    /// The next tickets of an object, with all of their items.
    async fn tickets(
        &self,
        object: ObjectId,
        progress: &mut Progress,
        tally: &mut Tally,
    ) -> Result<(), Box<JobError>> {
        let (tenant, key) = (self.lease.tenant, self.key(object));
        let from = (progress.after.as_str(), progress.version, TICKETS);
        let Next { mut ids, upto } =
            tickets_next(&self.context.db, tenant, key, from).await.map_err(|e| self.failed(&e))?;
        let stale = (&self.mapped.stale_items()[..], ITEMS);
        let (taken, mut items) = items_of(&self.context.db, tenant, key.connection, &ids, stale)
            .await
            .map_err(|e| self.failed(&e))?;
        let is_cut = taken < ids.len();
        ids.truncate(taken);
        if self.mapped.objects.get(&object).is_some_and(|own| own.is_stale) {
            items.insert(object, ids.clone());
        }
        let mut changed = BTreeMap::new();
        for (of, its) in items {
            changed.insert(of, self.changed(of, &its, tally).await?);
        }
        let upto = if is_cut { ids.last().cloned() } else { upto };
        progress.found |= !ids.is_empty();
        progress.done += i64::try_from(ids.len()).unwrap_or(i64::MAX);
        if let Some(upto) = upto {
            progress.after = upto;
        } else {
            progress.after = String::new();
            progress.object = if progress.found { object.0 } else { object.0 + 1 };
            progress.found = false;
        }
        if ids.is_empty() {
            self.note(progress).await
        } else {
            self.commit(object, &ids, changed, progress, tally).await
        }
    }

    /// The next records of the job's object that no ticket took along; gives whether there may be more.
    async fn records(
        &self,
        changed_role: bool,
        progress: &mut Progress,
        tally: &mut Tally,
    ) -> Result<bool, Box<JobError>> {
        let (tenant, key) = (self.lease.tenant, self.key(self.lease.object));
        // What is of another kind now was in no ticket, or is in none any more.
        let tickets = if changed_role { Vec::new() } else { self.mapped.tickets() };
        let from = (progress.after.as_str(), i64::try_from(OPEN).unwrap_or(i64::MAX));
        let Next { ids, upto } =
            records_next(&self.context.db, tenant, key, (&tickets, progress.version), from)
                .await
                .map_err(|e| self.failed(&e))?;
        progress.done += i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let changed = self.changed(key.object, &ids, tally).await?;
        let goes_on = upto.is_some();
        progress.after = upto.unwrap_or_default();
        if changed.is_empty() {
            self.note(progress).await?;
        } else {
            self.commit(key.object, &[], BTreeMap::from([(key.object, changed)]), progress, tally).await?;
        }
        Ok(goes_on)
    }

    /// Stores how far the job is where there was nothing to write.
    async fn note(&self, progress: &Progress) -> Result<(), Box<JobError>> {
        let client = self.context.db.control().await.map_err(|e| self.failed(&e))?;
        job_touch(&client, self.lease, Some(&as_json(progress))).await.map_err(|e| self.failed(&e))
    }

    /// Of these records, those that are something else under the mapping of now. So many are open at once as a page has,
    /// whatever a ticket has.
    async fn changed(
        &self,
        object: ObjectId,
        ids: &[String],
        tally: &mut Tally,
    ) -> Result<Vec<Reprojected>, Box<JobError>> {
        let (mut changed, key) = (Vec::new(), self.key(object));
        for part in ids.chunks(OPEN) {
            let stored = records_stored(&self.context.db, self.lease.tenant, key, part)
                .await
                .map_err(|e| self.failed(&e))?;
            tally.read += i64::try_from(stored.len()).unwrap_or(i64::MAX);
            let (mapped, keys, now) =
                (Arc::clone(&self.mapped), Arc::clone(&self.keys), self.context.clock.now());
            changed.extend(
                blocking(move || {
                    projected_anew(&mapped, &keys, key, &stored)
                        .map_err(|error| JobError::of(Step::Transform, &error, now))
                })
                .await
                .map_err(Box::new)?,
            );
        }
        changed.sort_by_key(|row| row.id);
        Ok(changed)
    }

    async fn commit(
        &self,
        object: ObjectId,
        tickets: &[String],
        changed: BTreeMap<ObjectId, Vec<Reprojected>>,
        progress: &Progress,
        tally: &mut Tally,
    ) -> Result<(), Box<JobError>> {
        let (stored, changed_role) = (as_json(progress), self.mapped.changed_roles());
        let switch = Switch {
            lease: self.lease,
            version: self.mapped.version,
            parents: &self.mapped.parents,
            object,
            tickets,
            changed,
            changed_role: &changed_role,
            now: self.context.clock.now(),
            progress: &stored,
            before_commit: || pass(CrashPoint::BeforeCommit),
        };
        let mut client = self.context.db.tenant().await.map_err(|e| self.failed(&e))?;
        let written = switch_commit(&mut client, switch).await.map_err(|e| self.failed(&e))?;
        tally.pages += 1;
        tally.written += written;
        metrics::counter!(names::RECORDS_REPROJECTED).increment(written.unsigned_abs());
        Ok(())
    }

    fn key(&self, object: ObjectId) -> ObjectKey {
        ObjectKey { connection: self.lease.connection, object }
    }

    fn failed(&self, error: &StoreError) -> Box<JobError> {
        Box::new(JobError::of(Step::Load, error, self.context.clock.now()))
    }
}

/// Opens records and projects them; gives those that are something else by that.
fn projected_anew(
    mapped: &Mapped,
    keys: &TenantKeys,
    key: ObjectKey,
    stored: &[Stored],
) -> Result<Vec<Reprojected>, StoreError> {
    let Some(object) = mapped.objects.get(&key.object) else { return Ok(Vec::new()) };
    let mut changed = Vec::new();
    for record in stored {
        let projected = record
            .open(keys, &mapped.sets, key, |values| project(&object.plan, values, record.order.stamp))?;
        if record.is_shown_as(&projected) && !object.changed_role() {
            continue;
        }
        let email_token = match &projected {
            Projected::Agent(person) | Projected::Customer(person) => person
                .email
                .as_deref()
                .and_then(|email| identities_of(email).next())
                .map(|identity| keys.identity_token(&identity)),
            Projected::Ticket(_)
            | Projected::Message(_)
            | Projected::Unlinked
            | Projected::LetGo { .. }
            | Projected::Gone
            | Projected::Nothing => None,
        };
        changed.push(Reprojected { id: record.id, order: record.order, projected, email_token });
    }
    Ok(changed)
}

fn as_json(progress: &Progress) -> Value {
    serde_json::to_value(progress).unwrap_or_default()
}
