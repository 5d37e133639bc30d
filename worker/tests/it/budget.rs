//! What the org allows: a spent budget stops an org's jobs before they are handed out, and opens by itself.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use refrain_shared::job::{Lease, ObjectSettings};
use refrain_shared::ports::{CallGate as _, CallKind, CallReport};
use refrain_shared::storage::control::object_syncs::{NewObjectSync, object_sync_create};
use refrain_shared::storage::dispatch::{ClaimLimits, dispatch_claim, jobs_reconcile};
use refrain_shared::storage::jobs::job_lease;
use refrain_shared::storage::org_limits::{Ended, org_limits_get, org_settle};
use refrain_worker::lane::Lane;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn every_call_is_counted_for_its_object_whatever_came_of_it() {
    let mut world = World::new("budget_counted").await;
    world.run_ahead();
    let objects =
        ["Case", "CaseComment", "EmailMessage", "Attachment", "ContentDocument", "ContentDocumentLink"];
    world.loaded(&objects).await;
    let case = world.insert("Case", json!({"Subject": "With a file"})).await;
    let body = base64::engine::general_purpose::STANDARD.encode(b"a body");
    world.insert("Attachment", json!({"ParentId": case, "Name": "a.txt", "Body": body})).await;
    let gone = world.insert("Case", json!({"Subject": "Soon gone"})).await;
    world.pass().await;
    // The log of deletions, and a call that fails.
    world.act("Case", &gone, "purge").await;
    world.refuse("FROM Case ", 1, 503, "SERVER_UNAVAILABLE");
    world.pass().await;
    assert_eq!(world.value("SELECT count(*) > 0 FROM job_attempts WHERE code IS NOT NULL").await, "t");
    assert_eq!(
        world.value("SELECT count(*) > 0 FROM job_attempts WHERE kind = 'sweep' AND api_calls > 0").await,
        "t"
    );
    assert_eq!(
        world.value("SELECT count(*) > 0 FROM job_attempts WHERE kind = 'file' AND api_calls > 0").await,
        "t"
    );
    // The session that the world begins with is refused before the org counts anything.
    let refused = 1;
    let made = {
        let org = world.org();
        let calls = org.calls();
        (calls.api() + calls.token() + refused).to_string()
    };
    assert_eq!(world.value("SELECT sum(api_calls) FROM checkpoints").await, made, "as the org counts them");
    assert_eq!(world.value("SELECT sum(api_calls) FROM job_attempts").await, made);
    // Each was prepaid, logins too, and what was not made came back.
    assert_eq!(world.value("SELECT paid FROM org_limits").await, made);
    let counted = "SELECT sum((bucket->>'calls')::int) FROM org_limits, jsonb_array_elements(buckets) bucket";
    assert_eq!(world.value(counted).await, made);
}

/// The lease of the object's first job.
async fn leased(world: &World) -> Lease {
    world.object("Case", ObjectSettings::default()).await;
    let limits = ClaimLimits { batch: 1, unclaimed: std::time::Duration::from_secs(20) };
    let claimed = dispatch_claim(&world.context.db, limits).await.unwrap().remove(0);
    job_lease(&world.context.db, world.context.worker, claimed.job, claimed.epoch).await.unwrap().unwrap()
}

const ANSWERED: CallReport = CallReport {
    kind: CallKind::Query,
    usage: None,
    concurrency_refused: false,
    took: std::time::Duration::ZERO,
};

#[tokio::test]
async fn a_call_that_waited_for_its_pace_still_ends_inside_its_lane() {
    let mut world = World::new("budget_pace").await;
    // A second from call to call, and less than that to spare in the lane.
    world.context.calls_per_second = 1;
    world.context.call_timeout = std::time::Duration::from_millis(500);
    let lane = Lane::take(&world.context, &leased(&world).await).await.unwrap().unwrap();
    let until = async || world.value("SELECT lanes->0->>'until' FROM org_limits").await;
    lane.before_call(CallKind::Query).await.unwrap();
    lane.after_call(ANSWERED);
    let at_first = until().await;
    lane.before_call(CallKind::Query).await.unwrap();
    assert_ne!(until().await, at_first, "the lane was prolonged after the wait and before the call");
}

#[tokio::test]
async fn a_lane_makes_one_call_at_a_time_and_is_given_back_after_the_last() {
    let world = World::new("budget_one").await;
    let lane = Lane::take(&world.context, &leased(&world).await).await.unwrap().unwrap();
    let running = AtomicUsize::new(0);
    let call = async || {
        lane.before_call(CallKind::Query).await.unwrap();
        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "another call is under way");
        world.value("SELECT 1").await;
        running.fetch_sub(1, Ordering::SeqCst);
        lane.after_call(ANSWERED);
    };
    tokio::join!(call(), call(), call());
    lane.before_call(CallKind::Query).await.unwrap();
    let settled = async {
        lane.settle().await.unwrap();
        assert_eq!(running.load(Ordering::SeqCst), 1, "the lane went back while its call was under way");
    };
    let answered = async {
        for _ in 0..20 {
            world.value("SELECT 1").await;
        }
        running.fetch_add(1, Ordering::SeqCst);
        lane.after_call(ANSWERED);
    };
    tokio::join!(settled, answered);
    assert_eq!(world.value("SELECT lanes || to_jsonb(paid) FROM org_limits").await, "[4]");
}

#[tokio::test]
async fn a_spent_budget_is_a_gate_and_not_a_refusal_of_each_job() {
    let world = World::new("budget_gate").await;
    for api_name in ["Case", "User", "Contact"] {
        world.object(api_name, ObjectSettings::default()).await;
    }
    // A quarter of these, less than a block, is what is ours.
    world.sql("UPDATE org_limits SET settings = '{\"assumed_daily\": 60}'").await;
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT reason FROM gates").await, "budget");
    let refused = async || world.value("SELECT count(*) FROM job_attempts WHERE code = 'budget'").await;
    let at_first = refused().await;
    world.run_until_quiet().await;
    assert_eq!(refused().await, at_first, "none was handed out again to be refused again");
    assert!(
        ["1", "2", "3"].contains(&&*at_first),
        "only those handed out before the first refusal: {at_first}"
    );
    assert_eq!(world.value("SELECT max(attempt) FROM jobs").await, "0", "nobody's fault");

    // Calls come back: somebody's lane is settled.
    world.sql("UPDATE org_limits SET settings = '{}'").await;
    let limits = ClaimLimits { batch: 100, unclaimed: std::time::Duration::from_secs(20) };
    assert!(dispatch_claim(&world.context.db, limits).await.unwrap().is_empty(), "until the gate opens");
    let org = refrain_shared::ids::SalesforceId::parse(&world.sim.orgs[0].org_id).unwrap();
    let nobody = refrain_shared::ids::JobId(-1);
    org_settle(&world.context.db, org, nobody, 1, Ended::default()).await.unwrap();
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "0");
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT count(*) FROM checkpoints WHERE state = 'current'").await, "3");
}

#[tokio::test]
async fn lanes_go_down_at_a_refusal_and_up_in_quiet() {
    let world = World::new("budget_crowded").await;
    world.object("Case", ObjectSettings::default()).await;
    let org = refrain_shared::ids::SalesforceId::parse(&world.sim.orgs[0].org_id).unwrap();
    let lanes = async || {
        let limits = org_limits_get(&world.context.db, org).await.unwrap().unwrap();
        limits.lanes_now(world.context.clock.now())
    };
    world.turn().await;
    assert_eq!(lanes().await, 4);
    // Other integrations leave no room.
    world.post("limits", json!({"long_max": 1, "long_others": 1})).await;
    world.sql("UPDATE jobs SET available_at = now()").await;
    world.turn().await;
    assert_eq!(lanes().await, 2, "told at once, by the one that was refused");
    world.post("limits", json!({"long_others": 0})).await;
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current", "it goes on with what is left");
    assert_eq!(lanes().await, 2);
    for (minutes, expected) in [(4, 2), (6, 3), (11, 4), (600, 4)] {
        let at = format!("to_jsonb(now() - interval '{minutes} minutes')");
        world.sql(&format!("UPDATE org_limits SET crowding = jsonb_set(crowding, '{{at}}', {at})")).await;
        assert_eq!(lanes().await, expected, "{minutes} minutes");
    }
}

#[tokio::test]
async fn a_spent_share_stops_its_own_connection_and_not_the_other_of_the_org() {
    let world = World::new("budget_share").await;
    let (scope, neighbour) = world.neighbour().await;
    world.object("Case", ObjectSettings::default()).await;
    let new = NewObjectSync {
        api_name: "Case".to_owned(),
        role: "ticket".to_owned(),
        interval_s: 3600,
        settings: ObjectSettings::default(),
    };
    object_sync_create(&world.control, &scope, neighbour, &new).await.unwrap().unwrap();
    jobs_reconcile(&world.context.db).await.unwrap();
    let several = "SELECT count(*) FROM org_limits, jsonb_object_keys(settings->'shares')";
    assert_eq!(world.value(several).await, "2");
    // Nothing of the day is the first one's.
    world.sql(&format!(
        "UPDATE org_limits SET settings = jsonb_build_object('assumed_daily', 1000, 'share_percent', 100, 'shares',
             jsonb_build_object('{}', 0, '{neighbour}', 50))",
        world.connection
    ))
    .await;
    world.run_until_quiet().await;
    let gate = world.value("SELECT subject || ' ' || reason FROM gates").await;
    assert_eq!(gate, format!("{} budget", world.connection.0));
    let current = "SELECT count(*) FROM checkpoints WHERE state = 'current'";
    assert_eq!(world.value(current).await, "1", "the neighbour's");

    let other = format!("jsonb_set(settings, '{{shares,{}}}', '40')", world.connection);
    world.sql(&format!("UPDATE org_limits SET settings = {other}")).await;
    let org = refrain_shared::ids::SalesforceId::parse(&world.sim.orgs[0].org_id).unwrap();
    org_settle(&world.context.db, org, refrain_shared::ids::JobId(-1), 1, Ended::default()).await.unwrap();
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "0");
    world.run_until_quiet().await;
    assert_eq!(world.value(current).await, "2");
}
