//! Verbs about records set aside. They ask the API, as all verbs do.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::ApiArguments;
use super::client::{ask, print};
use super::own::Exit;
use super::verbs::rows;

#[derive(Subcommand)]
pub(super) enum QuarantineCommand {
    /// Which records were set aside, why, and of which shape the value at fault is.
    List {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// So many records, at most 200.
        #[arg(long, default_value_t = 50)]
        limit: u16,
    },
    /// Try again now what was set aside, from its sealed bytes.
    Retry {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// Of this object sync alone (obj_…).
        #[arg(long)]
        object: Option<String>,
    },
}

const RECORDS: &[(&str, &str)] = &[
    ("OBJECT", "object_id"),
    ("RECORD", "record"),
    ("WHY", "reason"),
    ("FIELD", "field"),
    ("SAMPLE", "sample"),
    ("READ", "read_at"),
    ("TRIES", "tries"),
    ("TRIED", "tried_at"),
];
const RETRIED: &[(&str, &str)] = &[("OBJECT", "object")];

pub(super) async fn quarantine(api: &ApiArguments, command: QuarantineCommand) -> Result<(), Exit> {
    match command {
        QuarantineCommand::List { tenant, limit } => {
            let path = format!("/v1/tenants/{tenant}/quarantine?limit={limit}");
            let answer = ask(api, Method::GET, &path, None).await?;
            print(api, &answer, rows(&answer, "records"), RECORDS);
        }
        QuarantineCommand::Retry { tenant, object } => {
            let of = object.map(|object| format!("?object={object}")).unwrap_or_default();
            let path = format!("/v1/tenants/{tenant}/quarantine/retry{of}");
            let answer = ask(api, Method::POST, &path, None).await?;
            let objects: Vec<Value> =
                rows(&answer, "objects").iter().map(|object| json!({ "object": object })).collect();
            print(api, &answer, &objects, RETRIED);
        }
    }
    Ok(())
}
