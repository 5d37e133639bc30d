//! `/composite` and what is below it: many reads in one request.
//!
//! Here is the composite resource itself, whose parts may refer to earlier ones; `batch`, `graph` and
//! `collections` are its sisters.

mod batch;
mod collections;
mod graph;
mod reference;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

pub(super) use collections::collection;

use super::Answer;
use super::data::{Call, Context, dispatch};
use super::request::decode;
use reference::Earlier;

const MOST_PARTS: usize = 25;
const MOST_QUERIES: usize = 5;

/// Answers a request to `/composite` or below it.
pub(super) fn resource(context: Context<'_>, call: Call<'_>, steps: &[&str]) -> Answer {
    match (steps, call.method) {
        ([], "POST") => composite(context, call),
        (["batch"], "POST") => batch::batch(context, call),
        (["graph"], "POST") => graph::graph(context, call),
        (["sobjects", object], "GET" | "POST") => collection(context, call, object),
        ([] | ["batch" | "graph"], other) => Answer::method_not_allowed(other, "POST"),
        (["sobjects", _], other) => Answer::method_not_allowed(other, "GET,HEAD,POST"),
        _ => Answer::not_found(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composite {
    #[serde(default)]
    all_or_none: bool,
    composite_request: Vec<Part>,
}

/// One part of a composite request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    method: String,
    url: String,
    reference_id: String,
    #[serde(default)]
    http_headers: std::collections::HashMap<String, String>,
    #[serde(default)]
    body: Option<serde_json::Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartAnswer {
    body: Option<Box<RawValue>>,
    http_headers: serde_json::Map<String, serde_json::Value>,
    http_status_code: u16,
    reference_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Responses {
    composite_response: Vec<PartAnswer>,
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Answer> {
    serde_json::from_slice(body)
        .map_err(|error| Answer::error(400, "JSON_PARSER_ERROR", &format!("Unexpected JSON: {error}")))
}

/// `POST /composite`
fn composite(context: Context<'_>, call: Call<'_>) -> Answer {
    let request: Composite = match parsed(call.body) {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    if let Some(refused) = refuse(&request) {
        return refused;
    }
    let (parts, _) = run_all(context, &request.composite_request, request.all_or_none);
    Answer::ordered(200, &Responses { composite_response: parts })
}

/// Runs parts in order: their answers, and whether all went well.
fn run_all(context: Context<'_>, parts: &[Part], all_or_none: bool) -> (Vec<PartAnswer>, bool) {
    let mut earlier = Earlier::default();
    let mut answers: Vec<Answer> = Vec::with_capacity(parts.len());
    for part in parts {
        let answer = run(context, part, &earlier);
        if answer.status < 400 {
            earlier.note(&part.reference_id, &answer.body);
        }
        answers.push(answer);
    }
    let good = answers.iter().all(|answer| answer.status < 400);
    let written =
        answers.into_iter().zip(parts).map(|(answer, part)| written(answer, part, all_or_none && !good));
    (written.collect(), good)
}

fn refuse(request: &Composite) -> Option<Answer> {
    let parts = &request.composite_request;
    let is_query = |part: &&Part| part.url.contains("/query") || part.url.contains("/composite/sobjects");
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
    let is_word = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if let Some(wrong) = names.iter().find(|name| !is_word(name)) {
        let message = format!("Provided referenceId ('{wrong}') must be letters, digits and underscores");
        return Some(Answer::error(400, "INVALID_INPUT", &message));
    }
    names.sort_unstable();
    let repeated = names.windows(2).find(|pair| pair[0] == pair[1]);
    repeated.map(|pair| {
        Answer::error(400, "INVALID_INPUT", &format!("Duplicate ReferenceId provided: {}", pair[0]))
    })
}

fn run(context: Context<'_>, part: &Part, earlier: &Earlier) -> Answer {
    let body = part.body.as_ref().map(ToString::to_string).unwrap_or_default();
    let (url, body) = match (earlier.fill(&part.url), earlier.fill(&body)) {
        (Ok(url), Ok(body)) => (url, body),
        (Err(message), _) | (_, Err(message)) => return Answer::error(400, "PROCESSING_HALTED", &message),
    };
    let (path, params) = url.split_once('?').unwrap_or((&url, ""));
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
        headers: &header,
        body: body.as_bytes(),
        is_part: true,
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
