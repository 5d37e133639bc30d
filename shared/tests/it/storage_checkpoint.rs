//! The checkpoint's moves: it never claims more than is there.

use refrain_shared::error::UserMessage;
use refrain_shared::job::Lease;
use refrain_shared::job::checkpoint::Slice;
use refrain_shared::job::narrow::Progress;
use refrain_shared::storage::TenantTx;
use refrain_shared::storage::checkpoints::{FirstPlan, checkpoint_stop, first_plan_store, plan_inputs};
use refrain_shared::storage::page_commit::{CheckpointMove, PageCommit};
use refrain_shared::storage::slices::SliceJob;
use serde_json::{Value, json};

use crate::fixture::{Store, Tenant, at};

/// Four slices, newest first: [300, 400), [200, 300), [100, 200), [0, 100).
fn slices() -> Vec<Slice> {
    [300, 200, 100, 0].map(|lo| Slice { lo: at(lo), hi: at(lo + 100) }).to_vec()
}

async fn plan(acme: &Tenant, lease: &Lease, slices: Vec<Slice>) {
    let mut client = acme.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &acme.scope).await.unwrap();
    let slices = slices.into_iter().map(|slice| SliceJob::by_rest(slice, &Progress::default())).collect();
    let plan =
        FirstPlan { scope_from: None, watermark: at(400), expected: Some(7), slices, by_parents: false };
    first_plan_store(&tx, lease, &plan).await.unwrap();
    tx.commit().await.unwrap();
}

async fn advance(acme: &Tenant, lease: &Lease, moves: CheckpointMove) {
    acme.commit(PageCommit { moves, ..acme.page(lease, vec![]) }).await.unwrap();
}

async fn place(acme: &Tenant) -> Value {
    let sql = format!(
        "SELECT state, loaded_at IS NOT NULL AS loaded, jsonb_array_length(open_slices) AS open,
                CASE WHEN covered_from = '-infinity' THEN 'all' ELSE extract(epoch FROM covered_from)::bigint::text END AS covered
           FROM checkpoints WHERE object_id = {}",
        acme.case.id.0
    );
    acme.look_one(&sql).await
}

fn loading(open: usize, covered: i64) -> Value {
    json!({"state": "loading", "loaded": false, "open": open, "covered": at(covered).timestamp().to_string()})
}

fn current() -> Value {
    json!({"state": "current", "loaded": true, "open": 0, "covered": "all"})
}

fn orders() -> Vec<[usize; 4]> {
    let mut all = Vec::new();
    for code in 0..256_usize {
        let order = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6];
        if (0..4).all(|n| order.contains(&n)) {
            all.push(order);
        }
    }
    all
}

#[tokio::test]
async fn slices_done_in_any_order_cover_history_from_its_newest_end() {
    let store = Store::open("checkpoint_slices").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    let orders = orders();
    assert_eq!(orders.len(), 24);
    for order in orders {
        plan(&acme, &lease, slices()).await;
        store.execute("UPDATE checkpoints SET loaded_at = NULL").await;
        assert_eq!(place(&acme).await, loading(4, 400));
        let mut open = [true; 4];
        for done in order {
            open[done] = false;
            let slice = slices()[done].clone();
            advance(&acme, &lease, CheckpointMove::SliceDone { slice, generation: 1 }).await;
            let expected = match open.iter().position(|open| *open) {
                // Complete from the end of the newest one that is still open.
                Some(newest) => loading(
                    open.iter().filter(|open| **open).count(),
                    400 - 100 * i64::try_from(newest).unwrap(),
                ),
                None => current(),
            };
            assert_eq!(place(&acme).await, expected, "{order:?}, after slice {done}");
        }
    }
}

#[tokio::test]
async fn a_slice_of_an_older_generation_closes_nothing() {
    let store = Store::open("checkpoint_generation").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    plan(&acme, &lease, slices()).await;
    store.execute("UPDATE checkpoints SET generation = 2").await;
    for slice in slices() {
        advance(&acme, &lease, CheckpointMove::SliceDone { slice, generation: 1 }).await;
    }
    assert_eq!(place(&acme).await, loading(4, 400));
}

#[tokio::test]
async fn a_slice_done_twice_is_done_once() {
    let store = Store::open("checkpoint_repeat").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    plan(&acme, &lease, slices()).await;
    for _ in 0..2 {
        let slice = slices()[0].clone();
        advance(&acme, &lease, CheckpointMove::SliceDone { slice, generation: 1 }).await;
        assert_eq!(place(&acme).await, loading(3, 300));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slices_done_at_the_same_moment_are_all_closed() {
    let store = Store::open("checkpoint_at_once").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    plan(&acme, &lease, slices()).await;
    let all: Vec<_> = slices()
        .into_iter()
        .map(|slice| {
            let acme = acme.clone();
            tokio::spawn(async move {
                let lease = acme.lease(acme.case).await;
                advance(&acme, &lease, CheckpointMove::SliceDone { slice, generation: 1 }).await;
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(place(&acme).await, current());
}

#[tokio::test]
async fn an_object_without_history_is_current_at_once() {
    let store = Store::open("checkpoint_empty").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    plan(&acme, &lease, vec![]).await;
    assert_eq!(place(&acme).await, current());
}

#[tokio::test]
async fn each_slice_of_the_plan_is_a_job_once() {
    let store = Store::open("checkpoint_jobs").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    for _ in 0..2 {
        plan(&acme, &lease, slices()).await;
    }
    let jobs = acme.look("SELECT params FROM jobs WHERE kind = 'backfill' ORDER BY available_at").await;
    let planned: Vec<Value> =
        slices().iter().map(|slice| json!({"params": serde_json::to_value(slice).unwrap()})).collect();
    assert_eq!(jobs, planned, "the newest is due first");
}

#[tokio::test]
async fn the_watermark_never_steps_back() {
    let store = Store::open("checkpoint_watermark").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    for (claimed, expected) in [(100, 100), (300, 300), (200, 300), (301, 301)] {
        advance(&acme, &lease, CheckpointMove::WindowDone { watermark: at(claimed) }).await;
        let sql = "SELECT extract(epoch FROM watermark_at)::bigint AS at FROM checkpoints WHERE passed_at IS NOT NULL";
        assert_eq!(acme.look_one(sql).await, json!({"at": at(expected).timestamp()}));
    }
}

#[tokio::test]
async fn a_parked_object_stays_parked_when_its_last_slice_ends() {
    let store = Store::open("checkpoint_parked").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    plan(&acme, &lease, slices()).await;
    let mut client = acme.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &acme.scope).await.unwrap();
    let ask =
        UserMessage::new("no_access", "Case is not readable.", "The permission is missing.", "Grant Read.");
    checkpoint_stop(&tx, acme.case.id, Some(&ask)).await.unwrap();
    tx.commit().await.unwrap();
    for slice in slices() {
        advance(&acme, &lease, CheckpointMove::SliceDone { slice, generation: 1 }).await;
    }
    let parked = json!({"state": "parked", "loaded": true, "open": 0, "covered": "all"});
    assert_eq!(place(&acme).await, parked);
}

#[tokio::test]
async fn a_standard_ticket_object_is_known_before_it_is_described() {
    let store = Store::open("checkpoint_ticket_objects").await;
    let acme = Tenant::make(&store).await;
    for forget in [
        "UPDATE checkpoints SET key_prefix = NULL",
        "DELETE FROM checkpoints c USING object_syncs o
                    WHERE o.object_id = c.object_id AND o.api_name = 'Case'",
    ] {
        store.owner().await.batch_execute(forget).await.unwrap();
        let inputs = plan_inputs(&acme.db, &acme.scope, acme.comment.id).await.unwrap();
        assert_eq!(inputs.parents.tickets, acme.parents.tickets, "{forget}");
    }
}
