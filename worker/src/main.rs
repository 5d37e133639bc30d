//! `worker`: wiring only.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use refrain_shared::clock::Clock;
use refrain_shared::config::{Config, LogFormat};
use refrain_shared::crypto::KeyRing;
use refrain_shared::ids::WorkerId;
use refrain_shared::salesforce::{ClientSettings, Http};
use refrain_shared::storage::Database;
use refrain_shared::storage::control::login_options;
use refrain_shared::storage::migrations::{self, SchemaState};
use refrain_shared::telemetry::{init_logs, init_metrics};
use refrain_shared::wiring;
use refrain_worker::context::Context;
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

/// The configuration cannot be used.
const EXIT_CONFIG: u8 = 2;
/// The database's schema is not the one this build expects.
const EXIT_SCHEMA: u8 = 3;

// Seen by the build with crash points, which runs it as well.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::load(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => {
            eprint!("{problems}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if matches!(arguments.command, Command::CheckConfig) {
        eprintln!("{}", config.redacted());
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("The runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(&config)).unwrap_or_else(|error| {
        eprintln!("worker stopped: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    // Before the first TLS connection of any library: with no provider chosen it would panic there.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("install the TLS provider"))?;
    init_logs(config.log.format == LogFormat::Json, &config.log.filter)?;
    let telemetry = init_metrics()?;
    if let Some(refusal) = schema_refusal(config).await? {
        eprintln!("{refusal}");
        return Ok(ExitCode::from(EXIT_SCHEMA));
    }
    let http_settings = wiring::http_settings(config).context("read the CA file for Salesforce")?;
    let call_timeout = http_settings.total_timeout;
    let context = Arc::new(Context {
        worker: WorkerId::generate(),
        db: Database::open(&wiring::database_options(config)).context("open the database pools")?,
        ring: Arc::new(KeyRing::load(&config.keys.file)?),
        http: Http::new(&http_settings)?,
        client: ClientSettings { api_version: wiring::api_version(config)?, ..ClientSettings::default() },
        call_timeout,
        clock: Clock::system(),
        tenants: Tenants::default(),
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
    served.map(|()| ExitCode::SUCCESS)
}

async fn schema_refusal(config: &Config) -> anyhow::Result<Option<String>> {
    let mut connection = migrations::connect(login_options(&wiring::database_options(config))?)
        .await
        .context("reach PostgreSQL to check its schema")?;
    let state = migrations::schema_state(&mut connection).await.context("check the schema's version")?;
    migrations::close(connection).await;
    Ok(match state {
        SchemaState::Current => None,
        SchemaState::Behind(missing) => Some(format!(
            "The database lacks {missing} migrations. This build cannot run on an older schema. \
             Run `scheduler migrate`, then start again."
        )),
        SchemaState::Ahead(version) => Some(format!(
            "The database was migrated by a newer build (version {version}). This build does not know that \
             schema. Roll this program forward."
        )),
    })
}
