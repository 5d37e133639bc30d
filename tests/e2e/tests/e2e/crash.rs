//! A worker is killed at each of its named places.
//!
//! It is held there and then gets a SIGKILL. The build that can be held is a program of its own
//! ([`programs::WITH_CRASH_POINTS`]); what takes over is the shipped one.

use futures_util::future::join_all;
use harness::process::Program;
use harness::wait::eventually;
use refrain_worker::crash::CrashPoint;

use crate::simulator::Shape;
use crate::stack::Stack;
use crate::tenant::Tenant;
use crate::{DEADLINE, LEASE_RAN_OUT, programs};

/// Dozens of pages over all objects.
const SHAPE: Shape = Shape { cases: 40, seed: 11, page_rows: 8 };
/// What a kill may cost in records: as many as one commit takes. Here that is a page.
const ROWS_AGAIN: u64 = 8;

#[tokio::test]
async fn a_worker_killed_at_any_named_place_of_the_first_load_changes_nothing_but_time() {
    programs::with_crash_points().await;
    join_all(CrashPoint::ALL.map(during_first_load)).await;
}

#[tokio::test]
async fn a_worker_killed_at_any_named_place_of_a_later_pass_changes_nothing_but_time() {
    programs::with_crash_points().await;
    join_all(CrashPoint::ALL.map(during_a_later_pass)).await;
}

#[tokio::test]
async fn a_worker_killed_at_any_named_place_of_a_resync_leaves_nothing_of_it_undone() {
    programs::with_crash_points().await;
    let points = CrashPoint::ALL.into_iter().filter(|point| point.comes_with_a_page());
    join_all(points.flat_map(|point| ["rest", "bulk"].map(|way| during_a_resync(point, way)))).await;
}

async fn running(name: &str, workers: usize) -> Stack {
    let mut stack = Stack::running(name, 0).await;
    stack.set("worker", &format!("commit_rows = {ROWS_AGAIN}"));
    for _ in 0..workers {
        stack.start_worker().await;
    }
    stack
}

async fn during_first_load(point: CrashPoint) {
    let mut stack = running(&format!("crash_load_{}", point.word()), 0).await;
    let tenant = Tenant::connect(&stack, SHAPE).await;
    // Every object is planned and history is being read by then.
    kill_at(&mut stack, point, if point.comes_with_a_page() { 40 } else { 25 }).await;
    assert!(!tenant.is_loaded(&stack).await, "it was killed in the middle");
    ends_well(stack, tenant, 0).await;
}

async fn during_a_later_pass(point: CrashPoint) {
    let mut stack = running(&format!("crash_pass_{}", point.word()), 1).await;
    let tenant = Tenant::connect(&stack, SHAPE).await;
    tenant.assert_catches_up(&stack).await;
    let before = tenant.rows_read_again(&stack).await;
    stack.stop_worker(0).await;
    tenant.simulated.org.edit(60, 3).await.unwrap();
    let touched = serde_json::json!({"object": "Case", "count": 1000, "fields": {"Priority": "High"}});
    tenant.simulated.control("mass-update", touched).await;
    tenant.sync_all(&stack).await;
    kill_at(&mut stack, point, 4).await;
    ends_well(stack, tenant, before).await;
}

async fn during_a_resync(point: CrashPoint, way: &str) {
    let mut stack = running(&format!("crash_resync_{way}_{}", point.word()), 1).await;
    let mut tenant = Tenant::without_objects(&stack, SHAPE).await;
    tenant.ask_for(&stack, |name| name == "Case").await;
    tenant.caught_up(&stack).await;
    tenant.at_rest(&stack).await;
    stack.stop_worker(0).await;
    stack.sql(&format!("UPDATE object_syncs SET settings = settings || '{{\"read_by\": \"{way}\"}}'")).await;
    stack
        .sql("UPDATE records SET content_hash = '\\x00112233445566778899aabbccddeeff' WHERE state = 0")
        .await;
    let from = serde_json::json!({"from": "2000-01-01T00:00:00Z"});
    let _: serde_json::Value = stack.api().post(&tenant.id, "resync", &from).await.unwrap();
    // The standing job's window may be a page too, and a Bulk job comes to the first place when it is made.
    kill_at(&mut stack, point, 2).await;
    stack.start_worker().await;
    eventually(DEADLINE, "the resync to be done", async || {
        let left = "SELECT 1 FROM checkpoints WHERE wish IS NOT NULL OR open_slices <> '[]'";
        stack.sql(left).await.is_empty().then_some(())
    })
    .await;
    let spoilt = "SELECT 1 FROM records WHERE content_hash = '\\x00112233445566778899aabbccddeeff'";
    assert!(stack.sql(spoilt).await.is_empty(), "all of it is repaired");
    tenant.assert_catches_up(&stack).await;
    stack.finish(&[&tenant], &[LEASE_RAN_OUT]).await;
}

/// A worker that takes one job at a time, killed when it comes to that place for the `nth` time.
async fn kill_at(stack: &mut Stack, point: CrashPoint, nth: u32) {
    let reached = stack.installation.directory.join("reached");
    let program = Program::new(programs::WITH_CRASH_POINTS)
        .env("WORKER_HOLD_AT", format!("{}:{nth}", point.word()))
        .env("WORKER_CRASH_ONCE", &reached)
        .env("REFRAIN_WORKER__SLOTS", "1");
    let worker = stack.start_worker_as(program).await;
    eventually(DEADLINE, point.word(), async || reached.exists().then_some(())).await;
    stack.kill_worker(worker);
}

async fn ends_well(mut stack: Stack, tenant: Tenant, read_again_before: u64) {
    stack.start_worker().await;
    tenant.assert_catches_up(&stack).await;
    let again = tenant.rows_read_again(&stack).await - read_again_before;
    // A window of parents is one page.
    let most = ROWS_AGAIN.max(tenant.parents_read(&stack).await);
    println!("{}: {again} of at most {most} rows were read again", stack.installation.name);
    assert!(again <= most, "{again} rows were read again, {most} may be");
    stack.finish(&[&tenant], &[LEASE_RAN_OUT]).await;
}
