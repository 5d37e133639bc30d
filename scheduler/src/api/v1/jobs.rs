//! `/v1/tenants/{tenant}/jobs`: where each job is, and why it does not run.

use axum::Json;
use refrain_shared::ids::{JobId, TenantId};
use refrain_shared::storage::dispatch as store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Tenant;
use crate::api::extract::{ApiPath, ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::{Shared, cursor};

const LIST: &str = "jobs.1";
const ATTEMPTS: u16 = 50;

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Jobs {
    /// In the order of their making.
    pub jobs: Vec<store::JobView>,
    /// The next page's cursor, if there may be more.
    pub next: Option<String>,
}

/// A job with its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobDetail {
    /// The job; null when it is finished and only its attempts remain.
    pub job: Option<store::JobView>,
    /// Newest first, up to fifty.
    pub attempts: Vec<store::AttemptView>,
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
    Ok(Json(Jobs { jobs, next }))
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
    Ok(Json(JobDetail { job, attempts }))
}
