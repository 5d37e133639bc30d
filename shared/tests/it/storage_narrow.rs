//! Splitting a slice: two jobs and two open slices take the place of one, or nothing changes.

use refrain_shared::ids::{JobId, WorkerId};
use refrain_shared::job::checkpoint::{Position, Slice};
use refrain_shared::job::lease::{JobEnd, Lease};
use refrain_shared::job::narrow::Progress;
use refrain_shared::storage::checkpoints::{FirstPlan, first_plan_store, window_cut};
use refrain_shared::storage::jobs::{AttemptReport, job_end, job_lease, job_progress, job_touch};
use refrain_shared::storage::page_commit::{CheckpointMove, PageCommit};
use refrain_shared::storage::slices::{SliceJob, slice_split};
use refrain_shared::storage::{StoreError, TenantTx};
use serde_json::{Value, json};

use crate::fixture::{Store, Tenant, at};

fn slice(lo: i64, hi: i64) -> Slice {
    Slice { lo: at(lo), hi: at(hi) }
}

fn half_read(stamp: i64) -> Progress {
    Progress {
        position: Some(Position { stamp: at(stamp), id: "500000000000001AAA".to_owned() }),
        ..Progress::default()
    }
}

/// Plans two slices, [100, 200) and [0, 100), and leases the job of the older one.
async fn leased(tenant: &Tenant) -> Lease {
    let planner = tenant.lease(tenant.case).await;
    let mut client = tenant.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &tenant.scope).await.unwrap();
    let plan = FirstPlan {
        scope_from: None,
        watermark: at(200),
        expected: Some(9),
        slices: [slice(100, 200), slice(0, 100)]
            .map(|slice| SliceJob::by_rest(slice, &Progress::default()))
            .to_vec(),
        by_parents: false,
    };
    first_plan_store(&tx, &planner, &plan).await.unwrap();
    tx.commit().await.unwrap();
    let row = tenant
        .look_one("SELECT job_id FROM jobs WHERE kind = 'backfill' ORDER BY available_at DESC LIMIT 1")
        .await;
    lease_of(tenant, row["job_id"].as_i64().unwrap()).await
}

async fn lease_of(tenant: &Tenant, job: i64) -> Lease {
    let control = tenant.db.control().await.unwrap();
    control.execute("UPDATE jobs SET state = 1, epoch = 1 WHERE job_id = $1", &[&job]).await.unwrap();
    job_lease(&tenant.db, WorkerId::generate(), JobId(job), 1).await.unwrap().unwrap()
}

async fn split(
    tenant: &Tenant,
    lease: &Lease,
    whole: &Slice,
    cut: i64,
    progress: &Progress,
) -> Result<bool, StoreError> {
    let [newer, older] = whole.cut(at(cut));
    let parts = [SliceJob::by_rest(newer, &Progress::default()), SliceJob::by_rest(older, progress)];
    let mut client = tenant.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &tenant.scope).await?;
    job_end(tx.sql(), lease, &JobEnd::Done, &AttemptReport { outcome: "replan", ..AttemptReport::default() })
        .await?;
    let split = slice_split(&tx, lease, 1, whole.hi, &parts).await?;
    tx.commit().await?;
    Ok(split)
}

/// The bounds of the open slices and of the jobs, newest first.
async fn bounds(tenant: &Tenant) -> (Value, Vec<Value>) {
    let seconds =
        |of: &str| format!("extract(epoch FROM ({of})::timestamptz)::bigint - {}", at(0).timestamp());
    let open = format!(
        "SELECT (SELECT jsonb_agg(jsonb_build_array({}, {}) ORDER BY n)
                   FROM jsonb_array_elements(open_slices) WITH ORDINALITY AS x (s, n)) AS open
           FROM checkpoints WHERE object_id = {}",
        seconds("s->>'lo'"),
        seconds("s->>'hi'"),
        tenant.case.id.0
    );
    let jobs = format!(
        "SELECT {} AS lo, {} AS hi, progress FROM jobs WHERE kind = 'backfill' ORDER BY 2 DESC",
        seconds("params->>'lo'"),
        seconds("params->>'hi'")
    );
    (tenant.look_one(&open).await["open"].clone(), tenant.look(&jobs).await)
}

#[tokio::test]
async fn a_slice_is_split_into_two_jobs_of_which_the_older_goes_on_from_its_last_row() {
    let store = Store::open("narrow_split").await;
    let acme = Tenant::make(&store).await;
    let lease = leased(&acme).await;
    job_touch(&acme.db.control().await.unwrap(), &lease, Some(&json!(half_read(20)))).await.unwrap();
    assert_eq!(job_progress(&acme.db, &lease).await.unwrap(), json!(half_read(20)));
    assert!(split(&acme, &lease, &slice(0, 100), 60, &half_read(20)).await.unwrap());

    let (open, jobs) = bounds(&acme).await;
    assert_eq!(open, json!([[100, 200], [60, 100], [0, 60]]));
    assert_eq!(
        jobs,
        [
            json!({"lo": 100, "hi": 200, "progress": {}}),
            json!({"lo": 60, "hi": 100, "progress": {}}),
            json!({"lo": 0, "hi": 60, "progress": half_read(20)}),
        ]
    );
    let due = acme
        .look(
            "SELECT available_at FROM jobs WHERE kind = 'backfill' AND state = 0 ORDER BY params->>'hi' DESC",
        )
        .await;
    assert!(due[1]["available_at"].as_str() < due[2]["available_at"].as_str(), "the newer part is due first");
    let attempts = acme.look("SELECT outcome FROM job_attempts").await;
    assert_eq!(attempts, [json!({"outcome": "replan"})]);
}

#[tokio::test]
async fn parts_of_a_slice_done_in_any_order_close_it() {
    let store = Store::open("narrow_done").await;
    for order in
        [[(100, 200), (60, 100), (0, 60)], [(0, 60), (100, 200), (60, 100)], [(60, 100), (0, 60), (100, 200)]]
    {
        let acme = Tenant::make(&store).await;
        let lease = leased(&acme).await;
        assert!(split(&acme, &lease, &slice(0, 100), 60, &half_read(20)).await.unwrap());
        let reader = acme.lease(acme.case).await;
        for (lo, hi) in order {
            assert_eq!(acme.checkpoint(acme.case).await["state"], json!("loading"));
            let moves = CheckpointMove::SliceDone { slice: slice(lo, hi), generation: 1 };
            acme.commit(PageCommit { moves, ..acme.page(&reader, vec![]) }).await.unwrap();
        }
        assert_eq!(acme.checkpoint(acme.case).await["state"], json!("current"), "{order:?}");
        assert_eq!(acme.checkpoint(acme.case).await["covered_from"], json!("-infinity"));
    }
}

#[tokio::test]
async fn a_part_is_split_again_and_again_under_keys_of_its_own() {
    let store = Store::open("narrow_again").await;
    let acme = Tenant::make(&store).await;
    let mut lease = leased(&acme).await;
    let mut whole = slice(0, 100);
    for cut in [50, 25, 12, 6, 3, 1] {
        assert!(split(&acme, &lease, &whole, cut, &Progress::default()).await.unwrap());
        whole = slice(0, cut);
        let row = acme
            .look_one("SELECT job_id FROM jobs WHERE kind = 'backfill' ORDER BY params->>'hi' LIMIT 1")
            .await;
        lease = lease_of(&acme, row["job_id"].as_i64().unwrap()).await;
    }
    let (open, jobs) = bounds(&acme).await;
    assert_eq!(open, json!([[100, 200], [50, 100], [25, 50], [12, 25], [6, 12], [3, 6], [1, 3], [0, 1]]));
    assert_eq!(jobs.len(), 8);
}

#[tokio::test]
async fn a_slice_of_before_a_reset_has_no_successors() {
    let store = Store::open("narrow_generation").await;
    let acme = Tenant::make(&store).await;
    let lease = leased(&acme).await;
    store.execute("UPDATE checkpoints SET generation = 2").await;
    assert!(!split(&acme, &lease, &slice(0, 100), 60, &Progress::default()).await.unwrap());
    let (open, jobs) = bounds(&acme).await;
    assert_eq!((open, jobs.len()), (json!([[100, 200], [0, 100]]), 1), "only the other slice's job is left");
}

#[tokio::test]
async fn whoever_lost_the_lease_splits_nothing() {
    let store = Store::open("narrow_fence").await;
    let acme = Tenant::make(&store).await;
    let lease = leased(&acme).await;
    store.execute("UPDATE jobs SET fence = fence + 1").await;
    let before = acme.everything().await;
    let refused = split(&acme, &lease, &slice(0, 100), 60, &Progress::default()).await.unwrap_err();
    assert!(matches!(refused, StoreError::FenceLost), "{refused}");
    assert!(matches!(job_progress(&acme.db, &lease).await.unwrap_err(), StoreError::FenceLost));
    assert_eq!(acme.everything().await, before);
}

#[tokio::test]
async fn a_window_that_was_cut_keeps_its_last_row() {
    let store = Store::open("narrow_window").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    let position = half_read(20).position.unwrap();
    let moves = CheckpointMove::Inside { hi: at(100), position };
    acme.commit(PageCommit { moves, ..acme.page(&lease, vec![]) }).await.unwrap();
    let mut client = acme.db.tenant().await.unwrap();
    let tx = TenantTx::begin(&mut client, &acme.scope).await.unwrap();
    window_cut(&tx, acme.case.id, at(60)).await.unwrap();
    tx.commit().await.unwrap();
    let sql = format!(
        "SELECT extract(epoch FROM window_hi)::bigint AS hi, extract(epoch FROM position_stamp)::bigint AS last
           FROM checkpoints WHERE object_id = {}", acme.case.id.0
    );
    assert_eq!(acme.look_one(&sql).await, json!({"hi": at(60).timestamp(), "last": at(20).timestamp()}));
}
