//! What exists at the broker, as data, and its declaration.
//!
//! One quorum queue a class, one direct exchange, and a place for messages that cannot be read. Settings of a
//! queue can never be changed at the broker, so names carry a version. Everything here means the same on
//! RabbitMQ 3.10 and 4.x; what differs between them (delivery limits, what counts as one) is stated.

use lapin::options::{BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::error::QueueError;
use crate::job::lease::Class;

/// The exchange that messages are published to; the routing key is the class's word.
pub const EXCHANGE: &str = "sync.v1";
/// Exchange, routing key and queue of messages that cannot be read. Anything in it is a bug.
pub const DEAD: &str = "sync.v1.dead";
/// How often a message may come back before it is put aside: far above what deploys and crashes cause, since
/// each lost connection counts for every message it held.
pub const DELIVERY_LIMIT: i32 = 100;

/// The queue of a class.
#[must_use]
pub fn queue_name(class: Class) -> String {
    format!("{EXCHANGE}.{}", class.word())
}

/// The routing key of a class.
#[must_use]
pub fn routing_key(class: Class) -> &'static str {
    class.word()
}

/// A queue as it must be.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueForm {
    /// Its name.
    pub name: String,
    /// The exchange it is bound to.
    pub exchange: &'static str,
    /// The key it is bound with.
    pub routing_key: &'static str,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// The value of a queue's argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// A word.
    Word(&'static str),
    /// A number.
    Number(i32),
}

/// Every queue, the dead one first: the others refer to its exchange.
#[must_use]
pub fn queues() -> Vec<QueueForm> {
    let dead = QueueForm {
        name: DEAD.to_owned(),
        exchange: DEAD,
        routing_key: DEAD,
        arguments: vec![
            ("x-queue-type", Argument::Word("quorum")),
            ("x-overflow", Argument::Word("reject-publish")),
        ],
    };
    let mut forms = vec![dead];
    forms.extend(Class::ALL.map(|class| QueueForm {
        name: queue_name(class),
        exchange: EXCHANGE,
        routing_key: routing_key(class),
        arguments: vec![
            ("x-queue-type", Argument::Word("quorum")),
            // 4.x drops after 20 unless told; 3.10 never does.
            ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
            // At-least-once dead lettering asks for it.
            ("x-overflow", Argument::Word("reject-publish")),
            ("x-dead-letter-exchange", Argument::Word(DEAD)),
            ("x-dead-letter-routing-key", Argument::Word(DEAD)),
            ("x-dead-letter-strategy", Argument::Word("at-least-once")),
        ],
    }));
    forms
}

fn table(arguments: &[(&'static str, Argument)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Word(word) => AMQPValue::LongString((*word).into()),
            Argument::Number(number) => AMQPValue::LongInt(*number),
        };
        table.insert((*name).into(), value);
    }
    table
}

/// Declares everything on a fresh channel; does nothing where it exists already.
pub async fn declare(channel: &Channel) -> Result<(), QueueError> {
    for exchange in [DEAD, EXCHANGE] {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Direct, options, FieldTable::default())
            .await
            .map_err(|e| refused(&format!("The exchange {exchange}"), e))?;
    }
    for form in queues() {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel
            .queue_declare(form.name.as_str().into(), options, table(&form.arguments))
            .await
            .map_err(|e| refused(&format!("The queue {}", form.name), e))?;
        channel
            .queue_bind(
                form.name.as_str().into(),
                form.exchange.into(),
                form.routing_key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .map_err(QueueError::Unreachable)?;
    }
    Ok(())
}

/// Limits how many messages the channel's consumers hold unacknowledged.
pub(super) async fn limit_prefetch(channel: &Channel, prefetch: u16) -> Result<(), QueueError> {
    channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(QueueError::Unreachable)
}

/// Tells drift from a broken connection.
fn refused(subject: &str, error: lapin::Error) -> QueueError {
    if let ErrorKind::ProtocolError(protocol) = error.kind()
        && *protocol.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
    {
        return QueueError::Drift { subject: subject.to_owned(), reply: protocol.get_message().to_string() };
    }
    QueueError::Unreachable(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topology_is_what_it_was() {
        let printed: Vec<String> = queues()
            .iter()
            .map(|form| {
                format!("{} <- {}/{} {:?}", form.name, form.exchange, form.routing_key, form.arguments)
            })
            .collect();
        assert_eq!(printed.len(), 9);
        assert_eq!(
            printed[0],
            "sync.v1.dead <- sync.v1.dead/sync.v1.dead [(\"x-queue-type\", Word(\"quorum\")), \
             (\"x-overflow\", Word(\"reject-publish\"))]"
        );
        assert_eq!(
            printed[2],
            "sync.v1.incremental <- sync.v1/incremental [(\"x-queue-type\", Word(\"quorum\")), \
             (\"x-delivery-limit\", Number(100)), (\"x-overflow\", Word(\"reject-publish\")), \
             (\"x-dead-letter-exchange\", Word(\"sync.v1.dead\")), \
             (\"x-dead-letter-routing-key\", Word(\"sync.v1.dead\")), \
             (\"x-dead-letter-strategy\", Word(\"at-least-once\"))]"
        );
    }
}
