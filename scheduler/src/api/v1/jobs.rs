//! `/v1/tenants/{tenant}/jobs`: where each job is, and why it does not run.

use axum::Json;
use chrono::{DateTime, Utc};
use refrain_shared::ids::{ConnectionId, JobId, ObjectId, TenantId, WorkerId};
use refrain_shared::storage::dispatch as store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Tenant;
use crate::api::extract::{ApiPath, ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::Ask;
use crate::api::{Shared, cursor};

const LIST: &str = "jobs.1";
const ATTEMPTS: u16 = 50;

/// A job.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    #[schema(value_type = String)]
    pub id: JobId,
    /// The connection it reads through.
    #[schema(value_type = Option<String>)]
    pub connection_id: Option<ConnectionId>,
    /// The object it reads.
    #[schema(value_type = Option<String>)]
    pub object_id: Option<ObjectId>,
    /// What it does.
    pub kind: String,
    /// Its queue.
    pub class: String,
    /// `waiting`, `published`, `leased` or `parked`.
    pub state: String,
    /// Due from here on.
    pub available_at: DateTime<Utc>,
    /// Failed tries in a row.
    pub attempt: i32,
    /// Whether it will run once more after this run.
    pub rerun_requested: bool,
    /// Why it does not run now; null when it runs.
    pub waits_for: Option<WaitsFor>,
    /// What a person must do, when parked.
    pub ask: Option<Ask>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// Why a job does not run.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WaitsFor {
    /// A gate (`blackout`, `budget`, `org_quota`, `paused`, `parked`, `closing`), its time (`cadence`, or what its
    /// last attempt said), `turn`, `worker` or `person`.
    pub reason: String,
    /// When that ends, where it is known.
    pub until: Option<DateTime<Utc>>,
}

/// A page of jobs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// In the order of their making.
    pub jobs: Vec<Job>,
    /// The next page's cursor, if there may be more.
    pub next: Option<String>,
}

/// A job with its attempts.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct JobDetail {
    /// The job; null when it is finished and only its attempts remain.
    pub job: Option<Job>,
    /// Newest first, up to fifty.
    pub attempts: Vec<Attempt>,
}

/// One attempt.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Counts leases.
    pub fence: i64,
    /// Who had it.
    #[schema(value_type = Option<String>)]
    pub worker_id: Option<WorkerId>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// How it ended.
    pub outcome: String,
    /// Where it failed.
    pub step: Option<String>,
    /// The failure's closed word.
    pub code: Option<String>,
    /// For people.
    pub detail: Option<String>,
    /// Pages committed.
    pub pages: i32,
    /// Records read.
    pub records_read: i64,
    /// Records written.
    pub written: i64,
    /// Calls made.
    pub api_calls: i32,
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct JobsQuery {
    /// `waiting`, `published`, `leased` or `parked`.
    pub state: Option<String>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// 1 to 200; 50 unless given.
    pub limit: Option<u16>,
}

/// The tenant's jobs.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/jobs", params(("tenant" = String, Path), JobsQuery),
    responses((status = 200, body = Jobs), (status = 404, body = Problem)))]
pub(in crate::api) async fn list(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<JobsQuery>,
) -> Result<Json<Jobs>, ApiError> {
    let state = match query.state.as_deref() {
        None => None,
        Some(word) => Some(store::JobState::from_word(word).ok_or_else(|| {
            ApiError::invalid(
                format!("{word:?} is no state of a job."),
                "Use waiting, published, leased or parked.",
            )
        })?),
    };
    let limit = page_size(query.limit);
    let after = cursor::decode(LIST, query.cursor.as_deref())?;
    let jobs = store::jobs_list(&api.db, &scope, state, after, limit).await?;
    let full = jobs.len() == usize::from(limit);
    let next = jobs.last().filter(|_| full).map(|last| cursor::encode(LIST, &last.id));
    Ok(Json(Jobs { jobs: jobs.into_iter().map(shown).collect(), next }))
}

/// One job, its attempts, and why it does not run.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/jobs/{job}",
    params(("tenant" = String, Path), ("job" = String, Path)),
    responses((status = 200, body = JobDetail), (status = 404, body = Problem)))]
pub(in crate::api) async fn get(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(TenantId, JobId)>,
) -> Result<Json<JobDetail>, ApiError> {
    let job = store::job_get(&api.db, &scope, id).await?;
    let attempts = store::attempts_list(&api.db, &scope, id, ATTEMPTS).await?;
    if job.is_none() && attempts.is_empty() {
        return Err(ApiError::not_found("job"));
    }
    Ok(Json(JobDetail { job: job.map(shown), attempts: attempts.into_iter().map(attempt).collect() }))
}

fn shown(job: store::JobView) -> Job {
    Job {
        id: job.id,
        connection_id: job.connection,
        object_id: job.object,
        kind: job.kind,
        class: job.class.word().to_owned(),
        state: job.state.word().to_owned(),
        available_at: job.available_at,
        attempt: job.attempt,
        rerun_requested: job.rerun_requested,
        waits_for: job.waits_for.map(|waits| WaitsFor { reason: waits.reason, until: waits.until }),
        ask: job.ask.map(Ask::from),
        updated_at: job.updated_at,
    }
}

fn attempt(attempt: store::AttemptView) -> Attempt {
    Attempt {
        fence: attempt.fence,
        worker_id: attempt.worker,
        started_at: attempt.started_at,
        ended_at: attempt.ended_at,
        outcome: attempt.outcome,
        step: attempt.step,
        code: attempt.code,
        detail: attempt.detail,
        pages: attempt.pages,
        records_read: attempt.records_read,
        written: attempt.written,
        api_calls: attempt.api_calls,
    }
}
