//! The simulator as a server: prints one line of JSON on stdout when ready, logs to stderr, stops at SIGTERM.

mod arguments;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use salesforce_sim::{Options, Simulator};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};

/// The command line, or a file that it names, is of no use.
const MISUSED: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Serve(serve) = Arguments::parse().command;
    let outcome = match serve.options() {
        Ok(options) => serve_until_told(options).await.map_err(|why| (1, why)),
        Err(why) => Err((MISUSED, why)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, why)) => {
            eprintln!("salesforce-sim: {why:#}");
            ExitCode::from(code)
        }
    }
}

async fn serve_until_told(options: Options) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider was installed before"))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let running = Simulator::start(options).await?;
    let line = serde_json::to_string(&running.ready).context("write the ready line")?;
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("print the ready line")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}
