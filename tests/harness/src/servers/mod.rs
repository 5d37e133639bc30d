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

pub(crate) use instance::Endpoints;
pub(crate) use ledger::signal_pid;
pub(crate) use place::{User, run_as};
pub(crate) use private::blocking;
pub(crate) use shared::endpoints as shared_endpoints;

use url::Url;

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
    /// value: dropping it stops what it started.
    pub async fn for_program(mut options: Options) -> Result<Self, ServersError> {
        let database = environment_url("DATABASE_URL", &["postgres", "postgresql"])?;
        let broker = environment_url("AMQP_URL", &["amqp", "amqps"])?;
        options.postgres = database.is_none();
        options.broker = broker.is_none();
        let private = if options.postgres || options.broker {
            Some(PrivateServers::start(options).await?)
        } else {
            None
        };
        let started = |url: fn(&PrivateServers) -> String| private.as_ref().map(url).unwrap_or_default();
        let database_url =
            database.map_or_else(|| started(|servers| servers.database_url("postgres")), String::from);
        let amqp_url = broker.map_or_else(|| started(|servers| servers.amqp_url("/")), String::from);
        Ok(Self { private, database_url, amqp_url })
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

/// The URL in an environment variable; unset and empty are the same.
pub(crate) fn environment_url(variable: &'static str, schemes: &[&str]) -> Result<Option<Url>, ServersError> {
    let Some(text) = std::env::var(variable).ok().filter(|text| !text.is_empty()) else {
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
