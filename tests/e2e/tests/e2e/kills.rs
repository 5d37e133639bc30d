//! Schedulers and workers are killed in the middle of the first load, asked to stop, and doubled.

use std::time::Duration;

use harness::process::Signal;
use harness::wait::eventually;

use crate::servers::{BROKER_AWAY, DATABASE_AWAY};
use crate::simulator::{Gate, Shape};
use crate::stack::Stack;
use crate::tenant::Tenant;
use crate::{DEADLINE, LEASE_RAN_OUT};

pub(crate) const SHAPE: Shape = Shape { cases: 30, seed: 23, page_rows: 20 };
/// Lanes of an org: as many jobs at once have pages in hand.
const LANES: u64 = 4;
/// As many records as one commit takes: two pages.
const COMMIT_ROWS: u64 = 40;

/// A first load that stands still: one job waits for the third page of the history of cases. It ends once the gate is
/// opened or its worker is gone. The workers come when everything is asked for, so that no page is read under a plan
/// that changes: what is read again is the doing of the test.
pub(crate) async fn in_mid_load(stack: &mut Stack, workers: usize) -> (Tenant, Gate) {
    stack.set("worker", &format!("commit_rows = {COMMIT_ROWS}"));
    let mut tenant = Tenant::without_objects(stack, SHAPE).await;
    let gate = tenant.simulated.hold("CreatedDate >= 1970-01-01", 3).await;
    tenant.ask_for_objects(stack).await;
    for _ in 0..workers {
        stack.start_worker().await;
    }
    gate.reached().await;
    (tenant, gate)
}

#[tokio::test]
async fn a_scheduler_killed_in_mid_load_is_replaced_by_another_and_nobody_notices() {
    let mut stack = Stack::running("kill_scheduler", 0).await;
    let (tenant, gate) = in_mid_load(&mut stack, 2).await;
    stack.kill_scheduler(0);
    gate.open().await;
    stack.start_scheduler().await;
    tenant.assert_catches_up(&stack).await;
    assert_eq!(tenant.rows_read_again(&stack).await, 0, "workers do not need a scheduler to finish");
    stack.finish(&[&tenant], &[]).await;
}

#[tokio::test]
async fn all_workers_killed_in_mid_load_are_replaced_and_nothing_is_lost() {
    let mut stack = Stack::running("kill_workers", 0).await;
    let (tenant, gate) = in_mid_load(&mut stack, 2).await;
    stack.kill_worker(1);
    stack.kill_worker(0);
    gate.open().await;
    stack.start_worker().await;
    stack.start_worker().await;
    tenant.assert_catches_up(&stack).await;
    let again = tenant.rows_read_again(&stack).await;
    let bound = COMMIT_ROWS * LANES;
    assert!(again <= bound, "{again} rows were read again, {bound} may be");
    stack.finish(&[&tenant], &[LEASE_RAN_OUT]).await;
}

#[tokio::test]
async fn a_worker_asked_to_stop_hands_its_jobs_over_without_a_row_read_again() {
    let mut stack = Stack::running("drain", 0).await;
    let (tenant, gate) = in_mid_load(&mut stack, 1).await;
    let leaving = &stack.workers[0];
    leaving.process.signal(Signal::Terminate);
    let ready = format!("{}/readyz", leaving.url);
    eventually(DEADLINE, "the worker not to be ready any more", async || {
        let answer = reqwest::get(&ready).await;
        answer.is_ok_and(|answer| answer.status() == 503).then_some(())
    })
    .await;
    // The page that it waits for is committed and nothing more is read.
    gate.open().await;
    stack.stop_worker(0).await;
    assert!(!tenant.is_loaded(&stack).await, "something is left to be done");
    stack.start_worker().await;
    tenant.assert_catches_up(&stack).await;
    assert_eq!(tenant.rows_read_again(&stack).await, 0);
    let broken = "SELECT count(*) FROM job_attempts WHERE outcome NOT IN ('done', 'more', 'defer')";
    assert_eq!(stack.sql(broken).await[0][0], "0", "every attempt ended in good order");
    stack.finish(&[&tenant], &[]).await;
}

/// A call may last longer than a worker has to leave.
#[tokio::test]
async fn a_worker_in_a_long_call_hands_its_job_over_within_thirty_seconds() {
    let mut stack = Stack::new("drain_long_call").await;
    stack.set("salesforce", "timeout_s = 120");
    stack.start_scheduler().await;
    let (tenant, gate) = in_mid_load(&mut stack, 1).await;
    let leaving = stack.workers.remove(0);
    let ended = leaving.process.terminate(Duration::from_secs(30)).await.unwrap();
    assert!(ended.success(), "{}", leaving.process.logs());
    let handed_back = "SELECT count(*) FROM jobs WHERE state = 2";
    assert_eq!(stack.sql(handed_back).await[0][0], "0", "nothing is left to its lease");
    assert_eq!(stack.sql("SELECT count(*) FROM job_attempts WHERE outcome = 'drained'").await[0][0], "1");
    // It goes on elsewhere while the call still hangs.
    stack.start_worker().await;
    tenant.assert_catches_up(&stack).await;
    gate.open().await;
    let again = tenant.rows_read_again(&stack).await;
    assert!(again <= COMMIT_ROWS, "{again} rows were read again, {COMMIT_ROWS} may be");
    let broken =
        "SELECT count(*) FROM job_attempts WHERE outcome NOT IN ('done', 'more', 'defer', 'drained')";
    assert_eq!(stack.sql(broken).await[0][0], "0", "nothing is counted as a crash");
    stack.finish(&[&tenant], &[]).await;
}

#[tokio::test]
async fn two_schedulers_run_no_job_twice_and_one_of_them_may_be_killed() {
    let mut stack = Stack::running("two_schedulers", 0).await;
    stack.start_scheduler().await;
    let (tenant, gate) = in_mid_load(&mut stack, 2).await;
    gate.open().await;
    tenant.assert_catches_up(&stack).await;
    assert_eq!(tenant.rows_read_again(&stack).await, 0);
    let slices = "SELECT count(*), count(DISTINCT job_id) FROM job_attempts
                   WHERE kind = 'backfill' AND outcome <> 'defer'";
    let slices = stack.sql(slices).await.remove(0);
    assert_eq!(slices[0], slices[1], "each slice was read once");
    let leases = "SELECT count(*) FROM jobs WHERE fence <> epoch";
    assert_eq!(stack.sql(leases).await[0][0], "0", "each publication was one lease");
    assert_eq!(stack.counted("sync_stale_deliveries_total").await, 0, "no message was one too many");

    let (other, gate) = in_mid_load(&mut stack, 0).await;
    stack.kill_scheduler(0);
    gate.open().await;
    other.assert_catches_up(&stack).await;
    tenant.simulated.org.edit(20, 1).await.unwrap();
    tenant.assert_catches_up(&stack).await;
    assert_eq!(tenant.rows_read_again(&stack).await, 0);
    stack.finish(&[&tenant, &other], &[]).await;
}

/// A frozen process is dead to everybody else, and comes back with a lease that is not its own any more.
#[tokio::test]
async fn a_worker_that_was_frozen_past_its_lease_writes_nothing_when_it_thaws() {
    let mut stack = Stack::running("frozen", 0).await;
    let (tenant, gate) = in_mid_load(&mut stack, 1).await;
    stack.workers[0].process.signal(Signal::Freeze);
    stack.start_worker().await;
    let reaped = "SELECT count(*) FROM job_attempts WHERE outcome = 'crashed'";
    eventually(DEADLINE, "the frozen worker's leases to run out", async || {
        (stack.sql(reaped).await[0][0] != "0").then_some(())
    })
    .await;
    gate.open().await;
    tenant.assert_catches_up(&stack).await;
    stack.workers[0].process.signal(Signal::Thaw);
    let ready = format!("{}/readyz", stack.workers[0].url);
    stack.workers[0].process.wait_ready(&ready, Duration::from_secs(60)).await.unwrap();
    tenant.assert_catches_up(&stack).await;
    // Its connections were given up by both sides meanwhile, its calls too, and what it had locked made others wait.
    let stood_still = "a call outlasted its lane: this process stood still";
    stack
        .finish(&[&tenant], &[&DATABASE_AWAY[..], &BROKER_AWAY, &[LEASE_RAN_OUT, stood_still]].concat())
        .await;
}
