//! The verb about what a tenant allows us in its org. It asks the API, as all verbs do.

use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::ApiArguments;
use super::client::{ask, print};
use super::own::Exit;

/// What is allowed over a connection; what is not given stays as it is, and with nothing given it is shown only.
#[derive(Args)]
pub(super) struct Wanted {
    /// The tenant (ten_…).
    #[arg(long, short)]
    tenant: String,
    /// Calls at once, over all workers.
    #[arg(long)]
    lanes: Option<u32>,
    /// Calls a second in each lane.
    #[arg(long)]
    calls_per_second: Option<u32>,
    /// This connection's share of the org's daily calls, in percent.
    #[arg(long)]
    share: Option<u32>,
    /// What all connections of ours to the org may use of them together, in percent.
    #[arg(long)]
    cap: Option<u32>,
    /// What stays for others, in percent of the org's daily calls.
    #[arg(long)]
    reserve: Option<u32>,
    /// The connection (con_…).
    connection: String,
}

const LIMITS: &[(&str, &str)] = &[
    ("LANES", "in_force.lanes"),
    ("IN USE", "now.callers"),
    ("BORNE NOW", "now.lanes"),
    ("CALLS/S", "in_force.calls_per_second"),
    ("SHARE %", "in_force.share_percent"),
    ("CAP %", "in_force.cap_percent"),
    ("CALLS USED", "now.calls_used"),
    ("ALLOWED", "now.calls_allowed"),
    ("RESERVE %", "in_force.reserve_percent"),
    ("ORG USED", "now.org_used"),
    ("ORG ALLOWS", "now.org_allowed"),
];

pub(super) async fn limits(api: &ApiArguments, wanted: &Wanted) -> Result<(), Exit> {
    let path = format!("/v1/tenants/{}/connections/{}/limits", wanted.tenant, wanted.connection);
    let mut answer = ask(api, Method::GET, &path, None).await?;
    let given = [
        ("lanes", wanted.lanes),
        ("calls_per_second", wanted.calls_per_second),
        ("share_percent", wanted.share),
        ("cap_percent", wanted.cap),
        ("reserve_percent", wanted.reserve),
    ];
    if given.iter().any(|(_, value)| value.is_some()) {
        let mut limits = answer["wanted"].take();
        for (name, value) in given {
            if let Some(value) = value {
                limits[name] = json!(value);
            }
        }
        answer = ask(api, Method::PUT, &path, Some(&limits)).await?;
    }
    print(api, &answer, std::slice::from_ref(&answer), LIMITS);
    Ok(())
}
