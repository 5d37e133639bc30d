//! What an org is asked for and how soon people see it: calls for each million records, by REST and by Bulk, and for each
//! object and hour in which nothing happens; the most memory of a worker; the time until tickets can be read.
//!
//! One worker reads each org into an installation of its own. Calls are those that the org counted.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use demo::refrain::NewObject;
use demo::stack::Worker;
use harness::servers::Options as ServerOptions;
use harness::wait;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::args::{FigureOptions, Load, Way};
use crate::ground::{Fresh, Ground};
use crate::limits::connect;
use crate::report::real;

/// A verdict of "never", not a measurement.
pub(crate) const DEADLINE: Duration = Duration::from_secs(4 * 3600);
/// No object falls due by itself while others are measured.
const INTERVAL_S: u32 = 86_400;
/// The log of deletions is asked for whole minutes, two at least; before that a pass would cost less than an hour's.
const LOG_MINUTES: Duration = Duration::from_secs(180);
pub(crate) const LOADED: &str = "SELECT count(*) FILTER (WHERE state = 'current' AND loaded_at IS NOT NULL)
       = (SELECT count(*) FROM object_syncs) FROM checkpoints";
/// Nothing is published or leased, nothing is due, and every object has passed once.
pub(crate) const IDLE: &str =
    "SELECT (SELECT count(*) FROM jobs WHERE state IN (1, 2) OR available_at <= now()) = 0
       AND (SELECT bool_and(passed_at IS NOT NULL) FROM checkpoints)";

/// Measures each size in each way and prints one JSON object.
pub(crate) async fn run(options: &FigureOptions) -> anyhow::Result<()> {
    let ground = Ground::open(ServerOptions::program("bench")).await?;
    let mut figures = Vec::new();
    for cases in &options.cases {
        let simulator = ground.simulator_of(*cases, options.seed, options.load.mail_characters()).await?;
        for way in &options.read_by {
            eprintln!("{cases} cases by {}", way.word());
            let fresh = ground.installation(&simulator, 1).await?;
            let figure = one(&fresh, options.load, *way).await?;
            eprintln!("{figure}");
            figures.push(json!({"cases": cases, "read_by": way.word(), "figures": figure}));
            fresh.stop().await;
        }
        demo::stack::stop(&simulator.process).await;
    }
    ground.close().await;
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    println!("{}", json!({"build": build, "workers": 1, "load": options.load.word(), "orgs": figures}));
    Ok(())
}

/// One org, from the consent to an hour in which nothing happens.
async fn one(fresh: &Fresh, load: Load, way: Way) -> anyhow::Result<Value> {
    let database = connect(&fresh.installation).await?;
    let api = &fresh.scheduler.api;
    let tenant = api.tenant_create("Figures").await?.id;
    let client = (fresh.entry.client_id.as_str(), fresh.entry.client_secret.as_str());
    let before = fresh.org.calls().await?.api;
    let began = Instant::now();
    let connection = api.connect(&tenant, "Support org", &fresh.entry.instance_url, client).await?.id;
    let mut syncs = Vec::new();
    for (api_name, role) in load.objects() {
        let settings = json!({"settle_s": 1, "read_by": way.word()});
        let object =
            NewObject { api_name: (*api_name).to_owned(), role: *role, interval_s: INTERVAL_S, settings };
        syncs.push(api.object_enable(&tenant, &connection, &object).await?.id);
    }
    wait::until(DEADLINE, "the first ticket", async || match api.tickets(&tenant, "limit=1").await {
        Ok(tickets) => (!tickets.is_empty()).then_some(Ok(())),
        Err(error) => Some(Err(error)),
    })
    .await??;
    let first_ticket = began.elapsed();
    until(&database, "the first load", LOADED).await?;
    let loaded = began.elapsed();
    let first_calls = fresh.org.calls().await?.api - before;
    until(&database, "the jobs that the first load made", IDLE).await?;
    let settled = began.elapsed();
    let settled_calls = fresh.org.calls().await?.api - before;
    let records = stored(&database).await?;
    ensure!(records > 0, "nothing was loaded");

    wait::pass(LOG_MINUTES).await;
    let hour = Pass { fresh, database: &database, tenant: &tenant, syncs: &syncs };
    let idle = hour.run("").await?;
    let sweep = hour.run("?sweep=true").await?.saturating_sub(syncs.len() as u64);
    let peak = fresh.workers.iter().filter_map(Worker::peak_memory).max().unwrap_or_default();
    let per_million = |calls: u64| (real(calls) * 1e6 / real(records)).round();
    Ok(json!({
        "records": records,
        "calls_first_load": first_calls,
        "calls_per_million_records": per_million(first_calls),
        "calls_until_settled": settled_calls,
        "calls_until_settled_per_million_records": per_million(settled_calls),
        "calls_per_idle_object_hour": (real(idle) * 100.0 / real(syncs.len() as u64)).round() / 100.0,
        "calls_of_a_sweep": sweep,
        "calls_of_a_sweep_per_million_records": per_million(sweep),
        "peak_rss_megabytes": real(peak >> 20),
        "seconds_to_first_ticket": tenths(first_ticket),
        "seconds_to_first_load": tenths(loaded),
        "seconds_to_settled": tenths(settled),
    }))
}

/// Every object asked to sync now.
struct Pass<'a> {
    fresh: &'a Fresh,
    database: &'a Client,
    tenant: &'a str,
    syncs: &'a [String],
}

impl Pass<'_> {
    /// The calls of one pass over all objects, to the end of every job that it made due.
    async fn run(&self, query: &str) -> anyhow::Result<u64> {
        let before = self.fresh.org.calls().await?.api;
        let asked: chrono::DateTime<chrono::Utc> =
            self.database.query_one("SELECT clock_timestamp()", &[]).await?.get(0);
        for sync in self.syncs {
            let path = format!("objects/{sync}/sync{query}");
            self.fresh.scheduler.api.post::<Value>(self.tenant, &path, &json!({})).await?;
        }
        let passed = "SELECT bool_and(passed_at > $1) FROM checkpoints";
        let over = async || done(self.database.query_one(passed, &[&asked]).await);
        wait::until(DEADLINE, "a pass over every object", over).await??;
        until(self.database, "the end of its jobs", IDLE).await?;
        Ok(self.fresh.org.calls().await?.api - before)
    }
}

async fn stored(database: &Client) -> anyhow::Result<u64> {
    let row = database.query_one("SELECT count(*) FROM records", &[]).await.context("count the records")?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

pub(crate) fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// Waits until the statement gives true.
pub(crate) async fn until(database: &Client, what: &str, sql: &str) -> anyhow::Result<()> {
    wait::until(DEADLINE, what, async || done(database.query_one(sql, &[]).await)).await??;
    Ok(())
}

/// True ends the wait, an error too.
pub(crate) fn done(answer: Result<tokio_postgres::Row, tokio_postgres::Error>) -> Option<anyhow::Result<()>> {
    match answer {
        Ok(row) => row.get::<_, Option<bool>>(0).filter(|done| *done).map(|_| Ok(())),
        Err(error) => Some(Err(anyhow::Error::from(error).context("look at the checkpoints"))),
    }
}
