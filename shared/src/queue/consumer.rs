//! Consuming: one connection, one channel and prefetch a class, and no silence that goes unnoticed.
//!
//! When the connection is lost, every delivery of it is stale: its acknowledgement fails, RabbitMQ delivers
//! again, and the job's epoch decides. Stopping has two steps: [`Consumer::stop`] takes no more messages while
//! those in hand can still be acknowledged, [`Consumer::close`] ends the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{BoxStream, SelectAll, StreamExt, once, select_all};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicRejectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Connection};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::backoff::Reconnect;
use super::connect::{BrokerOptions, close, connect};
use super::error::QueueError;
use super::topology::{declare, limit_prefetch, queue_name};
use super::watchdog::{Look, Suspicion};
use crate::job::envelope::{Decoded, Envelope};
use crate::job::lease::Class;

/// What to consume, and how much at once.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// The broker.
    pub broker: BrokerOptions,
    /// The name that the broker's management page shows.
    pub name: String,
    /// How many messages to hold of each class: the slots for it, never more. What waits here cannot go to a
    /// free worker elsewhere.
    pub prefetch: Vec<(Class, u16)>,
    /// How often the watchdog looks.
    pub watch_every: Duration,
}

/// Time-out of everything that is asked of the broker on an open connection.
const ASK: Duration = Duration::from_secs(10);

/// A running consumer.
pub struct Consumer {
    deliveries: mpsc::Receiver<Delivery>,
    stop: CancellationToken,
    close: CancellationToken,
    connected: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// One message in hand. Dropping it without a word leaves it to be delivered again when the connection ends.
pub struct Delivery {
    /// What it says.
    pub message: Decoded,
    /// The queue it came from.
    pub class: Class,
    /// Whether it was delivered before, to us or another.
    pub redelivered: bool,
    acker: Acker,
    // Held for its drop: it counts how many messages are in hand.
    _held: Held,
}

struct Held(Arc<Lane>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One class's counters.
struct Lane {
    class: Class,
    prefetch: u16,
    held: AtomicU32,
    delivered: AtomicU64,
}

impl Delivery {
    /// Whether an acknowledgement can still reach the broker.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.acker.usable()
    }

    /// Says that the message is dealt with. [`QueueError::Stale`] when its connection is gone: it comes again.
    pub async fn ack(self) -> Result<(), QueueError> {
        settled("acknowledge a message", self.acker.ack(BasicAckOptions::default())).await
    }

    /// Puts a message that cannot be read aside, where an operator looks at it.
    pub async fn dead_letter(self) -> Result<(), QueueError> {
        settled("put a message aside", self.acker.reject(BasicRejectOptions { requeue: false })).await
    }
}

async fn settled(
    what: &'static str,
    asked: impl Future<Output = lapin::Result<bool>>,
) -> Result<(), QueueError> {
    match tokio::time::timeout(ASK, asked).await {
        Ok(Ok(true)) => Ok(()),
        // The library says `false`, not an error, when the channel is gone.
        Ok(Ok(false)) => Err(QueueError::Stale),
        Ok(Err(error)) => Err(QueueError::Unreachable(error)),
        Err(_) => Err(QueueError::TimedOut { what, seconds: ASK.as_secs() }),
    }
}

impl Consumer {
    /// Starts consuming in a task of its own; connects, and connects again, by itself.
    #[must_use]
    pub fn start(options: ConsumerOptions) -> Self {
        let room: usize = options.prefetch.iter().map(|(_, prefetch)| usize::from(*prefetch)).sum();
        let (sender, deliveries) = mpsc::channel(room.max(1));
        let (stop, close) = (CancellationToken::new(), CancellationToken::new());
        let connected = Arc::new(AtomicBool::new(false));
        let session = Session {
            lanes: options
                .prefetch
                .iter()
                .filter(|(_, prefetch)| *prefetch > 0)
                .map(|&(class, prefetch)| {
                    Arc::new(Lane { class, prefetch, held: AtomicU32::new(0), delivered: AtomicU64::new(0) })
                })
                .collect(),
            options,
            sender,
            stop: stop.clone(),
            close: close.clone(),
            connected: connected.clone(),
        };
        let task = tokio::spawn(session.run());
        Self { deliveries, stop, close, connected, task }
    }

    /// The next message; `None` once stopped. A message whose connection was lost meanwhile is passed over.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            let stop = self.stop.clone();
            let delivery = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                delivery = self.deliveries.recv() => delivery?,
            };
            if delivery.usable() {
                return Some(delivery);
            }
        }
    }

    /// Whether messages can come now.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// A view of [`connected`](Self::connected) that outlives borrows of the consumer; for readiness.
    #[must_use]
    pub fn connected_flag(&self) -> Arc<AtomicBool> {
        self.connected.clone()
    }

    /// Takes no more messages. Those in hand can still be acknowledged.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends the connection; what is unacknowledged is delivered again.
    pub async fn close(self) {
        self.stop.cancel();
        self.close.cancel();
        // A panic in there was reported by the runtime; there is nothing left to end.
        let _ = self.task.await;
    }
}

struct Session {
    lanes: Vec<Arc<Lane>>,
    options: ConsumerOptions,
    sender: mpsc::Sender<Delivery>,
    stop: CancellationToken,
    close: CancellationToken,
    connected: Arc<AtomicBool>,
}

/// An open consumer of one class.
struct Open {
    lane: Arc<Lane>,
    channel: Channel,
    tag: String,
}

/// Deliveries with the place of their class in `open`; `None` when the broker ended that consumer.
type Streams = SelectAll<BoxStream<'static, (usize, Option<lapin::Result<lapin::message::Delivery>>)>>;

impl Session {
    async fn run(self) {
        let mut reconnect = Reconnect::default();
        while !self.stop.is_cancelled() {
            let lost = self.until_lost(&mut reconnect).await;
            self.connected.store(false, Ordering::Relaxed);
            let Err(error) = lost else { return };
            let wait = reconnect.failed(rand::random());
            tracing::warn!(ask = %error.message(), cause = ?std::error::Error::source(&error).map(ToString::to_string),
                wait_ms = wait.as_millis(), "lost RabbitMQ; connecting again");
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Consumes until the connection is lost (an error) or the consumer is closed.
    async fn until_lost(&self, reconnect: &mut Reconnect) -> Result<(), QueueError> {
        let connection = connect(&self.options.broker, &self.options.name).await?;
        let mut opened = asked("start consuming", self.open(&connection)).await;
        let ended = match &mut opened {
            Ok((open, streams)) => {
                reconnect.worked();
                self.connected.store(true, Ordering::Relaxed);
                self.pump(&connection, open, streams).await
            }
            Err(_) => Ok(()),
        };
        // Before its channels are dropped: each would ask to be closed, and the library reports an error when that
        // overtakes the connection's own end.
        close(connection).await;
        opened.and(ended)
    }

    async fn open(&self, connection: &Connection) -> Result<(Vec<Open>, Streams), QueueError> {
        // A worker may be up before any scheduler.
        declare(&connection.create_channel().await.map_err(QueueError::Unreachable)?).await?;
        let (mut open, mut streams) = (Vec::new(), Vec::new());
        for (index, lane) in self.lanes.iter().enumerate() {
            let channel = connection.create_channel().await.map_err(QueueError::Unreachable)?;
            limit_prefetch(&channel, lane.prefetch).await?;
            let consumer = channel
                .basic_consume(
                    queue_name(lane.class).as_str().into(),
                    // The broker makes a tag.
                    "".into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await
                .map_err(QueueError::Unreachable)?;
            open.push(Open { lane: lane.clone(), channel, tag: consumer.tag().to_string() });
            let ended = once(async move { (index, None) });
            streams.push(consumer.map(move |delivery| (index, Some(delivery))).chain(ended).boxed());
        }
        Ok((open, select_all(streams)))
    }

    async fn pump(
        &self,
        connection: &Connection,
        open: &[Open],
        streams: &mut Streams,
    ) -> Result<(), QueueError> {
        let mut watch = tokio::time::interval(self.options.watch_every);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        watch.reset();
        let mut suspicions = vec![Suspicion::default(); open.len()];
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.drain(open).await,
                next = streams.next() => {
                    let Some((index, Some(delivery))) = next else {
                        // The broker cancelled a consumer: its queue was deleted or moved.
                        return Err(QueueError::Stale);
                    };
                    self.pass_on(&open[index].lane, delivery.map_err(QueueError::Unreachable)?).await;
                }
                _ = watch.tick() => {
                    if !connection.status().connected() {
                        return Err(QueueError::Stale);
                    }
                    asked("show the queues", watch_all(connection, open, &mut suspicions)).await?;
                }
            }
        }
    }

    async fn pass_on(&self, lane: &Arc<Lane>, delivery: lapin::message::Delivery) {
        lane.held.fetch_add(1, Ordering::Relaxed);
        lane.delivered.fetch_add(1, Ordering::Relaxed);
        let delivery = Delivery {
            message: Envelope::decode(&delivery.data),
            class: lane.class,
            redelivered: delivery.redelivered,
            acker: delivery.acker,
            _held: Held(lane.clone()),
        };
        tokio::select! {
            // Full only while stale deliveries of a lost connection are still in there.
            sent = self.sender.send(delivery) => drop(sent),
            () = self.stop.cancelled() => {}
        }
    }

    /// Cancels the consumers and keeps the connection until [`Consumer::close`].
    async fn drain(&self, open: &[Open]) -> Result<(), QueueError> {
        for open in open {
            let cancel = open.channel.basic_cancel(open.tag.as_str().into(), BasicCancelOptions::default());
            // A consumer that cannot be cancelled ends with the connection.
            let _ = tokio::time::timeout(ASK, cancel).await;
        }
        self.close.cancelled().await;
        Ok(())
    }
}

async fn asked<T>(
    what: &'static str,
    asked: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    tokio::time::timeout(ASK, asked)
        .await
        .unwrap_or(Err(QueueError::TimedOut { what, seconds: ASK.as_secs() }))
}

/// Looks at each queue on a channel of its own: a failed look closes the channel it was made on.
async fn watch_all(
    connection: &Connection,
    open: &[Open],
    suspicions: &mut [Suspicion],
) -> Result<(), QueueError> {
    let channel = connection.create_channel().await.map_err(QueueError::Unreachable)?;
    for (open, suspicion) in open.iter().zip(suspicions) {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel
            .queue_declare(queue_name(open.lane.class).as_str().into(), passive, FieldTable::default())
            .await
            .map_err(QueueError::Unreachable)?;
        let dead = suspicion.look(Look {
            ready: queue.message_count(),
            consumers: queue.consumer_count(),
            held: open.lane.held.load(Ordering::Relaxed),
            prefetch: open.lane.prefetch,
            delivered: open.lane.delivered.load(Ordering::Relaxed),
        });
        if dead {
            tracing::warn!(
                class = open.lane.class.word(),
                "the consumer gets nothing although messages wait"
            );
            return Err(QueueError::Stale);
        }
    }
    channel.close(200, "looked".into()).await.map_err(QueueError::Unreachable)
}
