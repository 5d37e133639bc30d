//! What happens, in order: set up, connect, first sync, comparison, then edits and their arrival.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use demo::objects::{OBJECTS, wanted};
use demo::org::{Edited, Org};
use demo::refrain::{ObjectStatus, Refrain};
use demo::stack::Scheduler;
use demo::verify::{self, Target};
use harness::wait;
use tokio::try_join;

use crate::args::Options;
use crate::ground::Ground;
use crate::progress::{Progress, grouped, per_second};
use crate::summary::{self, Numbers};
use crate::voice::Voice;

/// How often an object is read. An hour is usual; here people are watching.
const INTERVAL_S: u32 = 5;
/// Edits of the pass that `--once` verifies.
const EDITS: u32 = 60;
/// Edits of each later round, and the time between rounds.
const ROUND: (u32, Duration) = (5, Duration::from_secs(6));
/// How often the status is asked for.
const LOOK: Duration = Duration::from_millis(300);

/// How the story ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Both sides held the same.
    Exact,
    /// They did not.
    Differs,
}

/// The tenant and what it is compared with.
struct Scene {
    api: Refrain,
    org: Org,
    tenant: String,
    target: Target,
}

/// Tells it. `verified` turns true once the first sync was compared and found exact.
pub(crate) async fn tell(
    options: &Options,
    voice: &Voice,
    ground: &mut Ground,
    verified: &mut bool,
) -> anyhow::Result<Ending> {
    voice.line(&format!(
        "Refrain's demo: an org of {} cases, {} worker{}.",
        grouped(options.cases.into()),
        options.workers,
        if options.workers == 1 { "" } else { "s" }
    ));
    voice.step("building the programs, starting PostgreSQL, RabbitMQ and a simulated org");
    ground.prepare(voice).await.context("set up")?;
    let scene = open(options, voice, ground).await?;
    let began = Instant::now();
    let deadline = Duration::from_secs(120 + u64::from(options.cases) / 50);
    let from = scene.org.truth_summary().await?.now;
    let status = first_sync(&scene, voice, ground, from, deadline).await?;
    let first_sync = began.elapsed();
    let report = verify::compare(&scene.target).await.context("compare with the org")?;
    let (api_calls, first_records) = (scene.org.calls().await?.api, report.in_org());
    let mut numbers = Numbers {
        seconds: voice.elapsed(),
        verified_after: voice.elapsed(),
        first_sync,
        first_records,
        api_calls,
        peak_memory: ground.workers.iter().filter_map(demo::stack::Worker::peak_memory).collect(),
        edits: 0,
        urls: urls(&scene, ground),
        report,
        status,
    };
    *verified = numbers.report.is_exact();
    show(&scene, voice, &numbers).await?;
    if !*verified {
        voice.json(&summary::json(&numbers));
        return Ok(Ending::Differs);
    }
    if !options.once {
        voice.json(&summary::json(&numbers));
        return live(options, &scene, voice, ground).await;
    }
    let edits = edit_and_catch_up(options, &scene, voice, ground).await?;
    numbers.report = verify::compare(&scene.target).await.context("compare with the edited org")?;
    numbers.status = objects(&scene).await?;
    numbers.api_calls = scene.org.calls().await?.api;
    numbers.peak_memory = ground.workers.iter().filter_map(demo::stack::Worker::peak_memory).collect();
    numbers.seconds = voice.elapsed();
    numbers.edits = edits;
    voice.step("compared again, after the edits");
    voice.line(&format!("\n{}\n", summary::table(&numbers.report, &numbers.status)));
    voice.json(&summary::json(&numbers));
    Ok(if numbers.report.is_exact() { Ending::Exact } else { Ending::Differs })
}

/// Scheduler and workers up, tenant made, org connected, objects enabled.
async fn open(options: &Options, voice: &Voice, ground: &mut Ground) -> anyhow::Result<Scene> {
    let api = ground.start_scheduler(voice).await.map(|Scheduler { api, .. }| api.clone())?;
    let installation = ground.installation.clone().context("set up comes first")?;
    let simulator = ground.simulator.as_ref().context("set up comes first")?;
    let (entry, org) = simulator.org();
    let workers = async {
        let workers = Ground::start_workers(&installation, ground.guard(), options.workers).await?;
        voice.step(&format!("{} workers take jobs", workers.len()));
        Ok(workers)
    };
    let connected = async {
        let tenant = api.tenant_create("Demo").await?.id;
        let client = (entry.client_id.as_str(), entry.client_secret.as_str());
        let connection = api.connect(&tenant, "Support org", &entry.instance_url, client).await?.id;
        for object in wanted(INTERVAL_S) {
            api.object_enable(&tenant, &connection, &object).await?;
        }
        voice.step(&format!(
            "tenant made, org {} connected, {} objects enabled",
            entry.org_id,
            OBJECTS.len()
        ));
        Ok::<_, anyhow::Error>((tenant, connection))
    };
    let (workers, (tenant, connection)) = try_join!(workers, connected)?;
    let target = Target {
        database: installation.database()?,
        key_ring: installation.key_ring(),
        tenant: tenant.parse().context("read the tenant's id")?,
        connection: connection.parse().context("read the connection's id")?,
        org: org.clone(),
    };
    ground.workers = workers;
    Ok(Scene { api, org, tenant, target })
}

async fn objects(scene: &Scene) -> anyhow::Result<Vec<ObjectStatus>> {
    let status = scene.api.status(&scene.tenant).await?;
    Ok(status.connections.into_iter().flat_map(|connection| connection.objects).collect())
}

/// Waits until every object is loaded and everything before `from` is here.
async fn first_sync(
    scene: &Scene,
    voice: &Voice,
    ground: &Ground,
    from: DateTime<Utc>,
    deadline: Duration,
) -> anyhow::Result<Vec<ObjectStatus>> {
    let began = Instant::now();
    let mut progress = Progress::new(voice);
    let status = loop {
        let status = objects(scene).await?;
        progress.show(&status);
        check(&status, ground, began, deadline, "the first sync")?;
        if status.iter().all(|object| object.state == "current") && passed(&status, from) {
            break status;
        }
        wait::pass(LOOK).await;
    };
    progress.finish();
    let records: u64 = status.iter().map(|object| object.stored).sum();
    voice.step(&format!(
        "the first sync is complete: {} records, {} a second; comparing every value with the org",
        grouped(records),
        grouped(per_second(records, began.elapsed()))
    ));
    Ok(status)
}

fn passed(status: &[ObjectStatus], at: DateTime<Utc>) -> bool {
    status.iter().all(|object| object.watermark_at.is_some_and(|watermark| watermark > at))
}

/// Fails for what will not come right by waiting.
fn check(
    status: &[ObjectStatus],
    ground: &Ground,
    began: Instant,
    deadline: Duration,
    phase: &str,
) -> anyhow::Result<()> {
    ground.check_alive()?;
    let logs = Ground::logs();
    if let Some(parked) = status.iter().find(|object| object.state == "parked" || object.state == "absent") {
        let ask = parked
            .ask
            .as_ref()
            .map_or_else(String::new, |ask| format!(": {} {} {}", ask.what, ask.why, ask.fix));
        bail!("{} is {}{ask} (logs: {})", parked.api_name, parked.state, logs.display());
    }
    if began.elapsed() > deadline {
        let late: Vec<String> = status
            .iter()
            .map(|object| format!("{} {} at {:?}", object.api_name, object.state, object.watermark_at))
            .collect();
        bail!("{phase} was not complete after {deadline:?}: {} (logs: {})", late.join(", "), logs.display());
    }
    Ok(())
}

/// Edits the org and waits until every object is past the edits.
async fn edit_and_catch_up(
    options: &Options,
    scene: &Scene,
    voice: &Voice,
    ground: &Ground,
) -> anyhow::Result<u64> {
    let edited = scene.org.edit(EDITS, options.seed).await?;
    voice.step(&format!("the org is edited: {}", told(&edited)));
    let edited_at = scene.org.truth_summary().await?.now;
    let began = Instant::now();
    let mut asked: Option<Instant> = None;
    loop {
        let status = objects(scene).await?;
        check(&status, ground, began, Duration::from_secs(120), "the pass after the edits")?;
        if passed(&status, edited_at) {
            break;
        }
        // Again after a while: the first pass may have ended before the edits had settled.
        if asked.is_none_or(|asked| asked.elapsed() > Duration::from_secs(2)) {
            asked = Some(Instant::now());
            for object in status.iter().filter(|object| object.watermark_at.is_none_or(|at| at <= edited_at))
            {
                scene.api.sync_now(&scene.tenant, &object.id).await?;
            }
        }
        wait::pass(LOOK).await;
    }
    voice.step(&format!("every object is past the edits after {:.1} s", began.elapsed().as_secs_f64()));
    Ok(count(&edited))
}

fn count(edited: &Edited) -> u64 {
    [&edited.created, &edited.updated, &edited.deleted].into_iter().flat_map(|part| part.values()).sum()
}

fn told(edited: &Edited) -> String {
    let part = |verb: &str, objects: &std::collections::BTreeMap<String, u64>| {
        objects.iter().map(|(name, count)| format!("{count} {name} {verb}")).collect::<Vec<_>>()
    };
    let parts = [
        part("created", &edited.created),
        part("updated", &edited.updated),
        part("deleted", &edited.deleted),
    ];
    parts.concat().join(", ")
}

fn urls(scene: &Scene, ground: &Ground) -> [String; 3] {
    let (database, broker) = ground.shown_urls();
    [scene.api.url().to_owned(), database, broker]
}

/// The table, a ticket, the freshness and where to look further.
async fn show(scene: &Scene, voice: &Voice, numbers: &Numbers) -> anyhow::Result<()> {
    voice.step("compared");
    voice.line(&format!("\n{}\n", summary::table(&numbers.report, &numbers.status)));
    let tickets = scene.api.tickets(&scene.tenant, "limit=100").await?;
    let talkative = tickets
        .iter()
        .filter(|ticket| ticket.api_name == "Case" && (3..=8).contains(&ticket.messages))
        .max_by_key(|ticket| ticket.messages)
        .or(tickets.first());
    if let Some(ticket) = talkative {
        let detail = scene.api.ticket(&scene.tenant, &ticket.id).await?;
        voice.line(&format!("{}\n", summary::conversation(&detail)));
    }
    if let Some(case) = numbers.status.iter().find(|object| object.api_name == "Case") {
        voice.line(&case.freshness);
    }
    voice.line(&format!(
        "API: {} (key in {})",
        scene.api.url(),
        scene.target.key_ring.with_file_name("operator.key").display()
    ));
    let memory: Vec<String> = numbers.peak_memory.iter().map(|bytes| format!("{} MB", bytes >> 20)).collect();
    voice.line(&format!(
        "{} API calls in all; verified after {:.1} s; peak memory of the workers: {}.\n",
        grouped(numbers.api_calls),
        numbers.verified_after.as_secs_f64(),
        memory.join(", ")
    ));
    Ok(())
}

/// Edits now and then, and shows what arrives, until interrupted.
async fn live(options: &Options, scene: &Scene, voice: &Voice, ground: &Ground) -> anyhow::Result<Ending> {
    voice.line("From here on the org is edited every few seconds. Ctrl-C ends the demo.");
    let mut place = end_of_feed(scene).await?;
    let (edits, every) = ROUND;
    for round in 1_u64.. {
        let edited = scene.org.edit(edits, options.seed.wrapping_mul(1_000).wrapping_add(round)).await?;
        let began = Instant::now();
        voice.step(&format!("in Salesforce: {}", told(&edited)));
        while began.elapsed() < every {
            wait::pass(LOOK).await;
            ground.check_alive()?;
            let page = scene.api.changes(&scene.tenant, Some(&place)).await?;
            for change in &page.changes {
                voice.step(&format!(
                    "        here: {}",
                    arrived(scene, &change.ticket_id, &change.change).await
                ));
            }
            place = page.next;
        }
    }
    Ok(Ending::Exact)
}

async fn end_of_feed(scene: &Scene) -> anyhow::Result<String> {
    let mut page = scene.api.changes(&scene.tenant, None).await?;
    while page.more {
        page = scene.api.changes(&scene.tenant, Some(&page.next)).await?;
    }
    Ok(page.next)
}

async fn arrived(scene: &Scene, ticket: &str, change: &str) -> String {
    match scene.api.ticket(&scene.tenant, ticket).await {
        Ok(detail) if change != "deleted" => {
            let ticket = detail.ticket;
            format!(
                "ticket {} {}, {} messages: {}",
                ticket.number.unwrap_or(ticket.id),
                ticket.status.unwrap_or_else(|| "-".to_owned()),
                ticket.messages,
                summary::short(&ticket.subject.unwrap_or_default())
            )
        }
        // A deleted ticket has no content any more.
        Ok(_) | Err(_) => format!("ticket {ticket} {change}"),
    }
}
