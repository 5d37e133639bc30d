//! Refrain's own part of a repetition: a first load, the hourly pass of an org in which nothing happened, and a
//! forced reading of everything, which finds everything unchanged.

use std::time::Duration;

use anyhow::{Context, ensure};
use demo::refrain::NewObject;
use demo::stack::{Simulator, Worker};
use harness::wait;
use serde_json::json;
use tokio_postgres::Client;

use crate::args::Load;
use crate::ground::Fresh;
use crate::limits::connect;
use crate::meter::{Cost, Meter, Watched, postmaster};

/// A verdict of "never", not a measurement.
const DEADLINE: Duration = Duration::from_secs(900);
/// No object falls due by itself while others are measured.
const INTERVAL_S: u32 = 86_400;

/// What Refrain did and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Synced {
    /// Records that the org holds, live and deleted.
    pub(crate) records: u64,
    /// From enabling the objects to the last object's loaded history.
    pub(crate) first_load: Cost,
    /// Of the first load: until the first page was committed.
    pub(crate) first_page: Duration,
    /// Every object asked to sync now, until each has passed.
    pub(crate) hourly: Cost,
    /// All history planned and read again.
    pub(crate) again: Cost,
    /// The most memory that each worker ever held.
    pub(crate) peak_memory: Vec<u64>,
}

/// Runs the three passes.
pub(crate) async fn measure(fresh: &Fresh, simulator: &Simulator, load: Load) -> anyhow::Result<Synced> {
    let database = connect(&fresh.installation).await?;
    let watched = Watched {
        workers: fresh.workers.iter().map(|worker| worker.process.id()).collect(),
        scheduler: Some(fresh.scheduler.process.id()),
        simulator: simulator.process.id(),
        postgres: postmaster(&database).await?,
    };
    let api = &fresh.scheduler.api;
    let tenant = api.tenant_create("Bench").await?.id;
    let client = (fresh.entry.client_id.as_str(), fresh.entry.client_secret.as_str());
    let connection = api.connect(&tenant, "Support org", &fresh.entry.instance_url, client).await?.id;

    let meter = Meter::start(&watched, &fresh.org, &database).await?;
    let mut syncs = Vec::new();
    for (api_name, role) in load.objects() {
        // Everything in the org is older than a second: all of it is history.
        let settings = json!({"settle_s": 1});
        let object =
            NewObject { api_name: (*api_name).to_owned(), role: *role, interval_s: INTERVAL_S, settings };
        syncs.push(api.object_enable(&tenant, &connection, &object).await?.id);
    }
    until(&database, "the first page", "SELECT count(*) > 0 FROM checkpoints WHERE records_read > 0").await?;
    let first_page = meter.elapsed();
    until(&database, "the first load", LOADED).await?;
    let first_load = meter.stop().await?;
    until(&database, "the first increments", IDLE).await?;
    let records = check_complete(fresh, &database, load).await?;

    let before = outcomes(&database).await?;
    let meter = Meter::start(&watched, &fresh.org, &database).await?;
    let began: chrono::DateTime<chrono::Utc> =
        database.query_one("SELECT clock_timestamp()", &[]).await?.get(0);
    for sync in &syncs {
        api.sync_now(&tenant, sync).await?;
    }
    wait::until(DEADLINE, "the hourly pass", async || {
        let sql = "SELECT bool_and(passed_at > $1) FROM checkpoints";
        done(database.query_one(sql, &[&began]).await)
    })
    .await??;
    let hourly = meter.stop().await?;

    until(&database, "the end of the hourly pass", IDLE).await?;
    let meter = Meter::start(&watched, &fresh.org, &database).await?;
    let reset = "UPDATE checkpoints SET state = 'new', loaded_at = NULL, generation = generation + 1";
    database.execute(reset, &[]).await.context("have everything read again")?;
    for sync in &syncs {
        api.sync_now(&tenant, sync).await?;
    }
    until(&database, "everything to be read again", LOADED).await?;
    let again = meter.stop().await?;
    let after = outcomes(&database).await?;
    ensure!(
        after.written == before.written && after.read >= before.read + records,
        "reading {records} records again was not a pass without changes: {before:?}, then {after:?}"
    );
    let peak_memory = fresh.workers.iter().filter_map(Worker::peak_memory).collect();
    Ok(Synced { records, first_load, first_page, hourly, again, peak_memory })
}

const LOADED: &str = "SELECT count(*) FILTER (WHERE state = 'current' AND loaded_at IS NOT NULL)
       = (SELECT count(*) FROM object_syncs) FROM checkpoints";
/// Nothing is published or leased, nothing is due, and every object has passed once.
const IDLE: &str = "SELECT (SELECT count(*) FROM jobs WHERE state IN (1, 2) OR available_at <= now()) = 0
       AND (SELECT bool_and(passed_at IS NOT NULL) FROM checkpoints)";

/// Waits until the statement gives true.
async fn until(database: &Client, what: &str, sql: &str) -> anyhow::Result<()> {
    wait::until(DEADLINE, what, async || done(database.query_one(sql, &[]).await)).await??;
    Ok(())
}

/// True ends the wait, an error too.
fn done(answer: Result<tokio_postgres::Row, tokio_postgres::Error>) -> Option<anyhow::Result<()>> {
    match answer {
        Ok(row) => row.get::<_, Option<bool>>(0).filter(|done| *done).map(|_| Ok(())),
        Err(error) => Some(Err(anyhow::Error::from(error).context("look at the checkpoints"))),
    }
}

#[derive(Debug)]
struct Outcomes {
    read: u64,
    written: u64,
}

async fn outcomes(database: &Client) -> anyhow::Result<Outcomes> {
    let sql = "SELECT sum(records_read)::bigint, sum(written)::bigint FROM checkpoints";
    let row = database.query_one(sql, &[]).await.context("read the outcomes")?;
    let number = |at| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    Ok(Outcomes { read: number(0), written: number(1) })
}

/// A load that lost something has no speed.
async fn check_complete(fresh: &Fresh, database: &Client, load: Load) -> anyhow::Result<u64> {
    const SQL: &str =
        "SELECT count(*) FROM records r JOIN object_syncs o USING (object_id) WHERE o.api_name = $1";
    let truth = fresh.org.truth_summary().await?;
    let mut records = 0;
    for (api_name, _) in load.objects() {
        let counts = truth.objects.get(*api_name).with_context(|| format!("the org has no {api_name}"))?;
        let stored = u64::try_from(database.query_one(SQL, &[api_name]).await?.get::<_, i64>(0)).unwrap_or(0);
        let expected = counts.live + counts.deleted;
        ensure!(stored == expected, "{stored} of {expected} records of {api_name} are here");
        records += stored;
    }
    Ok(records)
}
