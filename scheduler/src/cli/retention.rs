//! Verbs about how long tickets are kept. They ask the API, as all verbs do.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{ask, print, say};
use super::own::Exit;
use super::{ApiArguments, Output};

#[derive(Subcommand)]
pub(super) enum TicketCommand {
    /// Keep a ticket for longer, because somebody works with it.
    Hold {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// Why, in a few words; nothing of a customer belongs into it.
        #[arg(long)]
        reason: String,
        /// The ticket (obj_….500…).
        ticket: String,
    },
    /// Release a ticket's hold.
    Release {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The ticket (obj_….500…).
        ticket: String,
    },
}

#[derive(Subcommand)]
pub(super) enum RetentionCommand {
    /// Show the policy, what is here by age, and what goes next.
    Show {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
    },
    /// Show what would go by another policy; nothing goes.
    Preview(Wanted),
    /// Put another policy in force. What is due by it goes with the next purge.
    Set(Wanted),
}

/// A policy; what is not given stays as it is.
#[derive(Args)]
pub(super) struct Wanted {
    /// The tenant (ten_…).
    #[arg(long, short)]
    tenant: String,
    /// Days that tickets are kept, from their last activity on.
    #[arg(long)]
    tickets: Option<u16>,
    /// Days that tickets under a hold are kept, from their last activity on.
    #[arg(long)]
    held: Option<u16>,
    /// Days that bodies of files are kept, from when they were loaded on.
    #[arg(long)]
    attachments: Option<u16>,
}

const HOLD: &[(&str, &str)] = &[
    ("TICKET", "ticket_id"),
    ("HELD", "held"),
    ("REASON", "reason"),
    ("EXPIRES", "expires_at"),
    ("HERE", "is_here"),
];
const POLICY: &[(&str, &str)] = &[
    ("TICKETS (DAYS)", "policy.ticket_days"),
    ("HELD (DAYS)", "policy.held_days"),
    ("ATTACHMENTS (DAYS)", "policy.attachment_days"),
    ("TICKETS THAT GO", "would_go.tickets"),
    ("HELD THAT GO", "would_go.held"),
    ("ATTACHMENTS THAT GO", "would_go.attachments"),
];
const AGES: &[(&str, &str)] = &[("CLASS", "class"), ("UP TO (DAYS)", "up_to_days"), ("TICKETS", "tickets")];

pub(super) async fn ticket(api: &ApiArguments, command: TicketCommand) -> Result<(), Exit> {
    let answer = match command {
        TicketCommand::Hold { tenant, reason, ticket } => {
            let path = format!("/v1/tenants/{tenant}/tickets/{ticket}/hold");
            ask(api, Method::PUT, &path, Some(&json!({ "reason": reason }))).await?
        }
        TicketCommand::Release { tenant, ticket } => {
            ask(api, Method::DELETE, &format!("/v1/tenants/{tenant}/tickets/{ticket}/hold"), None).await?
        }
    };
    print(api, &answer, std::slice::from_ref(&answer), HOLD);
    Ok(())
}

pub(super) async fn retention(api: &ApiArguments, command: RetentionCommand) -> Result<(), Exit> {
    let answer = match command {
        RetentionCommand::Show { tenant } => ask(api, Method::GET, &path(&tenant), None).await?,
        RetentionCommand::Preview(wanted) => {
            let policy = policy(api, &wanted).await?;
            ask(api, Method::POST, &format!("{}/preview", path(&wanted.tenant)), Some(&policy)).await?
        }
        RetentionCommand::Set(wanted) => {
            let policy = policy(api, &wanted).await?;
            ask(api, Method::PUT, &path(&wanted.tenant), Some(&policy)).await?
        }
    };
    print(api, &answer, std::slice::from_ref(&answer), POLICY);
    if api.output == Output::Table && answer.get("kept").is_some() {
        print(api, &answer, &ages(&answer), AGES);
        if let Some(next) = answer["next_purge_at"].as_str() {
            say(&format!("what is due goes at {next}"));
        }
    }
    Ok(())
}

/// The policy in force, with what is wanted otherwise.
async fn policy(api: &ApiArguments, wanted: &Wanted) -> Result<Value, Exit> {
    let mut policy = ask(api, Method::GET, &path(&wanted.tenant), None).await?["policy"].take();
    let given = [
        ("ticket_days", wanted.tickets),
        ("held_days", wanted.held),
        ("attachment_days", wanted.attachments),
    ];
    for (name, days) in given {
        if let Some(days) = days {
            policy[name] = json!(days);
        }
    }
    Ok(policy)
}

fn path(tenant: &str) -> String {
    format!("/v1/tenants/{tenant}/retention")
}

/// One row for each class and age.
fn ages(answer: &Value) -> Vec<Value> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    list(answer, "kept")
        .iter()
        .flat_map(|kept| {
            list(kept, "by_age").into_iter().map(|mut aged| {
                aged["class"] = kept["class"].clone();
                aged
            })
        })
        .collect()
}
