//! How fast a changed mapping is applied to what is here: facets of all tickets, then all comments, each ticket with its
//! own in one commit; and that the org is not asked for it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use demo::refrain::NewObject;
use demo::stack::Worker;
use harness::servers::Options as ServerOptions;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::args::{Load, ReprojectOptions};
use crate::figures::{IDLE, LOADED, tenths, until};
use crate::ground::{Fresh, Ground};
use crate::limits::connect;
use crate::report::real;

/// Nothing falls due by itself meanwhile.
const INTERVAL_S: u32 = 86_400;
/// No job is under way.
const AT_REST: &str = "SELECT count(*) = 0 FROM jobs WHERE state IN (1, 2)";
/// Everything is of the mapping that is wanted.
const APPLIED: &str =
    "SELECT bool_and((coalesce(c.projected->'facets', 'null'), coalesce(c.projected->'message', 'null'))
           = (coalesce(o.settings->'facets', 'null'), coalesce(o.settings->'message', 'null')))
      FROM object_syncs o JOIN checkpoints c USING (object_id)";

/// Measures each size and prints one JSON object.
pub(crate) async fn run(options: &ReprojectOptions) -> anyhow::Result<()> {
    let ground = Ground::open(ServerOptions::program("bench")).await?;
    let mut figures = Vec::new();
    for cases in &options.cases {
        let simulator = ground.simulator_of(*cases, 1, Load::Cases.mail_characters()).await?;
        let fresh = ground.installation(&simulator, options.workers).await?;
        let figure = one(&fresh).await?;
        eprintln!("{figure}");
        figures.push(json!({"cases": cases, "figures": figure}));
        fresh.stop().await;
        demo::stack::stop(&simulator.process).await;
    }
    ground.close().await;
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    println!("{}", json!({"build": build, "workers": options.workers, "orgs": figures}));
    Ok(())
}

async fn one(fresh: &Fresh) -> anyhow::Result<Value> {
    let database = connect(&fresh.installation).await?;
    let api = &fresh.scheduler.api;
    let tenant = api.tenant_create("Figures").await?.id;
    let client = (fresh.entry.client_id.as_str(), fresh.entry.client_secret.as_str());
    let connection = api.connect(&tenant, "Support org", &fresh.entry.instance_url, client).await?.id;
    let mut syncs = Vec::new();
    for api_name in ["Case", "CaseComment"] {
        let settings = json!({"settle_s": 1});
        let object =
            NewObject { api_name: api_name.to_owned(), role: None, interval_s: INTERVAL_S, settings };
        syncs.push(api.object_enable(&tenant, &connection, &object).await?.id);
    }
    until(&database, "the first load", LOADED).await?;
    until(&database, "the jobs that the first load made", IDLE).await?;
    // Nothing is asked of the org meanwhile, and the mapping is applied all the same.
    api.pause(&tenant).await?;
    until(&database, "the last call", AT_REST).await?;
    let asked = fresh.org.calls().await?.api;
    let (tickets, items) = (count(&database, "tickets").await?, count(&database, "messages").await?);

    let mut seconds = Vec::new();
    for (sync, settings) in [
        (
            &syncs[0],
            json!({"facets": [
            {"name": "area", "path": "Product_Area__c", "as": "text"},
            {"name": "due", "path": "Due_Date__c", "as": "time"}]}),
        ),
        (&syncs[1], json!({"message": {"kind": "post", "parents": ["ParentId"], "text": ["CommentBody"]}})),
        (
            &syncs[0],
            json!({"facets": [
            {"name": "area", "path": "Product_Area__c", "as": "text"},
            {"name": "due", "path": "Due_Date__c", "as": "time"},
            {"name": "none", "path": "No_Such_Field__c", "as": "text"}]}),
        ),
    ] {
        let began = Instant::now();
        api.object_change(&tenant, sync, &settings).await?;
        until(&database, "the mapping", APPLIED).await?;
        seconds.push(began.elapsed());
    }
    ensure!(fresh.org.calls().await?.api == asked, "the org was asked");
    let rate = |of: u64, time: Duration| (real(of) / time.as_secs_f64()).round();
    let peak = fresh.workers.iter().filter_map(Worker::peak_memory).max().unwrap_or_default();
    Ok(json!({
        "tickets": tickets,
        "items": items,
        "seconds_facets": tenths(seconds[0]),
        "tickets_per_second_facets": rate(tickets, seconds[0]),
        "seconds_items": tenths(seconds[1]),
        "tickets_and_items_per_second": rate(tickets + items, seconds[1]),
        "seconds_nothing_else": tenths(seconds[2]),
        "tickets_per_second_nothing_else": rate(tickets, seconds[2]),
        "peak_rss_megabytes": real(peak >> 20),
    }))
}

async fn count(database: &Client, table: &str) -> anyhow::Result<u64> {
    let row = database.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}
