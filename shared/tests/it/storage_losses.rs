//! Workers that are lost, that leave, and that are cut off with everybody else: what becomes of their jobs, and whom it is
//! counted against.

use std::time::Duration;

use refrain_shared::ids::{JobId, WorkerId};
use refrain_shared::job::lease::Lease;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::dispatch::{attempts_sweep, crashed_retry, leases_reap, reaper_look};
use refrain_shared::storage::jobs::{job_heartbeat, job_lease, jobs_hand_back, worker_heartbeat};
use serde_json::{Value, json};

use crate::fixture::{Store, Tenant};

const EVERY: Duration = Duration::from_secs(2);

/// The lease of a job that is published once more.
async fn again(store: &Store, acme: &Tenant, worker: WorkerId, job: JobId) -> Lease {
    let published = format!(
        "UPDATE jobs SET state = 1, epoch = epoch + 1, published_at = now(), available_at = now() WHERE job_id = {}",
        job.0
    );
    store.execute(&published).await;
    let epoch = store.look(&format!("SELECT epoch FROM jobs WHERE job_id = {}", job.0)).await.remove(0);
    job_lease(&acme.db, worker, job, epoch["epoch"].as_i64().unwrap()).await.unwrap().unwrap()
}

/// The leases of these jobs ran out so many seconds ago.
async fn run_out(store: &Store, jobs: &[JobId], seconds: u32) {
    for job in jobs {
        store
            .execute(&format!(
                "UPDATE jobs SET lease_until = now() - interval '{seconds} seconds' WHERE job_id = {}",
                job.0
            ))
            .await;
    }
}

/// What is taken back: the job, whether that is counted against it, and whether it is parked.
async fn reaped(acme: &Tenant) -> Vec<(JobId, bool, bool)> {
    let mut all: Vec<_> =
        leases_reap(&acme.db).await.unwrap().iter().map(|one| (one.job, one.charged, one.parked)).collect();
    all.sort_by_key(|one| one.0.0);
    all
}

async fn crashes(acme: &Tenant, job: JobId) -> Value {
    acme.look_one(&format!("SELECT crashes, state FROM jobs WHERE job_id = {}", job.0)).await
}

#[tokio::test]
async fn a_job_of_a_kind_or_class_that_only_a_newer_build_knows_is_left_to_it() {
    let store = Store::open("losses_unknown").await;
    let acme = Tenant::make(&store).await;
    // As a newer build's migration would.
    store
        .owner()
        .await
        .batch_execute("ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check, DROP CONSTRAINT jobs_class_check")
        .await
        .unwrap();
    for newer in ["kind = 'novel'", "class = 99"] {
        let id = acme.job(acme.case, "incremental").await;
        store.execute(&format!("UPDATE jobs SET {newer} WHERE job_id = {}", id.0)).await;
        let before = acme.everything().await;
        assert!(job_lease(&acme.db, WorkerId::generate(), id, 1).await.unwrap().is_none(), "{newer}");
        assert_eq!(acme.everything().await, before, "it comes again for a worker that knows it");
    }
}

#[tokio::test]
async fn an_outage_of_the_database_is_nobodys_crash() {
    let store = Store::open("losses_outage").await;
    let acme = Tenant::make(&store).await;
    let job = acme.lease(acme.case).await.job;
    reaper_look(&acme.db, EVERY).await.unwrap();
    run_out(&store, &[job], 5).await;
    store.execute("UPDATE reaper_watch SET looked_at = now() - interval '20 seconds'").await;
    assert_eq!(reaped(&acme).await, [], "a look that was answered late is none");
    reaper_look(&acme.db, EVERY).await.unwrap();
    assert_eq!(reaped(&acme).await, [], "nobody could have prolonged it so far");

    // Whoever lives has spoken since then.
    store.execute("UPDATE reaper_watch SET since = now() - interval '16 seconds'").await;
    assert_eq!(reaped(&acme).await, [(job, false, false)]);
    assert_eq!(crashes(&acme, job).await, json!({"crashes": 0, "state": 0}));
    assert_eq!(acme.look_one("SELECT outcome FROM job_attempts").await, json!({"outcome": "lost"}));

    // From here on it is a crash again.
    again(&store, &acme, WorkerId::generate(), job).await;
    store.execute("UPDATE reaper_watch SET since = now() - interval '17 seconds'").await;
    run_out(&store, &[job], 1).await;
    reaper_look(&acme.db, EVERY).await.unwrap();
    assert_eq!(reaped(&acme).await, [(job, true, false)], "looks without a gap");
}

#[tokio::test]
async fn a_worker_is_lost_with_all_that_it_held_and_a_job_that_froze_alone() {
    let store = Store::open("losses_worker").await;
    let acme = Tenant::make(&store).await;
    let worker = WorkerId::generate();
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let id = acme.job(acme.case, "backfill").await;
        jobs.push(job_lease(&acme.db, worker, id, 1).await.unwrap().unwrap().job);
    }
    worker_heartbeat(&acme.db, worker, 8, "test").await.unwrap();
    run_out(&store, &jobs[..1], 1).await;
    assert_eq!(reaped(&acme).await, [(jobs[0], true, false)], "its worker says that it lives");

    again(&store, &acme, worker, jobs[0]).await;
    run_out(&store, &jobs[..1], 1).await;
    store.execute("UPDATE workers SET seen_at = now() - interval '14 seconds'").await;
    assert_eq!(reaped(&acme).await, [(jobs[0], true, false), (jobs[1], true, false)]);
}

#[tokio::test]
async fn neighbours_of_a_job_that_kills_its_worker_are_cleared() {
    let store = Store::open("losses_neighbours").await;
    let acme = Tenant::make(&store).await;
    let (killer, neighbour, late) = (
        acme.job(acme.case, "incremental").await,
        acme.job(acme.case, "backfill").await,
        acme.job(acme.comment, "incremental").await,
    );
    for _ in 0..2 {
        let worker = WorkerId::generate();
        for job in [killer, neighbour] {
            assert!(!again(&store, &acme, worker, job).await.is_suspect());
        }
        run_out(&store, &[killer, neighbour], 1).await;
        assert_eq!(
            reaped(&acme).await,
            [(killer, true, false), (neighbour, true, false)],
            "one of them did it"
        );
    }

    // Suspects run one at a time. One that comes on is cleared.
    let lease = again(&store, &acme, WorkerId::generate(), neighbour).await;
    assert!(lease.is_suspect());
    acme.commit(acme.page(&lease, vec![acme.case_row(1, 10)])).await.unwrap();
    assert_eq!(crashes(&acme, neighbour).await, json!({"crashes": 0, "state": 2}));

    let worker = WorkerId::generate();
    for job in [killer, late] {
        again(&store, &acme, worker, job).await;
    }
    run_out(&store, &[killer], 1).await;
    assert_eq!(reaped(&acme).await, [(killer, true, true), (late, false, false)], "the suspect did it");
    assert_eq!(crashes(&acme, late).await, json!({"crashes": 0, "state": 0}));
}

#[tokio::test]
async fn a_job_that_is_kept_away_from_workers_is_tried_again_less_and_less_often() {
    let store = Store::open("losses_again").await;
    let acme = Tenant::make(&store).await;
    let job = acme.job(acme.case, "incremental").await;
    store.execute("UPDATE jobs SET crashes = 2").await;
    for minutes in [15, 30, 60, 120, 240, 480, 960, 1440, 1440] {
        again(&store, &acme, WorkerId::generate(), job).await;
        run_out(&store, &[job], 1).await;
        assert_eq!(reaped(&acme).await, [(job, true, true)]);
        let parked = async |minutes: i32| {
            store.execute(&format!("UPDATE jobs SET updated_at = now() - interval '{minutes} minutes'")).await
        };
        parked(minutes - 1).await;
        assert_eq!(crashed_retry(&acme.db).await.unwrap(), 0, "before {minutes} minutes");
        parked(minutes + 1).await;
        assert_eq!(crashed_retry(&acme.db).await.unwrap(), 1, "after {minutes} minutes");
    }
    let other =
        "UPDATE jobs SET state = 3, ask = '{\"code\": \"DEFECT\"}', updated_at = now() - interval '9 days'";
    store.execute(other).await;
    assert_eq!(crashed_retry(&acme.db).await.unwrap(), 0, "what failed is not tried again by itself");
}

#[tokio::test]
async fn what_a_leaving_worker_holds_is_handed_back_at_once_and_counted_against_nobody() {
    let store = Store::open("losses_drain").await;
    let acme = Tenant::make(&store).await;
    let worker = WorkerId::generate();
    let ours = again(&store, &acme, worker, acme.job(acme.case, "incremental").await).await;
    let theirs = acme.lease(acme.comment).await;
    store.execute("UPDATE jobs SET crashes = 1, attempt = 2, rerun_requested = true").await;
    assert_eq!(jobs_hand_back(&acme.db, worker).await.unwrap(), 1);
    assert_eq!(
        acme.look_one(&format!(
            "SELECT state, reason, crashes, attempt, rerun_requested, available_at <= now() AS due,
                    worker_id IS NULL AS free FROM jobs WHERE job_id = {}",
            ours.job.0
        ))
        .await,
        json!({"state": 0, "reason": "drained", "crashes": 1, "attempt": 2, "rerun_requested": false, "due": true,
               "free": true})
    );
    assert_eq!(acme.look_one("SELECT outcome FROM job_attempts").await, json!({"outcome": "drained"}));
    assert!(
        matches!(job_heartbeat(&acme.db, &ours).await, Err(StoreError::FenceLost)),
        "its late writes are refused"
    );
    let late = acme.commit(acme.page(&ours, vec![acme.case_row(1, 10)])).await;
    assert!(matches!(late, Err(StoreError::FenceLost)), "{late:?}");
    job_heartbeat(&acme.db, &theirs).await.unwrap();
}

#[tokio::test]
async fn attempts_leave_after_their_time() {
    let store = Store::open("losses_attempts").await;
    let acme = Tenant::make(&store).await;
    for (fence, outcome, days) in [
        (1, "done", 6),
        (2, "done", 8),
        (3, "defer", 8),
        (4, "retry", 8),
        (5, "crashed", 29),
        (6, "retry", 31),
    ] {
        store
            .execute(&format!(
                "INSERT INTO job_attempts (job_id, fence, tenant_id, kind, started_at, ended_at, outcome)
                 VALUES (1, {fence}, '{}', 'incremental', now(), now() - interval '{days} days', '{outcome}')",
                acme.id()
            ))
            .await;
    }
    assert_eq!(attempts_sweep(&acme.db).await.unwrap(), 3);
    assert_eq!(
        acme.look("SELECT fence FROM job_attempts ORDER BY fence").await,
        [json!({"fence": 1}), json!({"fence": 4}), json!({"fence": 5})]
    );
}
