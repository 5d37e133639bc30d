//! A resync reads what is stamped since a moment once more, beside all else: it repairs, and takes nothing from readers.

use chrono::TimeDelta;
use refrain_shared::clock::Timestamp;
use refrain_shared::storage::control::pauses::Level;
use refrain_shared::storage::dispatch::{Wished, leases_reap, resync_wish};
use salesforce_sim::org::faults::Fault;
use serde_json::json;

use crate::bulk::plant;
use crate::control::until;
use crate::known_defects::{by_rest, is_whole};
use crate::world::World;

/// What is claimed of the object while nothing new happens, but for its watermark.
const CLAIM: &str = "SELECT state || ' ' || covered_from FROM checkpoints";
pub(crate) const CONTENT: &str =
    "SELECT md5(string_agg(concat_ws(' ', record_id, modstamp, state, encode(content_hash, 'hex')), ','
                                             ORDER BY record_id)) FROM records";

async fn world_of(test: &str) -> World {
    let world = World::with_cases(test, 60).await;
    world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    is_whole(&world, "Case").await;
    world
}

async fn ask(world: &World, from: Timestamp) -> Vec<Wished> {
    resync_wish(&world.context.db, &world.scope, Level::Tenant, from).await.unwrap()
}

#[tokio::test]
async fn a_resync_repairs_what_was_changed_behind_our_back_and_writes_nothing_else() {
    let world = world_of("resync_repairs").await;
    let before = world.value(CONTENT).await;
    // Both older than what the next window reads again.
    let old = "SELECT record_id FROM records WHERE state = 0 AND modstamp < now() - interval '1 day' ORDER BY record_id";
    world.sql(&format!("DELETE FROM records WHERE record_id IN ({old} LIMIT 3)")).await;
    world.sql("UPDATE checkpoints SET live = live - 3").await;
    world
        .sql(&format!("UPDATE records SET content_hash = '\\x00112233445566778899aabbccddeeff' WHERE record_id IN ({old} LIMIT 2)"))
        .await;
    world.pass().await;
    assert_ne!(world.value(CONTENT).await, before, "no window repairs it");

    let written: i64 = world.value("SELECT written FROM checkpoints").await.parse().unwrap();
    assert_eq!(ask(&world, Timestamp::UNIX_EPOCH).await[0].left_out, None);
    assert_eq!(ask(&world, Timestamp::UNIX_EPOCH).await[0].left_out, Some("resyncing"), "one at a time");
    world.run_until_quiet().await;
    assert_eq!(world.value(CONTENT).await, before);
    is_whole(&world, "Case").await;
    let after: i64 = world.value("SELECT written FROM checkpoints").await.parse().unwrap();
    assert_eq!(after - written, 5, "what is equal is not written");
    assert_eq!(world.value("SELECT wish IS NULL FROM checkpoints").await, "t");
}

#[tokio::test]
async fn readers_see_all_of_it_while_it_is_read_once_more_and_edits_go_on() {
    let world = world_of("resync_readers").await;
    world.post("limits", json!({"page_rows": 10})).await;
    let claim = world.value(CLAIM).await;
    let live = async || -> usize {
        world.value("SELECT count(*) FROM records WHERE state = 0").await.parse().unwrap()
    };
    let all = live().await;
    ask(&world, Timestamp::UNIX_EPOCH).await;
    world.insert("Case", json!({"Subject": "While it is read once more"})).await;
    let mut was_open = false;
    while world.turn().await {
        was_open |= world.value("SELECT open_slices::text FROM checkpoints").await != "[]";
        assert_eq!(world.value(CLAIM).await, claim);
        assert!(live().await >= all);
    }
    assert!(was_open, "it was read beside the rest");
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    world.pass().await;
    is_whole(&world, "Case").await;
}

#[tokio::test]
async fn only_what_is_stamped_since_then_is_read_once_more() {
    let world = world_of("resync_since").await;
    let middle = "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY modstamp) FROM records";
    let from: Timestamp = world
        .value(&format!("SELECT to_char(({middle}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"))
        .await
        .parse()
        .unwrap();
    world.pass().await;
    let read = async || -> i64 { world.value("SELECT records_read FROM checkpoints").await.parse().unwrap() };
    let wanted: i64 = world
        .value(&format!("SELECT count(*) FROM records WHERE modstamp >= ({middle})"))
        .await
        .parse()
        .unwrap();
    let overlap = read().await;
    world.pass().await;
    let overlap = read().await - overlap;
    let before = read().await;
    ask(&world, from).await;
    world.run_until_quiet().await;
    assert_eq!(read().await - before, wanted + overlap);
}

#[tokio::test]
async fn a_resync_is_refused_where_it_means_nothing() {
    let world = World::with_cases("resync_refused", 20).await;
    let case = world.object("Case", by_rest()).await;
    let asked = ask(&world, Timestamp::UNIX_EPOCH).await;
    assert_eq!(asked, [Wished { object: case, left_out: Some("loading") }]);
    world.run_until_quiet().await;
    assert_eq!(ask(&world, world.context.clock.now() + TimeDelta::days(1)).await[0].left_out, Some("later"));
    world.sql("UPDATE object_syncs SET enabled = false").await;
    assert_eq!(ask(&world, Timestamp::UNIX_EPOCH).await[0].left_out, Some("disabled"));
    let told = "SELECT count(*) FROM audit_events WHERE action = 'control.resync'";
    assert_eq!(world.value(told).await, "0", "what changes nothing is not told");
}

#[tokio::test]
async fn a_resync_whose_worker_was_lost_half_way_goes_on_and_repairs_all_of_it() {
    let mut world = world_of("resync_killed").await;
    let before = world.value(CONTENT).await;
    world
        .sql("UPDATE records SET content_hash = '\\x00112233445566778899aabbccddeeff' WHERE state = 0")
        .await;
    world.post("limits", json!({"page_rows": 10})).await;
    world.context.commit_rows = 10;
    ask(&world, Timestamp::UNIX_EPOCH).await;
    world.turn().await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind <> 'backfill'").await;
    plant(&world, "GET", "/query", 3, Fault::Hold { gate: "lost".to_owned() });
    let meanwhile = async {
        until("the page is on its way", async || world.sim.world.gates.waiting("lost") > 0).await;
        // Somebody else has the job by now: whatever its first holder still sends is refused.
        world
            .sql("UPDATE jobs SET fence = fence + 1, lease_until = now() - interval '1 second' WHERE state = 2")
            .await;
        world.sim.world.gates.open("lost");
    };
    tokio::join!(world.turn(), meanwhile);
    assert_ne!(world.value(CONTENT).await, before, "half of it is still to be read");
    leases_reap(&world.context.db).await.unwrap();
    world.run_until_quiet().await;
    assert_eq!(world.value(CONTENT).await, before);
    is_whole(&world, "Case").await;
}
