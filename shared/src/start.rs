//! What both programs do before they serve, and what they say when they cannot: what, why and how to fix it.
//!
//! Joins configuration and edges, as [`crate::wiring`] does. Never prints an address with its password.

use std::net::SocketAddr;

use sqlx::PgConnection;
use tokio::net::TcpListener;
use url::Url;

use crate::config::{Config, LogFormat};
use crate::crypto::{CryptoError, KeyRing};
use crate::error::{Classify as _, UserMessage};
use crate::salesforce::{ClientSettings, Http, HttpSettings};
use crate::storage::chunks::ChunkStore;
use crate::storage::control::login_options;
use crate::storage::keys::keys_probe;
use crate::storage::migrations::{self, SchemaState};
use crate::storage::{ConnectOptions, Database, StoreError};
use crate::telemetry::init_logs;
use crate::wiring;

/// Why a program ended before it served; the numbers are its exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something it needs is not there, or refuses.
    Failed = 1,
    /// The configuration is wrong, or names what cannot be used.
    Config = 2,
    /// The database's schema is not the one this build expects.
    Schema = 3,
}

/// A program that cannot start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotStart {
    /// How it ends.
    pub exit: Exit,
    /// What a person is told.
    pub message: UserMessage,
}

impl std::fmt::Display for CannotStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let UserMessage { code, what, why, fix } = &self.message;
        write!(f, "{what}\nWhy: {why}\nFix: {fix}\n[{code}]")
    }
}

impl std::error::Error for CannotStart {}

fn failed(
    code: &str,
    what: impl Into<String>,
    why: impl Into<String>,
    fix: impl Into<String>,
) -> CannotStart {
    CannotStart { exit: Exit::Failed, message: UserMessage::new(code, what, why, fix) }
}

/// Starts the log as the configuration says.
pub fn logs(config: &Config) -> Result<(), CannotStart> {
    init_logs(config.log.format == LogFormat::Json, &config.log.filter).map_err(|error| CannotStart {
        exit: Exit::Config,
        message: UserMessage::new(
            "log_filter",
            "The log cannot be started.",
            one_line(&error),
            "Write log.filter as directives like info or refrain_shared=debug.",
        ),
    })
}

/// Opens the login's own connection to PostgreSQL.
pub async fn database_connect(options: &ConnectOptions) -> Result<PgConnection, CannotStart> {
    let unusable = |why: String| CannotStart {
        exit: Exit::Config,
        message: UserMessage::new(
            "database_url",
            "database.url cannot be used.",
            why,
            "Write it as postgres://user:password@host:5432/database; ca_file must be PEM.",
        ),
    };
    // Without the library's own words, which may quote the address.
    let login = login_options(options).map_err(|_| unusable("It is no address of a database.".to_owned()))?;
    if let Some(file) = &options.ca_file {
        std::fs::metadata(file).map_err(|e| unusable(format!("{} cannot be read: {e}.", file.display())))?;
    }
    migrations::connect(login).await.map_err(|error| database_refusal(&error, &server(options)))
}

/// The server and database of an address, without user and password.
fn server(options: &ConnectOptions) -> String {
    Url::parse(options.url.expose()).map_or_else(
        |_| "the address in database.url".to_owned(),
        |url| {
            let port = url.port().unwrap_or(5432);
            format!("{}:{port}{}", url.host_str().unwrap_or("localhost"), url.path())
        },
    )
}

/// What a person is told of a connection to PostgreSQL that did not come about.
fn database_refusal(error: &sqlx::Error, server: &str) -> CannotStart {
    let said = |error: &dyn std::error::Error| one_line(error);
    match error {
        sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
            Some("28P01" | "28000") => failed(
                "database_login",
                format!("PostgreSQL at {server} refused the login."),
                "User or password in database.url are wrong, or pg_hba.conf does not let this user in.",
                "Correct database.url (or the secret file that it comes from), then start again.",
            ),
            Some("3D000") => failed(
                "database_missing",
                format!("PostgreSQL has no database for {server}."),
                "The database named in database.url was never made, or has another name.",
                "Create it, or correct database.url; then run `scheduler migrate`.",
            ),
            _ => failed(
                "database_refused",
                format!("PostgreSQL at {server} refused the connection."),
                said(error),
                "Look at the server's log; too many connections or a server that is starting pass by themselves.",
            ),
        },
        sqlx::Error::Tls(_) => failed(
            "database_certificate",
            format!("The TLS connection to PostgreSQL at {server} was not made."),
            format!("Its certificate is not trusted, has another name, or it speaks no TLS: {}", said(error)),
            "Name the CA that signed the server's certificate in database.ca_file, and the host as the certificate \
             does.",
        ),
        _ => failed(
            "database_unreachable",
            format!("PostgreSQL cannot be reached at {server}."),
            format!("The server is down, the network is cut, or the address is wrong: {}", said(error)),
            "Check that the server runs and that database.url names it, then start again.",
        ),
    }
}

/// An error and its causes, on one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    let text = text.replace(['\n', '\r'], " ");
    if text.ends_with('.') { text } else { format!("{text}.") }
}

/// Refuses a schema that this build does not expect.
pub async fn schema_check(options: &ConnectOptions) -> Result<(), CannotStart> {
    let mut connection = database_connect(options).await?;
    let state = migrations::schema_state(&mut connection).await;
    migrations::close(connection).await;
    match state.map_err(|error| database_refusal(&error, &server(options)))? {
        SchemaState::Current => Ok(()),
        SchemaState::Ahead(version) => Err(schema_ahead(version)),
        SchemaState::Behind(missing) => Err(CannotStart {
            exit: Exit::Schema,
            message: UserMessage::new(
                "schema_behind",
                format!("The database's schema is {missing} migration(s) behind this build."),
                "Programs never change the schema by themselves, so that a rollout cannot surprise a database.",
                "Run `scheduler migrate` with this build, then start again.",
            ),
        }),
    }
}

/// What is said of a schema that a newer build has made.
#[must_use]
pub fn schema_ahead(version: i64) -> CannotStart {
    CannotStart {
        exit: Exit::Schema,
        message: UserMessage::new(
            "schema_ahead",
            format!("The database's schema has version {version}, which this build does not know."),
            "A newer build has migrated it; an older one might write what the newer cannot read.",
            "Start a build at least as new as the one that migrated.",
        ),
    }
}

/// The key ring of the configuration.
pub fn key_ring(config: &Config) -> Result<KeyRing, CannotStart> {
    KeyRing::load(&config.keys.file).map_err(|error| key_ring_unusable(config, &error))
}

/// What is said of a key ring that cannot be read or made.
#[must_use]
pub fn key_ring_unusable(config: &Config, error: &CryptoError) -> CannotStart {
    CannotStart {
        exit: Exit::Config,
        message: UserMessage::new(
            "key_ring",
            format!("The key ring {} cannot be used.", config.keys.file.display()),
            format!("{}.", error.to_string().trim_end_matches('.')),
            "Name the key ring in keys.file, readable by this user only. Without the ring that was in use before, no \
             tenant's data can be read: restore it from its backup, and never make a new one in its place.",
        ),
    }
}

/// Refuses a key ring that does not open the keys which tenants have: with it every job would stop.
pub async fn key_ring_check(db: &Database, ring: &KeyRing, config: &Config) -> Result<(), CannotStart> {
    match keys_probe(db, ring).await {
        Ok(()) => Ok(()),
        Err(StoreError::Crypto(error)) => Err(CannotStart {
            exit: Exit::Config,
            message: UserMessage::new(
                "key_ring_mismatch",
                format!(
                    "The key ring {} does not open the keys of this database's tenants.",
                    config.keys.file.display()
                ),
                format!("It is not the ring that sealed them, or lacks one of its keys: {error}."),
                "Start with the ring that was in use when the tenants were made; add new keys to it, never replace it.",
            ),
        }),
        Err(error) => Err(failed(
            error.code(),
            "The tenants' keys could not be looked at.",
            one_line(&error),
            "Check the database and its grants, then start again.",
        )),
    }
}

/// How to reach Salesforce, from the configuration.
pub fn salesforce(config: &Config) -> Result<(Http, ClientSettings, HttpSettings), CannotStart> {
    let unusable = |key: &str, why: String, fix: &str| CannotStart {
        exit: Exit::Config,
        message: UserMessage::new("salesforce_settings", format!("{key} cannot be used."), why, fix),
    };
    let pem = "Name a readable file of PEM certificates, or leave it out: public ones are always known.";
    let settings = wiring::http_settings(config)
        .map_err(|e| unusable("salesforce.ca_file", format!("It cannot be read: {e}."), pem))?;
    let http = Http::new(&settings).map_err(|e| unusable("salesforce.ca_file", one_line(&e), pem))?;
    let api_version = wiring::api_version(config)
        .map_err(|e| unusable("salesforce.api_version", one_line(&e), "Write it like 66.0."))?;
    Ok((http, ClientSettings { api_version, ..ClientSettings::default() }, settings))
}

/// Where bodies of files are kept.
pub fn chunk_store(config: &Config) -> Result<ChunkStore, CannotStart> {
    wiring::chunk_store(config).map_err(|error| CannotStart {
        exit: Exit::Config,
        message: UserMessage::new(
            "file_store",
            "The store for bodies of files cannot be used.",
            one_line(&*error),
            "Look at the section [files]: bucket, region, endpoint and ca_file.",
        ),
    })
}

/// Listens on an address that the configuration names under `key`.
pub async fn listen(address: SocketAddr, key: &str) -> Result<TcpListener, CannotStart> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::AddrInUse => "Another program listens there already.".to_owned(),
            std::io::ErrorKind::PermissionDenied => "This user may not listen there.".to_owned(),
            std::io::ErrorKind::AddrNotAvailable => "This machine has no such address.".to_owned(),
            _ => one_line(&error),
        };
        failed(
            "listen",
            format!("Nothing can be served on {address}."),
            why,
            format!("Free the port, or set {key} to another address."),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::storage::TlsMode;

    fn options(url: &str) -> ConnectOptions {
        ConnectOptions {
            url: Secret::new(url.to_owned()),
            tls: TlsMode::Disable,
            ca_file: None,
            pool_size: 1,
        }
    }

    #[test]
    fn an_address_is_named_without_user_and_password() {
        assert_eq!(server(&options("postgres://me:hunter2@db.example/refrain")), "db.example:5432/refrain");
        assert_eq!(server(&options("postgres://me:hunter2@[::1]:5433/x?a=b")), "[::1]:5433/x");
        assert!(!server(&options("hunter2")).contains("hunter2"));
    }

    #[tokio::test]
    async fn an_unusable_address_is_a_matter_of_configuration_and_is_not_repeated() {
        let refused = database_connect(&options("postgres://me:hunter2@:what/")).await.unwrap_err();
        assert_eq!(refused.exit, Exit::Config);
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        for part in ["\nWhy: ", "\nFix: ", "[database_url]"] {
            assert!(refused.to_string().contains(part), "{refused}");
        }
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_apart_from_a_server_that_is_away() {
        let tls = database_refusal(&sqlx::Error::Tls("UnknownIssuer".into()), "db:5432/x");
        assert!(tls.message.fix.contains("database.ca_file"), "{tls}");
        let away =
            database_refusal(&sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into()), "db:5432/x");
        assert!(away.message.what.contains("cannot be reached at db:5432/x"), "{away}");
    }

    #[tokio::test]
    async fn a_port_in_use_names_the_key_to_change() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = listen(taken.local_addr().unwrap(), "worker.listen").await.unwrap_err();
        assert_eq!(refused.exit, Exit::Failed);
        assert!(
            refused.message.why.contains("Another program") && refused.message.fix.contains("worker.listen")
        );
    }
}
