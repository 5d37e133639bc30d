//! What `scheduler serve` runs: dispatcher, reaper, reconciler, numbers, and the HTTP server.
//!
//! Every task is tracked. Stopping: not ready at once, loops end between rounds, the server finishes what it has
//! begun; then the broker's connection is closed. Nothing here must last: another replica goes on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use refrain_shared::clock::Clock;
use refrain_shared::config::Config;
use refrain_shared::queue::Publisher;
use refrain_shared::start;
use refrain_shared::storage::Database;
use refrain_shared::storage::control::control_pool;
use refrain_shared::telemetry::health::Check;
use refrain_shared::telemetry::{Health, Telemetry, health_router};
use refrain_shared::wiring::{broker_options, database_options};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Api, router};
use crate::probe::SalesforceProbe;
use crate::rounds::Wakes;
use crate::{dispatcher, operator_key, reaper, reconcile, rounds, stats, wiring};

/// How long stopping may take; orchestrators kill after 30 seconds.
const DRAIN: Duration = Duration::from_secs(10);

/// Everything that the tasks share.
struct Parts {
    db: Database,
    publisher: Arc<Publisher>,
    health: Health,
    api: Arc<Api>,
}

/// Runs until `stop`. The listener is bound by the caller, who may have asked for any free port.
pub async fn serve(
    config: &Config,
    listener: TcpListener,
    telemetry: Option<Telemetry>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let parts = parts(config).await?;
    let tasks = TaskTracker::new();
    start_loops(config, &parts, &stop, &tasks);
    if let Some(telemetry) = telemetry.clone() {
        let stop = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = telemetry.upkeep() => {}
                () = stop.cancelled() => {}
            }
        });
    }
    tracing::info!(address = %listener.local_addr()?, "the scheduler serves");
    let app = router(Arc::clone(&parts.api)).merge(health_router(parts.health.clone(), telemetry));
    let (stopping, health) = (stop.clone(), parts.health.clone());
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        stopping.cancelled().await;
        health.drain();
    });
    let server = tasks.spawn(async move { server.await });
    stop.cancelled().await;
    tasks.close();
    let drained = tokio::time::timeout(DRAIN, async {
        tasks.wait().await;
        parts.publisher.close().await;
    });
    if drained.await.is_err() {
        tracing::warn!(seconds = DRAIN.as_secs(), "not everything ended in time; stopping all the same");
        return Ok(());
    }
    server.await.context("end the HTTP server")?.context("serve HTTP")
}

async fn parts(config: &Config) -> anyhow::Result<Parts> {
    let (http, client, _) = start::salesforce(config)?;
    let options = database_options(config);
    let db = Database::open(&options).context("open the database")?;
    let probe = Arc::new(SalesforceProbe::new(db.clone(), http, client, Clock::system()));
    let control = control_pool(&options).context("open the database")?;
    let ring = Arc::new(wiring::key_ring(config, &db).await?);
    operator_key::ensure(&control, &config.http.operator_key_file).await?;
    let publisher = Arc::new(Publisher::new(broker_options(config), "refrain-scheduler"));
    let health = Health::new(vec![("database", database_check(&db)), ("broker", broker_check(&publisher))]);
    let api = Arc::new(Api {
        control,
        db: db.clone(),
        chunks: refrain_shared::start::chunk_store(config)?,
        ring,
        probe,
        broker: broker_options(config),
        clock: Clock::system(),
        wakes: Wakes::default(),
    });
    Ok(Parts { db, publisher, health, api })
}

fn start_loops(config: &Config, parts: &Parts, stop: &CancellationToken, tasks: &TaskTracker) {
    let settings = config.dispatch.clone();
    let (reap_every, reconcile_every) = (settings.reap_every, settings.reconcile_every);
    let (db, publisher) = (parts.db.clone(), Arc::clone(&parts.publisher));
    let wakes = parts.api.wakes.clone();
    let never = Arc::new(Notify::new());
    tasks.spawn(rounds::run("dispatcher", stop.clone(), Arc::clone(&wakes.dispatcher), async move || {
        dispatcher::round(&db, &publisher, &settings).await
    }));
    let db = parts.db.clone();
    tasks.spawn(rounds::run("reaper", stop.clone(), Arc::clone(&never), async move || {
        reaper::round(&db, reap_every).await
    }));
    let db = parts.db.clone();
    tasks.spawn(rounds::run("reconciler", stop.clone(), Arc::clone(&wakes.reconciler), async move || {
        reconcile::round(&db, reconcile_every, &wakes).await
    }));
    let db = parts.db.clone();
    tasks.spawn(rounds::run("stats", stop.clone(), never, async move || stats::round(&db).await));
}

fn database_check(db: &Database) -> Check {
    let db = db.clone();
    Arc::new(move || {
        let db = db.clone();
        Box::pin(async move { db.ping().await.map_err(|error| rounds::chain(&error)) })
    })
}

fn broker_check(publisher: &Arc<Publisher>) -> Check {
    let publisher = Arc::clone(publisher);
    Arc::new(move || {
        let publisher = Arc::clone(&publisher);
        Box::pin(async move { publisher.ready().await.map_err(|error| error.message().to_string()) })
    })
}
