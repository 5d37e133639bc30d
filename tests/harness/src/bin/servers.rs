//! `servers run`: private PostgreSQL and RabbitMQ for a developer's terminal.
//!
//! Prints one line of JSON with their addresses on standard output and runs until Ctrl-C or SIGTERM. Each line on standard
//! input is something to do to them, and is answered by a line of JSON.

use std::process::ExitCode;

use harness::servers::{Options, PrivateServers, Servers, ServersError};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const USAGE: &str = "usage: servers run [NAME]\n\
    Starts private servers (or takes DATABASE_URL and AMQP_URL), prints their addresses as one line of JSON,\n\
    and stops them at Ctrl-C or SIGTERM. NAME chooses the data to use; the default is `dev`.\n\
    Lines on standard input break them and mend them: kill postgres, restart postgres, kill broker,\n\
    restart broker, wipe broker, freeze broker, thaw broker, alarm broker, calm broker.";

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
    println!("{}", json!({ "database_url": servers.database_url(), "amqp_url": servers.amqp_url() }));
    let mut orders = orders();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Some(order) = orders.recv() => println!("{}", obeyed(&servers, &order).await),
        }
    }
    servers.stop().await;
    Ok(())
}

/// The lines of standard input; a thread of its own waits for them.
fn orders() -> UnboundedReceiver<String> {
    let (sender, orders) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    orders
}

async fn obeyed(servers: &Servers, order: &str) -> serde_json::Value {
    let Some(private) = servers.private() else {
        return json!({ "order": order, "error": "These servers are somebody else's: none of them is broken from here." });
    };
    match obey(private, order).await {
        Ok(()) => json!({ "order": order, "done": true }),
        Err(error) => json!({ "order": order, "error": error }),
    }
}

async fn obey(servers: &PrivateServers, order: &str) -> Result<(), String> {
    match order {
        "kill postgres" => servers.kill_postgres().await,
        "restart postgres" => servers.restart_postgres().await.map_err(|error| error.to_string())?,
        "kill broker" => servers.kill_broker().await,
        "restart broker" => servers.restart_broker().await.map_err(|error| error.to_string())?,
        "wipe broker" => servers.wipe_broker().await.map_err(|error| error.to_string())?,
        "freeze broker" => servers.freeze_broker().await,
        "thaw broker" => servers.thaw_broker().await,
        "alarm broker" => servers.memory_alarm(true).await.map_err(|error| error.to_string())?,
        "calm broker" => servers.memory_alarm(false).await.map_err(|error| error.to_string())?,
        _ => return Err("No such order; `servers` without arguments lists them.".to_owned()),
    }
    Ok(())
}
