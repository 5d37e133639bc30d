//! `servers run`: private PostgreSQL and RabbitMQ for a developer's terminal.
//!
//! Prints one line of JSON with their addresses on standard output and runs until Ctrl-C or SIGTERM.

use std::process::ExitCode;

use harness::servers::{Options, Servers, ServersError};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: servers run [NAME]\n\
    Starts private servers (or takes DATABASE_URL and AMQP_URL), prints their addresses as one line of JSON,\n\
    and stops them at Ctrl-C or SIGTERM. NAME chooses the data to use; the default is `dev`.";

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some("run"), name, None) = (arguments.next().as_deref(), arguments.next(), arguments.next()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    match run(name.as_deref().unwrap_or("dev")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(name: &str) -> Result<(), ServersError> {
    let unsignalled =
        |source| ServersError::Io { doing: "listen for signals in", path: "servers".into(), source };
    // Before the start, so that an early Ctrl-C is kept and the servers are stopped in order.
    let mut terminate = signal(SignalKind::terminate()).map_err(unsignalled)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unsignalled)?;
    let servers = Servers::for_program(Options::program(name)).await?;
    let addresses =
        serde_json::json!({ "database_url": servers.database_url(), "amqp_url": servers.amqp_url() });
    println!("{addresses}");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    servers.stop().await;
    Ok(())
}
