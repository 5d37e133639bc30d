//! What a worker does about its own death and about a database that is away.

use harness::proxy::{Fault, FaultProxy};
use refrain_shared::ids::JobId;
use refrain_shared::job::ObjectSettings;
use refrain_shared::job::envelope::Envelope;
use refrain_shared::job::lease::Class;
use refrain_shared::queue::{BrokerOptions, Consumer, ConsumerOptions, Publisher};
use refrain_shared::secret::Secret;
use refrain_shared::storage::Database;
use refrain_worker::serve::deal_with;

use crate::world::{DEADLINE, World, options};

#[tokio::test]
async fn a_worker_runs_one_suspect_at_a_time() {
    let world = World::new("accidents_suspects").await;
    world.object("Case", ObjectSettings::default()).await;
    world.sql("UPDATE jobs SET crashes = 2").await;
    let looked = "SELECT state || ' ' || crashes || ' ' || reason || ' ' || (available_at > now()) FROM jobs WHERE kind = 'incremental'";
    let another = world.context.suspect.lock().await;
    assert!(world.turn().await);
    assert_eq!(world.value(looked).await, "0 2 crashed true", "it comes again, still a suspect");
    assert_eq!(world.value("SELECT count(*) FROM job_attempts").await, "0");
    drop(another);
    world.sql("UPDATE jobs SET available_at = now()").await;
    assert!(world.turn().await);
    assert_eq!(
        world.value("SELECT crashes FROM jobs WHERE kind = 'incremental'").await,
        "0",
        "it ran, and nobody died"
    );
}

#[tokio::test]
async fn messages_that_came_while_the_database_was_away_do_not_stop_their_class() {
    let mut world = World::new("accidents_away").await;
    let (proxy, url) = FaultProxy::before(world.bed.database_url()).await.unwrap();
    let mut through = options(&world.bed);
    through.url = Secret::new(url);
    world.context.db = Database::open(&through).unwrap();
    proxy.set(Fault::Cut);
    let broker = BrokerOptions { url: Secret::new(world.bed.amqp_url().to_owned()), ca_file: None };
    let mut consumer = Consumer::start(ConsumerOptions {
        broker: broker.clone(),
        name: "test".to_owned(),
        prefetch: vec![(Class::Incremental, 2)],
        watch_every: DEADLINE,
    });
    let publisher = Publisher::new(broker, "test");
    publisher.ready().await.unwrap();
    let tenant = world.scope.tenant();
    let messages: Vec<Envelope> = (1..=5)
        .map(|job| Envelope {
            tenant,
            shard: 0,
            job: JobId(job),
            epoch: 1,
            class: Class::Incremental,
            trace: None,
        })
        .collect();
    for outcome in publisher.publish(&messages).await {
        outcome.unwrap();
    }
    for nth in 1..=messages.len() {
        let delivery = tokio::time::timeout(DEADLINE, consumer.next()).await;
        let delivery = delivery.unwrap_or_else(|_| panic!("message {nth} did not come")).unwrap();
        deal_with(&world.context, delivery).await;
    }
    consumer.close().await;
}
