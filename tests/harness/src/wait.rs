//! Waiting for a condition, with a deadline. The only module of the tests that sleeps.
//!
//! A deadline here is a verdict of "never", not a measurement: make it generous, a passing test does not pay for it.

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

/// How long a polling loop rests between two looks. Short enough that a test does not feel it.
const PAUSE: Duration = Duration::from_millis(25);

/// The condition never became true.
#[derive(Debug, thiserror::Error)]
#[error("still waiting for {what} after {waited:?}{last}")]
pub struct TimedOut {
    /// What was waited for, as the caller named it.
    pub what: String,
    /// How long.
    pub waited: Duration,
    last: LastSeen,
}

#[derive(Debug)]
struct LastSeen(Option<String>);

impl fmt::Display for LastSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |seen| write!(f, "; last seen: {seen}"))
    }
}

/// Polls `condition` until it gives `Some`, at most for `deadline`.
///
/// # Panics
/// When the deadline passes, naming `what`: in a test that is the failure to report.
pub async fn eventually<T, F, Fut>(deadline: Duration, what: &str, condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    match until(deadline, what, condition).await {
        Ok(value) => value,
        Err(late) => panic!("{late}"),
    }
}

/// As [`eventually`], for callers that want the error.
pub async fn until<T, F, Fut>(deadline: Duration, what: &str, mut condition: F) -> Result<T, TimedOut>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if started.elapsed() >= deadline {
            return Err(TimedOut { what: what.to_owned(), waited: started.elapsed(), last: LastSeen(None) });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// As [`eventually`], for conditions that say why they are not met yet; the last reason is in the panic.
///
/// # Panics
/// When the deadline passes.
pub async fn eventually_ok<T, E, F, Fut>(deadline: Duration, what: &str, mut condition: F) -> T
where
    E: fmt::Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(reason) if started.elapsed() >= deadline => {
                let last = LastSeen(Some(reason.to_string()));
                panic!("{}", TimedOut { what: what.to_owned(), waited: started.elapsed(), last });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The blocking form, for code that runs outside a runtime.
pub fn until_blocking<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T, TimedOut> {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if started.elapsed() >= deadline {
            return Err(TimedOut { what: what.to_owned(), waited: started.elapsed(), last: LastSeen(None) });
        }
        std::thread::sleep(PAUSE);
    }
}

/// Lets wall time pass because the wait itself is the thing under test (a slow network, say), never to let something settle.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
