//! What concerns this process: serving, migrating, checking the configuration.

use std::path::Path;

use anyhow::Context as _;
use refrain_shared::config::{Config, ConfigProblems};
use refrain_shared::start::{self, CannotStart};
use refrain_shared::telemetry::init_metrics;
use refrain_shared::wiring::database_options;
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
    /// This process cannot do its work.
    Start(Box<CannotStart>),
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
            Self::Start(refusal) => refusal.exit as u8,
            Self::Refused(_) => 4,
            Self::Unreachable(_) => 5,
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => write!(
                f,
                "The scheduler stopped.\nWhy: {error:#}.\nFix: Start it again; nothing was lost. If it stops once more, \
                 report this as a defect."
            ),
            Self::Config(text) | Self::Refused(text) | Self::Unreachable(text) => {
                f.write_str(text.trim_end())
            }
            Self::Start(refusal) => write!(f, "{refusal}"),
        }
    }
}

impl From<anyhow::Error> for Exit {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<CannotStart>() {
            Ok(refusal) => refusal.into(),
            Err(error) => Self::Failed(error),
        }
    }
}

impl From<CannotStart> for Exit {
    fn from(refusal: CannotStart) -> Self {
        Self::Start(Box::new(refusal))
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
    let applied = schema::migrate(&database_options(&config)).await?;
    eprintln!("The schema is current; {applied} migration(s) applied.");
    Ok(())
}

pub(super) async fn serve(file: Option<&Path>, migrate: bool) -> Result<(), Exit> {
    let config = Config::load(file)?;
    start::logs(&config)?;
    let telemetry = init_metrics().context("start telemetry")?;
    tracing::info!("configuration in force:\n{}", config.redacted());
    let options = database_options(&config);
    if migrate {
        let applied = schema::migrate(&options).await?;
        tracing::info!(applied, "the schema is current");
    } else {
        start::schema_check(&options).await?;
    }
    let listener = start::listen(config.http.listen, "http.listen").await?;
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
