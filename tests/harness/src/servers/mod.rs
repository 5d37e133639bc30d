//! Real PostgreSQL and RabbitMQ: those of the environment, or private ones that this process starts.
//!
//! - [`Servers::for_program`]: `DATABASE_URL` and `AMQP_URL` where they are set, private servers for the rest.
//! - [`PrivateServers`]: a pair that one owner may kill, restart and wipe.
//! - The pair that all tests share is behind [`crate::TestBed`].
//!
//! A private instance is a directory: its data, `ledger` (which processes are ours, see `ledger`), `instance.json`
//! (ports and passwords, for the owner's eyes), and two locks. `start.lock` is held while servers are started or
//! stopped; `clients.lock` is held by whoever uses them, and a watchdog stops them when nobody does, so a
//! killed owner leaves nothing running. Data are kept from run to run, because a second start is quicker; nothing in
//! them is anybody's truth.

mod broker;
mod error;
mod install;
mod instance;
mod launch;
mod ledger;
mod locate;
mod place;
mod postgres;
mod private;
mod shared;

use std::path::Path;

pub use error::ServersError;
pub use place::target_directory;
pub use private::{Options, PrivateServers};

pub(crate) use instance::{Endpoints, random_word};
pub(crate) use ledger::signal_pid;
pub(crate) use place::{User, run_as};
pub(crate) use private::blocking;
pub(crate) use shared::endpoints as shared_endpoints;

use url::Url;

use crate::database_admin;

/// What a private PostgreSQL promises about a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production: every commit is on the disk. For the demo and for figures.
    Honest,
    /// No `fsync`. A crash of the server loses nothing, a crash of the machine may; for tests.
    Fast,
}

/// The servers a program runs on, whoever runs them.
#[derive(Debug)]
pub struct Servers {
    private: Option<PrivateServers>,
    database_url: String,
    amqp_url: String,
}

impl Servers {
    /// Takes `DATABASE_URL` and `AMQP_URL` where they are set and starts private servers for what is not. Keep the
    /// value: dropping it stops what it started. What the options leave out is neither looked for nor started, and
    /// its URL is empty.
    pub async fn for_program(mut options: Options) -> Result<Self, ServersError> {
        let wanted = |wanted: bool, variable, schemes| {
            if wanted { environment_url(variable, schemes) } else { Ok(None) }
        };
        let database = wanted(options.postgres, "DATABASE_URL", &["postgres", "postgresql"])?;
        let broker = wanted(options.broker, "AMQP_URL", &["amqp", "amqps"])?;
        options.postgres &= database.is_none();
        options.broker &= broker.is_none();
        let (own_postgres, own_broker) = (options.postgres, options.broker);
        let private =
            if own_postgres || own_broker { Some(PrivateServers::start(options).await?) } else { None };
        let started = |own: bool, url: fn(&PrivateServers) -> String| {
            private.as_ref().filter(|_| own).map(url).unwrap_or_default()
        };
        let database_url = database
            .map_or_else(|| started(own_postgres, |servers| servers.database_url("postgres")), String::from);
        let amqp_url =
            broker.map_or_else(|| started(own_broker, |servers| servers.amqp_url("/")), String::from);
        Ok(Self { private, database_url, amqp_url })
    }

    /// An empty database of that name on the database server; what was in one of that name is gone. The name is the
    /// program's own: letters, digits, underscores. Gives its URL.
    pub async fn fresh_database(&self, name: &str) -> Result<String, ServersError> {
        let server = self.database_server()?;
        let failed = |error: tokio_postgres::Error| database_refused(name, &error);
        database_admin::drop_database(&server, name).await.map_err(failed)?;
        database_admin::create(&server, name, "template0").await.map_err(failed)?;
        Ok(database_admin::url_of(&server, name))
    }

    /// Removes a database that [`Self::fresh_database`] made.
    pub async fn drop_database(&self, name: &str) -> Result<(), ServersError> {
        let server = self.database_server()?;
        let dropped = database_admin::drop_database(&server, name).await;
        dropped.map_err(|error| database_refused(name, &error))
    }

    /// A new vhost on a private broker, its name beginning with `prefix`. A broker that was given by its URL is used
    /// with the vhost of that URL, as it is. Gives the URL.
    pub async fn new_vhost(&self, prefix: &str) -> Result<String, ServersError> {
        let Some(servers) = self.private.as_ref().filter(|servers| servers.has_broker()) else {
            return Ok(self.amqp_url.clone());
        };
        let name = format!("{prefix}_{}", &random_word()[..8]);
        let made = servers.new_vhost(&name).await;
        made.map_err(|error| ServersError::Tool { tool: "creating a vhost", output: error.to_string() })?;
        Ok(servers.amqp_url(&name))
    }

    fn database_server(&self) -> Result<Url, ServersError> {
        Url::parse(&self.database_url)
            .map_err(|error| ServersError::BadUrl { variable: "DATABASE_URL", reason: error.to_string() })
    }

    /// With credentials: do not print it where others read.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// With credentials, and the default vhost when the broker is private.
    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// The servers that were started, if any were.
    pub fn private(&self) -> Option<&PrivateServers> {
        self.private.as_ref()
    }

    /// Stops what was started, in order, and waits for it.
    pub async fn stop(self) {
        if let Some(private) = self.private {
            private.stop().await;
        }
    }
}

fn database_refused(name: &str, error: &tokio_postgres::Error) -> ServersError {
    let reason = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    ServersError::Tool { tool: "making or dropping a database", output: format!("{name}: {reason}") }
}

/// An environment variable; unset and empty are the same.
#[expect(
    clippy::disallowed_methods,
    reason = "the test kit's one door; it runs before any configuration of ours"
)]
pub(crate) fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty())
}

/// The URL in an environment variable; unset and empty are the same.
pub(crate) fn environment_url(variable: &'static str, schemes: &[&str]) -> Result<Option<Url>, ServersError> {
    let Some(text) = environment(variable) else {
        return Ok(None);
    };
    let url =
        Url::parse(&text).map_err(|error| ServersError::BadUrl { variable, reason: error.to_string() })?;
    if schemes.contains(&url.scheme()) {
        Ok(Some(url))
    } else {
        let reason = format!("its scheme is {}, expected {}", url.scheme(), schemes.join(" or "));
        Err(ServersError::BadUrl { variable, reason })
    }
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    const LINES: usize = 20;
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
