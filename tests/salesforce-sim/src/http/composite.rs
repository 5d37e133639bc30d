//! `/composite`: up to 25 reads in one counted call.

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::Answer;
use super::data::{Call, Context, dispatch};
use super::request::decode;

const MOST_PARTS: usize = 25;
const MOST_QUERIES: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composite {
    #[serde(default)]
    all_or_none: bool,
    composite_request: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    method: String,
    url: String,
    reference_id: String,
    #[serde(default)]
    http_headers: std::collections::HashMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartAnswer {
    body: Option<Box<RawValue>>,
    http_headers: serde_json::Map<String, serde_json::Value>,
    http_status_code: u16,
    reference_id: String,
}

/// `POST /composite`
pub(super) fn composite(context: Context<'_>, call: Call<'_>) -> Answer {
    if call.method != "POST" {
        return Answer::method_not_allowed(call.method, "POST");
    }
    let request: Composite = match serde_json::from_slice(call.body) {
        Ok(request) => request,
        Err(error) => return Answer::error(400, "JSON_PARSER_ERROR", &format!("Unexpected JSON: {error}")),
    };
    if let Some(refused) = refuse(&request) {
        return refused;
    }
    let answers: Vec<(Answer, &Part)> =
        request.composite_request.iter().map(|part| (run(context, part), part)).collect();
    let failed = request.all_or_none && answers.iter().any(|(answer, _)| answer.status >= 400);
    let parts: Vec<PartAnswer> =
        answers.into_iter().map(|(answer, part)| written(answer, part, failed)).collect();
    Answer::json(200, &json!({"compositeResponse": parts}))
}

fn refuse(request: &Composite) -> Option<Answer> {
    let parts = &request.composite_request;
    let is_query = |part: &&Part| part.url.contains("/query");
    let name = |part: &Part| part.reference_id.clone();
    if parts.len() > MOST_PARTS {
        let message = format!("Limit of {MOST_PARTS} reached for operations in a composite request");
        return Some(Answer::error(400, "PROCESSING_HALTED", &message));
    }
    if parts.iter().filter(is_query).count() > MOST_QUERIES {
        let message = "Cannot have more than 5 query operations in a composite request";
        return Some(Answer::error(400, "PROCESSING_HALTED", message));
    }
    let mut names: Vec<String> = parts.iter().map(name).collect();
    names.sort_unstable();
    let repeated = names.windows(2).find(|pair| pair[0] == pair[1]);
    repeated.map(|pair| {
        Answer::error(400, "INVALID_INPUT", &format!("Duplicate ReferenceId provided: {}", pair[0]))
    })
}

fn run(context: Context<'_>, part: &Part) -> Answer {
    let (path, params) = part.url.split_once('?').unwrap_or((&part.url, ""));
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
    let ["services", "data", version, rest @ ..] = &steps[..] else {
        return Answer::not_found();
    };
    if *version != context.version {
        return Answer::error(
            400,
            "INVALID_INPUT",
            "All sub-requests must use the version of the composite request",
        );
    }
    let header = |name: &str| {
        let found = part.http_headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    // A plus sign is a blank here too; recorded clients also send raw blanks.
    let params = decode(params.as_bytes());
    let call = Call {
        method: &part.method.to_uppercase(),
        steps: rest,
        params: &params,
        modified_since: header("if-modified-since"),
        query_options: header("sforce-query-options"),
        content_type: None,
        body: &[],
    };
    dispatch(context, call)
}

fn written(answer: Answer, part: &Part, failed: bool) -> PartAnswer {
    let answer = if failed && answer.status < 400 {
        let message =
            "The transaction was rolled back since another operation in the same transaction failed.";
        Answer::error(400, "PROCESSING_HALTED", message)
    } else {
        answer
    };
    let headers = answer.headers.iter().map(|(name, value)| (name.clone().into_owned(), json!(value)));
    let body = String::from_utf8(answer.body).ok().filter(|body| !body.is_empty());
    PartAnswer {
        body: body.and_then(|body| RawValue::from_string(body).ok()),
        http_headers: headers.collect(),
        http_status_code: answer.status,
        reference_id: part.reference_id.clone(),
    }
}
