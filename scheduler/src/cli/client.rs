//! The command line's way to the API.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;

use super::own::Exit;
use super::{ApiArguments, Output, table};
use crate::api::problem::Problem;

/// Creating a connection asks Salesforce three times.
const TIMEOUT: Duration = Duration::from_mins(3);

/// Asks the API; gives its answer.
pub(super) async fn ask(
    api: &ApiArguments,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Exit> {
    let url = format!("{}{path}", api.url.trim_end_matches('/'));
    let client = Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Exit::Failed(error.into()))?;
    let mut request = client.request(method, &url).bearer_auth(key(api)?);
    if let Some(body) = body {
        request = request.json(body);
    }
    let unreachable = |error: reqwest::Error| {
        Exit::Unreachable(format!(
            "The API at {} cannot be reached.\nWhy: {}.\nFix: Check that the scheduler runs, or name it with --api.",
            api.url,
            crate::rounds::chain(&error.without_url())
        ))
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(unreachable)?;
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(|_| not_refrain(api, "Its answer is not JSON."));
    }
    Err(match serde_json::from_slice::<Problem>(&bytes) {
        Ok(Problem { what, why, fix, code, .. }) => {
            Exit::Refused(format!("{what}\nWhy: {why}\nFix: {fix}\n[{code}]"))
        }
        Err(_) => not_refrain(api, &format!("It answered {status} without a problem document.")),
    })
}

fn not_refrain(api: &ApiArguments, why: &str) -> Exit {
    Exit::Refused(format!(
        "{} answers, but not as Refrain does.\nWhy: {why}\nFix: Name the scheduler's own address with --api; a proxy may \
         stand before it.",
        api.url
    ))
}

/// Prints an answer: rows of `list` as columns, or the answer itself.
pub(super) fn print(api: &ApiArguments, answer: &Value, rows: &[Value], columns: &[(&str, &str)]) {
    let text = match api.output {
        Output::Json => serde_json::to_string_pretty(answer).unwrap_or_default(),
        Output::Table => table::render(rows, columns),
    };
    say(text.trim_end());
}

/// Prints one line or more to standard output.
pub(super) fn say(text: &str) {
    use std::io::Write as _;
    // A reader that has gone away (a closed pipe) is no failure.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn key(api: &ApiArguments) -> Result<String, Exit> {
    if let Some(key) = &api.key {
        return Ok(key.trim().to_owned());
    }
    std::fs::read_to_string(&api.key_file).map(|text| text.trim().to_owned()).map_err(|error| {
        Exit::Config(format!(
            "There is no API key.\nWhy: {} cannot be read: {error}.\nFix: Set REFRAIN_API_KEY, or name the file with \
             --key-file; `scheduler serve` makes it at its first start.",
            api.key_file.display()
        ))
    })
}
