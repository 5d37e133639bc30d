//! The pipeline of one job on one screen: plan → extract → transform → load, a page at a time.
//!
//! While one page is transformed and committed the next is fetched: two pages are in memory at most, each
//! bounded by the client's body cap. That is the stated bound of a slot.

pub mod load;
pub mod reader;
pub mod transform;

use std::sync::Arc;

use refrain_shared::catalog::{FieldSet, Projection, StandardObject};
use refrain_shared::clock::Timestamp;
use refrain_shared::job::checkpoint::{Position, Window};
use refrain_shared::job::lease::{Lease, SLICE_TIME};
use refrain_shared::salesforce::Client;
use refrain_shared::storage::checkpoints::PlanInputs;
use refrain_shared::storage::records::ObjectKey;
use refrain_shared::ticket::ProjectionPlan;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::crash::{CrashPoint, pass};
use crate::error::JobError;
use crate::lane::Lane;
use crate::tenants::TenantView;

/// Everything a read rests on; fixed for the whole job.
pub struct ReadPlan {
    /// The lease.
    pub lease: Lease,
    /// The right to call.
    pub lane: Arc<Lane>,
    /// The tenant as of planning.
    pub view: TenantView,
    /// API name of the object.
    pub api_name: String,
    /// The key that rows carry.
    pub key: ObjectKey,
    /// The field that orders changes.
    pub cursor: String,
    /// What is read.
    pub fields: Arc<FieldSet>,
    /// How records are projected.
    pub projection: ProjectionPlan,
    /// Paths whose values name people.
    pub identities: &'static [&'static str],
    /// Rows stamped before this and changed arrived late; `None` for history.
    pub late_before: Option<Timestamp>,
}

impl ReadPlan {
    /// Joins what is stored with the tenant's view; `None` when the object was not described yet.
    #[must_use]
    pub fn new(lease: &Lease, lane: &Arc<Lane>, view: TenantView, inputs: &PlanInputs) -> Option<Self> {
        let standard = StandardObject::find(&inputs.api_name);
        Some(Self {
            lease: lease.clone(),
            lane: Arc::clone(lane),
            view,
            api_name: inputs.api_name.clone(),
            key: ObjectKey { connection: lease.connection, object: lease.object },
            cursor: inputs.checkpoint.cursor_field.clone()?,
            fields: Arc::new(inputs.field_set.clone()?),
            projection: ProjectionPlan {
                projection: standard.map_or(Projection::None, |object| object.projection),
                tickets: inputs.ticket_prefixes.clone(),
                facets: inputs.settings.facets.clone(),
            },
            identities: standard.map_or(&[], |object| object.identities),
            late_before: None,
        })
    }
}

/// How far a read came.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadEnd {
    /// To the end of the window; the response's Date says how much of it had settled.
    Complete,
    /// It stopped for time, drain or loss of the lease; the last commit says where.
    Paused,
}

/// What one job did, for its attempt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Pages committed.
    pub pages: i32,
    /// Records read.
    pub read: i64,
    /// Records written.
    pub written: i64,
    /// Wire attempts.
    pub calls: i64,
}

/// Reads a window page by page.
///
/// `commit` makes one page last: it is told the page's outcome, whether the window ends with it, and where
/// the next read would go on; it ends the job in the same commit when it should end.
pub async fn read_window<C>(
    context: &Context,
    plan: &Arc<ReadPlan>,
    client: &Client,
    window: &Window,
    lost: &CancellationToken,
    tally: &mut Tally,
    mut commit: C,
) -> Result<ReadEnd, JobError>
where
    C: AsyncFnMut(load::PageOutcome, &mut Tally) -> Result<(), JobError>,
{
    let started = Instant::now();
    let mut reader = reader::Reader::open(plan, client, window, &context.clock)?;
    let mut page = reader.next(&context.clock).await?;
    let mut position = window.resume.clone();
    loop {
        pass(CrashPoint::AfterPage);
        let last = page.done;
        if let Some(place) = page.last {
            position = Some(Position { stamp: place.at, id: place.id.to_string() });
        }
        let stop = started.elapsed() >= SLICE_TIME || context.draining.is_cancelled() || lost.is_cancelled();
        let this = load::prepare(context, plan, page);
        // The next page travels while this one is turned into rows; not when it would be thrown away.
        let (prepared, next) = if last || stop {
            (this.await?, None)
        } else {
            let (prepared, next) = tokio::join!(this, reader.next(&context.clock));
            (prepared?, Some(next))
        };
        pass(CrashPoint::AfterTransform);
        let outcome = load::PageOutcome {
            prepared,
            ends_window: last,
            stops: stop && !last,
            position: position.clone(),
        };
        commit(outcome, tally).await?;
        pass(CrashPoint::AfterCommit);
        match next {
            None if last => return Ok(ReadEnd::Complete),
            None => return Ok(ReadEnd::Paused),
            Some(next) => page = next?,
        }
    }
}

/// The position as the SOQL layer wants it.
fn soql_position(position: &Position) -> Option<refrain_shared::salesforce::soql::Position> {
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
