//! One connection to RabbitMQ, with or without TLS, never waiting longer than it should.

use std::path::PathBuf;
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};

use super::error::QueueError;
use crate::secret::Secret;

/// How to reach RabbitMQ.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// `amqp://…` or `amqps://…`; its password never reaches a log.
    pub url: Secret<String>,
    /// A private CA, PEM; public ones are always known.
    pub ca_file: Option<PathBuf>,
}

/// Opening takes one TCP and one TLS handshake and five round trips.
const CONNECT: Duration = Duration::from_secs(10);
/// In seconds: a dead peer is noticed after two of them.
const HEARTBEAT_S: u16 = 10;

/// Opens a connection that the broker's management page shows under `name`.
pub async fn connect(options: &BrokerOptions, name: &str) -> Result<Connection, QueueError> {
    let mut uri: AMQPUri = options.url.expose().parse().map_err(QueueError::Settings)?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
    let tls = tls(options, &uri.scheme)?;
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = lapin::runtime::default_runtime().map_err(QueueError::Unreachable)?;
    match tokio::time::timeout(CONNECT, Connection::connect_uri_with_config(uri, properties, tls, runtime))
        .await
    {
        Ok(opened) => opened.map_err(not_opened),
        Err(_) => Err(QueueError::TimedOut { what: "open a connection", seconds: CONNECT.as_secs() }),
    }
}

/// Tells a refused login from a broker that is away.
fn not_opened(error: lapin::Error) -> QueueError {
    if let ErrorKind::ProtocolError(refusal) = error.kind()
        && matches!(
            refusal.kind(),
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
        )
    {
        return QueueError::LoginRefused { reply: refusal.get_message().to_string() };
    }
    QueueError::Unreachable(error)
}

fn tls(options: &BrokerOptions, scheme: &AMQPScheme) -> Result<OwnedTLSConfig, QueueError> {
    let Some(path) = options.ca_file.as_ref().filter(|_| *scheme == AMQPScheme::AMQPS) else {
        return Ok(OwnedTLSConfig::default());
    };
    let pem = std::fs::read_to_string(path)
        .map_err(|e| QueueError::Settings(format!("read the CA file {}: {e}", path.display())))?;
    Ok(OwnedTLSConfig { identity: None, cert_chain: Some(pem) })
}

/// Closes in good order, but does not wait for a broker that is gone.
pub async fn close(connection: Connection) {
    const FAREWELL: Duration = Duration::from_secs(2);
    const REPLY_SUCCESS: u16 = 200;
    // Nothing depends on the answer: the broker notices a closed socket as well.
    let _ = tokio::time::timeout(FAREWELL, connection.close(REPLY_SUCCESS, "closing".into())).await;
}
