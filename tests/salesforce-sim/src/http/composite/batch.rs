//! `/composite/batch`: requests one after the other, each of which counts.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::parsed;
use crate::http::Answer;
use crate::http::data::{Call, Context, dispatch};
use crate::http::request::decode;
use crate::http::versions::{self, Judgement};

const MOST: usize = 25;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(default)]
    halt_on_error: bool,
    batch_requests: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    method: String,
    url: String,
    #[serde(default)]
    rich_input: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemAnswer {
    status_code: u16,
    result: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchAnswer {
    has_errors: bool,
    results: Vec<ItemAnswer>,
}

/// `POST /composite/batch`
pub(super) fn batch(context: Context<'_>, call: Call<'_>) -> Answer {
    let batch: Batch = match parsed(call.body) {
        Ok(batch) => batch,
        Err(answer) => return answer,
    };
    if batch.batch_requests.len() > MOST {
        let message = format!("The number of subrequests must be at most {MOST}");
        return Answer::error(400, "LIMIT_EXCEEDED", &message);
    }
    let mut results = Vec::with_capacity(batch.batch_requests.len());
    let (mut failed, mut first) = (false, true);
    for item in &batch.batch_requests {
        let answer = if failed && batch.halt_on_error {
            let message = "The batch was halted because an earlier subrequest failed";
            Answer::error(412, "BATCH_PROCESSING_HALTED", message)
        } else {
            // The request itself has been counted once.
            let spent = std::mem::take(&mut first) || context.org.spend_call();
            if spent { run(context, item) } else { Answer::total_requests_exceeded() }
        };
        failed |= answer.status >= 400;
        results.push(ItemAnswer {
            status_code: answer.status,
            result: serde_json::from_slice(&answer.body).ok(),
        });
    }
    Answer::ordered(200, &BatchAnswer { has_errors: failed, results })
}

fn run(context: Context<'_>, item: &Item) -> Answer {
    let (path, params) = item.url.split_once('?').unwrap_or((&item.url, ""));
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
    let steps = steps.strip_prefix(&["services", "data"]).unwrap_or(&steps);
    let Some((version, rest)) = steps.split_first() else {
        return Answer::not_found();
    };
    let (Judgement::Served(number) | Judgement::Deprecated(number)) =
        versions::judge(version, context.version_number)
    else {
        return Answer::not_found();
    };
    let params = decode(params.as_bytes());
    let body = item.rich_input.as_ref().map(ToString::to_string).unwrap_or_default();
    let call = Call {
        method: &item.method.to_uppercase(),
        steps: rest,
        params: &params,
        headers: &|_| None,
        body: body.as_bytes(),
        is_part: true,
    };
    dispatch(Context { version, version_number: number, ..context }, call)
}
