//! What a sweep walks over and what it did not find; and how a standing job is asked to run.

use refrain_shared::job::lease::Kind;
use refrain_shared::record::{RecordState, StateReason};
use refrain_shared::storage::TenantTx;
use refrain_shared::storage::page_commit::PageRow;
use refrain_shared::storage::sweeps::{
    following_get, missing_add, missing_count, missing_forget, missing_next, standing_ask, sweep_next,
};
use serde_json::{Value, json};

use crate::fixture::{Store, Tenant, at, gone, id};

/// The ids of cases.
fn ids(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|n| id("500", *n).to_string()).collect()
}

/// The row without its content, for this reason.
fn stub(mut row: PageRow, reason: StateReason) -> PageRow {
    row.record.state = RecordState::Stub(reason);
    row.record.sealed = None;
    row
}

async fn missed(tenant: &Tenant, numbers: &[usize], second: i64) {
    let mut client = tenant.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &tenant.scope).await.unwrap();
    let ids = ids(numbers);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    missing_add(&tx, tenant.key(tenant.case), &ids, at(second)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn forget(tenant: &Tenant, numbers: Option<&[usize]>) {
    let mut client = tenant.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &tenant.scope).await.unwrap();
    let ids = numbers.map(ids);
    let ids: Option<Vec<&str>> = ids.as_ref().map(|ids| ids.iter().map(String::as_str).collect());
    missing_forget(&tx, tenant.key(tenant.case), ids.as_deref()).await.unwrap();
    tx.commit().await.unwrap();
}

/// What is missing, in pages of two, and how much is counted.
async fn missing(tenant: &Tenant) -> (Vec<String>, u64) {
    let (key, mut all, mut after) = (tenant.key(tenant.case), Vec::new(), None::<String>);
    loop {
        let page = missing_next(&tenant.db, &tenant.scope, key, after.as_deref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.to_string());
        all.extend(
            page.iter()
                .map(|record| format!("{} {}", record.id, record.missed_at.timestamp() - at(0).timestamp())),
        );
    }
    (all, missing_count(&tenant.db, &tenant.scope, key).await.unwrap())
}

#[tokio::test]
async fn a_sweep_walks_over_every_record_once_in_the_order_of_keys_but_what_was_erased() {
    let store = Store::open("sweeps_walk").await;
    let (acme, other) = (Tenant::make(&store).await, Tenant::make(&store).await);
    acme.store(acme.case, (0..9).rev().map(|n| acme.bare(acme.case, n, 5)).collect()).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 10)]).await;
    other.store(other.case, vec![other.bare(other.case, 77, 5)]).await;
    acme.store(acme.case, vec![gone(acme.bare(acme.case, 3, 5), 9)]).await;
    let hidden = stub(acme.bare(acme.case, 4, 9), StateReason::NotVisible);
    acme.store(acme.case, vec![stub(acme.bare(acme.case, 5, 9), StateReason::Erased), hidden]).await;
    for most in [1, 2, 4, 100] {
        let (mut walked, mut after) = (Vec::new(), None::<String>);
        loop {
            let key = acme.key(acme.case);
            let page = sweep_next(&acme.db, &acme.scope, key, after.as_deref(), most).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id.to_string());
            assert!(page.len() <= most);
            walked.extend(page.iter().map(|record| (record.id.to_string(), record.state, record.stamp)));
        }
        let of = |n| match n {
            3 => (RecordState::Tombstone(StateReason::Deleted), at(9)),
            4 => (RecordState::Stub(StateReason::NotVisible), at(9)),
            _ => (RecordState::Live, at(5)),
        };
        let expected: Vec<_> =
            [0, 1, 2, 3, 4, 6, 7, 8].map(|n| (ids(&[n]).remove(0), of(n).0, of(n).1)).into();
        assert_eq!(walked, expected, "{most} at a time");
    }
}

#[tokio::test]
async fn what_is_missing_is_what_is_live_here_and_was_not_answered_last() {
    let store = Store::open("sweeps_missing").await;
    let (acme, other) = (Tenant::make(&store).await, Tenant::make(&store).await);
    for tenant in [&acme, &other] {
        tenant.store(tenant.case, (1..=6).map(|n| tenant.bare(tenant.case, n, 5)).collect()).await;
    }
    missed(&acme, &[], 10).await;
    assert_eq!(missing(&acme).await, (vec![], 0));
    missed(&acme, &[5, 2, 3, 1, 6], 10).await;
    missed(&other, &[4], 10).await;
    // Missed again, it was missed last then; one never was here, and one has left meanwhile.
    missed(&acme, &[2, 99], 20).await;
    acme.store(acme.case, vec![gone(acme.bare(acme.case, 3, 5), 30)]).await;
    let told =
        |of: &[(usize, i64)]| of.iter().map(|(n, at)| format!("{} {at}", id("500", *n))).collect::<Vec<_>>();
    assert_eq!(missing(&acme).await, (told(&[(1, 10), (2, 20), (5, 10), (6, 10)]), 4));
    forget(&acme, Some(&[1, 6, 77])).await;
    assert_eq!(missing(&acme).await, (told(&[(2, 20), (5, 10)]), 2));
    forget(&acme, None).await;
    assert_eq!(missing(&acme).await, (vec![], 0));
    assert_eq!(missing(&other).await, (told(&[(4, 10)]), 1), "each tenant has its own");
}

async fn standing(store: &Store, tenant: &Tenant, state: &str, progress: &Value) {
    let sql = format!(
        "INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key, available_at, progress, {})
         VALUES ('{}', '{}', {}, '{}', 'deleted', 1, 'deleted/{}', now() + interval '1 day', '{progress}', {})",
        if state == "3" { "state, ask, reason" } else { "state, lease_until, worker_id, epoch" },
        tenant.id(), tenant.connection.0, tenant.case.id.0, tenant.org, tenant.case.id.0,
        match state {
            "3" => "3, '{}', 'parked'",
            "2" => "2, now() + interval '1 minute', gen_random_uuid(), 1",
            _ => "0, NULL, NULL, 1",
        }
    );
    store.execute(&sql).await;
}

#[tokio::test]
async fn a_standing_job_that_is_asked_is_due_or_runs_once_more_and_one_that_waits_for_a_person_stays() {
    let store = Store::open("sweeps_ask").await;
    for (state, due, rerun) in [("0", true, false), ("2", false, true), ("3", false, false)] {
        let acme = Tenant::make(&store).await;
        standing(&store, &acme, state, &json!({"since": at(5), "covered": at(9)})).await;
        standing_ask(&acme.db, Kind::Deleted, acme.case.id).await.unwrap();
        standing_ask(&acme.db, Kind::Sweep, acme.case.id).await.unwrap();
        let sql = "SELECT state::text, available_at <= now() AS due, rerun_requested AS rerun FROM jobs";
        assert_eq!(acme.look_one(sql).await, json!({"state": state, "due": due, "rerun": rerun}));
        let followed = following_get(&acme.db, acme.case.id).await.unwrap();
        assert_eq!((followed.since, followed.covered), (Some(at(5)), Some(at(9))));
        let none = following_get(&acme.db, acme.comment.id).await.unwrap();
        assert_eq!((none.since, none.covered), (None, None), "nobody follows it yet");
    }
}
