//! Verbs that hold reading up and let it go on. They ask the API, as all verbs do.

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::ApiArguments;
use super::client::{ask, print};
use super::own::Exit;

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
    shown(api, &ask(api, Method::PUT, &at.path("pause"), None).await?, PAUSE)
}

pub(super) async fn resume(api: &ApiArguments, at: &At) -> Result<(), Exit> {
    shown(api, &ask(api, Method::DELETE, &at.path("pause"), None).await?, PAUSE)
}

fn shown(api: &ApiArguments, answer: &Value, columns: &[(&str, &str)]) -> Result<(), Exit> {
    print(api, answer, std::slice::from_ref(answer), columns);
    Ok(())
}
