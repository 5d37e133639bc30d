//! The standing job that lets tickets go whose time is over, and what belongs to those outside of a filter, chunk by chunk, each in a commit of its own; and asks for
//! those that are to be kept after all. It runs whatever becomes of the connection: time goes on without it.

use std::time::Duration;

use refrain_shared::job::cadence::until_next;
use refrain_shared::job::checkpoint::SyncState;
use refrain_shared::job::lease::{JobEnd, Lease, SLICE_TIME};
use refrain_shared::record::StateReason;
use refrain_shared::retention::EVERY;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::checkpoints::PlanInputs;
use refrain_shared::storage::expiry::again::tickets_again;
use refrain_shared::storage::expiry::bodies::bodies_expire;
use refrain_shared::storage::expiry::{Expire, Expired, tickets_expire};
use refrain_shared::telemetry::names;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deleted::read;
use crate::context::Context;
use crate::crash::{CrashPoint, pass};
use crate::error::{JobError, Step};

/// Tickets in one commit, at most. With a hundred items each that is a full page's work, and short enough under the feed's
/// lock that page commits do not queue behind it.
const EACH: i64 = 50;

/// What was in the way a moment ago is committed by then.
const MOVED: Duration = Duration::from_secs(10);

/// How the job works.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// So many tickets in one commit.
    each: i64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { each: EACH }
    }
}

/// What is left to do in a turn, in this order.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The items of tickets go that are outside of the object's filter.
    Filtered,
    /// Tickets go.
    Tickets,
    /// Bodies of files go.
    Bodies,
    /// Tickets are asked for again.
    Again,
}

/// Lets go what is due now.
pub async fn run(
    context: &Context,
    lease: &Lease,
    inputs: &PlanInputs,
    stop: &CancellationToken,
) -> Result<JobEnd, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Load, &error, context.clock.now());
    let progress: Progress = read(&lease.progress, "a job's progress").map_err(failed)?;
    let stored = serde_json::to_value(&progress).unwrap_or_default();
    let state = inputs.checkpoint.state;
    let is_loading = matches!(state, SyncState::New | SyncState::Loading);
    let (mut stage, begun) = (Stage::Filtered, Instant::now());
    loop {
        let expire = Expire {
            lease,
            why: if matches!(stage, Stage::Filtered) { StateReason::Filtered } else { StateReason::Expired },
            now: context.clock.now(),
            each: progress.each,
            shells: !is_loading,
            chunks: &context.chunks,
            progress: &stored,
            before_commit: || pass(CrashPoint::BeforeCommit),
        };
        let mut client = context.db.tenant().await.map_err(failed)?;
        let is_done = match stage {
            Stage::Filtered => match tickets_expire(&mut client, &expire).await.map_err(failed)? {
                Expired::Nothing => true,
                Expired::Moved => return Ok(wait(MOVED, "moved")),
                Expired::Left { records, .. } => {
                    tracing::info!(object = %inputs.api_name, records, "items left with tickets outside of the filter");
                    false
                }
            },
            Stage::Tickets => match tickets_expire(&mut client, &expire).await.map_err(failed)? {
                Expired::Nothing => true,
                // Pages of these tickets are being committed: they come first.
                Expired::Moved => return Ok(wait(MOVED, "moved")),
                Expired::Left { tickets, records } => {
                    metrics::counter!(names::TICKETS_EXPIRED).increment(tickets.unsigned_abs());
                    tracing::info!(object = %inputs.api_name, tickets, records, "tickets left: their time is over");
                    false
                }
            },
            Stage::Bodies => bodies_expire(&mut client, &expire).await.map_err(failed)? == 0,
            Stage::Again if state == SyncState::Current => {
                tickets_again(&mut client, &expire).await.map_err(failed)? == 0
            }
            Stage::Again => true,
        };
        pass(CrashPoint::AfterCommit);
        stage = match (is_done, stage) {
            (false, stage) => stage,
            (true, Stage::Filtered) => Stage::Tickets,
            (true, Stage::Tickets) => Stage::Bodies,
            (true, Stage::Bodies) => Stage::Again,
            (true, Stage::Again) => {
                return Ok(wait(until_next(lease.object, EVERY, context.clock.now()), "cadence"));
            }
        };
        let stops = begun.elapsed() >= SLICE_TIME || context.draining.is_cancelled() || stop.is_cancelled();
        if stops && !is_done {
            return Ok(JobEnd::More);
        }
    }
}

fn wait(delay: Duration, reason: &'static str) -> JobEnd {
    JobEnd::WaitFor { delay, reason, attempt: 0 }
}
