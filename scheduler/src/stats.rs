//! Exports what people and autoscalers watch: runnable jobs by class, and how long the oldest has been due.

use std::time::Duration;

use metrics::gauge;
use refrain_shared::job::lease::Class;
use refrain_shared::storage::Database;
use refrain_shared::storage::dispatch::{ClassStats, dispatch_stats};
use refrain_shared::telemetry::names;

use crate::rounds::RoundError;

/// Scrapes come every 15 seconds or slower.
const EVERY: Duration = Duration::from_secs(5);

/// One round. Classes without jobs are set to nought, or their last value would stand for ever.
#[expect(clippy::cast_precision_loss, reason = "counts of jobs stay far below 2^52")]
pub async fn round(db: &Database) -> Result<Duration, RoundError> {
    let (stats, slots) = dispatch_stats(db).await?;
    gauge!(names::WORKER_SLOTS).set(slots as f64);
    for class in Class::ALL {
        let none = ClassStats { class, runnable: 0, oldest_due_s: 0.0, in_flight: 0, parked: 0 };
        let one = stats.iter().find(|one| one.class == class).unwrap_or(&none);
        gauge!(names::JOBS_RUNNABLE, "class" => class.word()).set(one.runnable as f64);
        gauge!(names::JOBS_OLDEST_DUE, "class" => class.word()).set(one.oldest_due_s);
        gauge!(names::JOBS_IN_FLIGHT, "class" => class.word()).set(one.in_flight as f64);
        gauge!(names::JOBS_PARKED, "class" => class.word()).set(one.parked as f64);
    }
    Ok(EVERY)
}
