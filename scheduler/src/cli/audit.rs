//! Verbs about the audit log. They ask the API, as all verbs do.

use clap::Subcommand;
use reqwest::Method;

use super::ApiArguments;
use super::client::{ask, print};
use super::own::Exit;
use super::verbs::rows;

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Who did what to what, the newest first.
    List {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// So many events, at most 200.
        #[arg(long, default_value_t = 50)]
        limit: u16,
    },
    /// Check that no event was changed or removed; the exit code is 1 if one was.
    Verify {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// An event that was noted elsewhere, as NUMBER:HASH.
        #[arg(long)]
        anchor: Option<String>,
    },
}

const EVENTS: &[(&str, &str)] = &[
    ("N", "seq"),
    ("AT", "at"),
    ("WHO", "actor"),
    ("KEY", "key_name"),
    ("ACTION", "action"),
    ("CONNECTION", "connection_id"),
    ("OBJECT", "object_id"),
    ("DETAILS", "details"),
];
const VERIFIED: &[(&str, &str)] = &[
    ("INTACT", "intact"),
    ("EVENTS", "events"),
    ("HEAD", "head"),
    ("BROKEN AT", "broken_at"),
    ("WHY", "broken"),
];

pub(super) async fn audit(api: &ApiArguments, command: AuditCommand) -> Result<(), Exit> {
    match command {
        AuditCommand::List { tenant, limit } => {
            let answer =
                ask(api, Method::GET, &format!("/v1/tenants/{tenant}/audit?limit={limit}"), None).await?;
            print(api, &answer, rows(&answer, "events"), EVENTS);
        }
        AuditCommand::Verify { tenant, anchor } => {
            let anchor = anchor.map(|anchor| parse_anchor(&anchor)).transpose()?.unwrap_or_default();
            let path = format!("/v1/tenants/{tenant}/audit/verify{anchor}");
            let answer = ask(api, Method::GET, &path, None).await?;
            print(api, &answer, std::slice::from_ref(&answer), VERIFIED);
            if answer["intact"] != true {
                return Err(Exit::Failed(anyhow::anyhow!("the audit log is not as it was written")));
            }
        }
    }
    Ok(())
}

fn parse_anchor(text: &str) -> Result<String, Exit> {
    let parts = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse::<u64>().ok()?, hash)));
    let Some((seq, hash)) = parts.filter(|(_, hash)| hash.chars().all(|c| c.is_ascii_hexdigit())) else {
        return Err(Exit::Config(format!(
            "{text} is no event.\nWhy: It is not a number, a colon and a hash.\nFix: Write it like 12:9f86d081…, as `audit list` shows them."
        )));
    };
    Ok(format!("?seq={seq}&hash={hash}"))
}
