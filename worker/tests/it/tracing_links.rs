//! The trace that a message brings is in every line that the worker writes about its job.

use std::net::TcpListener;

use harness::process::Program;
use harness::wait::eventually;
use refrain_shared::job::ObjectSettings;
use refrain_shared::job::envelope::Envelope;
use refrain_shared::job::lease::Class;
use refrain_shared::queue::{BrokerOptions, Publisher};
use refrain_shared::secret::Secret;
use refrain_shared::storage::dispatch::{ClaimLimits, dispatch_claim};
use serde_json::Value;

use crate::world::{DEADLINE, World};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_jobs_lines_carry_the_trace_of_the_message_that_brought_it() {
    let world = World::new("trace").await;
    world.object("Case", ObjectSettings::default()).await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let worker = Program::new("worker")
        .env("DATABASE_URL", world.bed.database_url())
        .env("AMQP_URL", world.bed.amqp_url())
        .env("REFRAIN_KEYS__FILE", &world.ring_file)
        .env("REFRAIN_WORKER__LISTEN", format!("127.0.0.1:{port}"))
        .env("REFRAIN_SALESFORCE__CA_FILE", &world.sim.ca_file)
        .env("REFRAIN_SALESFORCE__ALLOW_LOOPBACK", "true")
        .env("REFRAIN_LOG__FORMAT", "json")
        .arg("run")
        .spawn("trace")
        .unwrap();
    worker.wait_ready(&format!("http://127.0.0.1:{port}/readyz"), DEADLINE).await.unwrap();
    let limits = ClaimLimits { batch: 10, unclaimed: std::time::Duration::from_secs(20) };
    let claim = dispatch_claim(&world.context.db, limits).await.unwrap().remove(0);
    let broker = BrokerOptions { url: Secret::new(world.bed.amqp_url().to_owned()), ca_file: None };
    let publisher = Publisher::new(broker, "test");
    let envelope = Envelope {
        tenant: claim.tenant,
        shard: 0,
        job: claim.job,
        epoch: claim.epoch,
        class: Class::Incremental,
        trace: Some(format!("00-{TRACE}-00f067aa0ba902b7-01")),
    };
    publisher.publish(&[envelope]).await.remove(0).unwrap();
    eventually(DEADLINE, "the object's first plan", async || {
        (world.value("SELECT state <> 'new' FROM checkpoints").await == "t").then_some(())
    })
    .await;
    assert!(worker.terminate(DEADLINE).await.unwrap().success(), "{}", worker.logs());
    let logs = worker.logs();
    let lines = logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_the_job: Vec<Value> = lines
        .filter(|line| {
            line["spans"].as_array().is_some_and(|spans| spans.iter().any(|span| span["name"] == "job.run"))
        })
        .collect();
    assert!(!of_the_job.is_empty(), "{logs}");
    for line in of_the_job {
        let traced = line["spans"].as_array().unwrap().iter().any(|span| span["trace.id"] == TRACE);
        assert!(traced, "{line}");
    }
    publisher.close().await;
}
