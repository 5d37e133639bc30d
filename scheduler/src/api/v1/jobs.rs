//! `/v1/tenants/{tenant}/jobs`: where each job is, why it does not run, and what to do with those that stand still.

use axum::Json;
use axum::http::StatusCode;
use refrain_shared::ids::{JobId, ObjectId, TenantId};
use refrain_shared::job::lease::{Class, Kind};
use refrain_shared::storage::dispatch as store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Tenant;
use crate::api::extract::{ApiJson, ApiPath, ApiQuery, page_size};
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

/// Which of the jobs that stand still; what is not given does not matter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobChoice {
    /// Of this kind.
    #[schema(value_type = Option<String>)]
    pub kind: Option<Kind>,
    /// Of this class.
    #[schema(value_type = Option<String>)]
    pub class: Option<Class>,
    /// That ask a person for this: the code of `ask`.
    pub code: Option<String>,
    /// Of this object sync.
    #[schema(value_type = Option<String>)]
    pub object_id: Option<ObjectId>,
}

impl From<JobChoice> for store::StandingStill {
    fn from(JobChoice { kind, class, code, object_id }: JobChoice) -> Self {
        Self { job: None, kind, class, code, object: object_id }
    }
}

/// The jobs that something was done with.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobsChanged {
    /// In the order of their making.
    #[schema(value_type = Vec<String>)]
    pub jobs: Vec<JobId>,
}

/// Tries one job again now: one that waits for a person, or for another try after failures.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/jobs/{job}/retry",
    params(("tenant" = String, Path), ("job" = String, Path)),
    responses((status = 202, body = JobsChanged), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::api) async fn retry_one(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(TenantId, JobId)>,
) -> Result<(StatusCode, Json<JobsChanged>), ApiError> {
    let which = store::StandingStill { job: Some(id), ..store::StandingStill::default() };
    let jobs = store::jobs_retry(&api.db, &scope, &which).await?;
    if jobs.is_empty() {
        store::job_get(&api.db, &scope, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "job_goes_on",
            "This job does not stand still.",
            "It waits neither for a person nor for another try after failures.",
            "See what it waits for; an object is read now with sync now.",
        ));
    }
    api.wakes.dispatcher.notify_one();
    Ok((StatusCode::ACCEPTED, Json(JobsChanged { jobs })))
}

/// Gives up one job that waits for a person: a list of related records or of files. What it would have brought is found by
/// the next comparison, or asked for by whatever leads to it next.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/jobs/{job}/drop",
    params(("tenant" = String, Path), ("job" = String, Path)),
    responses((status = 200, body = JobsChanged), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::api) async fn drop_one(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(TenantId, JobId)>,
) -> Result<Json<JobsChanged>, ApiError> {
    let which = store::StandingStill { job: Some(id), ..store::StandingStill::default() };
    let jobs = store::jobs_drop(&api.db, &scope, &which).await?;
    if jobs.is_empty() {
        store::job_get(&api.db, &scope, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "job_is_needed",
            "This job is not to be given up.",
            "It does not wait for a person, or it stands for an object's changes or a part of its history, which would be missing.",
            "Retry it, or switch the object off.",
        ));
    }
    Ok(Json(JobsChanged { jobs }))
}

/// Tries again now all that stand still and are chosen.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/jobs/retry", params(("tenant" = String, Path)),
    request_body = JobChoice, responses((status = 202, body = JobsChanged), (status = 404, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::api) async fn retry(
    api: Shared,
    Tenant(scope): Tenant,
    ApiJson(choice): ApiJson<JobChoice>,
) -> Result<(StatusCode, Json<JobsChanged>), ApiError> {
    let jobs = store::jobs_retry(&api.db, &scope, &choice.into()).await?;
    api.wakes.dispatcher.notify_one();
    Ok((StatusCode::ACCEPTED, Json(JobsChanged { jobs })))
}

/// Gives up all that wait for a person, may be given up and are chosen.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/jobs/drop", params(("tenant" = String, Path)),
    request_body = JobChoice, responses((status = 200, body = JobsChanged), (status = 404, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::api) async fn drop_all(
    api: Shared,
    Tenant(scope): Tenant,
    ApiJson(choice): ApiJson<JobChoice>,
) -> Result<Json<JobsChanged>, ApiError> {
    Ok(Json(JobsChanged { jobs: store::jobs_drop(&api.db, &scope, &choice.into()).await? }))
}
