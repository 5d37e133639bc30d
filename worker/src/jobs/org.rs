//! Whether the org behind the credentials is still the one that the connection belongs to. Every token says it; and once a
//! day whoever works for the connection asks, before anything is read: a session that goes on is no proof.

use chrono::TimeDelta;
use refrain_shared::error::Disposition;
use refrain_shared::storage::connection_secrets::org_changed;
use refrain_shared::storage::gates::connection_org_seen;

use super::Job;
use crate::error::{JobError, Step};

/// How often the org is asked who it is.
const EVERY: TimeDelta = TimeDelta::days(1);

/// Asks the org who it is, if that was long ago. Another one parks the connection, and nothing is read.
pub(super) async fn look(job: &Job<'_>) -> Result<(), JobError> {
    let now = job.context.clock.now();
    let connection = &job.inputs.connection;
    if connection.org_checked_at.is_some_and(|at| now - at < EVERY) {
        return Ok(());
    }
    let seen = job.client.identity().await.map_err(|error| JobError::of(Step::Plan, &error, now))?;
    if seen.org_id != job.lease.org {
        let ask = org_changed(job.lease.org, seen.org_id);
        let detail = ask.to_string();
        let disposition = Disposition::ParkConnection { ask };
        return Err(JobError { step: Step::Plan, disposition, code: "another_org", detail });
    }
    connection_org_seen(&job.context.db, connection.id)
        .await
        .map_err(|error| JobError::of(Step::Plan, &error, now))
}
