//! The process: consume while there are free slots, serve health, and leave in good order.
//!
//! Drain: not ready → stop consuming → running jobs end at their next commit → farewell. What does not come to one in
//! time is handed back as of its last commit.

use std::sync::Arc;
use std::time::Duration;

use refrain_shared::config::Config;
use refrain_shared::job::envelope::Decoded;
use refrain_shared::job::lease::{Class, HEARTBEAT};
use refrain_shared::queue::{Consumer, ConsumerOptions, Delivery};
use refrain_shared::start;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::jobs::{jobs_hand_back, worker_farewell, worker_heartbeat};
use refrain_shared::telemetry::{Check, Health, Telemetry, health_router};
use refrain_shared::wiring;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::context::Context;
use crate::crash::{CrashPoint, pass};
use crate::error::chain;
use crate::runner::run_message;

/// How long running jobs get to reach a commit: a worker that is asked to stop is gone within 30 s.
const DRAIN: Duration = Duration::from_secs(20);
/// How long the database gets for each of a worker's last words.
const LAST_WORD: Duration = Duration::from_secs(4);
/// How often a worker says that it lives. As often as it prolongs leases: the reaper tells a job that froze from a worker
/// that is gone by which of the two was last.
const ALIVE: Duration = HEARTBEAT;
/// This build, as the fleet's list of workers names it.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs until `stop`, then drains.
pub async fn serve(
    context: Arc<Context>,
    config: &Config,
    telemetry: Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let slots = config.worker.slots;
    let listener = start::listen(config.worker.listen, "worker.listen").await?;
    let mut consumer = Consumer::start(ConsumerOptions {
        broker: wiring::broker_options(config),
        name: format!("refrain worker {}", context.worker),
        prefetch: prefetch(slots),
        watch_every: Duration::from_secs(15),
    });
    let health = Health::new(checks(&context, &consumer));
    tracing::info!(listen = %listener.local_addr()?, slots, worker.id = %context.worker, "worker runs");
    let tasks = TaskTracker::new();
    let closed = CancellationToken::new();
    tasks.spawn(serve_health(
        listener,
        health_router(health.clone(), Some(telemetry.clone())),
        closed.clone(),
    ));
    let stopped = closed.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = telemetry.upkeep() => {}
            () = stopped.cancelled() => {}
        }
    });
    tasks.spawn(say_alive(Arc::clone(&context), i32::from(slots), closed.clone()));

    let jobs = TaskTracker::new();
    let free = Arc::new(Semaphore::new(usize::from(slots)));
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = Arc::clone(&free).acquire_owned() => permit?,
        };
        let delivery = tokio::select! {
            () = stop.cancelled() => break,
            delivery = consumer.next() => delivery,
        };
        let Some(delivery) = delivery else { break };
        let context = Arc::clone(&context);
        jobs.spawn(async move {
            deal_with(&context, delivery).await;
            drop(permit);
        });
    }

    tracing::info!("worker drains");
    health.drain();
    context.draining.cancel();
    consumer.stop();
    jobs.close();
    if tokio::time::timeout(DRAIN, jobs.wait()).await.is_err() {
        match last_word(jobs_hand_back(&context.db, context.worker)).await {
            Ok(jobs) => tracing::info!(jobs, "handed back what did not reach a commit in time"),
            Err(why) => tracing::warn!(why, "jobs not handed back; their leases run out"),
        }
    }
    consumer.close().await;
    if let Err(why) = last_word(worker_farewell(&context.db, context.worker)).await {
        tracing::warn!(why, "no farewell; the row ages out");
    }
    closed.cancel();
    tasks.close();
    tasks.wait().await;
    tracing::info!("worker stopped");
    Ok(())
}

/// What the database says in time; else why not.
async fn last_word<T>(said: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match tokio::time::timeout(LAST_WORD, said).await {
        Ok(said) => said.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no answer within {} s", LAST_WORD.as_secs())),
    }
}

/// What people wait for may use every slot; one is kept free of all else, so that it is never stuck behind history or
/// files.
fn prefetch(slots: u16) -> Vec<(Class, u16)> {
    let spare = slots.saturating_sub(1).max(1);
    let of = |class| match class {
        Class::Interactive | Class::Incremental => slots,
        Class::Derived | Class::Backfill | Class::Verify | Class::Files | Class::Privacy => spare,
        // Salesforce means these calls for little at once.
        Class::Transcripts => 1,
    };
    Class::ALL.map(|class| (class, of(class))).to_vec()
}

fn checks(context: &Arc<Context>, consumer: &Consumer) -> Vec<(&'static str, Check)> {
    let (database, broker) = (context.db.clone(), consumer.connected_flag());
    vec![
        (
            "database",
            Arc::new(move || {
                let database = database.clone();
                Box::pin(async move { database.ping().await.map_err(|error| chain(&error)) })
            }),
        ),
        (
            "broker",
            Arc::new(move || {
                let connected = broker.load(std::sync::atomic::Ordering::Relaxed);
                Box::pin(async move { if connected { Ok(()) } else { Err("not connected".to_owned()) } })
            }),
        ),
    ]
}

/// Does what one delivery asks for and gives it back to the broker, so that it counts no longer among those in hand.
pub async fn deal_with(context: &Context, delivery: Delivery) {
    let envelope = match &delivery.message {
        Decoded::Envelope(envelope) => envelope.clone(),
        Decoded::NewerVersion(version) => {
            // Acknowledged, not lost: the job stays due and is published again until a newer build takes it.
            tracing::warn!(version, "a message of a newer build was left for it");
            let _ = delivery.ack().await;
            return;
        }
        Decoded::Undecodable(_) => {
            tracing::error!(class = delivery.class.word(), "an undecodable message was put aside");
            let _ = delivery.dead_letter().await;
            return;
        }
    };
    // What the dispatcher says of this message has the same trace.
    let span = tracing::info_span!("job.take", trace.id = envelope.trace_id());
    run_message(context, envelope.job, envelope.epoch).instrument(span).await;
    if let Err(error) = delivery.ack().await {
        // It comes again with an epoch that matches nothing any more.
        tracing::debug!(error = %chain(&error), "message not acknowledged");
    }
    pass(CrashPoint::AfterAck);
}

async fn say_alive(context: Arc<Context>, slots: i32, closed: CancellationToken) {
    let mut ticks = interval(ALIVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closed.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if context.draining.is_cancelled() {
            return;
        }
        if let Err(error) = worker_heartbeat(&context.db, context.worker, slots, VERSION).await {
            tracing::warn!(error = %chain(&error), "could not say that this worker lives");
        }
    }
}

async fn serve_health(listener: TcpListener, router: axum::Router, closed: CancellationToken) {
    let served = axum::serve(listener, router).with_graceful_shutdown(closed.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "health is not served any more");
    }
}
