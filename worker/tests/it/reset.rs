//! A reset lets an object begin anew: readers never see less of it, and what is gone at Salesforce ends as gone.

use refrain_shared::ids::ObjectId;
use refrain_shared::storage::dispatch::{Reset, leases_reap, object_reset};
use salesforce_sim::org::faults::Fault;
use serde_json::json;

use crate::bulk::{by_bulk, left_over, plant, prompt, small_sets};
use crate::control::until;
use crate::known_defects::{by_rest, is_whole};
use crate::sweep::{cases, clear_log, later, purge};
use crate::world::World;

async fn reset(world: &World, object: ObjectId) {
    assert_eq!(object_reset(&world.context.db, &world.scope, object).await.unwrap(), Reset::Done);
}

async fn live(world: &World) -> usize {
    world.value("SELECT count(*) FROM records WHERE state = 0").await.parse().unwrap()
}

#[tokio::test]
async fn after_a_reset_readers_see_all_of_it_until_a_sweep_finds_what_is_gone() {
    let mut world = World::with_cases("reset_gone", 60).await;
    world.run_ahead();
    let case = world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    world.settle().await;
    let all = live(&world).await;
    purge(&world, &cases(&world)[..2]);
    clear_log(&world).await;
    world.insert("Case", json!({"Subject": "Meanwhile"})).await;
    world.sql("UPDATE records SET content_hash = '\\x00112233445566778899aabbccddeeff' WHERE record_id = (SELECT max(record_id) FROM records)").await;
    world.post("limits", json!({"page_rows": 10})).await;
    reset(&world, case).await;

    let before = world.value("SELECT count(*) FROM verifications").await;
    while world.turn().await {
        assert!(live(&world).await >= all);
        let begun = "SELECT progress->>'began' IS NOT NULL FROM jobs WHERE kind = 'sweep'";
        assert_eq!(world.value(begun).await, "f", "the sweep waits for the load");
    }
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current");
    assert_eq!(live(&world).await, all + 1, "what is new is here, what is gone still");
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'sweep' AND reason = 'loading'").await;
    world.run_until_quiet().await;
    // What is missing is looked for once more, later, before it is believed.
    for _ in 0..2 {
        later(&world).await;
    }
    assert_ne!(world.value("SELECT count(*) FROM verifications").await, before);
    is_whole(&world, "Case").await;
    assert_eq!(live(&world).await, all - 1);
    let stands = "SELECT concat_ws(' ', generation, covered_from, live, records_read = written + unchanged + superseded + quarantined + suppressed + expired) FROM checkpoints";
    assert_eq!(world.value(stands).await, format!("2 -infinity {} t", all - 1));
    let spoilt = "SELECT count(*) FROM records WHERE content_hash = '\\x00112233445566778899aabbccddeeff'";
    assert_eq!(world.value(spoilt).await, "0");
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_window_or_a_load_lets_nothing_of_before_move_the_checkpoint() {
    let mut world = World::with_cases("reset_twice", 60).await;
    world.context.commit_rows = 10;
    let case = world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1 hour'").await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    plant(&world, "GET", "/query", 1, Fault::Hold { gate: "window".to_owned() });
    let meanwhile = async {
        until("a window is on its way", async || world.sim.world.gates.waiting("window") > 0).await;
        reset(&world, case).await;
        world.sim.world.gates.open("window");
    };
    tokio::join!(world.turn(), meanwhile);
    let stands = "SELECT concat_ws(' ', state, generation, watermark_at, window_hi, covered_from, loaded_at) FROM checkpoints";
    assert_eq!(world.value(stands).await, "new 2");

    // Nor does a plan that was under way.
    plant(&world, "GET", "/describe", 1, Fault::Hold { gate: "plan".to_owned() });
    let meanwhile = async {
        until("a plan is on its way", async || world.sim.world.gates.waiting("plan") > 0).await;
        reset(&world, case).await;
        world.sim.world.gates.open("plan");
    };
    tokio::join!(world.turn(), meanwhile);
    assert_eq!(world.value(stands).await, "new 3");

    // Half of the load is read when it is reset once more, and a page of it on its way.
    world.post("limits", json!({"page_rows": 10})).await;
    world.turn().await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind <> 'backfill'").await;
    plant(&world, "GET", "/query", 3, Fault::Hold { gate: "load".to_owned() });
    let meanwhile = async {
        until("a page is on its way", async || world.sim.world.gates.waiting("load") > 0).await;
        reset(&world, case).await;
        world.sim.world.gates.open("load");
    };
    tokio::join!(world.turn(), meanwhile);
    assert_eq!(world.value(stands).await, "new 4");
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE kind = 'backfill'").await, "0");
    world.run_until_quiet().await;
    is_whole(&world, "Case").await;
}

#[tokio::test]
async fn a_load_after_a_reset_whose_worker_was_lost_goes_on_and_ends_whole() {
    let mut world = World::with_cases("reset_killed", 60).await;
    let case = world.object("Case", by_rest()).await;
    world.run_until_quiet().await;
    reset(&world, case).await;
    world.post("limits", json!({"page_rows": 10})).await;
    world.context.commit_rows = 10;
    world.turn().await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind <> 'backfill'").await;
    plant(&world, "GET", "/query", 3, Fault::Hold { gate: "lost".to_owned() });
    let meanwhile = async {
        until("a page is on its way", async || world.sim.world.gates.waiting("lost") > 0).await;
        world
            .sql("UPDATE jobs SET fence = fence + 1, lease_until = now() - interval '1 second' WHERE state = 2")
            .await;
        world.sim.world.gates.open("lost");
    };
    tokio::join!(world.turn(), meanwhile);
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "loading");
    leases_reap(&world.context.db).await.unwrap();
    world.run_until_quiet().await;
    is_whole(&world, "Case").await;
}

#[tokio::test]
async fn a_reset_puts_the_bulk_job_of_a_load_away() {
    let world = prompt(World::with_cases("reset_bulk", 60).await);
    let case = world.object("Case", by_bulk()).await;
    world.turn().await;
    small_sets(&world, 10).await;
    while left_over(&world) == 0 {
        assert!(world.turn().await, "the slice has its job");
    }
    reset(&world, case).await;
    world.run_until_quiet().await;
    assert_eq!(left_over(&world), 0, "nothing is left at Salesforce");
    is_whole(&world, "Case").await;
}
