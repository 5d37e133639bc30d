//! A read that Salesforce cannot answer in time is asked for again in smaller parts, and nothing is lost.

use refrain_shared::job::{ObjectSettings, ReadBy};
use refrain_shared::storage::dispatch::{Also, object_trigger};

use crate::world::World;

const READ: &str = "FROM Case WHERE";

#[tokio::test]
async fn a_slice_that_is_too_slow_is_halved_until_it_is_answered() {
    let world = World::new("narrow_slices").await;
    world.object("Case", ObjectSettings::default()).await;
    world.refuse(READ, 6, 400, "QUERY_TIMEOUT");
    world.run_until_quiet().await;
    let stored = world.value("SELECT count(*) FROM records WHERE state = 0").await;
    assert_eq!(stored, world.truth("Case").to_string());
    let slices =
        world.sql("SELECT outcome FROM job_attempts WHERE kind = 'backfill' ORDER BY started_at").await;
    let halved = slices.iter().filter(|outcome| *outcome == "replan").count();
    let done = slices.iter().filter(|outcome| *outcome == "done").count();
    // The standing job's own window met some of the refusals.
    assert!(halved >= 2, "{slices:?}");
    assert_eq!(done, halved + 1, "each halving makes one slice more");
    assert_eq!(world.value("SELECT state || ' ' || open_slices::text FROM checkpoints").await, "current []");
    let read_again = "SELECT records_read - written <= \
        (SELECT count(*) FROM records WHERE modstamp > now() - interval '1 hour') FROM checkpoints";
    assert_eq!(world.value(read_again).await, "t", "only what changed lately may be read twice");
}

#[tokio::test]
async fn a_window_of_changes_that_is_too_slow_ends_earlier_and_its_rest_is_read_next() {
    let world = World::new("narrow_changes").await;
    world.object("Case", ObjectSettings::default()).await;
    world.run_until_quiet().await;
    // As after a day without a worker.
    world
        .sql(
            "UPDATE checkpoints SET watermark_at = watermark_at - interval '1 day', passed_at = NULL;
             UPDATE jobs SET available_at = now()",
        )
        .await;
    world.refuse(READ, 3, 400, "QUERY_TIMEOUT");
    world.run_until_quiet().await;
    let late = world.value("SELECT extract(epoch FROM now() - watermark_at)::int FROM checkpoints").await;
    assert!(late.parse::<i64>().unwrap() < 300, "the rest was read at once, not an interval later: {late} s");
    assert_eq!(world.value("SELECT window_hi IS NULL AND position_id IS NULL FROM checkpoints").await, "t");
    assert_eq!(
        world.value("SELECT progress = '{}' OR progress = '{\"position\": null}' FROM jobs").await,
        "t"
    );
    let stored = world.value("SELECT count(*) FROM records WHERE state = 0").await;
    assert_eq!(stored, world.truth("Case").to_string());
}

#[tokio::test]
async fn an_object_that_cannot_be_read_in_any_part_waits_for_a_person_and_loads_when_asked_again() {
    let world = World::new("narrow_park").await;
    let case = world.object("Case", ObjectSettings::default()).await;
    world.refuse(READ, u64::MAX, 400, "QUERY_TIMEOUT");
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "parked");
    let ask = world
        .value("SELECT (ask->>'code') || ' ' || (ask->>'what') || ' ' || (ask->>'fix') FROM checkpoints")
        .await;
    assert!(ask.starts_with("SF_QUERY_TOO_LARGE") && ask.contains("Case"), "{ask}");

    world.org().faults().clear();
    object_trigger(&world.context.db, &world.scope, case, Also::default()).await.unwrap();
    world.sql("UPDATE jobs SET available_at = now()").await;
    world.run_until_quiet().await;
    let stored = world.value("SELECT count(*) FROM records WHERE state = 0").await;
    assert_eq!(stored, world.truth("Case").to_string(), "nothing was lost on the way");
    assert_eq!(world.value("SELECT state || ' ' || open_slices::text FROM checkpoints").await, "current []");
}

#[tokio::test]
async fn an_object_with_too_many_records_to_count_is_loaded_in_as_many_slices_as_there_may_be() {
    let world = World::new("narrow_count").await;
    let settings = ObjectSettings { read_by: ReadBy::Rest, ..ObjectSettings::default() };
    world.object("Case", settings).await;
    world.refuse("COUNT() FROM Case", u64::MAX, 400, "QUERY_TIMEOUT");
    world.run_until_quiet().await;
    let stored = world.value("SELECT count(*) FROM records WHERE state = 0").await;
    assert_eq!(stored, world.truth("Case").to_string());
    assert_eq!(
        world
            .value("SELECT state || ' ' || open_slices::text || ' ' || (expected IS NULL) FROM checkpoints")
            .await,
        "current [] true"
    );
    let slices = world.value("SELECT count(*) FROM job_attempts WHERE kind = 'backfill'").await;
    assert_eq!(slices, "64");
}
