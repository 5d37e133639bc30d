//! The dispatcher: due jobs become messages, as many as live workers can take, fair over tenants.
//!
//! The row comes first, the message second. A claim whose message was not confirmed is undone; a message that
//! nobody takes is published again under the next epoch. So losing every message costs only delay, and having
//! one twice costs nothing.

use std::time::Duration;

use metrics::counter;
use refrain_shared::config::Dispatch;
use refrain_shared::error::Classify as _;
use refrain_shared::job::envelope::Envelope;
use refrain_shared::queue::Publisher;
use refrain_shared::storage::Database;
use refrain_shared::storage::dispatch::{ClaimLimits, Claimed, dispatch_claim, dispatch_undo};
use refrain_shared::telemetry::names;

use crate::rounds::RoundError;

/// One round: claims, publishes, and undoes what was not confirmed. Gives the wait before the next.
pub async fn round(
    db: &Database,
    publisher: &Publisher,
    settings: &Dispatch,
) -> Result<Duration, RoundError> {
    // Before claiming: with the broker away, claiming and undoing would only wear out rows.
    publisher.ready().await?;
    let limits = ClaimLimits { batch: settings.batch, unclaimed: settings.unclaimed };
    let claimed = dispatch_claim(db, limits).await?;
    if claimed.is_empty() {
        return Ok(settings.idle_wait);
    }
    publish(db, publisher, &claimed).await?;
    Ok(settings.busy_wait)
}

async fn publish(db: &Database, publisher: &Publisher, claimed: &[Claimed]) -> Result<(), RoundError> {
    let batch: Vec<Envelope> = claimed.iter().map(envelope).collect();
    let mut lost = Vec::new();
    let mut first_failure = None;
    for ((claim, envelope), outcome) in claimed.iter().zip(&batch).zip(publisher.publish(&batch).await) {
        tracing::debug!(
            job.id = %claim.job, tenant.id = %claim.tenant, epoch = claim.epoch, trace.id = envelope.trace_id(),
            confirmed = outcome.is_ok(), "published a job"
        );
        match outcome {
            Ok(()) => counter!(names::JOBS_PUBLISHED, "class" => claim.class.word()).increment(1),
            Err(error) => {
                counter!(names::PUBLISH_FAILURES, "code" => error.code()).increment(1);
                lost.push(claim);
                first_failure.get_or_insert(error);
            }
        }
    }
    tracing::debug!(published = claimed.len() - lost.len(), lost = lost.len(), "dispatched");
    if !lost.is_empty() {
        dispatch_undo(db, &lost).await?;
    }
    match first_failure {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn envelope(claim: &Claimed) -> Envelope {
    Envelope {
        tenant: claim.tenant,
        shard: 0,
        job: claim.job,
        epoch: claim.epoch,
        class: claim.class,
        trace: Some(trace_parent()),
    }
}

/// A fresh W3C trace parent: the attempt links to it, so that a job's log lines can be followed over processes.
fn trace_parent() -> String {
    let trace: u128 = rand::random_range(1..=u128::MAX);
    let span: u64 = rand::random_range(1..=u64::MAX);
    format!("00-{trace:032x}-{span:016x}-01")
}
