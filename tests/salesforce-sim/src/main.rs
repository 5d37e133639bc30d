//! The simulator as a server: prints one line of JSON on stdout when ready, logs to stderr, stops at SIGTERM.

mod arguments;

use std::io::Write;

use anyhow::Context;
use clap::Parser;
use salesforce_sim::Simulator;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider was installed before"))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Command::Serve(serve) = Arguments::parse().command;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let running = Simulator::start(serve.options()?).await?;
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
