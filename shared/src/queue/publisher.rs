//! Publishing with confirms: a job counts as published only when a queue has it.
//!
//! Whatever else happens (no confirm in time, a returned message, a lost connection) is an error for that one
//! message. The caller undoes its claim and publishes again with the next epoch, so an ambiguous outcome costs
//! one stale message and nothing else.

use std::time::Duration;

use futures_util::future::join_all;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::backoff::Reconnect;
use super::connect::{BrokerOptions, close, connect};
use super::error::QueueError;
use super::topology::{EXCHANGE, declare, routing_key};
use crate::job::envelope::Envelope;

/// How long a batch may take from its first message to its last confirm. A quorum queue confirms in
/// milliseconds; a broker that needs longer is in trouble, and waiting longer would stall dispatch.
const CONFIRM: Duration = Duration::from_secs(5);
/// Declaring the topology: a round trip each.
const DECLARE: Duration = Duration::from_secs(20);
/// AMQP's number for "write it to disk".
const PERSISTENT: u8 = 2;

/// The publishing side's one connection. Made when first needed and made anew when lost.
pub struct Publisher {
    options: BrokerOptions,
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    reconnect: Reconnect,
    /// Until then no new connection is tried; with what the last attempt said.
    wait: Option<(Instant, String)>,
}

struct Live {
    connection: Connection,
    channel: Channel,
}

impl Publisher {
    /// A publisher that shows itself to the broker under `name`. Connects at the first use.
    #[must_use]
    pub fn new(options: BrokerOptions, name: &str) -> Self {
        Self { options, name: name.to_owned(), state: Mutex::new(State::default()) }
    }

    /// Connects and declares the topology, if that is not done yet; for start-up and readiness.
    pub async fn ready(&self) -> Result<(), QueueError> {
        let mut state = self.state.lock().await;
        let live = self.live(&mut state).await?;
        if live.connection.status().blocked() { Err(QueueError::Blocked) } else { Ok(()) }
    }

    /// Publishes a batch, pipelined. One outcome for each envelope, in order.
    pub async fn publish(&self, batch: &[Envelope]) -> Vec<Result<(), QueueError>> {
        // One batch at a time: the dispatcher is the only caller, and a second batch would share the fate anyway.
        let mut state = self.state.lock().await;
        let outcomes = match self.live(&mut state).await {
            Err(error) => return failed_alike(batch, error),
            Ok(live) if live.connection.status().blocked() => {
                return failed_alike(batch, QueueError::Blocked);
            }
            Ok(live) => send(&live.channel, batch).await,
        };
        let ended = outcomes.iter().any(|outcome| outcome.as_ref().is_err_and(QueueError::ends_connection));
        if ended && let Some(live) = state.live.take() {
            close(live.connection).await;
        }
        outcomes
    }

    /// Closes the connection; a later use opens a new one.
    pub async fn close(&self) {
        if let Some(live) = self.state.lock().await.live.take() {
            close(live.connection).await;
        }
    }

    async fn live<'s>(&self, state: &'s mut State) -> Result<&'s Live, QueueError> {
        let lost = state.live.as_ref().is_some_and(|live| !usable(live));
        if lost && let Some(live) = state.live.take() {
            close(live.connection).await;
        }
        if state.live.is_none() {
            if let Some((until, last)) = &state.wait
                && Instant::now() < *until
            {
                return Err(QueueError::BackingOff { last: last.clone() });
            }
            match self.open().await {
                Ok(live) => {
                    state.reconnect.worked();
                    state.wait = None;
                    state.live = Some(live);
                }
                Err(error) => {
                    let wait = state.reconnect.failed(rand::random());
                    state.wait = Some((Instant::now() + wait, error.to_string()));
                    return Err(error);
                }
            }
        }
        Ok(state.live.as_ref().expect("it was made just above"))
    }

    async fn open(&self) -> Result<Live, QueueError> {
        let connection = connect(&self.options, &self.name).await?;
        let made = tokio::time::timeout(DECLARE, async {
            let channel = connection.create_channel().await.map_err(QueueError::Unreachable)?;
            declare(&channel).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(QueueError::Unreachable)?;
            Ok(channel)
        })
        .await
        .unwrap_or(Err(QueueError::TimedOut { what: "declare the queues", seconds: DECLARE.as_secs() }));
        match made {
            Ok(channel) => Ok(Live { connection, channel }),
            Err(error) => {
                close(connection).await;
                Err(error)
            }
        }
    }
}

fn usable(live: &Live) -> bool {
    live.connection.status().connected() && live.channel.status().connected()
}

/// The same failure for every envelope; an error of the library cannot be cloned, so its text stands for it.
fn failed_alike(batch: &[Envelope], error: QueueError) -> Vec<Result<(), QueueError>> {
    let last = error.to_string();
    let blocked = matches!(error, QueueError::Blocked);
    let mut first = Some(error);
    batch
        .iter()
        .map(|_| {
            Err(match first.take() {
                Some(error) => error,
                None if blocked => QueueError::Blocked,
                None => QueueError::BackingOff { last: last.clone() },
            })
        })
        .collect()
}

/// Sends all, then waits for all: a batch costs one round trip, not one each.
async fn send(channel: &Channel, batch: &[Envelope]) -> Vec<Result<(), QueueError>> {
    let deadline = Instant::now() + CONFIRM;
    let late = || QueueError::NotConfirmed { seconds: CONFIRM.as_secs() };
    let sent = batch.iter().map(|envelope| async move {
        // An alarmed broker stops reading its socket, so sending has the deadline too.
        tokio::time::timeout_at(deadline, send_one(channel, envelope)).await.unwrap_or_else(|_| Err(late()))
    });
    join_all(sent).await
}

async fn send_one(channel: &Channel, envelope: &Envelope) -> Result<(), QueueError> {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel
        .basic_publish(
            EXCHANGE.into(),
            routing_key(envelope.class).into(),
            options,
            &envelope.encode(),
            properties,
        )
        .await
        .map_err(QueueError::Unreachable)?;
    match confirm.await.map_err(QueueError::Unreachable)? {
        Confirmation::Ack(None) => Ok(()),
        // Confirmed, and returned before that: no queue has it.
        Confirmation::Ack(Some(returned)) => Err(returned_error(&returned)),
        Confirmation::Nack(_) | Confirmation::NotRequested => Err(QueueError::Refused),
    }
}

fn returned_error(returned: &BasicReturnMessage) -> QueueError {
    QueueError::Returned(format!("{} {}", returned.reply_code, returned.reply_text))
}
