//! Verification: what was tampered with behind the engine's back is found by one scan and repaired, the numbers close, and
//! an org that is edited meanwhile raises no alarm.

use refrain_shared::ids::SalesforceId;
use salesforce_sim::org::faults::Fault;
use serde_json::{Value, json};

use crate::bulk::{called, left_over, plant, prompt};
use crate::world::World;

const WAYS: [&str; 2] = ["rest", "bulk"];
const FINDINGS: [&str; 5] = ["lost", "stale", "undead", "extra", "unexplained"];
/// Rows of the world's own tenant; tests may plant another's.
const OWN: &str = "tenant_id IN (SELECT tenant_id FROM tenants)";

/// A world with all cases loaded, whose log of deletions tells nothing and whose Bulk jobs are complete at once.
async fn world_of(test: &str, cases: usize) -> World {
    let mut world = prompt(World::with_cases(test, cases).await);
    world.run_ahead();
    world.loaded(&["Case"]).await;
    world.run_until_quiet().await;
    let at = salesforce_sim::time::rfc3339(world.org().clock.now_ms() + 60_000);
    world.post("replication", json!({"purged_before": at})).await;
    world.pass().await;
    world
}

async fn read_by(world: &World, way: &str) {
    world.sql(&format!("UPDATE object_syncs SET settings = settings || '{{\"read_by\": \"{way}\"}}'")).await;
}

/// Has the object swept, with as many looks at what is missing as it takes.
pub(crate) async fn sweep(world: &World) {
    for _ in 0..5 {
        world
            .sql("UPDATE jobs SET available_at = now(), progress = progress - 'not_before' WHERE kind = 'sweep'")
            .await;
        world.run_until_quiet().await;
        let under_way = "SELECT count(*) FROM jobs WHERE kind = 'sweep' AND progress->>'began' IS NOT NULL";
        if world.value(under_way).await == "0" {
            return;
        }
    }
    panic!(
        "the sweep has no end: {:?}",
        world.sql("SELECT progress::text FROM jobs WHERE kind = 'sweep'").await
    );
}

/// The last result.
pub(crate) async fn result(world: &World) -> Value {
    let sql =
        "SELECT (balance || jsonb_build_object('way', way, 'calls', calls, 'unexplained', unexplained))::text
                 FROM verifications ORDER BY verification_id DESC LIMIT 1";
    serde_json::from_str(&world.value(sql).await).unwrap()
}

/// Holds the findings of the last result against these; every record of the scan is of one kind.
async fn assert_found(world: &World, way: &str, expected: [u64; 5]) {
    let result = result(world).await;
    assert_eq!(FINDINGS.map(|name| result[name].as_u64().unwrap()), expected, "{way}: {result}");
    assert_eq!(result["way"], way);
}

/// Everything of the object that a reader can tell.
async fn content(world: &World) -> String {
    let row = "concat_ws(' ', record_id, modstamp, state, encode(content_hash, 'hex'))";
    world
        .value(&format!(
            "SELECT count(*) || ' ' || md5(string_agg({row}, ',' ORDER BY record_id)) FROM records WHERE {OWN} AND state = 0"
        ))
        .await
}

/// Live records from before anything that the next window reads again, in no order of theirs.
async fn old(world: &World) -> Vec<String> {
    let before = "modstamp < now() - interval '1 day'";
    world
        .sql(&format!(
            "SELECT record_id FROM records WHERE {OWN} AND state = 0 AND {before} ORDER BY md5(record_id)"
        ))
        .await
}

async fn change(world: &World, what: &str, ids: &[String]) {
    let ids = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
    world.sql(&format!("{what} WHERE {OWN} AND record_id IN ({ids})")).await;
}

async fn lose(world: &World, ids: &[String]) {
    change(world, "DELETE FROM records", ids).await;
    world.sql(&format!("UPDATE checkpoints SET live = live - {}", ids.len())).await;
}

async fn make_stale(world: &World, ids: &[String]) {
    let older = "UPDATE records SET modstamp = modstamp - interval '1 day', content_hash = '\\x00', payload = '\\x00'";
    change(world, older, ids).await;
}

async fn make_dead(world: &World, ids: &[String]) {
    let gone = "UPDATE records SET state = 2, reason = 13, payload = NULL, content_hash = NULL";
    change(world, gone, ids).await;
    world.sql(&format!("UPDATE checkpoints SET live = live - {}", ids.len())).await;
}

/// Rows of records that the org never had.
async fn make_up(world: &World, count: usize) {
    for n in 0..count {
        let id = SalesforceId::parse(&format!("500zz{n:010}")).unwrap();
        world
            .sql(&format!(
                "DELETE FROM records WHERE record_id = '{id}';
                 INSERT INTO records (tenant_id, connection_id, object_id, record_id, modstamp, read_at, field_set_id, state,
                                      content_hash, payload)
                 SELECT tenant_id, connection_id, object_id, '{id}', modstamp, read_at, field_set_id, state, content_hash, payload
                   FROM records WHERE {OWN} AND state = 0 ORDER BY modstamp LIMIT 1"
            ))
            .await;
    }
    world.sql(&format!("UPDATE checkpoints SET live = live + {count}")).await;
}

/// So many of each kind.
async fn tamper(world: &World, each: usize) {
    let ids = old(world).await;
    assert!(ids.len() >= 3 * each, "{} are old enough", ids.len());
    lose(world, &ids[..each]).await;
    make_stale(world, &ids[each..2 * each]).await;
    make_dead(world, &ids[2 * each..3 * each]).await;
    make_up(world, each).await;
}

#[tokio::test]
async fn what_was_tampered_with_is_found_and_repaired_by_rest_and_by_bulk() {
    let world = world_of("verify_tampered", 400).await;
    let whole = content(&world).await;
    // Another tenant's copy of the same org, with what a scan of its own has set down so far.
    let other = "'00000000-0000-0000-0000-000000000001'";
    world
        .sql(&format!(
            "INSERT INTO records SELECT {other}, connection_id, object_id, record_id, modstamp - interval '1 year', read_at,
                    field_set_id, state, reason, was, content_hash, identities, payload FROM records;
             INSERT INTO scanned_records SELECT {other}, connection_id, object_id, record_id, modstamp, false
               FROM records WHERE {OWN}"
        ))
        .await;
    let others = format!(
        "SELECT md5(string_agg(r::text, ',' ORDER BY record_id)) || (SELECT count(*) FROM scanned_records)
           FROM records r WHERE tenant_id = {other}"
    );
    let before = world.value(&others).await;
    for (way, each) in [("rest", 1), ("bulk", 1), ("rest", 100), ("bulk", 100)] {
        read_by(&world, way).await;
        tamper(&world, each).await;
        assert_ne!(content(&world).await, whole);
        sweep(&world).await;
        let n = each as u64;
        assert_found(&world, way, [n, n, n, n, 0]).await;
        assert_eq!(content(&world).await, whole, "{way}");
        assert_eq!(world.value("SELECT live FROM checkpoints").await, world.truth("Case").to_string());
        assert_eq!(world.value(&others).await, before, "nothing of another tenant was touched");
        assert_eq!(world.value("SELECT count(*) FROM missing_records").await, "0");
    }
    assert_eq!(left_over(&world), 0, "nothing is left at Salesforce");
}

#[tokio::test]
async fn a_missing_and_an_extra_record_do_not_make_up_for_each_other() {
    let world = world_of("verify_equal_counts", 40).await;
    for way in WAYS {
        read_by(&world, way).await;
        lose(&world, &old(&world).await[..1]).await;
        make_up(&world, 1).await;
        let counted = world.value(&format!("SELECT count(*) FROM records WHERE {OWN} AND state = 0")).await;
        assert_eq!(counted, world.truth("Case").to_string(), "counting finds nothing");
        sweep(&world).await;
        assert_found(&world, way, [1, 0, 0, 1, 0]).await;
    }
}

#[tokio::test]
async fn what_is_not_here_for_a_reason_is_explained() {
    let world = world_of("verify_explained", 40).await;
    let by_stamp =
        format!("SELECT record_id FROM records WHERE {OWN} AND state = 0 ORDER BY modstamp, record_id");
    let ids = world.sql(&by_stamp).await;
    let stamp_of = async |id: &String| {
        world.value(&format!("SELECT modstamp FROM records WHERE record_id = '{id}'")).await
    };
    let (wanted_from, loading_from, loading_to) =
        (stamp_of(&ids[2]).await, stamp_of(&ids[4]).await, stamp_of(&ids[5]).await);
    // Two from before what is wanted, one of a slice that is being read, one set aside, and one that is truly lost.
    world
        .sql(&format!(
            "INSERT INTO quarantine SELECT tenant_id, connection_id, object_id, record_id, 'wrong_type', NULL, read_at, ''
               FROM records WHERE record_id = '{}';
             UPDATE checkpoints SET scope_from = '{wanted_from}',
                    open_slices = jsonb_build_array(jsonb_build_object('lo', '{loading_from}'::timestamptz, 'hi', '{loading_to}'::timestamptz))",
            ids[6]
        ))
        .await;
    for lost in [&ids[..2], &ids[4..5], &ids[6..8]] {
        lose(&world, lost).await;
    }
    make_dead(&world, &ids[8..11]).await;
    change(&world, "UPDATE records SET state = 1, reason = 5", &ids[8..9]).await;
    change(&world, "UPDATE records SET state = 1, reason = 2", &ids[9..10]).await;
    // Hidden when it was read last, and seen again.
    change(&world, "UPDATE records SET state = 1, reason = 3", &ids[10..11]).await;
    for way in WAYS {
        read_by(&world, way).await;
        sweep(&world).await;
        let result = result(&world).await;
        let amiss = u64::from(way == "rest");
        let expected = [
            ("lost", amiss),
            ("undead", amiss),
            ("out_of_scope", 2),
            ("loading", 1),
            ("quarantined", 1),
            ("unexplained", 0),
        ];
        for (name, count) in expected {
            assert_eq!(result[name], count, "{name} {way}: {result}");
        }
        assert_eq!(result["kept"], json!({"erased": 1, "expired": 1}), "{way}");
    }
}

#[tokio::test]
async fn what_stays_amiss_after_it_was_read_again_raises_the_alarm() {
    let world = world_of("verify_stuck", 40).await;
    let ids = old(&world).await;
    make_stale(&world, &ids[..3]).await;
    // No read of ours replaces it.
    change(&world, "UPDATE records SET field_set_id = field_set_id + 1000", &ids[..1]).await;
    // Gone by the time it is read again.
    let gone = ids[1].clone();
    world.context.draining.cancel();
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'sweep'").await;
    while world.value("SELECT count(*) FROM jobs WHERE kind = 'related'").await == "0" {
        assert!(world.turn().await, "the sweep ended without a repair");
    }
    world.act("Case", &gone, "purge").await;
    sweep(&world).await;
    let mut found = vec![result(&world).await];
    found.retain(|result| result["stale"] == 3);
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["vanished"], &found[0]["unexplained"]), (&json!(1), &json!(1)), "{}", found[0]);
}

/// What people do to an org while it is scanned: changes, some of which show late, deletions and returns.
async fn edit(world: &World, ids: &[String], round: usize) {
    let minute_ago = salesforce_sim::time::rfc3339(world.org().clock.now_ms() - 60_000);
    let said = json!({"Subject": format!("edited in round {round}")});
    world.change("Case", &ids[round], said.clone()).await;
    world.change("Case", &ids[ids.len() - 1 - round], said.clone()).await;
    let late = json!({"fields": said, "stamp": minute_ago, "commit_delay_ms": 61_000});
    world.post(&format!("records/Case/{}", ids[20 + round]), late).await;
    let new = json!({"object": "Case", "fields": {"Subject": "late"}, "stamp": minute_ago, "commit_delay_ms": 61_000});
    world.post("records", new).await;
    world.act("Case", &ids[40 + round], "delete").await;
    if round > 0 {
        world.act("Case", &ids[40 + round - 1], "undelete").await;
    }
}

#[tokio::test]
async fn nothing_is_amiss_in_an_org_that_is_edited_meanwhile() {
    let mut world = world_of("verify_edited", 450).await;
    world.context.client.page_rows = 200;
    // Each turn ends with its first commit, so that the org is edited between any two.
    world.context.draining.cancel();
    let (ids, mut round) = (old(&world).await, 0);
    for way in WAYS {
        read_by(&world, way).await;
        world.sql("DELETE FROM verifications").await;
        world.sql("UPDATE jobs SET available_at = now() WHERE kind IN ('sweep', 'incremental')").await;
        for _ in 0..6 {
            edit(&world, &ids, round).await;
            round += 1;
            world
                .sql("UPDATE jobs SET available_at = now() WHERE state = 0 AND reason = 'bulk_running'")
                .await;
            world.turn().await;
        }
        sweep(&world).await;
        let result = result(&world).await;
        let found = ["lost", "stale", "undead", "extra", "vanished", "unexplained"];
        assert!(found.iter().all(|name| result[*name] == 0), "{way}: {result}");
        assert!(result["ahead"].as_u64() > Some(0), "nothing moved, so nothing is proved: {result}");
        assert_eq!(result["way"], way);
    }
    world.pass().await;
    assert_eq!(
        world.value("SELECT count(*) FROM records WHERE state = 0").await,
        world.truth("Case").to_string()
    );
}

/// A scan that was begun in this way, with sets of so many rows.
async fn begin(world: &World, way: &str, rows: u32) {
    world
        .sql(&format!(
            "UPDATE jobs SET available_at = now(), progress = progress || jsonb_build_object('began', now(), 'scan',
                 jsonb_build_object('way', '{way}', 'ahead_from', now() - interval '1 hour',
                     'bulk', jsonb_build_object('set_rows', {rows})))
              WHERE kind = 'sweep'"
        ))
        .await;
}

#[tokio::test]
async fn a_scan_that_is_cut_off_after_each_step_finds_the_same() {
    let mut world = world_of("verify_steps", 450).await;
    let whole = content(&world).await;
    world.context.client.page_rows = 200;
    world.context.draining.cancel();
    for way in WAYS {
        read_by(&world, way).await;
        tamper(&world, 1).await;
        begin(&world, way, 150).await;
        let path = if way == "rest" { "/queryAll" } else { "/results" };
        plant(&world, "GET", path, 2, Fault::Close);
        plant(&world, "GET", path, 3, Fault::LostAnswer);
        plant(&world, "GET", path, 5, Fault::Truncate { after: 300, step: 0 });
        if way == "bulk" {
            plant(&world, "POST", "/jobs/query", 1, Fault::LostAnswer);
        }
        sweep(&world).await;
        assert_found(&world, way, [1, 1, 1, 1, 0]).await;
        assert_eq!(content(&world).await, whole, "{way}");
    }
    let turns = "SELECT count(*) FROM job_attempts WHERE kind = 'sweep' AND outcome IN ('more', 'retry')";
    assert!(world.value(turns).await.parse::<u32>().unwrap() >= 10);
    assert_eq!(left_over(&world), 0, "nothing is left at Salesforce");
}

#[tokio::test]
async fn what_a_crash_of_the_database_emptied_is_scanned_again() {
    let mut world = world_of("verify_emptied", 450).await;
    let whole = content(&world).await;
    world.context.client.page_rows = 200;
    world.context.draining.cancel();
    for part in ["staged", "repairs"] {
        tamper(&world, 1).await;
        begin(&world, "rest", 150).await;
        let reached = format!(
            "SELECT count(*) FROM jobs WHERE kind = 'sweep' AND (progress->'scan'->>'{part}')::int > 0"
        );
        while world.value(&reached).await == "0" {
            assert!(world.turn().await, "no {part}");
        }
        world.sql("TRUNCATE scanned_records").await;
        sweep(&world).await;
        assert_eq!(content(&world).await, whole, "{part}");
        assert_eq!(result(&world).await["unexplained"], 0);
    }
}

#[tokio::test]
async fn a_scans_job_is_left_alone_when_a_slice_looks_for_one_of_its_own() {
    let world = world_of("verify_others", 40).await;
    read_by(&world, "bulk").await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'sweep'").await;
    assert!(world.turn().await);
    assert_eq!(left_over(&world), 1, "the scan waits for its job");
    // A slice that began to make a job before that, and heard nothing of it.
    world
        .sql("INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, params, progress)
              SELECT tenant_id, connection_id, object_id, org_id, 'bulk', 3,
                     (SELECT concat_ws('/', 'backfill', object_id, generation, 'planted') FROM checkpoints),
                     jsonb_build_object('lo', now() - interval '2 hours', 'hi', now() - interval '1 hour'),
                     jsonb_build_object('making_since', now() - interval '1 hour') FROM jobs WHERE kind = 'sweep';
              UPDATE checkpoints SET open_slices = (SELECT jsonb_agg(params) FROM jobs WHERE kind = 'bulk')")
        .await;
    assert!(world.turn().await);
    assert_eq!(left_over(&world), 2, "the slice's is beside it");
    sweep(&world).await;
    assert_found(&world, "bulk", [0; 5]).await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 2, "none was made twice");
}

#[tokio::test]
async fn an_object_that_bulk_refuses_is_scanned_by_rest() {
    let world = world_of("verify_refused", 40).await;
    read_by(&world, "bulk").await;
    let refusal = Fault::Error {
        status: 400,
        code: "INVALIDENTITY".to_owned(),
        message: "Entity 'Case' is not supported by the Bulk API.".to_owned(),
    };
    plant(&world, "POST", "/jobs/query", 1, refusal);
    tamper(&world, 1).await;
    sweep(&world).await;
    assert_found(&world, "rest", [1, 1, 1, 1, 0]).await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 1);
}

#[tokio::test]
async fn jobs_that_fail_or_are_taken_away_again_and_again_end_in_rest() {
    let world = world_of("verify_given_up", 40).await;
    read_by(&world, "bulk").await;
    tamper(&world, 1).await;
    world.org().jobs().plan_failures(["QUERY_TIMEOUT : too long".to_owned()]);
    for nth in 1..=3 {
        let lost = Fault::Error {
            status: 400,
            code: "INVALID_QUERY_LOCATOR".to_owned(),
            message: "invalid query locator".to_owned(),
        };
        plant(&world, "GET", "/results", nth, lost);
    }
    sweep(&world).await;
    assert_found(&world, "rest", [1, 1, 1, 1, 0]).await;
    assert_eq!(left_over(&world), 0, "nothing is left at Salesforce");
}

#[tokio::test]
async fn a_scan_costs_few_calls() {
    let world = world_of("verify_calls", 6_000).await;
    let all: u64 = world.value("SELECT count(*) FROM records").await.parse().unwrap();
    // A page of 2,000 records a call; and of Bulk one job, made, looked at, fetched and put away.
    for (way, most) in [("rest", all.div_ceil(2_000) + 1), ("bulk", 5)] {
        read_by(&world, way).await;
        sweep(&world).await;
        let result = result(&world).await;
        println!("{all} records by {way}: {} calls", result["calls"]);
        assert!(result["calls"].as_u64().unwrap() <= most, "{way}: {result}");
        assert_eq!(result["there"], all, "{way}: {result}");
        assert_eq!(result["same"], all, "{way}: {result}");
    }
}
