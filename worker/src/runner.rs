//! From a message to an acknowledged outcome: lease → handler → disposition → end of the job → ack.
//!
//! The message is done with when its outcome is in the jobs table. A message that no job waits for any more (an old
//! epoch, a job gone) is forgotten: it costs one statement. So is one whose job could not be asked for, with the database
//! away: the job stays published, and comes again.

use std::time::Duration;

use rand::RngExt as _;
use refrain_shared::clock::Timestamp;
use refrain_shared::error::{DeferReason, Disposition, ReplanHint, UNKNOWN_ATTEMPTS, UserMessage};
use refrain_shared::ids::JobId;
use refrain_shared::job::lease::{JobEnd, Lease};
use refrain_shared::storage::checkpoints::checkpoint_stop;
use refrain_shared::storage::gates::{GateSubject, connection_park, gate_close};
use refrain_shared::storage::jobs::{AttemptReport, job_end, job_lease, job_put_off};
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::telemetry::names;
use refrain_shared::tenant::TenantScope;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::context::Context;
use crate::crash::{CrashPoint, pass};
use crate::engine::Tally;
use crate::error::{JobError, chain};
use crate::jobs::{self, Left, narrow};
use crate::lease;

/// When a suspect comes again that found another one running.
const SUSPECT_WAIT: Duration = Duration::from_secs(5);

/// Does what one message asks for; the message is then to be acknowledged, whatever came of it.
pub async fn run_message(context: &Context, job: JobId, epoch: i64) {
    let lease = match job_lease(&context.db, context.worker, job, epoch).await {
        Ok(Some(lease)) => lease,
        Ok(None) => {
            metrics::counter!(names::STALE_DELIVERIES).increment(1);
            return;
        }
        Err(error) => {
            tracing::warn!(job.id = %job, error = %chain(&error), "job not leased");
            return;
        }
    };
    pass(CrashPoint::AfterLease);
    // One suspect at a time: the death of this process then says which one it was.
    let alone = if lease.is_suspect() { context.suspect.try_lock().map(Some) } else { Ok(None) };
    let Ok(_alone) = alone else {
        if let Err(error) = job_put_off(&context.db, &lease, SUSPECT_WAIT).await {
            tracing::warn!(job.id = %job, error = %chain(&error), "job not put off; the lease runs out");
        }
        return;
    };
    let span = tracing::info_span!(
        "job.run", tenant.id = %lease.tenant, connection.id = %lease.connection, object = %lease.object,
        job.id = %lease.job, attempt = lease.attempt, kind = lease.kind.word()
    );
    // Boxed: what a job awaits is large, and little of it is needed while a message waits for its lease.
    Box::pin(run_leased(context, &lease).instrument(span)).await;
    pass(CrashPoint::BeforeAck);
}

async fn run_leased(context: &Context, lease: &Lease) {
    let (stop, done) = (CancellationToken::new(), CancellationToken::new());
    let mut tally = Tally::default();
    let begun = Instant::now();
    let work = async {
        let left = Box::pin(jobs::run(context, lease, &stop, &mut tally)).await;
        done.cancel();
        left
    };
    let (left, ()) = tokio::join!(work, lease::keep(&context.db, lease, &stop, &done));
    let (outcome, stored) = match left {
        Ok(Left::Ended) => ("done", Ok(())),
        Ok(Left::Open(end)) => ("done", finish(context, lease, &end, &report(&tally, "done", None)).await),
        Err(error) => settle_failure(context, lease, &tally, error).await,
    };
    metrics::counter!(names::ATTEMPTS, "kind" => lease.kind.word(), "outcome" => outcome).increment(1);
    let object = tally.object.unwrap_or("unknown");
    metrics::histogram!(names::ATTEMPT_TIME, "object" => object, "outcome" => outcome)
        .record(begun.elapsed().as_secs_f64());
    match stored {
        Ok(()) | Err(StoreError::FenceLost) => {}
        Err(error) => tracing::warn!(error = %chain(&error), "outcome not stored; the lease runs out"),
    }
}

/// Does what a failure asks for and ends the job; gives the outcome's word, and whether it could be stored.
async fn settle_failure(
    context: &Context,
    lease: &Lease,
    tally: &Tally,
    mut error: JobError,
) -> (&'static str, Result<(), StoreError>) {
    if let Some(excess) = narrow::excess_of(&error) {
        let outcome = error.disposition.word();
        let report = report(tally, outcome, Some(&error));
        match narrow::narrow(context, lease, excess, &report).await {
            Ok(None) => {
                log(&error);
                return (outcome, Ok(()));
            }
            Ok(Some(ask)) => error.disposition = Disposition::ParkObject { ask },
            Err(store) => return (outcome, Err(store)),
        }
    }
    let outcome = error.disposition.word();
    log(&error);
    let stored = match obey(context, lease, &error).await {
        Ok(Some(end)) => finish(context, lease, &end, &report(tally, outcome, Some(&error))).await,
        Ok(None) => Ok(()),
        Err(store) => Err(store),
    };
    (outcome, stored)
}

fn report(tally: &Tally, outcome: &'static str, error: Option<&JobError>) -> AttemptReport {
    AttemptReport {
        outcome,
        step: error.map(|error| error.step.word()),
        code: error.map(|error| error.code.to_owned()),
        detail: error.map(|error| error.detail.chars().take(500).collect()),
        pages: tally.pages,
        records_read: tally.read,
        written: tally.written,
        api_calls: i32::try_from(tally.calls).unwrap_or(i32::MAX),
        calls_apart: tally.calls - tally.calls_counted,
    }
}

/// The failure is logged here and nowhere else.
fn log(error: &JobError) {
    let (step, code) = (error.step.word(), error.code);
    match &error.disposition {
        Disposition::Bug => {
            tracing::error!(step, code, detail = %error.detail, "job stopped by a defect of ours");
        }
        Disposition::ParkObject { ask } | Disposition::ParkConnection { ask } => {
            tracing::warn!(step, code, ask = %ask, "a person must act");
        }
        // A mapping, a key or a suppression came in between: foreseen, and nobody's fault.
        Disposition::Replan { hint: ReplanHint::GateMoved } => {
            tracing::info!(step, code, detail = %error.detail, "job will be planned again");
        }
        Disposition::Retry { .. } | Disposition::Replan { .. } => {
            tracing::warn!(step, code, detail = %error.detail, "job will be tried again");
        }
        Disposition::Defer { .. } | Disposition::Discard => {
            tracing::info!(step, code, detail = %error.detail, "job put off");
        }
    }
}

/// What the disposition asks for, beside the job itself; gives how the job ends, if it is still ours to end.
async fn obey(context: &Context, lease: &Lease, error: &JobError) -> Result<Option<JobEnd>, StoreError> {
    let now = context.clock.now();
    let attempt = lease.attempt + 1;
    let again = |delay: Duration, reason| JobEnd::WaitFor { delay, reason, attempt };
    let jitter = || rand::rng().random::<f64>();
    Ok(Some(match &error.disposition {
        Disposition::Discard => return Ok(None),
        Disposition::Retry { backoff } => {
            let tries = u32::try_from(attempt).unwrap_or(u32::MAX);
            if *backoff == refrain_shared::error::Backoff::Unknown && tries > UNKNOWN_ATTEMPTS {
                JobEnd::Park { ask: defect(error) }
            } else {
                again(backoff.delay(tries, jitter()), "retry")
            }
        }
        Disposition::Defer { until, why } => {
            let (reason, wait) = (why.word(), until_seconds(*until, now));
            // What holds for every job of the org is a gate, so that they are not published one after the other
            // to be refused. A budget may be free sooner than was reckoned: its gate opens then, and the job is due.
            let gate = GateSubject::Org(lease.org);
            let delay = match why {
                DeferReason::Budget | DeferReason::OrgQuota => {
                    gate_close(&context.db, gate, reason, Some(wait.as_secs_f64())).await?;
                    if *why == DeferReason::Budget { Duration::ZERO } else { wait }
                }
                DeferReason::Share => {
                    let (gate, reason) =
                        (GateSubject::Connection(lease.connection), DeferReason::Budget.word());
                    gate_close(&context.db, gate, reason, Some(wait.as_secs_f64())).await?;
                    Duration::ZERO
                }
                DeferReason::Lanes
                | DeferReason::Blackout
                | DeferReason::Paused
                | DeferReason::NewerVersion
                | DeferReason::Storage => wait,
            };
            JobEnd::WaitFor { delay, reason, attempt: lease.attempt }
        }
        Disposition::Replan { hint } => {
            context.tenants.forget(lease.tenant);
            match hint {
                ReplanHint::GateMoved => JobEnd::More,
                // Too much outside of a window: a count, or the first look at an object.
                ReplanHint::DescribeAgain | ReplanHint::HalveSlice | ReplanHint::FewerRows => {
                    let tries = u32::try_from(attempt).unwrap_or(u32::MAX);
                    match hint {
                        _ if tries <= UNKNOWN_ATTEMPTS => {
                            again(refrain_shared::error::Backoff::Hiccup.delay(tries, jitter()), "replan")
                        }
                        ReplanHint::HalveSlice | ReplanHint::FewerRows => {
                            JobEnd::Park { ask: narrow::too_much("this object") }
                        }
                        ReplanHint::DescribeAgain | ReplanHint::GateMoved => {
                            JobEnd::Park { ask: defect(error) }
                        }
                    }
                }
            }
        }
        Disposition::ParkObject { ask } => {
            park_object(context, lease, ask).await?;
            JobEnd::WaitFor { delay: Duration::from_secs(300), reason: "parked", attempt: 0 }
        }
        Disposition::ParkConnection { ask } => {
            connection_park(&context.db, lease, ask).await?;
            JobEnd::WaitFor { delay: Duration::from_secs(300), reason: "connection", attempt: 0 }
        }
        Disposition::Bug => JobEnd::Park { ask: defect(error) },
    }))
}

fn until_seconds(until: Timestamp, now: Timestamp) -> Duration {
    (until - now).to_std().unwrap_or(Duration::from_millis(200)).min(Duration::from_secs(24 * 3600))
}

fn defect(error: &JobError) -> UserMessage {
    if matches!(error.code, "does_not_open" | "unknown_key" | "unknown_format") {
        return UserMessage::new(
            "SEALED_DATA",
            "This job stopped because sealed data of the tenant does not open.",
            format!(
                "The key ring of this worker is not the one that sealed it, or it is damaged: {}.",
                error.detail
            ),
            "Start the workers with the key ring that was in use before (keys.file), then press Sync now. Nothing was lost.",
        );
    }
    UserMessage::new(
        "DEFECT",
        "This job stopped because of a defect in Refrain.",
        format!("{} failed in a way that is not foreseen ({}).", error.step.word(), error.code),
        "Nothing was lost. Tell the operator; the attempt's history has the detail.",
    )
}

async fn park_object(context: &Context, lease: &Lease, ask: &UserMessage) -> Result<(), StoreError> {
    let mut client = context.db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &TenantScope::leased(lease.tenant)).await?;
    checkpoint_stop(&tx, lease.object, Some(ask)).await?;
    tx.commit().await
}

/// Ends the lease and writes the attempt, both or neither.
async fn finish(
    context: &Context,
    lease: &Lease,
    end: &JobEnd,
    report: &AttemptReport,
) -> Result<(), StoreError> {
    let mut client = context.db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    job_end(&tx, lease, end, report).await?;
    tx.commit().await.map_err(StoreError::at("commit"))
}
