//! Background loops: round after round until told to stop, never busy, failures logged once each.
//!
//! A round takes no input and may be run twice. It is never cut off in the middle: stopping is looked at
//! between rounds, and every round has its own deadlines inside.

use std::time::Duration;

use metrics::counter;
use refrain_shared::clock::Timestamp;
use refrain_shared::error::{Classify, Disposition};
use refrain_shared::queue::QueueError;
use refrain_shared::storage::StoreError;
use refrain_shared::telemetry::names;
use tokio_util::sync::CancellationToken;

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl RoundError {
    /// What an operator is told: for the broker with what to do, for the database with all causes.
    fn told(&self) -> String {
        match self {
            Self::Store(error) => chain(error),
            Self::Queue(error) => error.message().to_string(),
        }
    }
}

impl Classify for RoundError {
    fn disposition(&self, now: Timestamp) -> Disposition {
        match self {
            Self::Store(error) => error.disposition(now),
            Self::Queue(error) => error.disposition(now),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Queue(error) => error.code(),
        }
    }
}

/// The first wait after a failure; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// Runs rounds until `stop`; each says how long to wait before the next.
pub async fn run<F>(name: &'static str, stop: CancellationToken, mut round: F)
where
    F: AsyncFnMut() -> Result<Duration, RoundError>,
{
    let mut failures = 0u32;
    while !stop.is_cancelled() {
        let wait = match round().await {
            Ok(wait) => {
                if failures > 0 {
                    tracing::info!(task = name, failures, "works again");
                }
                failures = 0;
                wait
            }
            Err(error) => {
                counter!(names::LOOP_FAILURES, "loop" => name, "code" => error.code()).increment(1);
                // A long outage is one story: told when it begins, and then less and less often.
                if failures.is_power_of_two() || failures == 0 {
                    tracing::warn!(task = name, failures, error = %error.told(), "a round failed; trying again");
                }
                let wait = FIRST.saturating_mul(1 << failures.min(8)).min(LONGEST);
                failures = failures.saturating_add(1);
                wait.mul_f64(rand::random_range(0.5..=1.0))
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
