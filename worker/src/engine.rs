//! The pipeline of one job on one screen: plan → extract → transform → load, a full page's worth at a time.
//!
//! Pages are fetched while others are transformed and committed, within the bounds of [`ahead`]: a slot holds one
//! page, which the client's body cap bounds, or small ones of 4 MB together.

pub mod ahead;
pub mod load;
pub mod parse;
pub mod reader;
mod retain;
pub mod transform;

use std::sync::Arc;

use refrain_shared::catalog::filter::keep::Keep;
use refrain_shared::catalog::{Projection, StandardObject, ticket_kinds};
use refrain_shared::clock::Timestamp;
use refrain_shared::job::checkpoint::{Position, Window};
use refrain_shared::job::lease::{Class, Kind, Lease, SLICE_TIME};
use refrain_shared::salesforce::Client;
use refrain_shared::salesforce::condition::Condition;
use refrain_shared::salesforce::slice::RecordPage;
use refrain_shared::storage::checkpoints::PlanInputs;
use refrain_shared::storage::page_commit::ParentObjects;
use refrain_shared::storage::records::ObjectKey;
use refrain_shared::ticket::ProjectionPlan;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::crash::{CrashPoint, pass};
use crate::error::JobError;
use crate::lane::Lane;
use crate::tenants::TenantView;
use ahead::Ahead;
use load::Batch;
use reader::Reader;
use transform::TransformPlan;

/// Everything a read rests on; fixed for the whole job.
pub struct ReadPlan {
    /// The lease.
    pub lease: Lease,
    /// The right to call; none where Salesforce is asked for nothing.
    pub lane: Option<Arc<Lane>>,
    /// API name of the object.
    pub api_name: String,
    /// The object in metrics.
    pub label: &'static str,
    /// How its pages become rows.
    pub transform: TransformPlan,
    /// What its messages may belong to.
    pub parents: ParentObjects,
    /// Windows are read in the order of ids.
    pub by_id: bool,
    /// History and scans are asked for under this: at least all that the object's filter keeps.
    pub condition: Option<Condition>,
    /// Where more of it cannot be kept, in percent, it parks.
    pub quarantine_percent: u8,
}

impl ReadPlan {
    /// Joins what is stored with the tenant's view; `None` when the object was not described yet, or not for its filter.
    #[must_use]
    pub fn new(lease: &Lease, lane: &Arc<Lane>, view: TenantView, inputs: &PlanInputs) -> Option<Self> {
        Some(Self { lane: Some(Arc::clone(lane)), ..Self::without_calls(lease, view, inputs)? })
    }

    /// The same for records that were read before.
    #[must_use]
    pub fn without_calls(lease: &Lease, view: TenantView, inputs: &PlanInputs) -> Option<Self> {
        let standard = StandardObject::find(&inputs.api_name);
        let cursor = inputs.checkpoint.cursor_field.clone()?;
        // Where neither deletions nor returns move a stamp, only when it was read tells whether a record is back: that must
        // not be forgotten because nothing else of it changed.
        let is_unstamped = cursor != "SystemModstamp";
        let fields = inputs.field_set.clone()?;
        let filter = match &inputs.settings.filter {
            Some(filter) => Some(Keep::of(filter, &fields)?),
            None => None,
        };
        // What is looked at because what it belongs to left may be let go with it, though it is as it was.
        let may_leave = inputs.parents.filters && lease.params["gone"] == true;
        // What changes is asked for whatever it is, so that what leaves the filter is seen.
        let is_under_filter = matches!(lease.kind, Kind::Backfill | Kind::Bulk | Kind::Sweep);
        Some(Self {
            condition: filter.as_ref().filter(|_| is_under_filter).map(Condition::of),
            lease: lease.clone(),
            lane: None,
            api_name: inputs.api_name.clone(),
            label: label(&inputs.api_name),
            parents: inputs.parents.clone(),
            by_id: inputs.checkpoint.by_id,
            quarantine_percent: inputs.settings.quarantine_percent,
            transform: TransformPlan {
                view,
                key: ObjectKey { connection: lease.connection, object: lease.object },
                cursor,
                fields,
                filter,
                projection: ProjectionPlan {
                    projection: inputs.role.map_or(Projection::None, |role| {
                        Projection::of(&inputs.api_name, role, &inputs.settings)
                    }),
                    ticket_kinds: ticket_kinds(inputs.parents.tickets.keys()),
                    facets: inputs.settings.facets.clone(),
                    files: inputs.settings.files.clone(),
                }
                .without(&inputs.lost),
                identities: standard.map_or(&[], |object| object.identities),
                late_before: None,
                anew: lease.kind == Kind::Related
                    && (lease.class == Class::Interactive || is_unstamped || may_leave),
                again: (lease.kind == Kind::Refresh).then(|| brought_from(standard, inputs)),
            },
        })
    }
}

/// From which stamp on an object's records come here by themselves, whoever leads to them.
fn brought_from(standard: Option<&StandardObject>, inputs: &PlanInputs) -> Timestamp {
    if standard.is_some_and(|object| object.found.is_by_parents()) {
        return Timestamp::MAX_UTC;
    }
    inputs.checkpoint.scope_from.unwrap_or(Timestamp::MIN_UTC)
}

/// An object's label in metrics, of a closed set: a tenant's own objects share one.
#[must_use]
pub fn label(api_name: &str) -> &'static str {
    StandardObject::find(api_name).map_or("custom", |object| object.api_name)
}

/// What one job did, for its attempt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// The object in metrics, once it is known.
    pub object: Option<&'static str>,
    /// Pages committed.
    pub pages: i32,
    /// Records read.
    pub read: i64,
    /// Records written.
    pub written: i64,
    /// Wire attempts.
    pub calls: i64,
    /// Of them, those that a page commit has added to the object's own count.
    pub calls_counted: i64,
}

/// A window being read: batches of pages in order, each to be committed before the next is asked for.
pub struct Reading<'a> {
    context: &'a Context,
    plan: Arc<ReadPlan>,
    stop: &'a CancellationToken,
    started: Instant,
    position: Option<Position>,
    ahead: Ahead,
    is_over: bool,
}

impl<'a> Reading<'a> {
    /// Sends the first query.
    pub fn open(
        context: &'a Context,
        plan: &Arc<ReadPlan>,
        client: &Client,
        window: &Window,
        stop: &'a CancellationToken,
    ) -> Result<Self, JobError> {
        let reader = Reader::open(plan, client, window, &context.clock)?;
        Ok(Self {
            context,
            plan: Arc::clone(plan),
            stop,
            started: Instant::now(),
            position: window.resume.clone(),
            ahead: Ahead::begin(reader, context.clock.clone(), context.commit_rows),
            is_over: false,
        })
    }

    /// The next batch, ready to be committed; `None` after the one that ended the window or the job's turn.
    pub async fn next(&mut self) -> Result<Option<Batch>, JobError> {
        if self.is_over {
            return Ok(None);
        }
        let mut pages = self.ahead.next().await?;
        let is_done = |pages: &[RecordPage]| pages.last().is_some_and(|page| page.done);
        let enough = !is_done(&pages) && self.is_time_to_stop();
        if enough {
            self.ahead.stop(&mut pages).await;
        }
        pass(CrashPoint::AfterPage);
        let ends_window = is_done(&pages);
        let stops = enough && !ends_window && !self.ahead.has_failed();
        self.is_over = ends_window || stops;
        if let Some(place) = pages.iter().rev().find_map(|page| page.last) {
            self.position = Some(Position { stamp: place.at, id: place.id.to_string() });
        }
        let prepared = load::prepare(self.context, &self.plan, pages).await?;
        pass(CrashPoint::AfterTransform);
        Ok(Some(Batch { prepared, ends_window, stops, position: self.position.clone() }))
    }

    fn is_time_to_stop(&self) -> bool {
        self.started.elapsed() >= SLICE_TIME
            || self.context.draining.is_cancelled()
            || self.stop.is_cancelled()
    }
}

/// The position as the SOQL layer wants it.
pub(crate) fn soql_position(position: &Position) -> Option<refrain_shared::salesforce::soql::Position> {
    let id = refrain_shared::ids::SalesforceId::parse(&position.id).ok()?;
    Some(refrain_shared::salesforce::soql::Position { at: position.stamp, id })
}

/// A lane's lifetime around a job: taken before, settled after, whatever happened between.
pub async fn settle(lane: &Lane) {
    if let Err(error) = lane.settle().await {
        // Unspent calls stay burned and the lane runs out by itself: safe, and worth a line.
        tracing::warn!(error = %crate::error::chain(&error), "lane not given back");
    }
}
