//! What all workers together may ask of one org: never more than the cap, never more than the lanes.

use std::time::Duration;

use refrain_shared::error::DeferReason;
use refrain_shared::ids::{JobId, SalesforceId};
use refrain_shared::limits::{Grant, Refusal};
use refrain_shared::storage::Database;
use refrain_shared::storage::org_limits::{org_grant, org_limits_get, org_settle};
use serde_json::json;

use crate::fixture::{Store, id};

const MINUTE: Duration = Duration::from_secs(60);

async fn org_with(store: &Store, lanes: u32, cap: u64) -> SalesforceId {
    let org = id("00D", 7);
    let settings = json!({"lanes": lanes, "share_percent": 100, "reserve_percent": 0, "assumed_daily": cap});
    store.execute(&format!("INSERT INTO org_limits (org_id, settings) VALUES ('{org}', '{settings}')")).await;
    org
}

/// One call for each of 20 jobs, all at once.
async fn rush(db: &Database, org: SalesforceId) -> (Vec<Grant>, Vec<Refusal>) {
    let asks: Vec<_> = (1..=20)
        .map(|job| {
            let db = db.clone();
            tokio::spawn(async move { org_grant(&db, org, JobId(job), 1, 1, MINUTE).await.unwrap() })
        })
        .collect();
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for ask in asks {
        match ask.await.unwrap() {
            Ok(grant) => granted.push(grant),
            Err(refusal) => refused.push(refusal),
        }
    }
    (granted, refused)
}

async fn state(db: &Database, org: SalesforceId) -> (usize, u64) {
    let limits = org_limits_get(db, org).await.unwrap().unwrap();
    (limits.lanes.len(), limits.buckets.iter().map(|bucket| bucket.calls).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_at_once_never_spend_more_than_the_cap() {
    let store = Store::open("grants_cap").await;
    let org = org_with(&store, 100, 5).await;
    let (granted, refused) = rush(&store.db, org).await;
    assert_eq!(granted.len(), 5);
    assert!(refused.iter().all(|refusal| refusal.why == DeferReason::Budget), "{refused:?}");
    assert_eq!(state(&store.db, org).await, (5, 5), "a refusal takes neither lane nor call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_at_once_never_take_more_than_the_lanes() {
    let store = Store::open("grants_lanes").await;
    let org = org_with(&store, 3, 1000).await;
    let (granted, refused) = rush(&store.db, org).await;
    assert_eq!(granted.len(), 3);
    assert!(refused.iter().all(|refusal| refusal.why == DeferReason::Lanes), "{refused:?}");
    assert_eq!(state(&store.db, org).await, (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_org_seen_for_the_first_time_by_twenty_at_once_has_one_row() {
    let store = Store::open("grants_first").await;
    let org = id("00D", 9);
    let (granted, _) = rush(&store.db, org).await;
    assert_eq!(granted.len(), 4, "the default lanes");
    assert_eq!(state(&store.db, org).await, (4, 4));
}

#[tokio::test]
async fn asking_again_for_the_same_job_and_epoch_takes_no_second_lane() {
    let store = Store::open("grants_again").await;
    let org = org_with(&store, 2, 100).await;
    let ask =
        async |job, epoch, calls| org_grant(&store.db, org, JobId(job), epoch, calls, MINUTE).await.unwrap();
    assert_eq!(ask(1, 1, 10).await.unwrap().calls, 10);
    assert_eq!(ask(1, 1, 10).await.unwrap().calls, 10);
    assert_eq!(state(&store.db, org).await, (1, 10));
    assert_eq!(ask(1, 1, 15).await.unwrap().calls, 15, "topped up");
    assert_eq!(state(&store.db, org).await, (1, 15));
    ask(1, 2, 10).await.unwrap();
    assert_eq!(state(&store.db, org).await, (2, 25), "another epoch is another caller");
}

#[tokio::test]
async fn an_orderly_end_returns_lane_and_unspent_calls_once() {
    let store = Store::open("grants_settle").await;
    let org = org_with(&store, 1, 100).await;
    org_grant(&store.db, org, JobId(1), 1, 10, MINUTE).await.unwrap().unwrap();
    for _ in 0..2 {
        org_settle(&store.db, org, JobId(1), 1, 7, Some((40, 200))).await.unwrap();
        assert_eq!(state(&store.db, org).await, (0, 3));
    }
    let usage = org_limits_get(&store.db, org).await.unwrap().unwrap().usage.unwrap();
    assert_eq!((usage.used, usage.limit), (40, 200));
    org_grant(&store.db, org, JobId(2), 1, 10, MINUTE).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_crash_burns_its_calls_and_frees_its_lane_when_the_lane_ends() {
    let store = Store::open("grants_crash").await;
    let org = org_with(&store, 1, 100).await;
    org_grant(&store.db, org, JobId(1), 1, 10, MINUTE).await.unwrap().unwrap();
    let refused = org_grant(&store.db, org, JobId(2), 1, 10, MINUTE).await.unwrap().unwrap_err();
    assert_eq!(refused.why, DeferReason::Lanes, "the lane lasts, whoever died");
    store
        .execute("UPDATE org_limits SET lanes = jsonb_set(lanes, '{0,until}', to_jsonb(now() - interval '1 second'))")
        .await;
    org_grant(&store.db, org, JobId(2), 1, 10, MINUTE).await.unwrap().unwrap();
    assert_eq!(state(&store.db, org).await, (1, 20), "nobody gave the ten back");
    org_settle(&store.db, org, JobId(1), 1, 10, None).await.unwrap();
    assert_eq!(state(&store.db, org).await, (1, 20), "nor can they, after their lane is gone");
}
