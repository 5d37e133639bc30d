//! What people hold up stops within a slice, wherever it is, and goes on from there; and an org that is another than before
//! stops everything before anything is mixed.

use std::time::Duration;

use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::control::pauses::{Level, pause, resume};
use refrain_shared::storage::dispatch::{ClaimLimits, dispatch_claim, jobs_reconcile};
use refrain_worker::runner::run_message;
use salesforce_sim::org::faults::Fault;
use serde_json::json;

use crate::bulk::{called, plant, turns};
use crate::known_defects::{by_rest, is_whole};
use crate::world::{DEADLINE, World};

const LIMITS: ClaimLimits = ClaimLimits { batch: 100, unclaimed: Duration::from_secs(20) };

pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let until = tokio::time::Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < until, "never: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_pause_stops_a_running_job_at_its_next_commit_and_it_goes_on_from_there() {
    let mut world = World::with_cases("control_running", 60).await;
    world.post("limits", json!({"page_rows": 10})).await;
    world.context.commit_rows = 10;
    world.object("Case", by_rest()).await;
    world.turn().await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind <> 'backfill'").await;
    plant(&world, "GET", "/query", 3, Fault::Hold { gate: "paused".to_owned() });
    let meanwhile = async {
        until("the page is on its way", async || world.sim.world.gates.waiting("paused") > 0).await;
        pause(&world.control, &world.scope, Level::Connection(world.connection)).await.unwrap();
        // Its holder has said twice since then that it lives, so it knows.
        for _ in 0..2 {
            let lease = "SELECT lease_until FROM jobs WHERE state = 2";
            let before = world.value(lease).await;
            until("a heartbeat", async || world.value(lease).await != before).await;
        }
        world.sim.world.gates.open("paused");
    };
    tokio::join!(world.turn(), meanwhile);
    let stored: usize = world.value("SELECT count(*) FROM records").await.parse().unwrap();
    assert!(stored > 0 && stored < world.truth("Case"), "{stored}");
    assert_eq!(world.value("SELECT state FROM jobs WHERE kind = 'backfill'").await, "0");
    world.sql("UPDATE jobs SET available_at = now()").await;
    assert!(!world.turn().await, "nothing is dispatched");

    resume(&world.control, &world.scope, Level::Connection(world.connection)).await.unwrap();
    let asked = called(&world, "GET", "/query");
    world.run_until_quiet().await;
    is_whole(&world, "Case").await;
    assert_eq!(world.value("SELECT unchanged FROM checkpoints").await, "0", "nothing was read twice");
    assert!(called(&world, "GET", "/query") > asked);
}

#[tokio::test]
async fn a_pause_holds_up_its_own_level_and_never_the_time_of_tickets() {
    let world = World::new("control_levels").await;
    let objects = world.loaded(&["Case", "Contact"]).await;
    let asked = || called(&world, "GET", "/query");
    for (level, reading) in [
        (Level::Tenant, ""),
        (Level::Connection(world.connection), ""),
        (Level::Object(objects[0]), "Contact"),
    ] {
        pause(&world.control, &world.scope, level).await.unwrap();
        world.sql("DELETE FROM job_attempts").await;
        let before = asked();
        world.pass().await;
        let read = "SELECT coalesce(string_agg(DISTINCT api_name, ' '), '') FROM job_attempts JOIN object_syncs USING (object_id)
                     WHERE kind <> 'expire'";
        assert_eq!(world.value(read).await, reading, "{level:?}");
        assert_eq!(asked() > before, !reading.is_empty(), "{level:?}");
        assert_eq!(
            turns(&world, "expire", "true").await,
            1,
            "{level:?}: what was agreed to be kept no longer goes"
        );
        resume(&world.control, &world.scope, level).await.unwrap();
    }
    world.sql("DELETE FROM job_attempts").await;
    world.pass().await;
    assert_eq!(turns(&world, "incremental", "true").await, 2);
    let told = "SELECT string_agg(action || ' ' || (details->>'level'), ', ' ORDER BY seq) FROM audit_events
                 WHERE action LIKE 'control.%'";
    assert_eq!(
        world.value(told).await,
        "control.pause tenant, control.resume tenant, control.pause connection, control.resume connection, \
         control.pause object, control.resume object"
    );
}

#[tokio::test]
async fn a_job_that_was_dispatched_before_the_pause_is_not_begun() {
    let world = World::new("control_dispatched").await;
    let case = world.object("Case", ObjectSettings::default()).await;
    let claimed = dispatch_claim(&world.context.db, LIMITS).await.unwrap().remove(0);
    pause(&world.control, &world.scope, Level::Object(case)).await.unwrap();
    run_message(&world.context, claimed.job, claimed.epoch).await;
    assert_eq!(called(&world, "", "/"), 0, "Salesforce was asked for nothing");
    assert_eq!(world.value("SELECT state || reason FROM jobs").await, "0paused");
    assert!(!world.turn().await);
    resume(&world.control, &world.scope, Level::Object(case)).await.unwrap();
    world.run_until_quiet().await;
    is_whole(&world, "Case").await;
}

#[tokio::test]
async fn another_org_behind_a_session_that_goes_on_is_noticed_within_a_day_before_anything_is_read() {
    let world = World::new("control_org_daily").await;
    world.loaded(&["Case"]).await;
    let a_day_later = async || {
        world.sql("UPDATE connections SET org_checked_at = org_checked_at - interval '1 day'").await;
        world.pass().await;
    };
    let looks = || called(&world, "", "/userinfo");
    a_day_later().await;
    assert_eq!(looks(), 1, "whoever is first asks, once");
    world.pass().await;
    assert_eq!(looks(), 1);

    let other =
        json!({"organization_id": "00D000000000009EAA", "user_id": world.org().identity.user_id.to_string()});
    let answer = Fault::Status {
        status: 200,
        body: other.to_string(),
        content_type: None,
        headers: std::collections::BTreeMap::new(),
    };
    plant(&world, "", "/userinfo", 1, answer);
    let (asked, stored) = (called(&world, "", "/query"), rows(&world).await);
    a_day_later().await;
    assert_eq!(called(&world, "", "/query"), asked, "nothing is read");
    is_stopped(&world).await;
    assert_eq!(rows(&world).await, stored);
}

/// The connection waits for a person, and the log tells why.
async fn is_stopped(world: &World) {
    let asks = "SELECT ask->>'code' FROM connections WHERE state = 'parked'";
    assert_eq!(world.value(asks).await, "ORG_ID_CHANGED");
    assert_eq!(world.value("SELECT reason FROM gates").await, "parked");
    let told = "SELECT actor || ' ' || (details->>'code') FROM audit_events WHERE action = 'connection.park'";
    assert_eq!(world.value(told).await, "system ORG_ID_CHANGED");
    world.sql("UPDATE jobs SET available_at = now() WHERE kind <> 'expire'").await;
    assert!(!world.turn().await);
}

async fn rows(world: &World) -> String {
    world.value("SELECT count(*) || ' ' || coalesce(max(read_at)::text, '') FROM records").await
}

#[tokio::test]
async fn a_page_that_was_on_its_way_when_another_org_was_noticed_is_not_committed() {
    let world = World::new("control_org_page").await;
    world.object("Case", by_rest()).await;
    world.object("Contact", by_rest()).await;
    world.turn().await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind <> 'backfill'").await;
    plant(&world, "GET", "/query", 1, Fault::HoldAnswer { gate: "late".to_owned() });
    let claimed = dispatch_claim(&world.context.db, LIMITS).await.unwrap();
    let [first, second] = &claimed[..] else { panic!("a slice of each: {claimed:?}") };
    let meanwhile = async {
        until("the page is on its way", async || world.sim.world.gates.waiting("late") > 0).await;
        // The same ids and credentials, and another org.
        world.post("refresh-sandbox", json!({})).await;
        run_message(&world.context, second.job, second.epoch).await;
        world.sim.world.gates.open("late");
    };
    tokio::join!(run_message(&world.context, first.job, first.epoch), meanwhile);
    assert_eq!(world.value("SELECT count(*) FROM records").await, "0");
    is_stopped(&world).await;
    jobs_reconcile(&world.context.db).await.unwrap();
    assert_eq!(world.org().calls().api(), 0, "the new org was asked for nothing");
}
