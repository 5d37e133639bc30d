//! Messages that come twice, too late, damaged, or from the future, published by hand to the queues that workers
//! consume.

use harness::wait::eventually;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use refrain_shared::ids::{JobId, TenantId};
use refrain_shared::job::envelope::Envelope;
use refrain_shared::job::lease::Class;
use refrain_shared::queue::topology::{DEAD, EXCHANGE, routing_key};

use crate::DEADLINE;
use crate::kills::SHAPE;
use crate::stack::Stack;
use crate::tenant::Tenant;

/// Everything that a job that ran would have changed.
const FINGERPRINT: &str = "
    SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM jobs t UNION ALL
    SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM job_attempts t UNION ALL
    SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM checkpoints t UNION ALL
    SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM tenant_feed t";
/// A tenant's id as it is printed.
const TENANT: &str = "'ten_' || replace(tenant_id::text, '-', '')";
/// The messages that no job waited for.
const STALE: &str = "sync_stale_deliveries_total";

/// A hand at the broker.
struct Hand {
    _connection: Connection,
    channel: Channel,
}

impl Hand {
    async fn at(stack: &Stack) -> Self {
        let url = &stack.installation.amqp_url;
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { _connection: connection, channel }
    }

    async fn publish(&self, class: Class, bytes: &[u8]) {
        let lasting = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = self
            .channel
            .basic_publish(EXCHANGE.into(), routing_key(class).into(), options, bytes, lasting)
            .await;
        assert!(confirm.unwrap().await.unwrap().is_ack());
    }

    /// Takes everything out of the queue of messages that cannot be read.
    async fn take_dead(&self, count: usize) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let got = eventually(DEADLINE, "a message that was put aside", async || {
                self.channel.basic_get(DEAD.into(), BasicGetOptions::default()).await.unwrap()
            })
            .await;
            got.delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
            taken.push(got.delivery.data.clone());
        }
        let more = self.channel.basic_get(DEAD.into(), BasicGetOptions::default()).await.unwrap();
        assert!(more.is_none(), "more was put aside");
        taken.sort();
        taken
    }
}

/// A job as it is in the table.
struct Known {
    job: JobId,
    tenant: TenantId,
    epoch: i64,
    class: Class,
}

impl Known {
    fn message(&self, epoch: i64) -> Vec<u8> {
        let Self { job, tenant, class, .. } = *self;
        Envelope { tenant, shard: 0, job, epoch, class, trace: None }.encode()
    }
}

async fn jobs(stack: &Stack, condition: &str) -> Vec<Known> {
    let rows = format!("SELECT job_id, {TENANT}, epoch, class FROM jobs WHERE {condition}");
    let rows = stack.sql(&rows).await;
    let known = |row: &Vec<String>| Known {
        job: JobId(row[0].parse().unwrap()),
        tenant: row[1].parse().unwrap(),
        epoch: row[2].parse().unwrap(),
        class: Class::from_number(row[3].parse().unwrap()).unwrap(),
    };
    rows.iter().map(known).collect()
}

async fn until_stale(stack: &Stack, count: u64) {
    eventually(DEADLINE, "the messages to be found stale", async || {
        let seen = stack.counted(STALE).await;
        assert!(seen <= count, "{seen} stale messages of {count}");
        (seen == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn messages_that_come_twice_or_too_late_change_nothing() {
    let stack = Stack::running("stale_messages", 2).await;
    let tenant = Tenant::connect(&stack, SHAPE).await;
    tenant.assert_catches_up(&stack).await;
    tenant.at_rest(&stack).await;
    let hand = Hand::at(&stack).await;
    let before = (stack.sql(FINGERPRINT).await, tenant.simulated.org.calls().await.unwrap());
    let mut published = stack.counted(STALE).await;

    // Of the standing jobs every publication there ever was, the last one three times over.
    let standing = jobs(&stack, "true").await;
    // What changed, what was deleted, the sweep, and values of parents; of tickets, those whose time is over; and one that
    // follows the connection's parents.
    let tickets = stack.sql("SELECT object_id FROM object_syncs WHERE role = 'ticket'").await.len();
    assert_eq!(standing.len(), 4 * tenant.objects.len() + tickets + 1);
    for job in &standing {
        for epoch in (0..=job.epoch).chain([job.epoch; 2]) {
            hand.publish(job.class, &job.message(epoch)).await;
            published += 1;
        }
    }
    // Of jobs that are done and gone, or never were.
    let gone = format!("SELECT DISTINCT job_id, {TENANT} FROM job_attempts WHERE kind = 'backfill'");
    let gone = stack.sql(&gone).await;
    assert!(!gone.is_empty());
    for row in &gone {
        let (job, tenant) = (JobId(row[0].parse().unwrap()), row[1].parse().unwrap());
        let known = Known { job, tenant, epoch: 1, class: Class::Backfill };
        hand.publish(Class::Backfill, &known.message(1)).await;
        published += 1;
    }
    until_stale(&stack, published).await;
    let after = (stack.sql(FINGERPRINT).await, tenant.simulated.org.calls().await.unwrap());
    assert_eq!(before, after, "nothing was read or written");
    tenant.assert_exact().await;
    stack.finish(&[&tenant], &[]).await;
}

#[tokio::test]
async fn a_message_repeated_while_its_job_runs_starts_it_no_second_time() {
    let stack = Stack::running("repeated_messages", 2).await;
    let tenant = Tenant::connect(&stack, SHAPE).await;
    tenant.caught_up(&stack).await;
    let refused = tenant.rows_read_again(&stack).await;
    let mut published = stack.counted(STALE).await;
    let gate = tenant.simulated.hold("FROM Contact WHERE", 1).await;
    tenant.sync(&stack, "Contact").await;
    gate.reached().await;
    let hand = Hand::at(&stack).await;
    let running = jobs(&stack, "state = 2").await;
    assert_eq!(running.len(), 1);
    for epoch in [running[0].epoch, running[0].epoch, running[0].epoch - 1] {
        hand.publish(running[0].class, &running[0].message(epoch)).await;
        published += 1;
    }
    until_stale(&stack, published).await;
    gate.open().await;
    tenant.assert_catches_up(&stack).await;
    assert_eq!(tenant.rows_read_again(&stack).await, refused);
    stack.finish(&[&tenant], &[]).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_put_aside_and_no_job_is_lost() {
    let stack = Stack::running("damaged_messages", 1).await;
    let tenant = Tenant::connect(&stack, SHAPE).await;
    let hand = Hand::at(&stack).await;
    let mut damaged: Vec<Vec<u8>> = vec![
        b"{\"v\":1,\"tenant\":\"nobody\"}".to_vec(),
        b"not JSON at all".to_vec(),
        vec![0xff, 0x00, 0xfe],
        vec![b' '; 5000],
        Vec::new(),
    ];
    for bytes in &damaged {
        hand.publish(Class::Incremental, bytes).await;
        hand.publish(Class::Backfill, bytes).await;
    }
    damaged = damaged.iter().flat_map(|bytes| [bytes.clone(), bytes.clone()]).collect();
    damaged.sort();
    tenant.assert_catches_up(&stack).await;
    assert_eq!(hand.take_dead(damaged.len()).await, damaged, "each is kept as it came");
    stack.finish(&[&tenant], &["an undecodable message was put aside"]).await;
}

#[tokio::test]
async fn a_message_of_a_newer_version_is_left_for_a_newer_worker_and_its_job_comes_again() {
    let stack = Stack::running("newer_message", 1).await;
    let tenant = Tenant::connect(&stack, SHAPE).await;
    tenant.caught_up(&stack).await;
    tenant.at_rest(&stack).await;
    let hand = Hand::at(&stack).await;
    tenant.simulated.org.edit(20, 2).await.unwrap();
    // As a newer scheduler would: the row first, then a message that this worker cannot read.
    let publish = "UPDATE jobs SET state = 1, epoch = epoch + 1, published_at = now(), available_at = now()
                    WHERE object_id = (SELECT object_id FROM object_syncs WHERE api_name = 'Case')
                RETURNING job_id, epoch";
    let published = stack.sql(publish).await.remove(0);
    let newer = format!("{{\"v\":2,\"job\":\"job_{}\",\"anything\":[]}}", published[0]);
    hand.publish(Class::Incremental, newer.as_bytes()).await;
    let taken =
        format!("SELECT epoch FROM jobs WHERE job_id = {} AND fence >= {}", published[0], published[1]);
    let again =
        eventually(DEADLINE, "the job to be published again", async || stack.sql(&taken).await.pop()).await;
    assert!(again[0].parse::<i64>().unwrap() > published[1].parse::<i64>().unwrap());
    tenant.assert_catches_up(&stack).await;
    assert!(hand.take_dead(0).await.is_empty(), "it was not damaged");
    stack.finish(&[&tenant], &["a message of a newer build was left for it"]).await;
}
