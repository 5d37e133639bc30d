//! What people do with work that stands still: try it again, or give it up.
//!
//! A job stands still that waits for a person, or for another try after failures. Trying again forgets its failures and
//! crashes. Given up is only what nothing else rests on: a standing job would be made again at once, and a slice of history
//! that nobody reads would be missing for good.

use serde_json::json;

use super::super::audit::audit_write;
use super::super::error::StoreError;
use super::super::pool::Database;
use crate::audit::{Action, Event};
use crate::ids::{JobId, ObjectId};
use crate::job::lease::{Class, Kind};
use crate::tenant::TenantScope;

/// Which of the jobs that stand still; what is not given does not matter.
#[derive(Debug, Clone, Default)]
pub struct StandingStill {
    /// This one.
    pub job: Option<JobId>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of this class.
    pub class: Option<Class>,
    /// That ask a person for this.
    pub code: Option<String>,
    /// Of this object.
    pub object: Option<ObjectId>,
}

/// Kinds whose jobs may be given up: what they would have brought is found, or asked for, again.
pub const DISPENSABLE: [Kind; 2] = [Kind::Related, Kind::File];

impl StandingStill {
    fn facts(&self, jobs: usize) -> serde_json::Value {
        json!({
            "jobs": jobs, "job": self.job.map(|job| job.0), "kind": self.kind.map(Kind::word),
            "class": self.class.map(Class::word),
        })
    }
}

/// Makes due now what stands still; gives the jobs.
pub async fn jobs_retry(
    db: &Database,
    scope: &TenantScope,
    which: &StandingStill,
) -> Result<Vec<JobId>, StoreError> {
    const SQL: &str = "-- jobs_retry
        UPDATE jobs SET state = 0, ask = NULL, attempt = 0, crashes = 0, reason = NULL, updated_at = now(),
               available_at = least(available_at, now())
         WHERE tenant_id = $1 AND (state = 3 OR (state = 0 AND attempt > 0))
           AND ($2::bigint IS NULL OR job_id = $2) AND ($3::text IS NULL OR kind = $3)
           AND ($4::int2 IS NULL OR class = $4) AND ($5::text IS NULL OR ask->>'code' = $5)
           AND ($6::int IS NULL OR object_id = $6) AND ($7::text[] IS NULL OR kind = ANY ($7))
        RETURNING job_id";
    change(db, scope, which, (SQL, "jobs_retry", Action::JobRetry), None).await
}

/// Removes what waits for a person and is [`DISPENSABLE`]; gives the jobs.
pub async fn jobs_drop(
    db: &Database,
    scope: &TenantScope,
    which: &StandingStill,
) -> Result<Vec<JobId>, StoreError> {
    const SQL: &str = "-- jobs_drop
        DELETE FROM jobs
         WHERE tenant_id = $1 AND state = 3
           AND ($2::bigint IS NULL OR job_id = $2) AND ($3::text IS NULL OR kind = $3)
           AND ($4::int2 IS NULL OR class = $4) AND ($5::text IS NULL OR ask->>'code' = $5)
           AND ($6::int IS NULL OR object_id = $6) AND ($7::text[] IS NULL OR kind = ANY ($7))
        RETURNING job_id";
    let kinds = DISPENSABLE.into_iter().map(Kind::word).collect();
    change(db, scope, which, (SQL, "jobs_drop", Action::JobDrop), Some(kinds)).await
}

async fn change(
    db: &Database,
    scope: &TenantScope,
    which: &StandingStill,
    (sql, name, action): (&str, &'static str, Action),
    kinds: Option<Vec<&'static str>>,
) -> Result<Vec<JobId>, StoreError> {
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    let rows = tx
        .query(
            sql,
            &[
                &scope.tenant().0,
                &which.job.map(|job| job.0),
                &which.kind.map(Kind::word),
                &which.class.map(Class::number),
                &which.code,
                &which.object.map(|object| object.0),
                &kinds,
            ],
        )
        .await
        .map_err(StoreError::at(name))?;
    let mut jobs: Vec<JobId> = rows.iter().map(|row| JobId(row.get(0))).collect();
    jobs.sort_by_key(|job| job.0);
    if !jobs.is_empty() {
        let event = Event::of(scope, action).details(which.facts(jobs.len()));
        let event = match which.object {
            Some(object) => event.object(object),
            None => event,
        };
        audit_write(&tx, scope.tenant(), &event).await?;
    }
    tx.commit().await.map_err(StoreError::at("commit"))?;
    Ok(jobs)
}
