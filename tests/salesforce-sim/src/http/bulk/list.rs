//! The list of jobs, newest first as the platform's own page shows them.

use serde_json::{Value, json};

use super::written;
use crate::http::Answer;
use crate::http::data::{Call, Context};
use crate::id::SfId;

/// Jobs of one page of the list.
const PAGE: usize = 1_000;

/// `GET /jobs/query`
pub(super) fn list(context: Context<'_>, call: Call<'_>) -> Answer {
    let filter = |name: &str| call.params.get(name).map(String::as_str);
    // Only query jobs exist here, and all of them run in parallel.
    let any = filter("jobType").is_none_or(|kind| kind == "V2Query")
        && filter("concurrencyMode").is_none_or(|mode| mode.eq_ignore_ascii_case("parallel"));
    let chunked = filter("isPkChunkingEnabled").map(|wanted| wanted.eq_ignore_ascii_case("true"));
    let start = match filter("queryLocator").map(offset) {
        None => 0,
        Some(Some(start)) => start,
        Some(None) => return Answer::error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    };
    let jobs = context.org.jobs();
    let mut found: Vec<Value> = jobs
        .all(context.now)
        .filter(|job| any && chunked.is_none_or(|wanted| job.request.chunked == wanted))
        .map(|job| Value::Object(summary(written(job, context.now, true))))
        .collect();
    found.reverse();
    let page: Vec<Value> = found.iter().skip(start).take(PAGE).cloned().collect();
    let next = (start + PAGE < found.len()).then(|| {
        let locator = SfId::new(*b"01g", *b"Rf", 0);
        // The platform's own sample says `ingest` here.
        format!("/services/data/{}/jobs/ingest?queryLocator={locator}-{}", context.version, start + PAGE)
    });
    Answer::json(200, &json!({"done": next.is_none(), "records": page, "nextRecordsUrl": next}))
}

/// The list tells less of a job than the job itself.
fn summary(mut job: serde_json::Map<String, Value>) -> serde_json::Map<String, Value> {
    for key in ["numberRecordsProcessed", "retries", "totalProcessingTime", "errorMessage"] {
        job.remove(key);
    }
    job
}

fn offset(locator: &str) -> Option<usize> {
    let (id, offset) = locator.rsplit_once('-')?;
    SfId::parse(id)?;
    offset.parse().ok()
}
