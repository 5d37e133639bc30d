//! Reaping, reconciling and triggering.

use refrain_shared::ids::WorkerId;
use refrain_shared::storage::control::object_syncs::{ObjectSyncPatch, object_sync_update};
use refrain_shared::storage::dispatch::{
    Also, ClaimLimits, Reconciled, Trigger, dispatch_claim, jobs_reconcile, leases_reap, object_trigger,
};
use refrain_shared::storage::jobs::{job_heartbeat, job_lease};
use std::time::Duration;

use crate::world::World;

const LIMITS: ClaimLimits = ClaimLimits { batch: 500, unclaimed: Duration::from_secs(20) };

#[tokio::test]
async fn a_job_whose_worker_dies_three_times_is_kept_away_from_workers() {
    let world = World::new("reap").await;
    world.live_worker(5).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    world.object(&scope, connection, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    for crash in 1..=3 {
        let claimed = dispatch_claim(&world.db, LIMITS).await.unwrap().remove(0);
        let lease =
            job_lease(&world.db, WorkerId::generate(), claimed.job, claimed.epoch).await.unwrap().unwrap();
        assert!(leases_reap(&world.db).await.unwrap().is_empty(), "a lease in force is left alone");
        world.sql("UPDATE jobs SET lease_until = now() - interval '1 second'").await;
        let reaped = leases_reap(&world.db).await.unwrap().remove(0);
        assert_eq!((reaped.crashes, reaped.parked), (crash, crash == 3));
        assert!(job_heartbeat(&world.db, &lease).await.is_err(), "the old holder is fenced off");
        world.sql("UPDATE jobs SET available_at = now()").await;
    }
    assert!(dispatch_claim(&world.db, LIMITS).await.unwrap().is_empty());
    assert_eq!(world.value("SELECT ask->>'code' FROM jobs").await, "job_kills_workers");
    assert_eq!(world.value("SELECT count(*) FROM job_attempts WHERE outcome = 'crashed'").await, "3");
}

#[tokio::test]
async fn jobs_follow_what_people_want_and_comparing_again_changes_nothing() {
    let world = World::new("reconcile").await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let case = world.object(&scope, connection, "Case").await;
    world.object(&scope, connection, "Task").await;
    let (one, two) = tokio::join!(jobs_reconcile(&world.db), jobs_reconcile(&world.db));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.jobs + two.jobs, one.checkpoints + two.checkpoints, one.orgs + two.orgs), (2, 2, 1));
    assert_eq!(jobs_reconcile(&world.db).await.unwrap(), Reconciled::default());

    let off = ObjectSyncPatch { enabled: Some(false), ..ObjectSyncPatch::default() };
    object_sync_update(&world.control, &scope, case, &off).await.unwrap().unwrap();
    assert_eq!(jobs_reconcile(&world.db).await.unwrap(), Reconciled { removed: 1, ..Reconciled::default() });
    assert_eq!(world.value("SELECT string_agg(unique_key, ',') FROM jobs").await, "incremental/2");
    assert_eq!(world.value("SELECT count(*) FROM checkpoints").await, "2", "progress is kept");
}

#[tokio::test]
async fn no_job_is_made_before_its_checkpoint() {
    let world = World::new("reconcile_between").await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    world.object(&scope, connection, "Case").await;
    // As for an object that is enabled between the two statements: it is not there for the first one.
    world
        .sql(
            "CREATE FUNCTION not_yet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER not_yet BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION not_yet()",
        )
        .await;
    assert_eq!(
        jobs_reconcile(&world.db).await.unwrap(),
        Reconciled { orgs: 1, ..Reconciled::default() },
        "a worker would find nothing to go by, and stop the job for good"
    );
    world.sql("DROP TRIGGER not_yet ON checkpoints").await;
    let both = Reconciled { checkpoints: 1, jobs: 1, ..Reconciled::default() };
    assert_eq!(jobs_reconcile(&world.db).await.unwrap(), both);
}

#[tokio::test]
async fn sync_now_makes_a_job_due_or_lets_a_running_one_run_again() {
    let world = World::new("trigger").await;
    world.live_worker(5).await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let case = world.object(&scope, connection, "Case").await;
    let trigger = async || object_trigger(&world.db, &scope, case, Also::default()).await.unwrap();
    assert_eq!(trigger().await, Trigger::NotYet);
    jobs_reconcile(&world.db).await.unwrap();
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour', reason = 'cadence'").await;
    assert_eq!(trigger().await, Trigger::Due);
    let claimed = dispatch_claim(&world.db, LIMITS).await.unwrap().remove(0);
    job_lease(&world.db, WorkerId::generate(), claimed.job, claimed.epoch).await.unwrap().unwrap();
    assert_eq!(trigger().await, Trigger::Again);
    assert_eq!(world.value("SELECT rerun_requested FROM jobs").await, "t");
    let other = world.tenant("b").await;
    assert_eq!(object_trigger(&world.db, &other, case, Also::default()).await.unwrap(), Trigger::NotYet);
}

#[tokio::test]
async fn sync_now_follows_deletions_too_and_looks_at_everything_when_asked() {
    let world = World::new("trigger_deletions").await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let case = world.object(&scope, connection, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    let described = "UPDATE checkpoints SET state = 'current', loaded_at = now(), derived = '{}'";
    world.sql(described).await;
    jobs_reconcile(&world.db).await.unwrap();
    let rest = "UPDATE jobs SET available_at = now() + interval '1 hour', reason = 'cadence'";
    let due = "SELECT string_agg(kind, ',' ORDER BY kind) FROM jobs WHERE available_at <= now()";
    let asked = |kind: &str| format!("SELECT (params ? 'wanted')::text FROM jobs WHERE kind = '{kind}'");
    for (sweep, refresh, kinds) in [
        (false, false, "deleted,incremental"),
        (true, false, "deleted,incremental,sweep"),
        (false, true, "deleted,incremental,refresh"),
    ] {
        world.sql(rest).await;
        assert_eq!(
            object_trigger(&world.db, &scope, case, Also { sweep, refresh }).await.unwrap(),
            Trigger::Due
        );
        assert_eq!(world.value(due).await, kinds);
        assert_eq!(
            world.value(&asked("refresh")).await,
            refresh.to_string(),
            "everything, whenever it is due itself"
        );
    }
}

#[tokio::test]
async fn sync_now_tries_parked_work_again() {
    let world = World::new("trigger_parked").await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let case = world.object(&scope, connection, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    world
        .sql(
            "UPDATE jobs SET state = 3, ask = '{}', crashes = 3, attempt = 8;
             UPDATE checkpoints SET state = 'parked', ask = '{}'",
        )
        .await;
    assert_eq!(object_trigger(&world.db, &scope, case, Also::default()).await.unwrap(), Trigger::Due);
    assert_eq!(world.value("SELECT state || ',' || crashes || ',' || attempt FROM jobs").await, "0,0,0");
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "new");
}

#[tokio::test]
async fn an_object_that_was_parked_is_afterwards_what_it_was() {
    let world = World::new("trigger_was").await;
    let scope = world.tenant("a").await;
    let connection = world.connection(&scope).await;
    let case = world.object(&scope, connection, "Case").await;
    jobs_reconcile(&world.db).await.unwrap();
    let (open, none) = (r#"[{"lo": "2026-01-01T00:00:00Z", "hi": "2026-02-01T00:00:00Z"}]"#, "[]");
    for (was, watermark, loaded, slices, covered_from) in [
        ("new", "NULL", "NULL", none, "NULL"),
        ("loading", "now()", "NULL", open, "'2026-02-01'"),
        // Its history is read again, and then a part of it once more.
        ("loading", "now()", "now()", open, "'2026-02-01'"),
        ("current", "now()", "now()", open, "'-infinity'"),
        ("current", "now()", "now()", none, "'-infinity'"),
    ] {
        world
            .sql(&format!(
                "UPDATE checkpoints SET state = 'parked', ask = '{{}}', watermark_at = {watermark}, loaded_at = {loaded},
                        open_slices = '{slices}', covered_from = {covered_from}, scope_from = '-infinity'"
            ))
            .await;
        object_trigger(&world.db, &scope, case, Also::default()).await.unwrap();
        let stands = world.value("SELECT state FROM checkpoints").await;
        assert_eq!(stands, was, "{watermark} {loaded} {slices} {covered_from}");
    }
}
