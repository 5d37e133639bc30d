//! `worker`: wiring only.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use refrain_shared::clock::Clock;
use refrain_shared::config::Config;
use refrain_shared::ids::WorkerId;
use refrain_shared::start::{self, CannotStart, Exit};
use refrain_shared::storage::Database;
use refrain_shared::telemetry::init_metrics;
use refrain_shared::wiring;
use refrain_worker::context::Context;
use refrain_worker::parents::SeenParents;
use refrain_worker::serve::serve;
use refrain_worker::tenants::Tenants;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Moves support tickets from Salesforce into PostgreSQL.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (TOML); environment variables REFRAIN_SECTION__KEY win over it.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take jobs from the queue until told to stop.
    Run,
    /// Check the configuration and print it without secrets.
    CheckConfig,
}

// Seen by the build with crash points, which runs it as well.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::load(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => {
            eprint!("{problems}");
            return ExitCode::from(Exit::Config as u8);
        }
    };
    if matches!(arguments.command, Command::CheckConfig) {
        eprint!("{}", config.redacted());
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return stopped(&error.into()),
    };
    runtime.block_on(run(&config)).map_or_else(|error| stopped(&error), |()| ExitCode::SUCCESS)
}

/// Says why the worker is not running any more.
fn stopped(error: &anyhow::Error) -> ExitCode {
    if let Some(refusal) = error.downcast_ref::<CannotStart>() {
        eprintln!("{refusal}");
        return ExitCode::from(refusal.exit as u8);
    }
    eprintln!(
        "The worker stopped.\nWhy: {error:#}.\nFix: Start it again. Nothing was lost: what it had not committed is \
         done again. If it stops once more, report this as a defect."
    );
    ExitCode::from(Exit::Failed as u8)
}

async fn run(config: &Config) -> anyhow::Result<()> {
    // Before the first TLS connection of any library: with no provider chosen it would panic there.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("the TLS provider was installed twice"))?;
    start::logs(config)?;
    let telemetry = init_metrics()?;
    let options = wiring::database_options(config);
    start::schema_check(&options).await?;
    let db = Database::open(&options).context("open the database's pools")?;
    let ring = start::key_ring(config)?;
    start::key_ring_check(&db, &ring, config).await?;
    let (http, client, http_settings) = start::salesforce(config)?;
    let context = Arc::new(Context {
        worker: WorkerId::generate(),
        db,
        ring: Arc::new(ring),
        http,
        client,
        chunks: start::chunk_store(config)?,
        commit_rows: usize::from(config.worker.commit_rows),
        calls_per_second: config.salesforce.calls_per_second,
        call_timeout: http_settings.total_timeout,
        clock: Clock::system(),
        tenants: Tenants::default(),
        parents: SeenParents::default(),
        suspect: tokio::sync::Mutex::default(),
        draining: CancellationToken::new(),
    });
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let asked = stop.clone();
    let signals = tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        asked.cancel();
    });
    let served = serve(context, config, telemetry, stop).await;
    signals.abort();
    served
}
