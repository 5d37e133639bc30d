//! What a person calls off writes nothing more, leaves no job and claims nothing that is not here; changes go on coming.

use refrain_shared::clock::Timestamp;
use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::control::pauses::Level;
use refrain_shared::storage::dispatch::{Also, Cancelled, object_trigger, resync_wish, work_cancel};
use salesforce_sim::org::faults::Fault;
use serde_json::json;

use crate::bulk::{by_bulk, left_over, plant, prompt, small_sets};
use crate::control::until;
use crate::known_defects::{by_rest, is_whole};
use crate::resync::CONTENT;
use crate::world::World;

const SLICES: &str = "SELECT count(*) FROM jobs WHERE kind IN ('backfill', 'bulk')";
const STANDS: &str = "SELECT concat_ws(' ', state, open_slices, wish) FROM checkpoints";

async fn cancel(world: &World) -> Vec<&'static str> {
    let cancelled = work_cancel(&world.context.db, &world.scope, Level::Tenant).await.unwrap();
    cancelled.into_iter().map(|Cancelled { what, .. }| what).collect()
}

async fn resync(world: &World, from: Timestamp) {
    let asked = resync_wish(&world.context.db, &world.scope, Level::Tenant, from).await.unwrap();
    assert_eq!(asked[0].left_out, None);
}

/// An object that is here, of which every record is to be repaired by the resync that is planned.
async fn to_be_repaired(world: &World, settings: ObjectSettings) {
    world.object("Case", settings).await;
    world.run_until_quiet().await;
    is_whole(world, "Case").await;
    world
        .sql("UPDATE records SET content_hash = '\\x00112233445566778899aabbccddeeff' WHERE state = 0")
        .await;
    world.post("limits", json!({"page_rows": 10})).await;
    resync(world, Timestamp::UNIX_EPOCH).await;
    world.turn().await;
    assert_ne!(world.value(SLICES).await, "0", "it is planned");
    // Nothing else is read meanwhile.
    world
        .sql(
            "UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind NOT IN ('backfill', 'bulk')",
        )
        .await;
}

/// Calls the resync off while a part of it is on its way, which is then refused.
async fn cancelled_in_the_middle(world: &World, path: &str, nth: u64) {
    plant(world, "GET", path, nth, Fault::Hold { gate: "middle".to_owned() });
    let meanwhile = async {
        until("a part is on its way", async || world.sim.world.gates.waiting("middle") > 0).await;
        // What came before it is committed, or its lease is lost too.
        assert_eq!(cancel(world).await, ["resync"]);
        let content = world.value(CONTENT).await;
        world.sim.world.gates.open("middle");
        content
    };
    let ((), content) = tokio::join!(async { while world.turn().await {} }, meanwhile);
    assert_eq!(world.value(CONTENT).await, content, "nothing was written after it");
    assert_eq!(
        (world.value(SLICES).await, world.value(STANDS).await),
        ("0".to_owned(), "current []".to_owned())
    );
    assert!(cancel(world).await.is_empty(), "nothing is left to be called off");
}

/// Changes come all the same, and a later resync repairs what this one left.
async fn goes_on(world: &World) {
    world.insert("Case", json!({"Subject": "After it was called off"})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    world.pass().await;
    is_whole(world, "Case").await;
    let spoilt = "SELECT count(*) FROM records WHERE content_hash = '\\x00112233445566778899aabbccddeeff'";
    assert_ne!(world.value(spoilt).await, "0", "some is left as it was");
    resync(world, Timestamp::UNIX_EPOCH).await;
    world.run_until_quiet().await;
    assert_eq!(world.value(spoilt).await, "0");
    is_whole(world, "Case").await;
    assert_eq!(world.value("SELECT covered_from FROM checkpoints").await, "-infinity");
}

#[tokio::test]
async fn a_resync_by_rest_that_is_cancelled_writes_nothing_more_and_leaves_no_job() {
    let mut world = World::with_cases("cancel_rest", 60).await;
    world.context.commit_rows = 10;
    to_be_repaired(&world, by_rest()).await;
    cancelled_in_the_middle(&world, "/query", 3).await;
    goes_on(&world).await;
}

#[tokio::test]
async fn a_resync_by_bulk_that_is_cancelled_leaves_no_job_here_or_at_salesforce() {
    let world = prompt(World::with_cases("cancel_bulk", 60).await);
    to_be_repaired(&world, by_bulk()).await;
    small_sets(&world, 10).await;
    world.turn().await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'bulk'").await;
    cancelled_in_the_middle(&world, "/results", 3).await;
    assert_eq!(left_over(&world), 0, "nothing is left at Salesforce");
    goes_on(&world).await;
}

/// Where older history begins of which nothing is here yet, the rest of a first load being done.
async fn half_loaded(world: &World, object: &str) -> String {
    world.turn().await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind <> 'backfill'").await;
    // Refused once, the only slice becomes two.
    world.refuse(&format!("FROM {object} WHERE"), 1, 400, "QUERY_TIMEOUT");
    world.turn().await;
    world
        .sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE job_id = (SELECT max(job_id) FROM jobs WHERE kind = 'backfill')")
        .await;
    while world.turn().await {}
    assert_eq!(
        world.value("SELECT concat_ws(' ', state, jsonb_array_length(open_slices)) FROM checkpoints").await,
        "loading 1"
    );
    world.value("SELECT open_slices->0->>'hi' FROM checkpoints").await
}

#[tokio::test]
async fn a_cancelled_first_load_claims_what_is_here_and_a_resync_from_earlier_brings_more() {
    let world = World::with_cases("cancel_first_load", 60).await;
    let case = world.object("Case", by_rest()).await;
    let begins = half_loaded(&world, "Case").await;
    assert_eq!(cancel(&world).await, ["first_load"]);

    let claim = format!(
        "SELECT concat_ws(' ', state, covered_from = '{begins}', scope_from = '{begins}') FROM checkpoints"
    );
    let older = format!("SELECT count(*) FROM records WHERE modstamp < '{begins}'");
    assert_eq!(world.value(&claim).await, "current t t");
    world.sql("UPDATE jobs SET available_at = now()").await;
    world.settle().await;
    let sweep = Also { sweep: true, ..Also::default() };
    object_trigger(&world.context.db, &world.scope, case, sweep).await.unwrap();
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT unexplained FROM verifications").await, "0", "a sweep was made");
    assert_eq!(
        (world.value(&claim).await, world.value(&older).await),
        ("current t t".to_owned(), "0".to_owned()),
        "nothing brings the rest back by itself"
    );

    let from: Timestamp = world.value(&format!("SELECT to_char((timestamptz '{begins}' - interval '200 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")).await.parse().unwrap();
    for from in [from, Timestamp::UNIX_EPOCH] {
        resync(&world, from).await;
        world.run_until_quiet().await;
        world.pass().await;
        let reached = format!(
            "SELECT concat_ws(' ', state, covered_from = '{from}', open_slices, wish) FROM checkpoints"
        );
        assert_eq!(world.value(&reached).await, "current t []");
        assert_eq!(
            world.value(&format!("SELECT count(*) FROM records WHERE modstamp < '{from}'")).await,
            "0"
        );
    }
    is_whole(&world, "Case").await;
}

#[tokio::test]
async fn tickets_that_are_here_keep_their_whole_conversation_when_a_load_is_cancelled() {
    let world = World::with_cases("cancel_closes", 60).await;
    world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    let all = world.truth("CaseComment");
    world.object("CaseComment", by_rest()).await;
    world.turn().await;
    world.sql("DELETE FROM jobs WHERE kind = 'related'").await;
    assert_eq!(cancel(&world).await, ["first_load"], "before anything of it came");
    world.run_until_quiet().await;
    let here = "SELECT count(*) FROM records JOIN object_syncs USING (object_id) WHERE api_name = 'CaseComment' AND state = 0";
    assert_eq!(world.value(here).await, all.to_string(), "their tickets led to them");
}

#[tokio::test]
async fn a_cancelled_sweep_puts_its_bulk_job_away_and_waits_for_its_next_time() {
    let world = World::with_cases("cancel_sweep", 60).await;
    let case = world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    world.settle().await;
    world.sql("UPDATE object_syncs SET settings = settings || '{\"read_by\": \"bulk\"}'").await;
    let sweep = Also { sweep: true, ..Also::default() };
    object_trigger(&world.context.db, &world.scope, case, sweep).await.unwrap();
    while left_over(&world) == 0 {
        assert!(world.turn().await, "the scan has its job");
    }
    assert_eq!(cancel(&world).await, ["sweep"]);
    assert!(cancel(&world).await.is_empty(), "twice");
    world.run_until_quiet().await;
    assert_eq!(left_over(&world), 0, "nothing is left at Salesforce");
    let rests = "SELECT concat_ws(' ', state, progress->>'began', progress->>'cancelled', available_at > now() + interval '1 day')
                   FROM jobs WHERE kind = 'sweep'";
    assert_eq!(world.value(rests).await, "0 t");
    assert_eq!(world.value("SELECT count(*) FROM verifications").await, "0");
}

#[tokio::test]
async fn reading_again_that_is_cancelled_waits_for_its_next_time() {
    let world = World::with_cases("cancel_refresh", 20).await;
    let case = world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    world.settle().await;
    let refresh = Also { refresh: true, ..Also::default() };
    object_trigger(&world.context.db, &world.scope, case, refresh).await.unwrap();
    assert_eq!(cancel(&world).await, ["refresh"]);
    assert!(cancel(&world).await.is_empty(), "twice");
    world.run_until_quiet().await;
    let last = "SELECT coalesce(progress->>'last', 'never') FROM jobs WHERE kind = 'refresh'";
    assert_eq!(world.value(last).await, "never");
    object_trigger(&world.context.db, &world.scope, case, refresh).await.unwrap();
    world.run_until_quiet().await;
    assert_ne!(world.value(last).await, "never", "whoever asks again gets it");
}
