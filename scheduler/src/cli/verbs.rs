//! Verbs that ask the API.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{ask, print, say};
use super::control;
use super::limits;
use super::own::Exit;
use super::{ApiArguments, Output};

#[derive(Subcommand)]
pub(super) enum TenantCommand {
    /// Make a tenant.
    Create {
        /// Its name.
        name: String,
        /// How many days its tickets are kept from their last activity on (30).
        #[arg(long)]
        retention_days: Option<u16>,
    },
    /// List tenants.
    List,
    /// Make an API key of a tenant; it is shown once.
    Key {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The key's name.
        name: String,
        /// Let it change things, not only read.
        #[arg(long)]
        admin: bool,
    },
    /// List a tenant's API keys, without their secrets.
    Keys {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
    },
    /// Revoke an API key of a tenant: it opens nothing any more.
    RevokeKey {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The key's id (key_…), never the key itself.
        #[arg(value_name = "KEY_ID")]
        key_id: String,
    },
}

#[derive(Subcommand)]
pub(super) enum ConnectionCommand {
    /// Show what binds a connection, or change what is given.
    Limits(limits::Wanted),
    /// Connect an org. The credentials are proved at once.
    Create {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The connection's name.
        #[arg(long)]
        name: String,
        /// The org's My Domain URL.
        #[arg(long)]
        login_url: String,
        /// A JSON file like {"method": "client_credentials", "client_id": "…", "client_secret": "…"}; `-` for
        /// standard input. Secrets are not taken from the command line, where others could see them.
        #[arg(long)]
        auth: PathBuf,
    },
    /// List a tenant's connections.
    List {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
    },
    /// Replace a connection's credentials. They are proved first, and must lead to the same org.
    Credentials {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The org's My Domain URL, if it changes too.
        #[arg(long)]
        login_url: Option<String>,
        /// A JSON file as for `create`; `-` for standard input.
        #[arg(long)]
        auth: PathBuf,
        /// The connection (con_…).
        connection: String,
    },
    /// Prove a connection's credentials again.
    Check {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The connection (con_…).
        connection: String,
    },
}

#[derive(Subcommand)]
pub(super) enum SyncCommand {
    /// Keep an object of a connection fresh.
    Start {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The connection (con_…).
        #[arg(long, short)]
        connection: String,
        /// What a custom object is to a ticket.
        #[arg(long)]
        role: Option<String>,
        /// How often to read it, in seconds.
        #[arg(long)]
        interval_s: Option<i32>,
        /// API names, like Case.
        #[arg(required = true)]
        objects: Vec<String>,
    },
    /// List a connection's object syncs.
    List {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The connection (con_…).
        #[arg(long, short)]
        connection: String,
    },
    /// Change an object sync. What is here follows changed settings or another role by itself.
    Change {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// Whether it is wanted.
        #[arg(long)]
        enabled: Option<bool>,
        /// What it is to a ticket.
        #[arg(long)]
        role: Option<String>,
        /// How often to read it, in seconds.
        #[arg(long)]
        interval_s: Option<i32>,
        /// A JSON file with all of its settings.
        #[arg(long)]
        settings: Option<std::path::PathBuf>,
        /// The object sync (obj_…).
        object: String,
    },
    /// Sync an object's changes and deletions now.
    Now {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The object sync (obj_…).
        object: String,
        /// Also hold everything that is here against everything that Salesforce shows: a call for some thousand records.
        #[arg(long)]
        sweep: bool,
        /// Also read again everything that is here, for values of parents and for formulas.
        #[arg(long)]
        refresh: bool,
    },
    /// Read once more what Salesforce stamped since a moment, beside all else: what differs is repaired.
    Resync {
        #[command(flatten)]
        at: control::At,
        /// The moment, like 2026-11-01T00:00:00Z.
        #[arg(long)]
        from: String,
    },
    /// Call off what is being read beside changes: first loads, more of history, resyncs, sweeps, reading again.
    Cancel {
        #[command(flatten)]
        at: control::At,
    },
    /// Let one object begin anew: its first load is planned again, and what is here stays readable.
    Reset {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The object sync (obj_…).
        object: String,
    },
    /// Read one record now, with everything that belongs to it.
    Record {
        /// The tenant (ten_…).
        #[arg(long, short)]
        tenant: String,
        /// The connection (con_…).
        #[arg(long, short)]
        connection: String,
        /// Its id, the address of its page, or a ticket's number.
        record: String,
    },
}

const TENANTS: &[(&str, &str)] =
    &[("ID", "id"), ("NAME", "name"), ("STATE", "state"), ("CREATED", "created_at")];
const KEYS: &[(&str, &str)] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("ROLE", "role"),
    ("CREATED", "created_at"),
    ("ENDS", "expires_at"),
    ("REVOKED", "revoked_at"),
];
const CONNECTIONS: &[(&str, &str)] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("STATE", "state"),
    ("ORG", "org_id"),
    ("USER", "user_id"),
    ("ASK", "ask.what"),
];
const OBJECTS: &[(&str, &str)] = &[
    ("ID", "id"),
    ("OBJECT", "api_name"),
    ("ROLE", "role"),
    ("ENABLED", "enabled"),
    ("EVERY (S)", "interval_s"),
];
const STATUS: &[(&str, &str)] = &[
    ("ID", "id"),
    ("OBJECT", "api_name"),
    ("STATE", "state"),
    ("STORED", "stored"),
    ("EXPECTED", "expected"),
    ("SET ASIDE", "set_aside"),
    ("CALLS", "api_calls"),
    ("LINKED UP TO", "linked_known_to"),
    ("FRESHNESS", "freshness"),
];
const VERIFICATIONS: &[(&str, &str)] = &[
    ("OBJECT", "object_id"),
    ("BEGAN", "began_at"),
    ("WAY", "way"),
    ("CALLS", "calls"),
    ("THERE", "there"),
    ("SAME", "same"),
    ("LOST", "lost"),
    ("STALE", "stale"),
    ("UNDEAD", "undead"),
    ("EXTRA", "extra"),
    ("UNEXPLAINED", "unexplained"),
];

pub(super) async fn tenant(api: &ApiArguments, command: TenantCommand) -> Result<(), Exit> {
    match command {
        TenantCommand::Create { name, retention_days } => {
            let retention = retention_days.map_or_else(|| json!({}), |days| json!({ "ticket_days": days }));
            let body = json!({ "name": name, "retention": retention });
            let made = ask(api, Method::POST, "/v1/tenants", Some(&body)).await?;
            print(api, &made, std::slice::from_ref(&made), TENANTS);
        }
        TenantCommand::List => {
            let answer = ask(api, Method::GET, "/v1/tenants?limit=200", None).await?;
            print(api, &answer, rows(&answer, "tenants"), TENANTS);
        }
        TenantCommand::Key { tenant, name, admin } => {
            let role = if admin { "tenant_admin" } else { "tenant_reader" };
            let body = json!({ "name": name, "role": role });
            let made = ask(api, Method::POST, &format!("/v1/tenants/{tenant}/keys"), Some(&body)).await?;
            print(api, &made, std::slice::from_ref(&made), &[("ID", "id"), ("KEY (SHOWN ONCE)", "key")]);
        }
        TenantCommand::Keys { tenant } => {
            let answer = ask(api, Method::GET, &format!("/v1/tenants/{tenant}/keys"), None).await?;
            print(api, &answer, rows(&answer, "keys"), KEYS);
        }
        TenantCommand::RevokeKey { tenant, key_id } => {
            let path = format!("/v1/tenants/{tenant}/keys/{key_id}");
            let revoked = ask(api, Method::DELETE, &path, None).await?;
            print(api, &revoked, std::slice::from_ref(&revoked), KEYS);
        }
    }
    Ok(())
}

pub(super) async fn connection(api: &ApiArguments, command: ConnectionCommand) -> Result<(), Exit> {
    match command {
        ConnectionCommand::Create { tenant, name, login_url, auth } => {
            let body = json!({ "name": name, "login_url": login_url, "auth": read_auth(&auth)? });
            let made =
                ask(api, Method::POST, &format!("/v1/tenants/{tenant}/connections"), Some(&body)).await?;
            print(api, &made, std::slice::from_ref(&made), CONNECTIONS);
        }
        ConnectionCommand::List { tenant } => {
            let answer = ask(api, Method::GET, &format!("/v1/tenants/{tenant}/connections"), None).await?;
            print(api, &answer, rows(&answer, "connections"), CONNECTIONS);
        }
        ConnectionCommand::Credentials { tenant, login_url, auth, connection } => {
            let body = json!({ "login_url": login_url, "auth": read_auth(&auth)? });
            let path = format!("/v1/tenants/{tenant}/connections/{connection}/credentials");
            let changed = ask(api, Method::PUT, &path, Some(&body)).await?;
            print(api, &changed, std::slice::from_ref(&changed), CONNECTIONS);
        }
        ConnectionCommand::Limits(wanted) => limits::limits(api, &wanted).await?,
        ConnectionCommand::Check { tenant, connection } => {
            let path = format!("/v1/tenants/{tenant}/connections/{connection}/check");
            let checked = ask(api, Method::POST, &path, None).await?;
            print(api, &checked, std::slice::from_ref(&checked), CONNECTIONS);
        }
    }
    Ok(())
}

pub(super) async fn sync(api: &ApiArguments, command: SyncCommand) -> Result<(), Exit> {
    match command {
        SyncCommand::Start { tenant, connection, role, interval_s, objects } => {
            let path = format!("/v1/tenants/{tenant}/connections/{connection}/objects");
            let mut made = Vec::with_capacity(objects.len());
            for api_name in objects {
                let body = json!({ "api_name": api_name, "role": role, "interval_s": interval_s });
                made.push(ask(api, Method::POST, &path, Some(&body)).await?);
            }
            print(api, &Value::Array(made.clone()), &made, OBJECTS);
        }
        SyncCommand::List { tenant, connection } => {
            let path = format!("/v1/tenants/{tenant}/connections/{connection}/objects");
            let answer = ask(api, Method::GET, &path, None).await?;
            print(api, &answer, rows(&answer, "objects"), OBJECTS);
        }
        SyncCommand::Change { tenant, enabled, role, interval_s, settings, object } => {
            let fix =
                r#"Name a JSON file like {"facets": [{"name": "area", "path": "Area__c", "as": "text"}]}."#;
            let settings = settings.map(|file| read_json(&file, fix)).transpose()?;
            let path = format!("/v1/tenants/{tenant}/objects/{object}");
            let mut body = json!({});
            for (name, value) in [
                ("enabled", enabled.map(Value::from)),
                ("role", role.map(Value::from)),
                ("interval_s", interval_s.map(Value::from)),
                ("settings", settings),
            ] {
                if let Some(value) = value {
                    body[name] = value;
                }
            }
            let answer = ask(api, Method::PATCH, &path, Some(&body)).await?;
            print(api, &answer, std::slice::from_ref(&answer), OBJECTS);
        }
        SyncCommand::Now { tenant, object, sweep, refresh } => {
            let path = format!("/v1/tenants/{tenant}/objects/{object}/sync?sweep={sweep}&refresh={refresh}");
            let answer = ask(api, Method::POST, &path, None).await?;
            print(api, &answer, std::slice::from_ref(&answer), &[("OUTCOME", "outcome")]);
        }
        SyncCommand::Resync { at, from } => control::resync(api, &at, &from).await?,
        SyncCommand::Cancel { at } => control::cancel(api, &at).await?,
        SyncCommand::Reset { tenant, object } => control::reset(api, &tenant, &object).await?,
        SyncCommand::Record { tenant, connection, record } => {
            let path = format!("/v1/tenants/{tenant}/connections/{connection}/records/sync");
            let answer = ask(api, Method::POST, &path, Some(&json!({ "record": record }))).await?;
            let shown = [("RECORD", "record"), ("NUMBER ASKED FOR", "number")];
            print(api, &answer, std::slice::from_ref(&answer), &shown);
        }
    }
    Ok(())
}

pub(super) async fn status(api: &ApiArguments, tenant: &str) -> Result<(), Exit> {
    let answer = ask(api, Method::GET, &format!("/v1/tenants/{tenant}/status"), None).await?;
    let objects: Vec<Value> = rows(&answer, "connections")
        .iter()
        .flat_map(|connection| rows(connection, "objects"))
        .cloned()
        .collect();
    print(api, &answer, &objects, STATUS);
    if api.output == Output::Table {
        say(&format!(
            "{} tickets, {} messages, as of {}",
            answer["tickets"], answer["messages"], answer["as_of"]
        ));
        for object in objects.iter().filter(|object| !object["reprojecting"].is_null()) {
            let told = &object["reprojecting"];
            say(&format!(
                "{}: {} of about {} projected anew",
                object["api_name"].as_str().unwrap_or_default(),
                told["done"],
                told["of"]
            ));
        }
    }
    Ok(())
}

pub(super) async fn verifications(
    api: &ApiArguments,
    tenant: &str,
    object: Option<String>,
) -> Result<(), Exit> {
    let of = object.map(|object| format!("&object={object}")).unwrap_or_default();
    let path = format!("/v1/tenants/{tenant}/verifications?limit=200{of}");
    let answer = ask(api, Method::GET, &path, None).await?;
    print(api, &answer, rows(&answer, "verifications"), VERIFICATIONS);
    Ok(())
}

pub(super) fn rows<'a>(answer: &'a Value, list: &str) -> &'a [Value] {
    answer.get(list).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn read_auth(file: &std::path::Path) -> Result<Value, Exit> {
    read_json(
        file,
        r#"Name a JSON file like {"method": "client_credentials", "client_id": "…", "client_secret": "…"}."#,
    )
}

fn read_json(file: &std::path::Path, fix: &str) -> Result<Value, Exit> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|content| text = content)
    };
    let unusable =
        |what: &str, why: String| Exit::Config(format!("{} {what}.\nWhy: {why}\nFix: {fix}", file.display()));
    read.map_err(|error| unusable("cannot be read", format!("{error}.")))?;
    // With the place only: the parser's own message would quote the secret.
    serde_json::from_str(&text).map_err(|error| {
        unusable(
            "is not JSON",
            format!("It is not well formed at line {}, column {}.", error.line(), error.column()),
        )
    })
}
