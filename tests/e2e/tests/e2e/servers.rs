//! PostgreSQL and RabbitMQ die in the middle of the first load, alone, with all they hold, and together with
//! everything else. The servers belong to the test.

use harness::servers::{Options, PrivateServers};
use harness::wait::eventually;

use crate::kills::{SHAPE, in_mid_load};
use crate::stack::Stack;
use crate::tenant::Tenant;
use crate::{DEADLINE, LEASE_RAN_OUT};

/// What programs say while the broker is away.
pub(crate) const BROKER_AWAY: [&str; 2] = ["lost RabbitMQ; connecting again", "a round failed; trying again"];
/// What programs say while the database is away.
pub(crate) const DATABASE_AWAY: [&str; 8] = [
    "a round failed; trying again",
    "job not leased",
    "lease not prolonged",
    "outcome not stored; the lease runs out",
    "lane not given back",
    "could not say that this worker lives",
    "job will be tried again",
    "a request failed",
];

#[tokio::test]
async fn a_broker_that_lost_everything_in_mid_load_costs_only_delay() {
    let servers = PrivateServers::start(Options::throw_away("e2e-wiped").only_broker()).await.unwrap();
    let mut stack = Stack::with("broker_wiped", None, Some(&servers.amqp_url("/"))).await;
    // The held calls must outlast a boot of the broker.
    stack.set("salesforce", "timeout_s = 120");
    stack.start_scheduler().await;
    let mut tenant = Tenant::without_objects(&stack, SHAPE).await;
    let gates = [
        tenant.simulated.hold("FROM CaseHistory WHERE CreatedDate >= 1970-01-01", 1).await,
        tenant.simulated.hold("FROM EmailMessage WHERE SystemModstamp >= 1970-01-01", 1).await,
    ];
    tenant.ask_for_objects(&stack).await;
    // Both slots that history may have are busy with held jobs, so that what is published further waits at the broker
    // and is lost with it.
    stack.start_worker_with_slots(3).await;
    for gate in &gates {
        gate.reached().await;
    }
    eventually(DEADLINE, "a message on its way", async || {
        let published = "SELECT count(*) FROM jobs WHERE state = 1";
        (stack.sql(published).await[0][0] != "0").then_some(())
    })
    .await;
    servers.wipe_broker().await.unwrap();
    servers.restart_broker().await.unwrap();
    for gate in &gates {
        gate.open().await;
    }
    tenant.assert_catches_up(&stack).await;
    assert_eq!(tenant.rows_read_again(&stack).await, 0, "a job in hand does not need the broker");
    stack.finish(&[&tenant], &BROKER_AWAY).await;
    servers.stop().await;
}

#[tokio::test]
async fn a_database_that_was_killed_in_mid_load_costs_only_delay() {
    let servers = PrivateServers::start(Options::throw_away("e2e-killed").only_postgres()).await.unwrap();
    let mut stack = Stack::with("database_killed", Some(&servers.database_url("postgres")), None).await;
    stack.start_scheduler().await;
    let (tenant, gate) = in_mid_load(&mut stack, 2).await;
    servers.kill_postgres().await;
    gate.open().await;
    servers.restart_postgres().await.unwrap();
    tenant.assert_catches_up(&stack).await;
    stack.finish(&[&tenant], &[&DATABASE_AWAY[..], &[LEASE_RAN_OUT]].concat()).await;
    servers.stop().await;
}

#[tokio::test]
async fn everything_killed_at_once_in_mid_load_goes_on_when_it_is_started_again() {
    let servers = PrivateServers::start(Options::throw_away("e2e-everything")).await.unwrap();
    let (database, amqp) = (servers.database_url("postgres"), servers.amqp_url("/"));
    let mut stack = Stack::with("everything_killed", Some(&database), Some(&amqp)).await;
    stack.start_scheduler().await;
    let (tenant, gate) = in_mid_load(&mut stack, 2).await;
    tokio::join!(servers.kill_postgres(), servers.kill_broker());
    stack.kill_worker(1);
    stack.kill_worker(0);
    stack.kill_scheduler(0);
    gate.open().await;
    let (postgres, broker) = tokio::join!(servers.restart_postgres(), servers.restart_broker());
    postgres.unwrap();
    broker.unwrap();
    stack.start_scheduler().await;
    stack.start_worker().await;
    stack.start_worker().await;
    tenant.assert_catches_up(&stack).await;
    stack.finish(&[&tenant], &[&DATABASE_AWAY[..], &BROKER_AWAY, &[LEASE_RAN_OUT]].concat()).await;
    servers.stop().await;
}
