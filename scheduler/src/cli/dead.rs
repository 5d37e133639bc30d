//! Verbs about messages that workers could not read. They ask the API, as all verbs do.

use clap::Subcommand;
use reqwest::Method;

use super::ApiArguments;
use super::client::{ask, print};
use super::own::Exit;

#[derive(Subcommand)]
pub(super) enum DeadCommand {
    /// Show the messages that were put aside. Any of them is a defect; no work is lost with them.
    List,
    /// Publish anew those that this build can read.
    Replay,
    /// Throw them away.
    Drop,
}

const MESSAGES: &[(&str, &str)] = &[
    ("QUEUE", "queue"),
    ("STATE", "state"),
    ("BYTES", "bytes"),
    ("TENANT", "tenant_id"),
    ("JOB", "job_id"),
    ("WHY", "why"),
];
const REPLAYED: &[(&str, &str)] = &[("REPLAYED", "replayed"), ("LEFT", "left")];

pub(super) async fn dead(api: &ApiArguments, command: DeadCommand) -> Result<(), Exit> {
    let (method, path) = match command {
        DeadCommand::List => (Method::GET, "/v1/dead"),
        DeadCommand::Replay => (Method::POST, "/v1/dead/replay"),
        DeadCommand::Drop => (Method::POST, "/v1/dead/drop"),
    };
    let answer = ask(api, method, path, None).await?;
    match answer["messages"].as_array() {
        Some(messages) => print(api, &answer, messages, MESSAGES),
        None => print(api, &answer, std::slice::from_ref(&answer), REPLAYED),
    }
    Ok(())
}
