//! The standing job of a connection that follows the parents of linked values by their own stamps, whether they are kept
//! here or not: a query for each parent object, at its pace. It reads no children itself. What changed is noted in the
//! commit that moves the parent's watermark, for each reference that leads to it; the objects' own jobs take it from there
//! ([`refresh`](super::refresh)).
//!
//! It stands under one of the connection's objects, because every job does; that object's own state does not matter to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use refrain_shared::catalog::{Derived, ObjectDescribe, Parents, derived};
use refrain_shared::clock::{Timestamp, parse_salesforce_datetime};
use refrain_shared::error::{Disposition, ReplanHint};
use refrain_shared::ids::{ObjectId, SalesforceId};
use refrain_shared::job::cadence::until_next;
use refrain_shared::job::checkpoint::{Position, Window, clamp_watermark};
use refrain_shared::job::follow::{Followed, Pace};
use refrain_shared::job::lease::{JobEnd, Kind, SLICE_TIME};
use refrain_shared::salesforce::SalesforceError;
use refrain_shared::salesforce::query::Scope;
use refrain_shared::salesforce::slice::{RecordPage, Selection};
use refrain_shared::salesforce::soql::{self, Direction, FieldPath, ObjectName};
use refrain_shared::storage::followed::{
    Changed, FollowMove, ReadObject, derived_store, follow_over, followed_describe, followed_list,
    followed_move, followed_set, parents_note, read_objects,
};
use refrain_shared::storage::jobs::job_touch;
use refrain_shared::storage::sweeps::standing_ask;
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::tenant::TenantScope;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{IDLE, Job, Left, first_plan};
use crate::crash::{CrashPoint, pass};
use crate::engine::soql_position;
use crate::error::{JobError, Step};

/// A refusal that comes again after this many new looks is believed for a day.
const LOOKS: i32 = 2;

/// What is followed of one parent object.
#[derive(Default)]
struct Wanted {
    /// The references that lead to it.
    edges: BTreeSet<(ObjectId, String)>,
    /// Its fields that children show.
    reads: BTreeSet<String>,
}

/// Asks each parent object for its changes, on from where that was left.
pub async fn run(job: &Job<'_>) -> Result<Left, JobError> {
    let begun = Instant::now();
    let (db, scope, connection) = (&job.context.db, scope(job), job.lease.connection);
    let objects = read_objects(db, &scope, connection).await.map_err(|e| failed(job, &e))?;
    let parents = look(job, &objects).await?;
    let wanted = wanted(&objects, &parents);
    let pace = Pace::of(objects.iter().map(|object| Pace {
        every: Duration::from_secs(u64::try_from(object.interval_s).unwrap_or(3600)),
        settle_s: object.settings.settle_s,
        overlap_s: object.settings.overlap_s,
    }));
    let (Some(pace), false) = (pace, wanted.is_empty()) else {
        return Ok(Left::Open(wait(IDLE)));
    };
    let (mut is_over, mut was_asked) = (true, false);
    // Those that were left behind come first, and each turn asks for one at least.
    for followed in followed_list(db, &scope, connection).await.map_err(|e| failed(job, &e))? {
        let (Some(wanted), Some(Some(describe))) =
            (wanted.get(&followed.api_name), parents.get(&followed.api_name))
        else {
            continue;
        };
        let parent = Parent { job, scope: &scope, wanted, describe, pace, begun };
        let Some(window) = followed.window(pace, job.context.clock.now()) else { continue };
        if was_asked && parent.is_time_to_stop() {
            is_over = false;
            break;
        }
        is_over &= parent.follow(&followed, window).await?;
        was_asked = true;
    }
    // Those are asked whose children are to be read, be they noted by this turn or by one that was cut off.
    for object in follow_over(db, &scope, connection).await.map_err(|e| failed(job, &e))? {
        standing_ask(db, Kind::Refresh, object).await.map_err(|e| failed(job, &e))?;
    }
    let delay = until_next(job.lease.object, pace.every, job.context.clock.now());
    Ok(Left::Open(if is_over { wait(delay) } else { JobEnd::More }))
}

/// Describes the parents that are not known, a composite call for each level of them, and stores what was seen and where
/// each object's values come from.
async fn look(job: &Job<'_>, objects: &[ReadObject]) -> Result<Parents, JobError> {
    let (scope, connection, now) = (scope(job), job.lease.connection, job.context.clock.now());
    let followed = followed_list(&job.context.db, &scope, connection).await.map_err(|e| failed(job, &e))?;
    let known = followed.into_iter().filter(|parent| parent.is_described(now));
    let mut parents: Parents = known.map(|parent| (parent.api_name, parent.describe.map(Arc::new))).collect();
    // What is read itself was looked at lately.
    parents.extend(
        objects.iter().map(|object| (object.describe.name.clone(), Some(Arc::new(object.describe.clone())))),
    );
    let mut seen = Vec::new();
    let found = loop {
        let found: Vec<Derived> =
            objects.iter().map(|object| derived(&object.describe, &object.fields, &parents)).collect();
        let needs: BTreeSet<String> =
            found.iter().flat_map(|derived| derived.needs.iter().cloned()).collect();
        if needs.is_empty() {
            break found;
        }
        let looked = first_plan::look(job, &needs.into_iter().collect::<Vec<_>>()).await?;
        parents.extend(looked.iter().cloned());
        seen.extend(looked);
    };
    let mut client = job.context.db.tenant().await.map_err(|e| failed(job, &e))?;
    let tx = TenantTx::begin(&mut client, &scope).await.map_err(|e| failed(job, &e))?;
    job_touch(tx.sql(), job.lease, None).await.map_err(|e| failed(job, &e))?;
    // Those that cannot be seen are kept too: they are looked at again tomorrow.
    let hidden = parents.iter().filter(|(_, describe)| describe.is_none()).map(|(name, _)| name.as_str());
    let led = found.iter().flat_map(|derived| derived.edges.iter().map(|edge| edge.parent.as_str()));
    let named: BTreeSet<&str> = hidden.chain(led).collect();
    let named: Vec<&str> = named.into_iter().collect();
    followed_set(&tx, connection, &named).await.map_err(|e| failed(job, &e))?;
    for (parent, describe) in &seen {
        followed_describe(&tx, connection, parent, describe.as_deref()).await.map_err(|e| failed(job, &e))?;
    }
    for (object, found) in objects.iter().zip(&found) {
        if object.derived.as_ref() != Some(found) {
            derived_store(&tx, object.object, found).await.map_err(|e| failed(job, &e))?;
        }
    }
    tx.commit().await.map_err(|e| failed(job, &e))?;
    Ok(parents)
}

/// What leads to each parent object.
fn wanted(objects: &[ReadObject], parents: &Parents) -> BTreeMap<String, Wanted> {
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    for object in objects {
        for edge in derived(&object.describe, &object.fields, parents).edges {
            let of = wanted.entry(edge.parent).or_default();
            of.edges.insert((object.object, edge.field));
            of.reads.extend(edge.reads);
        }
    }
    wanted
}

/// A parent object being followed.
struct Parent<'a> {
    job: &'a Job<'a>,
    scope: &'a TenantScope,
    wanted: &'a Wanted,
    describe: &'a ObjectDescribe,
    pace: Pace,
    begun: Instant,
}

impl Parent<'_> {
    /// Reads the changes of a window; gives whether all of them are noted.
    async fn follow(&self, followed: &Followed, window: Window) -> Result<bool, JobError> {
        let selection = self.selection().map_err(|e| self.refused(&e))?;
        let is_sorted = self.describe.field(selection.cursor.as_str()).is_some_and(|field| field.sortable);
        let asked = soql::Window {
            from: window.lo,
            to: window.hi,
            after: window.resume.as_ref().and_then(soql_position),
            direction: if is_sorted { Direction::Ascending } else { Direction::ById },
            limit: None,
        };
        let cursor = selection.cursor.as_str().to_owned();
        let mut pages = self.job.client.read_window(selection, asked);
        let mut settled = None;
        loop {
            let page = match pages.next_page().await {
                Ok(page) => page.ok_or(SalesforceError::LocatorLost),
                Err(error) => Err(error),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => return self.not_answered(followed, window.hi, &error).await,
            };
            pass(CrashPoint::AfterPage);
            // Only the first response's Date counts: what was settled when the reading began.
            let watermark =
                *settled.get_or_insert_with(|| clamp_watermark(window.hi, page.read_at, self.pace.settle_s));
            let last = page.last.map(|last| Position { stamp: last.at, id: last.id.to_string() });
            let to = if page.done {
                FollowMove::Done(watermark, self.job.context.clock.now())
            } else {
                FollowMove::Inside(watermark, last)
            };
            self.note(&followed.api_name, &self.changed(&page, &cursor)?, &to, page.rows).await?;
            if page.done || self.is_time_to_stop() {
                return Ok(page.done);
            }
        }
    }

    /// The parent's fields that children show, and what tells that somebody changed it.
    fn selection(&self) -> Result<Selection, SalesforceError> {
        let cursor = self.describe.cursor_field().unwrap_or("SystemModstamp");
        Ok(Selection {
            filter: None,
            object: ObjectName::parse(&self.describe.name)?,
            fields: self.shown().iter().map(|field| FieldPath::parse(field)).collect::<Result<_, _>>()?,
            cursor: FieldPath::parse(cursor)?,
            scope: Scope::All,
        })
    }

    /// A touch by the platform moves the stamp alone, as a user's login does. What a person changed counts as shown, whatever
    /// it was: a value that was changed twice is as it was, and a child may show what it was between.
    fn shown(&self) -> BTreeSet<&str> {
        let told = ["IsDeleted", "LastModifiedDate"].into_iter();
        let told = told.filter(|name| self.describe.field(name).is_some());
        told.chain(self.wanted.reads.iter().map(String::as_str)).collect()
    }

    fn changed(&self, page: &RecordPage, cursor: &str) -> Result<HashMap<SalesforceId, Changed>, JobError> {
        let names = self.shown();
        let has_date = names.contains("LastModifiedDate");
        let read = |record: &RawValue| {
            let values: HashMap<String, Value> = serde_json::from_str(record.get()).ok()?;
            let id = SalesforceId::parse(values.get("Id")?.as_str()?).ok()?;
            let stamp = values.get(cursor)?.as_str()?;
            let shown: BTreeMap<&str, Option<&Value>> = names
                .iter()
                .copied()
                .chain((!has_date).then_some(cursor))
                .map(|name| (name, values.get(name)))
                .collect();
            let shown = self.job.view.keys.content_hash(&serde_json::to_vec(&shown).ok()?);
            Some((id, Changed { stamp: parse_salesforce_datetime(stamp)?, shown }))
        };
        let unreadable = || {
            let received = "something else".to_owned();
            let expected = "a record with its id and stamp";
            self.refused(&SalesforceError::Unreadable { expected, status: 200, received })
        };
        page.records().into_iter().map(|record| read(record).ok_or_else(unreadable)).collect()
    }

    /// Notes a page's changes and moves on, both or neither.
    async fn note(
        &self,
        parent: &str,
        changed: &HashMap<SalesforceId, Changed>,
        to: &FollowMove,
        rows: usize,
    ) -> Result<(), JobError> {
        let (job, connection) = (self.job, self.job.lease.connection);
        let edges: Vec<(ObjectId, &str)> =
            self.wanted.edges.iter().map(|(object, field)| (*object, field.as_str())).collect();
        let mut client = job.context.db.tenant().await.map_err(|e| failed(job, &e))?;
        let tx = TenantTx::begin(&mut client, self.scope).await.map_err(|e| failed(job, &e))?;
        job_touch(tx.sql(), job.lease, Some(&job.lease.progress)).await.map_err(|e| failed(job, &e))?;
        let noted = parents_note(&tx, connection, changed, &edges).await.map_err(|e| failed(job, &e))?;
        followed_move(&tx, connection, parent, to, rows).await.map_err(|e| failed(job, &e))?;
        pass(CrashPoint::BeforeCommit);
        tx.commit().await.map_err(|e| failed(job, &e))?;
        pass(CrashPoint::AfterCommit);
        if noted > 0 {
            tracing::info!(object = parent, parents = noted, "parents of linked values changed");
        }
        Ok(())
    }

    /// A window that is too much is halved. A parent that is refused is looked at again, and then left for a day: the others
    /// are followed all the same.
    async fn not_answered(
        &self,
        followed: &Followed,
        hi: Timestamp,
        error: &SalesforceError,
    ) -> Result<bool, JobError> {
        let error = self.refused(error);
        let (job, connection, name) = (self.job, self.job.lease.connection, followed.api_name.as_str());
        let mut client = job.context.db.tenant().await.map_err(|e| failed(job, &e))?;
        let tx = TenantTx::begin(&mut client, self.scope).await.map_err(|e| failed(job, &e))?;
        match error.disposition {
            Disposition::Replan { hint: ReplanHint::HalveSlice | ReplanHint::FewerRows } => {
                let Some(half) = followed.halved(hi) else { return Err(error) };
                // The place is that of before this turn: what it noted since is met again.
                let to = FollowMove::Inside(half, followed.position.clone());
                followed_move(&tx, connection, name, &to, 0).await.map_err(|e| failed(job, &e))?;
            }
            Disposition::Replan { .. } | Disposition::ParkObject { .. } if job.lease.attempt >= LOOKS => {
                tracing::warn!(object = name, code = error.code, "a parent of linked values is not answered");
                followed_describe(&tx, connection, name, None).await.map_err(|e| failed(job, &e))?;
                tx.commit().await.map_err(|e| failed(job, &e))?;
                return Ok(true);
            }
            Disposition::Replan { .. } | Disposition::ParkObject { .. } => {
                let describe = first_plan::look(job, &[name.to_owned()]).await?;
                let describe = describe.into_iter().find_map(|(_, describe)| describe);
                followed_describe(&tx, connection, name, describe.as_deref())
                    .await
                    .map_err(|e| failed(job, &e))?;
                tx.commit().await.map_err(|e| failed(job, &e))?;
                let hint = ReplanHint::DescribeAgain;
                return Err(JobError { disposition: Disposition::Replan { hint }, ..error });
            }
            _ => return Err(error),
        }
        tx.commit().await.map_err(|e| failed(job, &e))?;
        Ok(false)
    }

    fn is_time_to_stop(&self) -> bool {
        self.begun.elapsed() >= SLICE_TIME
            || self.job.context.draining.is_cancelled()
            || self.job.stop.is_cancelled()
    }

    /// Not as a read that the runner narrows: windows of parents are halved here.
    fn refused(&self, error: &SalesforceError) -> JobError {
        JobError::of(Step::Plan, error, self.job.context.clock.now())
    }
}

fn scope(job: &Job<'_>) -> TenantScope {
    TenantScope::leased(job.lease.tenant)
}

fn failed(job: &Job<'_>, error: &StoreError) -> JobError {
    JobError::of(Step::Load, error, job.context.clock.now())
}

fn wait(delay: Duration) -> JobEnd {
    JobEnd::WaitFor { delay, reason: "cadence", attempt: 0 }
}
