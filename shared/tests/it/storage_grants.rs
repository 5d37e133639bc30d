//! What all workers together may ask of one org: never more than the cap, never more than the lanes, and nothing for who
//! lost its job.

use std::time::Duration;

use refrain_shared::error::DeferReason;
use refrain_shared::ids::{SalesforceId, WorkerId};
use refrain_shared::job::Lease;
use refrain_shared::limits::{Grant, Refusal};
use refrain_shared::storage::jobs::job_lease;
use refrain_shared::storage::org_limits::{
    Ask, Ended, Heard, org_grant, org_limits_get, org_settle, org_spend,
};
use refrain_shared::storage::{Database, StoreError};
use serde_json::json;

use crate::fixture::{Store, Tenant, id};

const MINUTE: Duration = Duration::from_secs(60);

/// A tenant whose org has so many lanes and calls.
async fn tenant_with(store: &Store, lanes: u32, cap: u64) -> Tenant {
    let acme = Tenant::make(store).await;
    let settings = json!({"lanes": lanes, "share_percent": 100, "reserve_percent": 0, "assumed_daily": cap});
    let org = acme.org;
    store.execute(&format!("INSERT INTO org_limits (org_id, settings) VALUES ('{org}', '{settings}')")).await;
    acme
}

fn calls(calls: u64) -> Ask {
    Ask { calls, lane_for: MINUTE, heard: None }
}

async fn grant(db: &Database, lease: &Lease, wanted: u64) -> Result<Grant, Refusal> {
    org_grant(db, lease, calls(wanted)).await.unwrap()
}

async fn settle(db: &Database, lease: &Lease, unspent: u64, heard: Option<Heard>) {
    let ended = Ended { unspent, heard, crowded: false };
    org_settle(db, lease.org, lease.job, lease.epoch, ended).await.unwrap();
}

/// One call for each of 20 jobs, all at once.
async fn rush(acme: &Tenant, org: SalesforceId) -> (Vec<Grant>, Vec<Refusal>) {
    let mut asks = Vec::new();
    for _ in 0..20 {
        let (db, lease) = (acme.db.clone(), Lease { org, ..acme.lease(acme.case).await });
        asks.push(async move { grant(&db, &lease, 1).await });
    }
    let asks: Vec<_> = asks.into_iter().map(tokio::spawn).collect();
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for ask in asks {
        match ask.await.unwrap() {
            Ok(grant) => granted.push(grant),
            Err(refusal) => refused.push(refusal),
        }
    }
    (granted, refused)
}

/// Lanes held, and calls paid.
async fn state(db: &Database, org: SalesforceId) -> (usize, u64) {
    let limits = org_limits_get(db, org).await.unwrap().unwrap();
    let now = refrain_shared::clock::Clock::system().now();
    assert_eq!(limits.used(now), limits.paid, "nothing here is a day old");
    (limits.lanes.len(), limits.paid)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_at_once_never_spend_more_than_the_cap() {
    let store = Store::open("grants_cap").await;
    let acme = tenant_with(&store, 100, 5).await;
    let (granted, refused) = rush(&acme, acme.org).await;
    assert_eq!(granted.len(), 5);
    assert!(refused.iter().all(|refusal| refusal.why == DeferReason::Budget), "{refused:?}");
    assert_eq!(state(&store.db, acme.org).await, (5, 5), "a refusal takes neither lane nor call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_at_once_never_take_more_than_the_lanes() {
    let store = Store::open("grants_lanes").await;
    let acme = tenant_with(&store, 3, 1000).await;
    let (granted, refused) = rush(&acme, acme.org).await;
    assert_eq!(granted.len(), 3);
    assert!(refused.iter().all(|refusal| refusal.why == DeferReason::Lanes), "{refused:?}");
    assert_eq!(state(&store.db, acme.org).await, (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_org_seen_for_the_first_time_by_twenty_at_once_has_one_row() {
    let store = Store::open("grants_first").await;
    let acme = Tenant::make(&store).await;
    let org = id("00D", 9);
    let (granted, _) = rush(&acme, org).await;
    assert_eq!(granted.len(), 4, "the default lanes");
    assert_eq!(state(&store.db, org).await, (4, 4));
}

#[tokio::test]
async fn asking_again_for_the_same_job_and_epoch_takes_no_second_lane() {
    let store = Store::open("grants_again").await;
    let acme = tenant_with(&store, 2, 100).await;
    let lease = acme.lease(acme.case).await;
    assert_eq!(grant(&acme.db, &lease, 10).await.unwrap().calls, 10);
    assert_eq!(grant(&acme.db, &lease, 10).await.unwrap().calls, 10);
    assert_eq!(state(&store.db, acme.org).await, (1, 10));
    assert_eq!(grant(&acme.db, &lease, 15).await.unwrap().calls, 15, "topped up");
    assert_eq!(state(&store.db, acme.org).await, (1, 15));
}

const REAPED: &str = "UPDATE jobs SET state = 0, lease_until = NULL, worker_id = NULL";

/// The lease of whoever gets the job after its holder was taken for dead.
async fn leased_anew(store: &Store, acme: &Tenant, lost: &Lease) -> Lease {
    let epoch = lost.epoch + 1;
    store.execute(&format!("UPDATE jobs SET state = 1, epoch = {epoch} WHERE job_id = {}", lost.job.0)).await;
    job_lease(&acme.db, WorkerId::generate(), lost.job, epoch).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_zombie_of_an_older_epoch_gets_neither_lane_nor_calls() {
    let store = Store::open("grants_zombie").await;
    let acme = tenant_with(&store, 4, 100).await;
    let zombie = acme.lease(acme.case).await;
    grant(&acme.db, &zombie, 10).await.unwrap();
    store.execute(REAPED).await;
    let thawed = org_grant(&acme.db, &zombie, calls(20)).await;
    assert!(matches!(thawed, Err(StoreError::FenceLost)), "nobody has the job: {thawed:?}");
    let heir = leased_anew(&store, &acme, &zombie).await;
    grant(&acme.db, &heir, 10).await.unwrap();
    let thawed = org_grant(&acme.db, &zombie, calls(20)).await;
    assert!(matches!(thawed, Err(StoreError::FenceLost)), "{thawed:?}");
    assert_eq!(state(&store.db, acme.org).await, (2, 20), "the first lane lasts, and nothing is added to it");
    let same_epoch = Lease { fence: heir.fence - 1, ..heir.clone() };
    let thawed = org_grant(&acme.db, &same_epoch, calls(20)).await;
    assert!(matches!(thawed, Err(StoreError::FenceLost)), "{thawed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_lost_while_its_grant_waits_gets_nothing() {
    let store = Store::open("grants_waits").await;
    let acme = tenant_with(&store, 4, 100).await;
    let lease = acme.lease(acme.case).await;
    let owner = store.owner().await;
    owner.batch_execute("BEGIN; SELECT FROM org_limits FOR UPDATE").await.unwrap();
    let asking = tokio::spawn({
        let (db, lease) = (acme.db.clone(), lease.clone());
        async move { org_grant(&db, &lease, calls(10)).await }
    });
    store.until_waiting(1).await;
    store.execute(REAPED).await;
    owner.batch_execute("COMMIT").await.unwrap();
    let late = asking.await.unwrap();
    assert!(matches!(late, Err(StoreError::FenceLost)), "{late:?}");
    assert_eq!(state(&store.db, acme.org).await, (0, 0));
}

#[tokio::test]
async fn an_orderly_end_returns_lane_and_unspent_calls_once() {
    let store = Store::open("grants_settle").await;
    let acme = tenant_with(&store, 1, 100).await;
    let lease = acme.lease(acme.case).await;
    let granted = grant(&acme.db, &lease, 10).await.unwrap();
    let heard = Heard { used: 40, limit: 200, ago: Duration::ZERO, made: granted.made };
    for _ in 0..2 {
        settle(&acme.db, &lease, 7, Some(heard)).await;
        assert_eq!(state(&store.db, acme.org).await, (0, 3));
    }
    let usage = org_limits_get(&store.db, acme.org).await.unwrap().unwrap().usage.unwrap();
    assert_eq!((usage.used, usage.limit), (40, 200));
    grant(&acme.db, &acme.lease(acme.case).await, 10).await.unwrap();
}

#[tokio::test]
async fn a_crash_burns_its_calls_and_frees_its_lane_when_the_lane_ends() {
    let store = Store::open("grants_crash").await;
    let acme = tenant_with(&store, 1, 100).await;
    let (dead, next) = (acme.lease(acme.case).await, acme.lease(acme.case).await);
    grant(&acme.db, &dead, 10).await.unwrap();
    let refused = grant(&acme.db, &next, 10).await.unwrap_err();
    assert_eq!(refused.why, DeferReason::Lanes, "the lane lasts, whoever died");
    store
        .execute("UPDATE org_limits SET lanes = jsonb_set(lanes, '{0,until}', to_jsonb(now() - interval '1 second'))")
        .await;
    grant(&acme.db, &next, 10).await.unwrap();
    assert_eq!(state(&store.db, acme.org).await, (1, 20), "nobody gave the ten back");
    settle(&acme.db, &dead, 10, None).await;
    assert_eq!(state(&store.db, acme.org).await, (1, 20), "nor can they, after their lane is gone");
}

#[tokio::test]
async fn what_the_org_says_brakes_at_the_next_asking_and_not_at_the_end_of_the_job_only() {
    let store = Store::open("grants_brake").await;
    let acme = tenant_with(&store, 4, 1000).await;
    store.execute("UPDATE org_limits SET settings = settings || '{\"reserve_percent\": 10}'").await;
    let (first, second) = (acme.lease(acme.case).await, acme.lease(acme.case).await);
    let granted = grant(&acme.db, &first, 20).await.unwrap();
    let heard = Some(Heard { used: 890, limit: 1000, ago: Duration::ZERO, made: granted.made });
    let refused = org_grant(&acme.db, &first, Ask { heard, ..calls(40) }).await.unwrap().unwrap_err();
    assert_eq!(refused.why, DeferReason::OrgQuota);
    let refused = grant(&acme.db, &second, 1).await.unwrap_err();
    assert_eq!(refused.why, DeferReason::OrgQuota, "a refusal told the others as well");
}

#[tokio::test]
async fn calls_of_no_job_are_counted_for_their_org() {
    let store = Store::open("grants_spend").await;
    let acme = tenant_with(&store, 4, 10).await;
    org_spend(&acme.db, acme.org, 3).await.unwrap();
    assert_eq!(state(&store.db, acme.org).await, (0, 3));
    let lease = acme.lease(acme.case).await;
    assert_eq!(grant(&acme.db, &lease, 8).await.unwrap_err().why, DeferReason::Budget);
    grant(&acme.db, &lease, 7).await.unwrap();
}
