//! The test kit's own tests, on real servers. `CARGO_BIN_EXE_servers` makes cargo build the `servers` program.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking, their small functions too")]

mod beds;
mod faults;
mod owned;
mod programs;

use std::time::Duration;

/// A verdict of "never" for anything but a server's first start.
const SOON: Duration = Duration::from_secs(30);

/// Runs one query and gives its first value as text.
async fn query_text(url: &str, query: &str) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    let row = client.query_one(query, &[]).await;
    drop(client);
    let _ = driver.await;
    Ok(row?.get(0))
}

/// An AMQP connection.
async fn connect(url: &str) -> lapin::Result<lapin::Connection> {
    lapin::Connection::connect(url, lapin::ConnectionProperties::default()).await
}
