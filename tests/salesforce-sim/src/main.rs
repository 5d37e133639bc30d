//! The simulator as a server: prints one line of JSON on stdout when ready, logs to stderr, stops at SIGTERM.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use salesforce_sim::{Options, OrgOptions, Simulator};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Parser)]
#[command(name = "salesforce-sim", about = "A Salesforce that you may break")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C.
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// Address for plain HTTP.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Address for HTTPS.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen_tls: SocketAddr,
    /// Address for the control API, which has no password: keep it on loopback.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen_control: SocketAddr,
    /// Cases in each org.
    #[arg(long, default_value_t = 5_000)]
    cases: usize,
    /// Seed of the first org; further orgs count up from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many orgs.
    #[arg(long, default_value_t = 1)]
    orgs: u64,
    /// Rotate refresh tokens.
    #[arg(long)]
    rotation: bool,
    /// Idle minutes after which a session ends.
    #[arg(long, default_value_t = 120)]
    session_minutes: u32,
    /// Calls allowed in 24 hours.
    #[arg(long, default_value_t = 100_000)]
    daily_max: u64,
    /// Folder for the CA certificate and the JWT key; a temporary one if absent.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Moment (RFC 3339) that generated records lead up to; now if absent.
    #[arg(long)]
    anchor: Option<String>,
}

impl Serve {
    fn options(self) -> anyhow::Result<Options> {
        let anchor = self.anchor.as_deref();
        let anchor_ms = anchor
            .map(|text| {
                salesforce_sim::time::parse_instant(text)
                    .with_context(|| format!("'{text}' is no RFC 3339 time"))
            })
            .transpose()?;
        let org = |number: u64| OrgOptions {
            cases: self.cases,
            seed: self.seed + number,
            rotation: self.rotation,
            session_minutes: self.session_minutes,
            daily_max: self.daily_max,
            ..OrgOptions::default()
        };
        Ok(Options {
            listen: self.listen,
            listen_tls: self.listen_tls,
            listen_control: self.listen_control,
            orgs: (0..self.orgs).map(org).collect(),
            dir: self.dir,
            anchor_ms,
        })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider was installed before"))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Command::Serve(serve) = Cli::parse().command;
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
