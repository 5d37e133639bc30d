//! How soon a parent's change shows in its children, by how many it has: an account is renamed, and its cases, whose own
//! stamps stand still, are read again.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use demo::refrain::NewObject;
use demo::stack::Worker;
use harness::servers::Options as ServerOptions;
use harness::wait;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::args::{FreshnessOptions, Load};
use crate::figures::{DEADLINE, IDLE, LOADED, done, tenths, until};
use crate::ground::{Fresh, Ground};
use crate::limits::connect;
use crate::report::real;

/// Nothing falls due by itself meanwhile.
const INTERVAL_S: u32 = 86_400;
/// What settles in the org's clock before it is asked for.
const SETTLED: Duration = Duration::from_secs(3);
/// Parents are followed from the first turn on.
const FOLLOWED: &str = "SELECT count(*) > 0 FROM followed_parents WHERE api_name = 'Account' AND watermark_at > now() - interval '1 hour'";
/// Every change before the moment shows.
const FRESH: &str = "SELECT (SELECT count(*) FROM stale_links) = 0
       AND (SELECT watermark_at > $1 FROM followed_parents WHERE api_name = 'Account')";

/// Measures each number of children in one org and prints one JSON object.
pub(crate) async fn run(options: &FreshnessOptions) -> anyhow::Result<()> {
    let ground = Ground::open(ServerOptions::program("bench")).await?;
    let simulator = ground.simulator_of(options.cases, 1, Load::Cases.mail_characters()).await?;
    let fresh = ground.installation(&simulator, options.workers).await?;
    let mut children = options.children.clone();
    children.sort_unstable_by(|a, b| b.cmp(a));
    ensure!(
        children.iter().all(|count| *count <= options.cases),
        "an account has no more children than there are cases"
    );
    let figures = all(&fresh, &children).await?;
    let peak = fresh.workers.iter().filter_map(Worker::peak_memory).max().unwrap_or_default();
    fresh.stop().await;
    demo::stack::stop(&simulator.process).await;
    ground.close().await;
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let peak = real(peak >> 20);
    println!(
        "{}",
        json!({"build": build, "workers": options.workers, "cases": options.cases, "renamed": figures,
               "peak_rss_megabytes": peak})
    );
    Ok(())
}

async fn all(fresh: &Fresh, children: &[u32]) -> anyhow::Result<Vec<Value>> {
    let mut accounts: Vec<(String, usize)> = Vec::new();
    // Each takes the first cases from the one before, which had more.
    for count in children {
        let fields = json!({"Name": format!("Before {count}")});
        let account: Value =
            fresh.org.post("records", &json!({"object": "Account", "fields": fields})).await?;
        let account = account["id"].as_str().context("the simulator gives no id")?.to_owned();
        let cases = json!({"object": "Case", "count": count, "fields": {"AccountId": account}});
        let moved: Value = fresh.org.post("mass-update", &cases).await?;
        // Fewer than asked for where cases are in the bin.
        accounts.push((account, moved["ids"].as_array().map_or(0, Vec::len)));
    }
    let database = connect(&fresh.installation).await?;
    let api = &fresh.scheduler.api;
    let tenant = api.tenant_create("Figures").await?.id;
    let client = (fresh.entry.client_id.as_str(), fresh.entry.client_secret.as_str());
    let connection = api.connect(&tenant, "Support org", &fresh.entry.instance_url, client).await?.id;
    let settings = json!({"settle_s": 1, "linked": ["Account.Name"]});
    let case = NewObject { api_name: "Case".to_owned(), role: None, interval_s: INTERVAL_S, settings };
    api.object_enable(&tenant, &connection, &case).await?;
    until(&database, "the first load", LOADED).await?;
    until(&database, "parents to be followed", FOLLOWED).await?;
    until(&database, "the jobs that the first load made", IDLE).await?;
    let mut figures = Vec::new();
    for (place, (account, moved)) in accounts.iter().enumerate() {
        let left = accounts.get(place + 1).map_or(0, |(_, moved)| *moved);
        let figure = renamed(fresh, &database, account, moved - left).await?;
        eprintln!("{figure}");
        figures.push(figure);
    }
    Ok(figures)
}

/// From the moment at which the follower looks, which otherwise adds its interval, until every child shows the change.
async fn renamed(fresh: &Fresh, database: &Client, account: &str, children: usize) -> anyhow::Result<Value> {
    let (calls, before) = (fresh.org.calls().await?.api, written(database).await?);
    let changed: DateTime<Utc> = database.query_one("SELECT clock_timestamp()", &[]).await?.get(0);
    let renamed = json!({"fields": {"Name": format!("After {children}")}});
    fresh.org.post::<Value>(&format!("records/Account/{account}"), &renamed).await?;
    wait::pass(SETTLED).await;
    let began = Instant::now();
    database
        .batch_execute(
            "UPDATE followed_parents SET followed_at = NULL;
             UPDATE jobs SET available_at = now() WHERE kind = 'follow' AND state = 0",
        )
        .await
        .context("make the follower due")?;
    let fresh_now = async || done(database.query_one(FRESH, &[&changed]).await);
    wait::until(DEADLINE, "every child to show the change", fresh_now).await??;
    let time = began.elapsed();
    let rewritten = written(database).await? - before;
    ensure!(u64::try_from(children)? == rewritten, "{rewritten} of {children} children were written");
    Ok(json!({
        "children": children,
        "seconds": tenths(time),
        "calls": fresh.org.calls().await?.api - calls,
    }))
}

async fn written(database: &Client) -> anyhow::Result<u64> {
    let row = database.query_one("SELECT sum(written)::bigint FROM checkpoints", &[]).await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}
