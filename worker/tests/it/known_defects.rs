//! Defects that readers of Salesforce have had elsewhere, each made here on purpose: history that ends where nobody said
//! so, success without the rows, values that stop an object, answers that end too early.

use refrain_shared::catalog::Role;
use refrain_shared::job::ObjectSettings;
use refrain_shared::job::checkpoint::{Facet, FacetKind};
use refrain_shared::job::price::ReadBy;
use salesforce_sim::org::faults::{Fault, Shape};
use serde_json::json;

use crate::bulk::{by_bulk, called, complete, plan_only, plant, prompt_world, small_sets, turns};
use crate::world::World;

pub(crate) fn by_rest() -> ObjectSettings {
    ObjectSettings { read_by: ReadBy::Rest, ..by_bulk() }
}

/// Where the object stands: what is claimed of it.
async fn claim(world: &World) -> String {
    world
        .value("SELECT concat_ws(' ', state, watermark_at, covered_from, position_id) FROM checkpoints")
        .await
}

pub(crate) async fn is_whole(world: &World, object: &str) {
    let stored = world.value("SELECT count(*) FROM records WHERE state = 0").await;
    assert_eq!(stored, world.truth(object).to_string());
    assert_eq!(world.value("SELECT state || ' ' || open_slices::text FROM checkpoints").await, "current []");
}

#[tokio::test]
async fn history_has_no_end_that_nobody_asked_for() {
    let world = World::new("defect_history").await;
    // As old as the longest policy of retention lets a ticket be, but for some weeks.
    let at = salesforce_sim::time::rfc3339(world.org().clock.now_ms() - 3_600 * 86_400_000);
    let body =
        json!({"object": "Case", "fields": {"Subject": "The very first", "CreatedDate": at}, "stamp": at});
    let oldest = world.post("records", body).await["id"].as_str().unwrap().to_owned();
    world.object("Case", ObjectSettings::default()).await;
    world.run_until_quiet().await;
    is_whole(&world, "Case").await;
    assert_eq!(world.value("SELECT covered_from FROM checkpoints").await, "-infinity", "and it says so");
    let kept = format!("SELECT state FROM tickets WHERE record_id = '{oldest}'");
    assert_eq!(world.value(&kept).await, "0");
    // Years without a record cost no calls.
    let slices = turns(&world, "backfill", "true").await;
    assert!(slices <= 2, "{slices} slices for a page of records");
}

#[tokio::test]
async fn an_allowance_that_is_spent_is_no_success() {
    let world = World::new("defect_allowance").await;
    world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    let late = world.insert("Case", json!({"Subject": "While nothing was left"})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    let before = claim(&world).await;
    world.refuse("FROM Case WHERE", u64::MAX, 403, "REQUEST_LIMIT_EXCEEDED");
    world.pass().await;
    assert_eq!(claim(&world).await, before, "what was not read is not claimed");
    assert_eq!(
        turns(&world, "incremental", "code = 'salesforce_daily_limit' AND outcome = 'defer'").await,
        1
    );
    let waits = world.value("SELECT reason FROM jobs WHERE kind = 'incremental'").await;
    assert_eq!(
        (waits.as_str(), world.value("SELECT reason FROM gates").await.as_str()),
        ("org_quota", "org_quota")
    );

    world.org().faults().clear();
    world.sql("DELETE FROM gates").await;
    world.pass().await;
    is_whole(&world, "Case").await;
    assert_eq!(world.value(&format!("SELECT state FROM tickets WHERE record_id = '{late}'")).await, "0");
}

#[tokio::test]
async fn rows_in_no_order_move_no_checkpoint() {
    let world = prompt_world("defect_order").await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    let before = claim(&world).await;
    // One set a turn, as if each were the last before the process ends.
    world.context.draining.cancel();
    while world.value("SELECT count(*) FROM jobs WHERE kind = 'bulk'").await == "1" {
        assert_eq!(claim(&world).await, before, "no row of a job says how far the whole job is");
        world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind <> 'bulk'").await;
        world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'bulk'").await;
        small_sets(&world, 7).await;
        assert!(world.turn().await);
    }
    assert!(turns(&world, "bulk", "records_read = 7").await >= 5);
    assert_eq!(
        world.value("SELECT state || ' ' || covered_from FROM checkpoints").await,
        "current -infinity"
    );
    complete(&world, "Case").await;
}

#[tokio::test]
async fn sets_that_end_before_the_jobs_own_count_are_not_believed() {
    let world = prompt_world("defect_total").await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    small_sets(&world, 7).await;
    // The second set comes without rows and says that it is the last.
    let headers = [
        ("Sforce-NumberOfRecords", "0"),
        ("Sforce-Locator", "null"),
        ("Date", "Sat, 28 Nov 2026 10:00:00 GMT"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let fault = Fault::Status {
        status: 200,
        body: String::new(),
        content_type: Some("text/csv".to_owned()),
        headers,
    };
    plant(&world, "GET", "/results", 2, fault);
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(called(&world, "POST", "/jobs/query"), 2, "another job reads the slice");
}

#[tokio::test]
async fn what_salesforce_says_of_a_job_that_failed_is_kept() {
    let world = prompt_world("defect_reason").await;
    world.object("Case", by_bulk()).await;
    world.org().jobs().plan_failures(["QUERY_TIMEOUT : Your query ran for too long".to_owned()]);
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    let told = "SELECT detail FROM job_attempts WHERE code = 'bulk_failed'";
    assert_eq!(world.value(told).await, "QUERY_TIMEOUT : Your query ran for too long");
}

#[tokio::test]
async fn an_end_that_comes_too_early_is_not_believed() {
    let mut world = World::new("defect_early").await;
    world.run_ahead();
    world.post("limits", json!({"page_rows": 10})).await;
    let early = |nth| plant(&world, "GET", "/query", nth, Fault::Shape { how: Shape::DoneTooEarly });
    // Of the first plan, of a page in the middle of history, and of one in a window of changes.
    for nth in [1, 3, 5] {
        early(nth);
    }
    world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    is_whole(&world, "Case").await;
    world.post("mass-update", json!({"object": "Case", "count": 35, "fields": {"Reason": "changed"}})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    early(2);
    world.pass().await;
    let stale = "SELECT count(*) FROM records WHERE modstamp > now() - interval '1 hour'";
    assert!(world.value(stale).await.parse::<usize>().unwrap() >= 35);
    let faults = world.org().faults().all().iter().map(|fault| fault.hits).collect::<Vec<_>>();
    assert_eq!(faults, [1; 4], "each of them struck");
}

#[tokio::test]
async fn an_answer_that_stalls_is_given_up_and_asked_for_again() {
    let mut world = prompt_world("defect_stall").await;
    world.object("Case", by_bulk()).await;
    plan_only(&world).await;
    small_sets(&world, 7).await;
    let http = refrain_shared::wiring::http_settings(&world.config()).unwrap();
    let quick = std::time::Duration::from_millis(300);
    world.context.http = refrain_shared::salesforce::Http::new(&refrain_shared::salesforce::HttpSettings {
        read_timeout: quick,
        ..http
    })
    .unwrap();
    // The head and some of the body come, and then nothing for an hour.
    let fault =
        Fault::Slow { part: salesforce_sim::org::faults::Part::Body, bytes: 200, every_ms: 3_600_000 };
    plant(&world, "GET", "/results", 3, fault);
    world.run_until_quiet().await;
    complete(&world, "Case").await;
    assert_eq!(turns(&world, "bulk", "code = 'salesforce_timeout' AND outcome = 'retry'").await, 1);
    assert_eq!(
        world.value("SELECT unchanged FROM checkpoints").await,
        "0",
        "the set that stalled is all that was read again"
    );
}

#[tokio::test]
async fn a_text_as_long_as_there_may_be_comes_whole_by_both_ways() {
    let world = prompt_world("defect_long").await;
    // A field's longest text, of characters that take several bytes, with everything that a parser may trip over.
    let text: String = "é\"\n,\u{1F600}'\r\n;\t\\".chars().cycle().take(131_072).collect();
    let case = world.insert("Case", json!({"Subject": "long"})).await;
    world.insert("EmailMessage", json!({"ParentId": case, "Subject": "long", "HtmlBody": text})).await;
    let mut hashes = Vec::new();
    for settings in [by_bulk(), by_rest()] {
        world.object("EmailMessage", settings).await;
        world.run_until_quiet().await;
        assert_eq!(world.value("SELECT count(*) FROM quarantine").await, "0");
        hashes
            .push(world.sql("SELECT record_id || encode(content_hash, 'hex') FROM records ORDER BY 1").await);
        world
            .sql("DELETE FROM records; DELETE FROM jobs; DELETE FROM checkpoints; DELETE FROM object_syncs")
            .await;
    }
    assert!(turns(&world, "bulk", "records_read > 0").await >= 1);
    assert_eq!(hashes[0], hashes[1]);
}

#[tokio::test]
async fn a_value_that_no_column_or_index_holds_stops_nothing() {
    for (test, settings) in [("defect_nul_rest", by_rest()), ("defect_nul_bulk", by_bulk())] {
        let world = prompt_world(test).await;
        let facets =
            vec![Facet { name: "text".to_owned(), path: "Description".to_owned(), kind: FacetKind::Text }];
        // No two alike, so that no index entry packs into less.
        let words: Vec<String> =
            (0_u64..4_000).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let long = words.concat();
        let case = world
            .insert(
                "Case",
                json!({"Subject": "a\u{0}b", "Status": "Ne\u{0}w", "Description": &long[..30_000]}),
            )
            .await;
        world.object_as("Case", Role::Ticket, ObjectSettings { facets, ..settings }).await;
        world.run_until_quiet().await;
        is_whole(&world, "Case").await;
        assert_eq!(world.value("SELECT count(*) FROM quarantine").await, "0", "the record keeps what it has");
        let status = format!("SELECT status FROM tickets WHERE record_id = '{case}'");
        assert_eq!(world.value(&status).await, "Ne\u{fffd}w");
        let facet =
            format!("SELECT starts_with('{long}', text_value) FROM ticket_facets WHERE record_id = '{case}'");
        assert_eq!(world.value(&facet).await, "t");
    }
}

#[tokio::test]
async fn a_date_that_was_ahead_of_time_hides_nothing() {
    let world = World::new("defect_date").await;
    let three_hours = 3 * 3_600_000;
    world.post("clock", json!({"skew_ms": three_hours})).await;
    world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    world.post("clock", json!({"skew_ms": 0})).await;
    let id = world.insert("Case", json!({"Subject": "after the clock was set right"})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '2 minutes'").await;
    world.pass().await;
    assert_eq!(world.value(&format!("SELECT state FROM tickets WHERE record_id = '{id}'")).await, "0");
    assert_eq!(world.value("SELECT watermark_at <= now() FROM checkpoints").await, "t");
}
