//! History by Bulk jobs: the same rows as by REST, nothing held while Salesforce works, and any worker goes on where
//! another stopped.

use std::time::Duration;

use refrain_shared::job::ObjectSettings;
use refrain_shared::job::price::ReadBy;
use refrain_shared::storage::dispatch::{ClaimLimits, dispatch_claim, leases_reap};
use refrain_worker::runner::run_message;
use salesforce_sim::org::faults::{Fault, FaultRequest, Match};
use serde_json::json;

use crate::world::{DEADLINE, World};

/// Everything by Bulk; the simulator commits without delay, so no window has to reach back over what is here.
pub(crate) fn by_bulk() -> ObjectSettings {
    ObjectSettings { settle_s: 1, overlap_s: 0, read_by: ReadBy::Bulk, ..ObjectSettings::default() }
}

/// A world whose Bulk jobs are complete as soon as they are made.
pub(crate) async fn prompt_world(test: &str) -> World {
    prompt(World::new(test).await)
}

fn prompt(world: World) -> World {
    let org = world.org();
    let mut jobs = org.jobs();
    (jobs.settings.queue_ms, jobs.settings.run_ms) = (0, 0);
    drop(jobs);
    world
}

/// Lets the `nth` matching call be hit once.
pub(crate) fn plant(world: &World, method: &str, path: &str, nth: u64, fault: Fault) {
    let matches = Match {
        path: Some(path.to_owned()),
        method: (!method.is_empty()).then(|| method.to_owned()),
        ..Match::default()
    };
    let request =
        FaultRequest { matches, nth, times: Some(1), for_ms: None, every: None, chance: None, fault };
    let org = world.org();
    org.faults().plant(request, org.clock.now_ms());
}

/// How often calls with this method, or any, and part of a path were made.
pub(crate) fn called(world: &World, method: &str, path: &str) -> usize {
    let org = world.org();
    let is_meant = |call: &&salesforce_sim::org::calls::Call| {
        (method.is_empty() || call.method == method) && call.path.contains(path)
    };
    org.calls().calls().filter(is_meant).count()
}

/// Jobs that are left at Salesforce.
pub(crate) fn left_over(world: &World) -> usize {
    let org = world.org();
    let now = org.clock.now_ms();
    org.jobs().all(now).count()
}

/// How many turns of a kind of job ended like this.
pub(crate) async fn turns(world: &World, kind: &str, condition: &str) -> usize {
    let sql = format!("SELECT count(*) FROM job_attempts WHERE kind = '{kind}' AND {condition}");
    world.value(&sql).await.parse().unwrap()
}

/// Small sets for the Bulk jobs that are planned but not made.
pub(crate) async fn small_sets(world: &World, rows: u32) {
    let sql =
        format!("UPDATE jobs SET progress = progress || '{{\"set_rows\": {rows}}}' WHERE kind = 'bulk'");
    world.sql(&sql).await;
}

/// Lets the standing jobs plan and nothing else run.
pub(crate) async fn plan_only(world: &World) {
    let limits = ClaimLimits { batch: 100, unclaimed: Duration::from_secs(20) };
    for job in dispatch_claim(&world.context.db, limits).await.unwrap() {
        run_message(&world.context, job.job, job.epoch).await;
    }
    assert_eq!(world.value("SELECT count(*) > 0 FROM jobs WHERE kind = 'bulk'").await, "t");
}

/// What a full read must have left, whatever happened on the way.
pub(crate) async fn complete(world: &World, object: &str) {
    let stored = world.value("SELECT count(*) FROM records WHERE state = 0").await;
    assert_eq!(stored, world.truth(object).to_string());
    assert_eq!(world.value("SELECT state || ' ' || open_slices::text FROM checkpoints").await, "current []");
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE kind IN ('bulk', 'backfill')").await, "0");
    assert_eq!(left_over(world), 0, "nothing is left at Salesforce");
}

pub(crate) const OBJECTS: [&str; 18] = [
    "Account",
    "Case",
    "CaseComment",
    "CaseFeed",
    "CaseHistory",
    "Contact",
    "ConversationEntry",
    "EmailMessage",
    "FeedComment",
    "Group",
    "LiveChatTranscript",
    "LiveChatTranscriptEvent",
    "MessagingSession",
    "RecordType",
    "Task",
    "User",
    "VoiceCall",
    "VoiceCallRecording",
];

const HASHES: &str = "SELECT o.api_name || ' ' || r.record_id || ' ' || r.state || ' ' || coalesce(encode(r.content_hash, 'hex'), '-')
      FROM records r JOIN object_syncs o USING (object_id) ORDER BY 1";

/// Has everything read again, the other way.
async fn read_again(world: &World, read_by: &str) {
    world
        .sql(&format!("UPDATE object_syncs SET settings = settings || '{{\"read_by\": \"{read_by}\"}}'"))
        .await;
    world
        .sql("UPDATE checkpoints SET state = 'new', loaded_at = NULL, generation = generation + 1, written = 0, \
              unchanged = 0, superseded = 0, quarantined = 0, suppressed = 0, records_read = 0, late = 0")
        .await;
    world.pass().await;
}

#[tokio::test]
async fn every_object_has_the_same_rows_by_bulk_and_by_rest() {
    let world = prompt_world("bulk_same_rows").await;
    for subject in [
        "N/A",
        "007",
        " ",
        "a \"quoted\" one",
        "two\nlines",
        "two\r\nlines",
        ",;\t|",
        "\u{1F600} é \u{2028}",
        "null",
        "\\\\N \\n",
        "47.0",
        "2026-01-02T03:04:05.000+0000",
        "2026-01-02T03:04:05.000Z",
        "<b>\u{7f}</b>",
    ] {
        world
            .insert("Case", json!({"Subject": subject, "Description": format!("{subject}\n{subject}")}))
            .await;
    }
    for object in OBJECTS {
        // Parents' own moments and checkboxes are read along as well.
        let linked = match object {
            "Case" => {
                ["Account.CreatedDate", "Contact.CreatedDate", "Owner.Name", "Contact.IsDeleted"].as_slice()
            }
            _ => &[],
        };
        let linked = linked.iter().map(|path| (*path).to_owned()).collect();
        world.object(object, ObjectSettings { linked, ..by_bulk() }).await;
    }
    world.run_until_quiet().await;
    let by_bulk = world.sql(HASHES).await;
    let read = world
        .sql("SELECT api_name FROM object_syncs o WHERE EXISTS (SELECT FROM records r WHERE r.object_id = o.object_id)")
        .await;
    assert!(read.len() >= 10, "{read:?}");
    let by_job = world
        .value("SELECT count(DISTINCT object_id) FROM job_attempts WHERE kind = 'bulk' AND records_read > 0")
        .await;
    assert!(by_job.parse::<usize>().unwrap() >= read.len() - 2, "{by_job} of {read:?}");
    assert_eq!(world.value("SELECT count(*) FROM quarantine").await, "0");
    assert_eq!(left_over(&world), 0);

    read_again(&world, "rest").await;
    let outcome = "SELECT sum(written) || ' written, ' || sum(superseded + quarantined + suppressed) || ' else, ' || \
        (sum(unchanged) = sum(records_read)) FROM checkpoints";
    assert_eq!(world.value(outcome).await, "0 written, 0 else, true");
    assert_eq!(world.sql(HASHES).await, by_bulk);
    // And what REST wrote is nothing new to Bulk.
    world.sql("DELETE FROM records").await;
    read_again(&world, "rest").await;
    assert_eq!(world.sql(HASHES).await, by_bulk);
    read_again(&world, "bulk").await;
    assert_eq!(world.value(outcome).await, "0 written, 0 else, true");
}

#[tokio::test]
async fn a_slice_waits_for_its_job_and_holds_nothing() {
    let world = World::new("bulk_waits").await;
    world.org().jobs().settings.run_ms = 3_600_000;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    let limits = ClaimLimits { batch: 100, unclaimed: Duration::from_secs(20) };
    let mut delays = Vec::new();
    for _ in 0..4 {
        world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'bulk'").await;
        for job in dispatch_claim(&world.context.db, limits).await.unwrap() {
            run_message(&world.context, job.job, job.epoch).await;
        }
        let waits = "SELECT reason || ' ' || state || ' ' || round(extract(epoch FROM available_at - updated_at)) \
            FROM jobs WHERE kind = 'bulk'";
        delays.push(world.value(waits).await);
        let lanes = world.value("SELECT jsonb_array_length(lanes) FROM org_limits").await;
        assert_eq!(lanes, "0", "no lane is held meanwhile");
    }
    assert_eq!(delays, ["bulk_running 0 1", "bulk_running 0 2", "bulk_running 0 4", "bulk_running 0 8"]);
    assert_eq!(called(&world, "POST", "/jobs/query"), 1);
    // Changes are read meanwhile.
    let id = world.insert("Case", json!({"Subject": "while it runs"})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind = 'bulk'").await;
    for job in dispatch_claim(&world.context.db, limits).await.unwrap() {
        run_message(&world.context, job.job, job.epoch).await;
    }
    assert_eq!(world.value(&format!("SELECT count(*) FROM records WHERE record_id = '{id}'")).await, "1");
}

#[tokio::test]
async fn a_worker_that_dies_between_two_sets_costs_one_set_at_most() {
    let world = prompt_world("bulk_resume").await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    small_sets(&world, 7).await;
    // The second set's answer is on its way, and the first is stored, when the worker dies.
    let gate = json!({"match": {"path": "/results"}, "nth": 2, "fault": {"kind": "hold", "gate": "dying"}});
    world.post("faults", gate).await;
    let held = async {
        let until = tokio::time::Instant::now() + DEADLINE;
        let stored = async || world.value("SELECT count(*) FROM records").await == "7";
        while world.sim.world.gates.waiting("dying") == 0 || !stored().await {
            assert!(
                tokio::time::Instant::now() < until,
                "the second set was never asked for, or the first not stored"
            );
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = world.run_until_quiet() => panic!("the second set is held"),
        () = held => {}
    }
    assert_eq!(world.value("SELECT progress->'running'->>'rows' FROM jobs WHERE kind = 'bulk'").await, "7");
    world.sim.world.gates.open("dying");
    world.sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE state = 2").await;
    assert_eq!(leases_reap(&world.context.db).await.unwrap().len(), 1);
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'bulk'").await;
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 1, "the same job goes on");
    assert_eq!(world.value("SELECT unchanged FROM checkpoints").await, "0", "no committed row came again");
}

#[tokio::test]
async fn a_set_that_came_late_does_not_replace_what_was_read_since() {
    let world = World::new("bulk_late").await;
    let id = world.insert("Case", json!({"Subject": "before"})).await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    let limits = ClaimLimits { batch: 100, unclaimed: Duration::from_secs(20) };
    for job in dispatch_claim(&world.context.db, limits).await.unwrap() {
        run_message(&world.context, job.job, job.epoch).await;
    }
    let made = world.value("SELECT progress->'running'->>'read_at' FROM jobs WHERE kind = 'bulk'").await;
    // A formula or a parent's value changes without a stamp, and is read by another way before the set is fetched.
    let clock = json!({"ms": 90_000});
    let url = format!("{}/clock/advance", world.sim.ready.control);
    reqwest::Client::new().post(url).json(&clock).send().await.unwrap().error_for_status().unwrap();
    world.post(&format!("records/Case/{id}"), json!({"fields": {"Subject": "after"}, "touch": false})).await;
    let related = format!(
        "INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params) \
         SELECT tenant_id, connection_id, object_id, org_id, 'related', 2, '{{\"field\": \"Id\", \"ids\": [\"{id}\"]}}' \
           FROM jobs WHERE kind = 'bulk'"
    );
    world.sql(&related).await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind = 'bulk'").await;
    for job in dispatch_claim(&world.context.db, limits).await.unwrap() {
        run_message(&world.context, job.job, job.epoch).await;
    }
    let hash = format!("SELECT encode(content_hash, 'hex') FROM records WHERE record_id = '{id}'");
    let after = world.value(&hash).await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'bulk'").await;
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(world.value(&hash).await, after, "the job is as old as its making, {made}");
    assert_eq!(world.value("SELECT superseded FROM checkpoints").await, "1");
}

#[tokio::test]
async fn the_newest_come_by_rest_and_the_rest_by_bulk_when_that_costs_less() {
    let mut world = prompt_world("bulk_price").await;
    // A page of REST is made so small that forty cases are worth a job.
    world.context.client.page_rows = 1;
    world.object("Case", ObjectSettings { settle_s: 1, ..ObjectSettings::default() }).await;
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert!(turns(&world, "bulk", "records_read > 0").await >= 1);
    // The newest part of the time; whether anything happened in it is the org's affair.
    assert_eq!(turns(&world, "backfill", "outcome = 'done'").await, 1);
}

#[tokio::test]
async fn a_job_costs_the_same_calls_whatever_its_size_and_rest_a_call_a_page() {
    let mut beside_sets = Vec::new();
    for (test, cases) in [("bulk_cost_small", 100), ("bulk_cost_large", 6_000)] {
        let world = prompt(World::with_cases(test, cases).await);
        world.object("Case", by_bulk()).await;
        world.run_until_quiet().await;
        complete(&world, "Case").await;
        let (rows, sets) = (world.truth("Case"), called(&world, "GET", "/results"));
        let calls = called(&world, "", "/jobs/query");
        beside_sets.push(calls - sets);

        let before = called(&world, "GET", "/query");
        read_again(&world, "rest").await;
        let by_rest = called(&world, "GET", "/query") - before;
        println!(
            "{rows} rows: {calls} calls by Bulk, {sets} of them sets; {by_rest} by REST, plans and changes included"
        );
        assert!(sets <= 2 + rows / 2_000, "sets are no smaller than pages");
    }
    assert_eq!(beside_sets, [3, 3], "made, looked at, put away");
}
