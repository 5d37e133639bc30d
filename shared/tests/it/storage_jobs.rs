//! A job's lease is one holder's, once; whoever lost it changes nothing.

use std::time::Duration;

use refrain_shared::error::UserMessage;
use refrain_shared::ids::{JobId, WorkerId};
use refrain_shared::job::Lease;
use refrain_shared::job::lease::JobEnd;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::dispatch::leases_reap;
use refrain_shared::storage::jobs::{AttemptReport, job_end, job_heartbeat, job_lease};
use serde_json::{Value, json};

use crate::fixture::{Store, Tenant, state_of};

async fn end(acme: &Tenant, lease: &Lease, end: JobEnd) -> Result<(), StoreError> {
    let mut client = acme.db.control().await.unwrap();
    let tx = client.transaction().await.unwrap();
    job_end(&tx, lease, &end, &AttemptReport { outcome: "done", ..AttemptReport::default() }).await?;
    tx.commit().await.map_err(StoreError::at("commit"))
}

async fn job(acme: &Tenant, job: JobId) -> Value {
    let sql = format!(
        "SELECT state, epoch, fence, attempt, crashes, reason, rerun_requested, worker_id IS NOT NULL AS held,
                available_at <= now() AS due FROM jobs WHERE job_id = {}",
        job.0
    );
    acme.look_one(&sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_deliveries_of_one_message_one_gets_the_lease() {
    let store = Store::open("jobs_once").await;
    let acme = Tenant::make(&store).await;
    let id = acme.job(acme.case, "incremental").await;
    let deliveries: Vec<_> = (0..10)
        .map(|_| {
            let db = acme.db.clone();
            tokio::spawn(async move { job_lease(&db, WorkerId::generate(), id, 1).await.unwrap() })
        })
        .collect();
    let mut leases = Vec::new();
    for delivery in deliveries {
        leases.extend(delivery.await.unwrap());
    }
    assert_eq!(leases.len(), 1);
    assert_eq!((leases[0].epoch, leases[0].fence), (1, 1));
    assert_eq!((leases[0].tenant, leases[0].object), (acme.scope.tenant(), acme.case.id));
}

#[tokio::test]
async fn a_stale_message_gets_nothing_and_changes_nothing() {
    let store = Store::open("jobs_stale").await;
    let acme = Tenant::make(&store).await;
    let id = acme.job(acme.case, "incremental").await;
    store.execute("UPDATE jobs SET epoch = 2").await;
    let before = acme.everything().await;
    for (job, epoch) in [(id, 1), (id, 3), (JobId(id.0 + 1), 2)] {
        assert!(job_lease(&acme.db, WorkerId::generate(), job, epoch).await.unwrap().is_none());
    }
    assert_eq!(acme.everything().await, before);

    let lease = job_lease(&acme.db, WorkerId::generate(), id, 2).await.unwrap().unwrap();
    end(&acme, &lease, JobEnd::More).await.unwrap();
    let again = job_lease(&acme.db, WorkerId::generate(), id, 2).await.unwrap();
    assert!(again.is_none(), "a message delivered again after the work is done");
}

#[tokio::test]
async fn a_heartbeat_prolongs_the_lease() {
    let store = Store::open("jobs_heartbeat").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    store.execute("UPDATE jobs SET lease_until = now() + interval '1 second'").await;
    job_heartbeat(&acme.db, &lease).await.unwrap();
    let left = "SELECT lease_until > now() + interval '10 seconds' AS long,
                       lease_until <= now() + interval '15 seconds' AS bounded FROM jobs";
    assert_eq!(acme.look_one(left).await, json!({"long": true, "bounded": true}));
}

#[tokio::test]
async fn a_lease_that_ran_out_is_reaped_and_its_holder_refused() {
    let store = Store::open("jobs_reaped").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    assert!(leases_reap(&acme.db).await.unwrap().is_empty(), "it has not run out yet");
    store.execute("UPDATE jobs SET lease_until = now() - interval '1 second'").await;
    let reaped = leases_reap(&acme.db).await.unwrap();
    assert_eq!(
        reaped.iter().map(|one| (one.job, one.crashes, one.parked)).collect::<Vec<_>>(),
        [(lease.job, 1, false)]
    );

    assert!(matches!(job_heartbeat(&acme.db, &lease).await, Err(StoreError::FenceLost)));
    for way in [JobEnd::Done, JobEnd::More] {
        assert!(matches!(end(&acme, &lease, way).await, Err(StoreError::FenceLost)));
    }
    assert_eq!(
        job(&acme, lease.job).await,
        json!({"state": 0, "epoch": 1, "fence": 1, "attempt": 0, "crashes": 1, "reason": "crashed",
               "rerun_requested": false, "held": false, "due": true})
    );
    assert_eq!(
        acme.look_one("SELECT outcome, fence FROM job_attempts").await,
        json!({"outcome": "crashed", "fence": 1})
    );
}

#[tokio::test]
async fn a_job_that_kills_its_worker_three_times_is_parked() {
    let store = Store::open("jobs_killer").await;
    let acme = Tenant::make(&store).await;
    let id = acme.job(acme.case, "incremental").await;
    for crash in 1..=3 {
        let published = format!("UPDATE jobs SET state = 1, epoch = {crash}, available_at = now()");
        store.execute(&published).await;
        job_lease(&acme.db, WorkerId::generate(), id, crash).await.unwrap().unwrap();
        store.execute("UPDATE jobs SET lease_until = now() - interval '1 second'").await;
        let reaped = leases_reap(&acme.db).await.unwrap();
        assert_eq!((reaped[0].crashes, reaped[0].parked), (i32::try_from(crash).unwrap(), crash == 3));
    }
    assert_eq!(
        acme.look_one("SELECT state, reason, ask->>'code' AS code FROM jobs").await,
        json!({"state": 3, "reason": "parked", "code": "job_kills_workers"})
    );
    assert_eq!(acme.look("SELECT 1 FROM job_attempts WHERE outcome = 'crashed'").await.len(), 3);
}

#[tokio::test]
async fn a_trigger_during_a_run_makes_the_job_due_at_its_end() {
    let store = Store::open("jobs_rerun").await;
    let acme = Tenant::make(&store).await;
    let tomorrow = || JobEnd::WaitFor { delay: Duration::from_secs(86_400), reason: "cadence", attempt: 2 };
    let expected = |due| {
        json!({"state": 0, "epoch": 1, "fence": 1, "attempt": 2, "crashes": 0, "reason": "cadence",
               "rerun_requested": false, "held": false, "due": due})
    };
    let lease = acme.lease(acme.case).await;
    end(&acme, &lease, tomorrow()).await.unwrap();
    assert_eq!(job(&acme, lease.job).await, expected(false));

    let lease = acme.lease(acme.case).await;
    store.execute(&format!("UPDATE jobs SET rerun_requested = true WHERE job_id = {}", lease.job.0)).await;
    end(&acme, &lease, tomorrow()).await.unwrap();
    assert_eq!(job(&acme, lease.job).await, expected(true));
}

#[tokio::test]
async fn a_trigger_during_a_run_survives_the_crash_of_its_worker() {
    let store = Store::open("jobs_rerun_crash").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    store.execute("UPDATE jobs SET rerun_requested = true, lease_until = now() - interval '1 second'").await;
    leases_reap(&acme.db).await.unwrap();
    // Due again is what was asked for: the run after the crash reads everything up to then.
    assert_eq!(job(&acme, lease.job).await["due"], json!(true));
}

#[tokio::test]
async fn a_finished_one_shot_leaves_the_table_and_its_attempt_stays() {
    let store = Store::open("jobs_done").await;
    let acme = Tenant::make(&store).await;
    let id = acme.job(acme.case, "backfill").await;
    let lease = job_lease(&acme.db, WorkerId::generate(), id, 1).await.unwrap().unwrap();
    end(&acme, &lease, JobEnd::Done).await.unwrap();
    assert!(acme.look("SELECT job_id FROM jobs").await.is_empty());
    assert_eq!(
        acme.look_one("SELECT job_id, kind, outcome FROM job_attempts").await,
        json!({"job_id": id.0, "kind": "backfill", "outcome": "done"})
    );
    assert!(matches!(end(&acme, &lease, JobEnd::Done).await, Err(StoreError::FenceLost)), "once only");
}

#[tokio::test]
async fn a_parked_job_says_what_a_person_must_do() {
    let store = Store::open("jobs_parked").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    let ask =
        UserMessage::new("no_access", "Case is not readable.", "The permission is missing.", "Grant Read.");
    end(&acme, &lease, JobEnd::Park { ask: ask.clone() }).await.unwrap();
    assert_eq!(
        acme.look_one("SELECT state, ask FROM jobs").await,
        json!({"state": 3, "ask": serde_json::to_value(&ask).unwrap()})
    );

    let control = acme.db.control().await.unwrap();
    for impossible in ["ask = NULL", "state = 0", "state = 2, ask = NULL", "lease_until = now()"] {
        let refused = control.execute(&format!("UPDATE jobs SET {impossible}"), &[]).await.unwrap_err();
        assert_eq!(state_of(&StoreError::at("jobs")(refused)), "23514", "{impossible}");
    }
}
