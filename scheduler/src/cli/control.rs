//! Verbs that hold reading up, let it go on, call it off, and have a part of it or all of it done once more. They ask the
//! API, as all verbs do.

use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::client::{ask, print, say};
use super::own::Exit;
use super::{ApiArguments, Output};

/// A tenant, or one of its connections or objects.
#[derive(Args)]
pub(super) struct At {
    /// The tenant (ten_…).
    #[arg(long, short)]
    tenant: String,
    /// Of it this connection alone (con_…).
    #[arg(long, short)]
    connection: Option<String>,
    /// Of it this object sync alone (obj_…).
    #[arg(long, conflicts_with = "connection")]
    object: Option<String>,
}

impl At {
    fn path(&self, operation: &str) -> String {
        let Self { tenant, connection, object } = self;
        match (connection, object) {
            (Some(connection), _) => format!("/v1/tenants/{tenant}/connections/{connection}/{operation}"),
            (None, Some(object)) => format!("/v1/tenants/{tenant}/objects/{object}/{operation}"),
            (None, None) => format!("/v1/tenants/{tenant}/{operation}"),
        }
    }
}

const PAUSE: &[(&str, &str)] = &[("LEVEL", "level"), ("PAUSED", "paused"), ("SINCE", "since"), ("BY", "by")];

pub(super) async fn pause(api: &ApiArguments, at: &At) -> Result<(), Exit> {
    set(api, at, Method::PUT).await
}

pub(super) async fn resume(api: &ApiArguments, at: &At) -> Result<(), Exit> {
    set(api, at, Method::DELETE).await
}

const RESYNC: &[(&str, &str)] = &[("OBJECT", "id"), ("LEFT OUT", "left_out")];

pub(super) async fn resync(api: &ApiArguments, at: &At, from: &str) -> Result<(), Exit> {
    let answer = ask(api, Method::POST, &at.path("resync"), Some(&json!({ "from": from }))).await?;
    print(api, &answer, answer["objects"].as_array().map_or(&[], Vec::as_slice), RESYNC);
    Ok(())
}

const CANCEL: &[(&str, &str)] = &[("OBJECT", "id"), ("CANCELLED", "what")];

pub(super) async fn cancel(api: &ApiArguments, at: &At) -> Result<(), Exit> {
    let answer = ask(api, Method::POST, &at.path("cancel"), None).await?;
    print(api, &answer, answer["objects"].as_array().map_or(&[], Vec::as_slice), CANCEL);
    if api.output == Output::Table {
        say(&format!("{} cancelled", answer["cancelled"]));
    }
    Ok(())
}

pub(super) async fn reset(api: &ApiArguments, tenant: &str, object: &str) -> Result<(), Exit> {
    let path = format!("/v1/tenants/{tenant}/objects/{object}/reset");
    let answer = ask(api, Method::POST, &path, None).await?;
    print(api, &answer, std::slice::from_ref(&answer), &[("OBJECT", "id"), ("STATE", "state")]);
    Ok(())
}

async fn set(api: &ApiArguments, at: &At, method: Method) -> Result<(), Exit> {
    let answer = ask(api, method, &at.path("pause"), None).await?;
    print(api, &answer, std::slice::from_ref(&answer), PAUSE);
    Ok(())
}
