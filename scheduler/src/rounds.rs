//! Background loops: round after round until told to stop, never busy, failures logged once each.
//!
//! A round takes no input and may be run twice. It is never cut off in the middle: stopping is looked at
//! between rounds, and every round has its own deadlines inside.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::OptionFuture;
use metrics::counter;
use refrain_shared::clock::Timestamp;
use refrain_shared::error::{Classify, Disposition};
use refrain_shared::queue::QueueError;
use refrain_shared::storage::StoreError;
use refrain_shared::telemetry::names;
use tokio::sync::Notify;
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

/// What ends the wait of a loop early: something was just asked for, by way of this process. What other replicas were
/// asked for, a loop finds at its next round.
#[derive(Debug, Clone, Default)]
pub struct Wakes {
    /// Jobs are due.
    pub dispatcher: Arc<Notify>,
    /// People want something else than before.
    pub reconciler: Arc<Notify>,
}

/// The first wait after a failure; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// Runs rounds until `stop`; each says how long to wait before the next. A `wake` ends that wait, but not the one after
/// a failure: what is broken is not asked more often because more is wanted of it.
pub async fn run<F>(name: &'static str, stop: CancellationToken, wake: Arc<Notify>, mut round: F)
where
    F: AsyncFnMut() -> Result<Duration, RoundError>,
{
    let mut failures = 0u32;
    while !stop.is_cancelled() {
        let (wait, woken) = match round().await {
            Ok(wait) => {
                if failures > 0 {
                    tracing::info!(task = name, failures, "works again");
                }
                failures = 0;
                (wait, Some(wake.notified()))
            }
            Err(error) => {
                counter!(names::LOOP_FAILURES, "loop" => name, "code" => error.code()).increment(1);
                // A long outage is one story: told when it begins, and then less and less often.
                if failures.is_power_of_two() || failures == 0 {
                    tracing::warn!(task = name, failures, error = %error.told(), "a round failed; trying again");
                }
                let wait = FIRST.saturating_mul(1 << failures.min(8)).min(LONGEST);
                failures = failures.saturating_add(1);
                (wait.mul_f64(rand::random_range(0.5..=1.0)), None)
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
            Some(()) = OptionFuture::from(woken) => {}
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_wake_ends_the_wait_and_one_that_came_during_the_round_is_not_lost() {
        let (stop, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
        let (sender, mut rounds) = mpsc::unbounded_channel();
        let (stopped, woken) = (stop.clone(), Arc::clone(&wake));
        let during = Arc::clone(&wake);
        let mut nth = 0;
        let run = tokio::spawn(run("test", stopped, woken, async move || {
            nth += 1;
            if nth == 1 {
                during.notify_one();
            }
            sender.send(nth).expect("the test listens");
            Ok(Duration::MAX)
        }));
        assert_eq!(rounds.recv().await, Some(1));
        assert_eq!(rounds.recv().await, Some(2), "woken in the middle of the first");
        wake.notify_one();
        assert_eq!(rounds.recv().await, Some(3));
        stop.cancel();
        run.await.expect("it ends between rounds");
    }
}
