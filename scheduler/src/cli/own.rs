//! What concerns this process: serving, migrating, checking the configuration.

use std::path::Path;

use anyhow::Context as _;
use refrain_shared::config::{Config, ConfigProblems, LogFormat};
use refrain_shared::error::UserMessage;
use refrain_shared::telemetry::{init_logs, init_metrics};
use refrain_shared::wiring::database_options;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{schema, serve as server};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Exit {
    /// Anything unforeseen.
    Failed(anyhow::Error),
    /// The configuration, or what was typed.
    Config(String),
    /// The schema does not fit this build.
    Schema(UserMessage),
    /// The API said no.
    Refused(String),
    /// The API is not there.
    Unreachable(String),
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Config(_) => 2,
            Self::Schema(_) => 3,
            Self::Refused(_) => 4,
            Self::Unreachable(_) => 5,
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "Failed to {error:#}"),
            Self::Config(text) | Self::Refused(text) | Self::Unreachable(text) => {
                f.write_str(text.trim_end())
            }
            Self::Schema(message) => write!(f, "{message}"),
        }
    }
}

impl From<anyhow::Error> for Exit {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ConfigProblems> for Exit {
    fn from(problems: ConfigProblems) -> Self {
        Self::Config(problems.to_string())
    }
}

pub(super) fn check_config(file: Option<&Path>) -> Result<(), Exit> {
    let config = Config::load(file)?;
    eprint!("{}", config.redacted());
    Ok(())
}

pub(super) async fn migrate(file: Option<&Path>) -> Result<(), Exit> {
    let config = Config::load(file)?;
    let applied = schema::migrate(&database_options(&config)).await?.map_err(Exit::Schema)?;
    eprintln!("The schema is current; {applied} migration(s) applied.");
    Ok(())
}

pub(super) async fn serve(file: Option<&Path>, migrate: bool) -> Result<(), Exit> {
    let config = Config::load(file)?;
    init_logs(config.log.format == LogFormat::Json, &config.log.filter)
        .map_err(|error| Exit::Config(error.to_string()))?;
    let telemetry = init_metrics().context("start telemetry")?;
    tracing::info!("configuration in force:\n{}", config.redacted());
    let options = database_options(&config);
    if migrate {
        let applied = schema::migrate(&options).await?.map_err(Exit::Schema)?;
        tracing::info!(applied, "the schema is current");
    } else {
        schema::check(&options).await?.map_err(Exit::Schema)?;
    }
    let listener = TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("listen on {} (http.listen)", config.http.listen))?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let watch = tokio::spawn(async move { stop_asked(&asked).await });
    let served = server::serve(&config, listener, Some(telemetry), stop).await;
    watch.abort();
    tracing::info!("the scheduler has stopped");
    Ok(served?)
}

/// Waits for SIGTERM or an interrupt from the keyboard, then asks everything to stop.
async fn stop_asked(stop: &CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched; only a kill will stop this process");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("asked to stop");
    stop.cancel();
}
