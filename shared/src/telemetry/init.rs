//! Starts the log and the metrics recorder of a process.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use super::names;

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter cannot be read.
    #[error(
        "log.filter {filter:?} cannot be read: {why}. Write directives like info or refrain_shared=debug"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        why: String,
    },
    /// It was started before.
    #[error("telemetry was started twice in one process: {0}")]
    Twice(String),
}

/// The process's metrics, ready to be rendered.
#[derive(Clone)]
pub struct Telemetry {
    handle: PrometheusHandle,
}

/// Bounds for durations in seconds, from a fast statement to a full slice.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// How often histograms give back the memory of what was rendered.
const UPKEEP: Duration = Duration::from_secs(10);

/// Sends log lines to standard error, as JSON objects or as text.
pub fn init_logs(json: bool, filter: &str) -> Result<(), TelemetryError> {
    let directives = EnvFilter::builder()
        .parse(filter)
        .map_err(|e| TelemetryError::Filter { filter: filter.to_owned(), why: e.to_string() })?;
    let lines = tracing_subscriber::fmt().with_env_filter(directives).with_writer(std::io::stderr);
    let started = if json { lines.json().try_init() } else { lines.with_ansi(false).try_init() };
    started.map_err(|e| TelemetryError::Twice(e.to_string()))
}

/// Installs the recorder and describes every metric of [`names`].
pub fn init_metrics() -> Result<Telemetry, TelemetryError> {
    let twice = |e: metrics_exporter_prometheus::BuildError| TelemetryError::Twice(e.to_string());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(twice)?
        .install_recorder()
        .map_err(twice)?;
    names::describe_all();
    Ok(Telemetry { handle })
}

impl Telemetry {
    /// All metrics in Prometheus' text form.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Keeps the recorder's memory bounded; runs until the future is dropped.
    pub async fn upkeep(self) {
        let mut every = tokio::time::interval(UPKEEP);
        loop {
            every.tick().await;
            self.handle.run_upkeep();
        }
    }
}
