//! Publisher and consumer against a real broker, whole and broken.

use std::time::Duration;

use harness::TestBed;
use harness::proxy::{Fault, FaultProxy};
use harness::wait::{eventually, eventually_ok};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use refrain_shared::error::Classify as _;
use refrain_shared::ids::{JobId, TenantId};
use refrain_shared::job::envelope::{Decoded, Envelope};
use refrain_shared::job::lease::Class;
use refrain_shared::queue::dead::{dead_drop, dead_list, dead_replay};
use refrain_shared::queue::topology::{DEAD, EXCHANGE, queue_name};
use refrain_shared::queue::{BrokerOptions, Consumer, ConsumerOptions, Publisher, QueueError};
use refrain_shared::secret::Secret;

use crate::world::DEADLINE;

fn options(url: &str) -> BrokerOptions {
    BrokerOptions { url: Secret::new(url.to_owned()), ca_file: None }
}

fn envelope(job: i64) -> Envelope {
    Envelope {
        tenant: TenantId(uuid::Uuid::nil()),
        shard: 0,
        job: JobId(job),
        epoch: 1,
        class: Class::Incremental,
        trace: None,
    }
}

fn consumer(url: &str, watch_every: Duration) -> Consumer {
    Consumer::start(ConsumerOptions {
        broker: options(url),
        name: "test".to_owned(),
        prefetch: vec![(Class::Incremental, 4), (Class::Backfill, 2)],
        watch_every,
    })
}

const CALM: Duration = Duration::from_secs(30);

async fn next(consumer: &mut Consumer) -> refrain_shared::queue::Delivery {
    tokio::time::timeout(DEADLINE, consumer.next()).await.expect("a message in time").expect("not stopped")
}

async fn admin(url: &str) -> (Connection, lapin::Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn ready(channel: &lapin::Channel, queue: &str) -> u32 {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
}

fn job(message: &Decoded) -> i64 {
    match message {
        Decoded::Envelope(envelope) => envelope.job.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_batch_is_confirmed_and_each_message_comes_once() {
    let bed = TestBed::new("queue_round_trip").await;
    let publisher = Publisher::new(options(bed.amqp_url()), "test");
    let batch: Vec<Envelope> = (1..=200).map(envelope).collect();
    for outcome in publisher.publish(&batch).await {
        outcome.unwrap();
    }
    let mut consumer = consumer(bed.amqp_url(), CALM);
    let mut seen = Vec::new();
    while seen.len() < batch.len() {
        let delivery = next(&mut consumer).await;
        seen.push(job(&delivery.message));
        delivery.ack().await.unwrap();
    }
    assert_eq!(seen, (1..=200).collect::<Vec<i64>>());
    consumer.stop();
    assert!(consumer.next().await.is_none(), "a stopped consumer gives no more");
    consumer.close().await;
    publisher.close().await;
    let (_connection, channel) = admin(bed.amqp_url()).await;
    assert_eq!(ready(&channel, &queue_name(Class::Incremental)).await, 0);
}

#[tokio::test]
async fn what_is_unacknowledged_comes_again_and_what_is_in_hand_at_a_stop_can_be_acknowledged() {
    let bed = TestBed::new("queue_redelivery").await;
    let publisher = Publisher::new(options(bed.amqp_url()), "test");
    for outcome in publisher.publish(&[envelope(1), envelope(2)]).await {
        outcome.unwrap();
    }
    let mut first = consumer(bed.amqp_url(), CALM);
    let (one, two) = (next(&mut first).await, next(&mut first).await);
    first.stop();
    one.ack().await.unwrap();
    drop(two);
    first.close().await;
    let mut second = consumer(bed.amqp_url(), CALM);
    let again = next(&mut second).await;
    assert_eq!((job(&again.message), again.redelivered), (2, true));
    again.ack().await.unwrap();
    second.close().await;
}

#[tokio::test]
async fn a_queue_of_another_form_is_told_with_what_why_and_fix() {
    let bed = TestBed::new("queue_drift").await;
    let (_connection, channel) = admin(bed.amqp_url()).await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue_name(Class::Backfill).as_str().into(), durable, arguments).await.unwrap();

    let publisher = Publisher::new(options(bed.amqp_url()), "test");
    let error = publisher.ready().await.unwrap_err();
    assert!(matches!(error, QueueError::Drift { .. }), "{error:?}");
    let message = error.message();
    assert!(message.what.contains("sync.v1.backfill exists with other settings"), "{message}");
    assert!(!message.why.is_empty() && message.fix.contains("Delete the named one"), "{message}");
    let next_try = publisher.ready().await.unwrap_err();
    assert_eq!(next_try.code(), "backing_off", "no second try at once");
}

#[tokio::test]
async fn what_was_put_aside_is_shown_tried_again_and_thrown_away() {
    let bed = TestBed::new("queue_dead").await;
    let broker = options(bed.amqp_url());
    assert_eq!(dead_list(&broker).await.unwrap(), [], "before anybody was here");
    let (_connection, channel) = admin(bed.amqp_url()).await;
    let publish = async |exchange: &str, key: &str, bytes: &[u8]| {
        let options = lapin::options::BasicPublishOptions::default();
        let properties = lapin::BasicProperties::default();
        channel.basic_publish(exchange.into(), key.into(), options, bytes, properties).await.unwrap();
    };
    // Through a queue of ours, and by another way.
    publish(EXCHANGE, Class::Incremental.word(), b"damaged").await;
    let mut taker = consumer(bed.amqp_url(), CALM);
    next(&mut taker).await.dead_letter().await.unwrap();
    taker.close().await;
    let known =
        eventually(DEADLINE, "the message to be put aside", async || dead_list(&broker).await.unwrap().pop())
            .await;
    assert_eq!((known.queue, known.bytes), (Some(queue_name(Class::Incremental)), 7));
    publish(DEAD, DEAD, &envelope(7).encode()).await;
    publish(DEAD, DEAD, br#"{"v":2}"#).await;
    let words = async || -> Vec<String> {
        let all = dead_list(&broker).await.unwrap();
        all.iter().map(|dead| format!("{:?}", dead.message).split('(').next().unwrap().to_owned()).collect()
    };
    eventually(DEADLINE, "all three", async || (words().await.len() == 3).then_some(())).await;
    assert_eq!(words().await, ["Undecodable", "Envelope", "NewerVersion"], "looking takes nothing away");

    assert_eq!(dead_replay(&broker).await.unwrap(), (1, 2));
    let mut taker = consumer(bed.amqp_url(), CALM);
    let again = next(&mut taker).await;
    assert_eq!(job(&again.message), 7);
    again.ack().await.unwrap();
    taker.close().await;
    assert_eq!(dead_drop(&broker).await.unwrap().len(), 2);
    assert_eq!(dead_list(&broker).await.unwrap(), []);
}

#[tokio::test]
async fn a_message_that_no_queue_takes_counts_as_not_published() {
    let bed = TestBed::new("queue_returned").await;
    let publisher = Publisher::new(options(bed.amqp_url()), "test");
    publisher.ready().await.unwrap();
    let (_connection, channel) = admin(bed.amqp_url()).await;
    channel
        .queue_unbind(
            queue_name(Class::Incremental).as_str().into(),
            EXCHANGE.into(),
            "incremental".into(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let other = Envelope { class: Class::Backfill, ..envelope(2) };
    let outcomes = publisher.publish(&[envelope(1), other]).await;
    assert!(matches!(outcomes[0], Err(QueueError::Returned(_))), "{outcomes:?}");
    assert!(outcomes[1].is_ok(), "its neighbour is not to blame: {outcomes:?}");
}

#[tokio::test]
async fn a_publish_without_an_answer_is_an_error_and_the_next_connection_works() {
    let bed = TestBed::new("queue_ambiguous").await;
    let (proxy, url) = FaultProxy::before(bed.amqp_url()).await.unwrap();
    let publisher = Publisher::new(options(&url), "test");
    publisher.ready().await.unwrap();
    proxy.set(Fault::Freeze);
    let outcomes = publisher.publish(&[envelope(1), envelope(2)]).await;
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Err(QueueError::NotConfirmed { .. }))),
        "{outcomes:?}"
    );
    proxy.set(Fault::None);
    eventually_ok(DEADLINE, "publishing again", async || publisher.publish(&[envelope(3)]).await.remove(0))
        .await;
    // The frozen ones may have arrived after the thaw: that is what ambiguous means. The third is there.
    let mut consumer = consumer(bed.amqp_url(), CALM);
    loop {
        let delivery = next(&mut consumer).await;
        let last = job(&delivery.message) == 3;
        delivery.ack().await.unwrap();
        if last {
            break;
        }
    }
    consumer.close().await;
}

#[tokio::test]
async fn a_lost_connection_makes_deliveries_stale_and_the_consumer_comes_back() {
    let bed = TestBed::new("queue_cut").await;
    let (proxy, url) = FaultProxy::before(bed.amqp_url()).await.unwrap();
    let publisher = Publisher::new(options(bed.amqp_url()), "test");
    publisher.publish(&[envelope(1)]).await.remove(0).unwrap();
    let mut consumer = consumer(&url, CALM);
    let held = next(&mut consumer).await;
    proxy.cut_once().await;
    let again = next(&mut consumer).await;
    assert_eq!((job(&again.message), again.redelivered), (1, true));
    assert!(!held.usable());
    assert!(matches!(held.ack().await, Err(QueueError::Stale)), "an old acknowledgement is refused");
    again.ack().await.unwrap();
    consumer.close().await;
}

#[tokio::test]
async fn a_consumer_whose_queue_was_deleted_comes_back_by_itself() {
    let bed = TestBed::new("queue_deleted").await;
    let publisher = Publisher::new(options(bed.amqp_url()), "test");
    // The broker says that the queue is gone, but not always where it is declared again at once; then the watchdog
    // sees that messages wait.
    let mut consumer = consumer(bed.amqp_url(), Duration::from_secs(1));
    eventually(DEADLINE, "the consumer", async || consumer.connected().then_some(())).await;
    let (_connection, channel) = admin(bed.amqp_url()).await;
    channel
        .queue_delete(
            queue_name(Class::Incremental).as_str().into(),
            lapin::options::QueueDeleteOptions::default(),
        )
        .await
        .unwrap();
    // Its own reconnection declares the queue again. What was swallowed with the old queue is published again, as
    // the dispatcher does with every job that stays unclaimed.
    let started = std::time::Instant::now();
    let delivery = loop {
        assert!(started.elapsed() < DEADLINE, "a message through the new queue");
        let _ = publisher.publish(&[envelope(7)]).await;
        if let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_secs(1), consumer.next()).await {
            break delivery;
        }
    };
    assert_eq!(job(&delivery.message), 7);
    delivery.ack().await.unwrap();
    consumer.close().await;
}

#[tokio::test]
async fn a_frozen_broker_is_noticed_by_the_watchdog() {
    let bed = TestBed::new("queue_frozen").await;
    let (proxy, url) = FaultProxy::before(bed.amqp_url()).await.unwrap();
    let publisher = Publisher::new(options(bed.amqp_url()), "test");
    publisher.ready().await.unwrap();
    let mut consumer = consumer(&url, Duration::from_millis(200));
    eventually(DEADLINE, "the consumer", async || consumer.connected().then_some(())).await;
    proxy.set(Fault::Freeze);
    publisher.publish(&[envelope(1)]).await.remove(0).unwrap();
    eventually(DEADLINE, "the watchdog", async || (!consumer.connected()).then_some(())).await;
    proxy.set(Fault::Cut);
    proxy.set(Fault::None);
    let delivery = next(&mut consumer).await;
    assert_eq!(job(&delivery.message), 1);
    delivery.ack().await.unwrap();
    consumer.close().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_put_aside() {
    let bed = TestBed::new("queue_dead").await;
    let mut consumer = consumer(bed.amqp_url(), CALM);
    eventually(DEADLINE, "the consumer", async || consumer.connected().then_some(())).await;
    let (_connection, channel) = admin(bed.amqp_url()).await;
    for body in [&b"not ours"[..], br#"{"v":2}"#] {
        channel
            .basic_publish(
                EXCHANGE.into(),
                "incremental".into(),
                lapin::options::BasicPublishOptions::default(),
                body,
                lapin::BasicProperties::default(),
            )
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let damaged = next(&mut consumer).await;
    assert!(matches!(damaged.message, Decoded::Undecodable(_)));
    damaged.dead_letter().await.unwrap();
    let newer = next(&mut consumer).await;
    assert_eq!(newer.message, Decoded::NewerVersion(2));
    newer.ack().await.unwrap();
    eventually(DEADLINE, "the dead letter", async || (ready(&channel, DEAD).await == 1).then_some(())).await;
    consumer.close().await;
}
