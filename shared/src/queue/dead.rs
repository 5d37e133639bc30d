//! Messages that were put aside because they could not be read, or came back too often: shown, tried again, thrown away.
//!
//! They are evidence of a defect and nothing else: a message is a pointer, and its job is published again without it. So
//! nothing here needs to be exact. Looking takes all and gives all back, which RabbitMQ 4 counts as a delivery of each, and
//! it may forget one after some twenty.

use std::time::Duration;

use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::AMQPValue;
use lapin::{Channel, Connection};

use super::connect::{BrokerOptions, close, connect};
use super::error::QueueError;
use super::publisher::Publisher;
use super::topology::{DEAD, declare};
use crate::job::envelope::{Decoded, Envelope};

/// As many are looked at, at once. One is a defect already; more of the same kind tell nothing more.
const MOST: usize = 1000;
/// How long taking or acknowledging all of them may last.
const TAKE: Duration = Duration::from_secs(30);

/// A message that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadMessage {
    /// The queue that it was in, where the broker says so.
    pub queue: Option<String>,
    /// Its size.
    pub bytes: usize,
    /// What this build makes of it.
    pub message: Decoded,
}

/// What is in hand; all of it goes back when the connection ends.
struct Taken {
    connection: Connection,
    // Messages are in hand as long as it lives.
    _channel: Channel,
    messages: Vec<BasicGetMessage>,
}

/// The messages that were put aside, the oldest first.
pub async fn dead_list(options: &BrokerOptions) -> Result<Vec<DeadMessage>, QueueError> {
    let taken = take(options).await?;
    let list = taken.messages.iter().map(seen).collect();
    close(taken.connection).await;
    Ok(list)
}

/// Throws them away; gives what they were.
pub async fn dead_drop(options: &BrokerOptions) -> Result<Vec<DeadMessage>, QueueError> {
    let taken = take(options).await?;
    let list: Vec<DeadMessage> = taken.messages.iter().map(seen).collect();
    let done = forget(taken.messages.iter()).await;
    close(taken.connection).await;
    done.map(|()| list)
}

/// Publishes anew those that this build can read, each to the queue of its class, and leaves the others; gives how many
/// were published and how many were left. A message whose job went on meanwhile changes nothing.
pub async fn dead_replay(options: &BrokerOptions) -> Result<(usize, usize), QueueError> {
    let taken = take(options).await?;
    let done = replay(options, &taken.messages).await;
    close(taken.connection).await;
    let replayed = done?;
    Ok((replayed, taken.messages.len() - replayed))
}

async fn replay(options: &BrokerOptions, messages: &[BasicGetMessage]) -> Result<usize, QueueError> {
    let readable: Vec<(&BasicGetMessage, Envelope)> = messages
        .iter()
        .filter_map(|got| match seen(got).message {
            Decoded::Envelope(envelope) => Some((got, envelope)),
            Decoded::NewerVersion(_) | Decoded::Undecodable(_) => None,
        })
        .collect();
    let batch: Vec<Envelope> = readable.iter().map(|(_, envelope)| envelope.clone()).collect();
    let publisher = Publisher::new(options.clone(), "refrain dead letters");
    let outcomes = publisher.publish(&batch).await;
    publisher.close().await;
    outcomes.into_iter().collect::<Result<Vec<()>, QueueError>>()?;
    forget(readable.iter().map(|(got, _)| *got)).await?;
    Ok(readable.len())
}

async fn take(options: &BrokerOptions) -> Result<Taken, QueueError> {
    let connection = connect(options, "refrain dead letters").await?;
    let taken = within("give the messages that were put aside", async {
        let channel = connection.create_channel().await.map_err(QueueError::Unreachable)?;
        // Nobody may have been here before.
        declare(&channel).await?;
        let mut messages = Vec::new();
        while messages.len() < MOST
            && let Some(got) = channel
                .basic_get(DEAD.into(), BasicGetOptions::default())
                .await
                .map_err(QueueError::Unreachable)?
        {
            messages.push(got);
        }
        Ok((channel, messages))
    });
    match taken.await {
        Ok((channel, messages)) => Ok(Taken { connection, _channel: channel, messages }),
        Err(error) => {
            close(connection).await;
            Err(error)
        }
    }
}

async fn forget(messages: impl Iterator<Item = &BasicGetMessage>) -> Result<(), QueueError> {
    within("forget messages that were put aside", async {
        for got in messages {
            // The library says `false`, not an error, when the channel is gone.
            let done = got.delivery.acker.ack(BasicAckOptions::default()).await;
            if !done.map_err(QueueError::Unreachable)? {
                return Err(QueueError::Stale);
            }
        }
        Ok(())
    })
    .await
}

async fn within<T>(
    what: &'static str,
    asked: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    tokio::time::timeout(TAKE, asked)
        .await
        .unwrap_or(Err(QueueError::TimedOut { what, seconds: TAKE.as_secs() }))
}

fn seen(got: &BasicGetMessage) -> DeadMessage {
    let headers = got.delivery.properties.headers().as_ref();
    let queue = match headers.and_then(|headers| headers.inner().get("x-first-death-queue")) {
        Some(AMQPValue::LongString(name)) => Some(name.to_string()),
        _ => None,
    };
    let data = &got.delivery.data;
    DeadMessage { queue, bytes: data.len(), message: Envelope::decode(data) }
}
