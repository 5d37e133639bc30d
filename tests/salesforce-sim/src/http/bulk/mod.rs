//! Bulk API 2.0 query jobs: `/jobs/query` and what is below it.
//!
//! Ingest jobs are no part of the simulator: a client that only reads never makes one.

mod create;
mod list;
mod results;

use serde_json::{Map, Value, json};

use super::Answer;
use super::data::{Call, Context};
use crate::id::SfId;
use crate::org::jobs::{Job, JobState};
use crate::time;

/// The oldest version that has query jobs.
const FIRST_VERSION: u32 = 47;
/// The oldest version that lists parallel result pages.
const FIRST_WITH_PAGES: u32 = 58;

/// Answers a request below `/jobs/query`.
pub(super) fn dispatch(context: Context<'_>, call: Call<'_>, steps: &[&str]) -> Answer {
    if context.version_number < FIRST_VERSION {
        return Answer::not_found();
    }
    match (steps, call.method) {
        ([], "POST") => create::create(context, call),
        ([], "GET") => list::list(context, call),
        ([], other) => Answer::method_not_allowed(other, "GET,HEAD,POST"),
        ([id], method) => one(context, call, id, method),
        ([id, "results"], "GET") => with_job(context, id, |job| results::set(context, call, job)),
        ([id, "resultPages"], "GET") if context.version_number >= FIRST_WITH_PAGES => {
            with_job(context, id, |job| results::pages(context, call, &job))
        }
        ([_, "results" | "resultPages"], other) => Answer::method_not_allowed(other, "GET,HEAD"),
        _ => Answer::not_found(),
    }
}

fn with_job(context: Context<'_>, id: &str, then: impl FnOnce(Job) -> Answer) -> Answer {
    let found = SfId::parse(id).and_then(|id| context.org.jobs().find(id, context.now).cloned());
    found.map_or_else(Answer::not_found, then)
}

fn one(context: Context<'_>, call: Call<'_>, id: &str, method: &str) -> Answer {
    with_job(context, id, |job| match method {
        "GET" => Answer::json(200, &written(&job, context.now, true).into()),
        "PATCH" => abort(context, call, &job),
        "DELETE" => delete(context, &job),
        other => Answer::method_not_allowed(other, "DELETE,GET,HEAD,PATCH"),
    })
}

fn abort(context: Context<'_>, call: Call<'_>, job: &Job) -> Answer {
    let wanted: Option<Value> = serde_json::from_slice(call.body).ok();
    let state = wanted.as_ref().and_then(|body| body.get("state")).and_then(Value::as_str);
    if state != Some(JobState::Aborted.name()) {
        let message = "InvalidJob : Only the state Aborted can be set on a query job";
        return Answer::error(400, "INVALIDJOB", message);
    }
    let aborted = context.org.jobs().abort(job.id, context.now).cloned();
    aborted.map_or_else(
        || Answer::error(400, "INVALIDJOBSTATE", "Aborting already Completed Job not allowed"),
        |job| Answer::json(200, &written(&job, context.now, false).into()),
    )
}

fn delete(context: Context<'_>, job: &Job) -> Answer {
    if !job.state(context.now).is_final() {
        let message = "Error encountered when deleting the job because the job is not terminated";
        return Answer::error(400, "API_ERROR", message);
    }
    context.org.jobs().delete(job.id);
    Answer::empty(204)
}

/// A job as JSON. What it has done so far is told when it is asked for, not when it is created or given up.
fn written(job: &Job, now: i64, with_progress: bool) -> Map<String, Value> {
    let request = &job.request;
    let state = job.state(now);
    let instant = |millis| {
        let mut text = Vec::new();
        time::write_instant(&mut text, millis);
        json!(String::from_utf8_lossy(&text))
    };
    let operation = if request.with_deleted { "queryAll" } else { "query" };
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| _ = map.insert(key.to_owned(), value);
    put("id", json!(job.id.as_str()));
    put("operation", json!(operation));
    put("object", json!(request.object));
    put("createdById", json!(request.by.as_str()));
    put("createdDate", instant(job.created_at));
    put("systemModstamp", instant(job.changed_at(now)));
    put("state", json!(state.name()));
    put("concurrencyMode", json!("Parallel"));
    put("contentType", json!("CSV"));
    put("apiVersion", json!(f64::from(request.api_version)));
    put("lineEnding", json!(request.format.line_ending));
    put("columnDelimiter", json!(request.format.delimiter.0));
    if with_progress {
        put("jobType", json!("V2Query"));
        put("numberRecordsProcessed", json!(job.processed(now)));
        put("retries", json!(request.retries));
        put("totalProcessingTime", json!(job.processing_ms(now)));
        put("isPkChunkingSupported", json!(request.chunked));
        if let (JobState::Failed, Some(message)) = (state, &request.failure) {
            put("errorMessage", json!(message));
        }
    }
    map
}
