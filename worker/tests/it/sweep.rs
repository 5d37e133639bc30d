//! Sweeps: few that vanished are believed when they are missed twice, many only after a second proof, and what access
//! hides is neither removed in masses nor for good.

use refrain_shared::ids::ObjectId;
use refrain_shared::storage::dispatch::{Also, object_trigger};
use salesforce_sim::store::State;
use salesforce_sim::store::write::When;
use serde_json::json;

use crate::world::World;

async fn records(world: &World, object: ObjectId, state: &str) -> String {
    let state = state.replace('/', " AND reason = ");
    world
        .value(&format!("SELECT count(*) FROM records WHERE object_id = {} AND state = {state}", object.0))
        .await
}

/// Lets the next look come now.
pub(crate) async fn later(world: &World) {
    world.sql("UPDATE jobs SET progress = progress - 'not_before' WHERE kind = 'sweep'").await;
    world.pass().await;
}

/// Lets the log be followed to some time from now, as if it had been asked and had named nothing.
async fn log_denies(world: &World) {
    world.pass().await;
    world
        .sql("UPDATE jobs SET progress = jsonb_set(progress, '{covered}', to_jsonb(now() + interval '1 day')) WHERE kind = 'deleted'")
        .await;
}

/// Cases in the order of their ids.
pub(crate) fn cases(world: &World) -> Vec<String> {
    let org = world.org();
    let store = org.records();
    let table = store.table("Case");
    let live = table.handles().filter(|handle| table.state(*handle) == Some(State::Live));
    let mut ids: Vec<String> = live.map(|handle| table.id(handle).to_string()).collect();
    ids.sort();
    ids
}

/// Takes cases away without a trace.
pub(crate) fn purge(world: &World, ids: &[String]) {
    let org = world.org();
    let when = When::at(org.clock.now_ms(), org.identity.user_id);
    let mut store = org.records_mut();
    let object = store.object("Case");
    for id in ids {
        let id = salesforce_sim::id::SfId::parse(id).unwrap();
        let handle = store.table("Case").find(id).unwrap();
        store.set_state(object, handle, State::Purged, when);
    }
}

pub(crate) async fn clear_log(world: &World) {
    let at = salesforce_sim::time::rfc3339(world.org().clock.now_ms() + 60_000);
    world.post("replication", json!({"purged_before": at})).await;
}

#[tokio::test]
async fn few_that_access_hides_become_stubs_and_come_back_with_it() {
    let mut world = World::new("sweep_few").await;
    world.run_ahead();
    let case = world.loaded(&["Case"]).await[0];
    log_denies(&world).await;
    let all = cases(&world);
    world.post("permissions", json!({"private": ["Case"], "share": all[3..]})).await;
    world.pass().await;
    let hidden: usize = records(&world, case, "1/3").await.parse().unwrap();
    assert!((1..=3).contains(&hidden), "{hidden} of three are hidden: the user's own are not");
    assert_eq!(records(&world, case, "2").await, "0");
    let shown = "SELECT count(*) FROM tickets WHERE state = 2 AND (number IS NOT NULL OR status IS NOT NULL)";
    assert_eq!(world.value(shown).await, "0", "of what may not be seen nothing is shown");

    world.post("permissions", json!({})).await;
    world.pass().await;
    assert_eq!(records(&world, case, "0").await, world.truth("Case").to_string());
    assert_eq!(world.value("SELECT count(*) FROM tickets WHERE state = 0").await, all.len().to_string());
}

#[tokio::test]
async fn sharing_withdrawn_removes_nothing_and_the_ask_says_why() {
    let mut world = World::new("sweep_sharing").await;
    world.run_ahead();
    let case = world.loaded(&["Case"]).await[0];
    log_denies(&world).await;
    let before = records(&world, case, "0").await;
    world.post("permissions", json!({"private": ["Case"]})).await;
    for _ in 0..3 {
        later(&world).await;
    }
    assert_eq!(records(&world, case, "0").await, before);
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current", "increments go on");
    let ask = world.value("SELECT ask::text FROM jobs WHERE kind = 'sweep' AND state = 3").await;
    assert!(ask.contains("SWEEP_") && ask.contains("removed none"), "{ask}");

    world.post("permissions", json!({})).await;
    object_trigger(&world.context.db, &world.scope, case, Also::default()).await.unwrap();
    world.run_until_quiet().await;
    assert_eq!(records(&world, case, "0").await, world.truth("Case").to_string());
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE ask IS NOT NULL").await, "0");
    assert_eq!(world.value("SELECT count(*) FROM missing_records").await, "0");
}

#[tokio::test]
async fn access_to_some_that_was_withdrawn_is_told_from_deletion_by_the_log() {
    let mut world = World::new("sweep_some").await;
    world.run_ahead();
    let case = world.loaded(&["Case"]).await[0];
    log_denies(&world).await;
    let before = records(&world, case, "0").await;
    world.post("permissions", json!({"private": ["Case"], "share": cases(&world)[..10]})).await;
    later(&world).await;
    let ask = world.value("SELECT ask::text FROM jobs WHERE kind = 'sweep' AND state = 3").await;
    assert!(ask.contains("SWEEP_NOT_DELETED"), "{ask}");
    assert_eq!(records(&world, case, "0").await, before);
}

#[tokio::test]
async fn five_thousand_that_were_purged_are_removed_after_the_second_proof() {
    let mut world = World::with_cases("sweep_mass", 6_000).await;
    world.run_ahead();
    let case = world.loaded(&["Case"]).await[0];
    let before = records(&world, case, "0").await;
    purge(&world, &cases(&world)[..5_000]);
    clear_log(&world).await;
    // The gap of the log calls for the sweep.
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'deleted'").await;
    world.run_until_quiet().await;
    assert_eq!(records(&world, case, "0").await, before, "one look is no proof");
    assert_eq!(world.value("SELECT count(*) FROM missing_records").await, "5000");
    world.pass().await;
    assert_eq!(records(&world, case, "0").await, before, "nor is a second at once");
    later(&world).await;
    assert_eq!(records(&world, case, "0").await, world.truth("Case").to_string());
    assert_eq!(records(&world, case, "2/13").await, "5000");
    assert_eq!(world.value("SELECT count(*) FROM missing_records").await, "0");
    assert_eq!(world.value("SELECT tickets FROM tenant_feed").await, world.truth("Case").to_string());
}

#[tokio::test]
async fn a_sweep_that_is_cut_off_after_each_step_finds_the_same() {
    let mut world = World::new("sweep_steps").await;
    world.run_ahead();
    let case = world.loaded(&["Case"]).await[0];
    clear_log(&world).await;
    world.pass().await;
    // Also a change that no window saw, and a record that is a tombstone here alone.
    let all = cases(&world);
    purge(&world, &all[..3]);
    world
        .sql(&format!(
            "UPDATE records SET modstamp = modstamp - interval '1 day' WHERE record_id = '{}'",
            all[10]
        ))
        .await;
    world
        .sql(&format!(
            "UPDATE records SET state = 2, reason = 13, payload = NULL, content_hash = NULL WHERE record_id = '{}'",
            all[20]
        ))
        .await;
    world.sql("UPDATE checkpoints SET live = live - 1 WHERE live > 0").await;
    // As of an object whose records are found by what they belong to: what is here is asked for by its ids.
    world
        .sql("UPDATE jobs SET progress = jsonb_build_object('each', 7, 'began', now()) WHERE kind = 'sweep'")
        .await;
    world.context.draining.cancel();
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'sweep'").await;
    world.run_until_quiet().await;
    let turns =
        world.value("SELECT count(*) FROM job_attempts WHERE kind = 'sweep' AND outcome = 'more'").await;
    assert!(turns.parse::<u32>().unwrap() >= 5, "{turns} turns of seven");
    assert_eq!(records(&world, case, "2/13").await, "3");
    assert_eq!(records(&world, case, "0").await, world.truth("Case").to_string());
    assert_eq!(world.value("SELECT live FROM checkpoints").await, world.truth("Case").to_string());
    let stamp = format!(
        "SELECT count(*) FROM records WHERE record_id = '{}' AND modstamp > now() - interval '100 years' AND read_at > now() - interval '1 hour'",
        all[10]
    );
    assert_eq!(world.value(&stamp).await, "1");
}

#[tokio::test]
async fn an_answer_that_lacks_everything_once_removes_nothing() {
    let mut world = World::new("sweep_lie").await;
    world.run_ahead();
    let case = world.loaded(&["Case"]).await[0];
    clear_log(&world).await;
    world.pass().await;
    let before = records(&world, case, "0").await;
    let body = json!({"totalSize": 0, "done": true, "records": []}).to_string();
    let fault = json!({"match": {"soql": "SystemModstamp >= 1700"}, "times": 1,
        "fault": {"kind": "status", "status": 200, "body": body, "content_type": "application/json"}});
    world.post("faults", fault).await;
    world.pass().await;
    assert_eq!(world.value("SELECT count(*) FROM missing_records").await, before, "the lie was told");
    later(&world).await;
    assert_eq!(records(&world, case, "0").await, before);
    assert_eq!(world.value("SELECT count(*) FROM missing_records").await, "0");
}
