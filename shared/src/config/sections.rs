//! Every section and key, with its default and its bounds.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::{Host, Url};

use super::files::Files;
use super::problem::{ConfigProblem, ConfigProblems};
use super::reader::Reader;
use super::source::{Given, read_file};
use crate::secret::Secret;

/// Everything that both programs can be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// PostgreSQL.
    pub database: Database,
    /// RabbitMQ.
    pub broker: Broker,
    /// The scheduler's HTTP server.
    pub http: Http,
    /// The key ring.
    pub keys: Keys,
    /// Salesforce.
    pub salesforce: Salesforce,
    /// Where bodies of files are kept.
    pub files: Files,
    /// The worker.
    pub worker: Worker,
    /// The scheduler's dispatcher.
    pub dispatch: Dispatch,
    /// Logs.
    pub log: Log,
    printed: String,
}

/// `[database]`
#[derive(Debug, Clone)]
pub struct Database {
    /// `postgres://…`
    pub url: Secret<String>,
    /// A private CA, PEM.
    pub ca_file: Option<PathBuf>,
    /// Connections in each pool.
    pub pool_size: usize,
    /// Whether the link is encrypted.
    pub tls: DatabaseTls,
}

/// Whether the link to PostgreSQL is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseTls {
    /// TLS 1.2 or newer, certificate and name checked.
    Require,
    /// No TLS; the default for a server on the same machine, refused by nobody else.
    Disable,
}

/// `[broker]`
#[derive(Debug, Clone)]
pub struct Broker {
    /// `amqp://…` or `amqps://…`
    pub url: Secret<String>,
    /// A private CA, PEM.
    pub ca_file: Option<PathBuf>,
}

/// `[http]`
#[derive(Debug, Clone)]
pub struct Http {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where the operator's API key is written at the first start.
    pub operator_key_file: PathBuf,
}

/// `[keys]`
#[derive(Debug, Clone)]
pub struct Keys {
    /// The key ring's file.
    pub file: PathBuf,
    /// Whether a missing ring is made at the first start.
    pub create: bool,
}

/// `[salesforce]`
#[derive(Debug, Clone)]
pub struct Salesforce {
    /// API version, like `66.0`.
    pub api_version: String,
    /// A private CA, PEM.
    pub ca_file: Option<PathBuf>,
    /// Host suffixes to allow beside Salesforce's own.
    pub allow_hosts: Vec<String>,
    /// Whether plain HTTP to this machine is allowed; for development only.
    pub allow_loopback: bool,
    /// Calls a second in each lane, at most; an org's own setting may be lower.
    pub calls_per_second: u32,
    /// How long one call may take.
    pub timeout: Duration,
}

/// `[worker]`
#[derive(Debug, Clone)]
pub struct Worker {
    /// Jobs at once.
    pub slots: u16,
    /// Records that one commit takes, at most, where pages are smaller; also what a kill may cost a job.
    pub commit_rows: u16,
    /// Where health and metrics listen.
    pub listen: SocketAddr,
}

/// `[dispatch]`
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The wait after a round that found work.
    pub busy_wait: Duration,
    /// The wait after a round that found none.
    pub idle_wait: Duration,
    /// A message not claimed for this long is published again.
    pub unclaimed: Duration,
    /// Jobs published in one round, at most.
    pub batch: u16,
    /// How often leases that ran out are looked for.
    pub reap_every: Duration,
    /// How often intent and jobs are compared.
    pub reconcile_every: Duration,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// Which lines; `tracing`'s own directives.
    pub filter: String,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the file and the process's environment.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigProblems> {
        let mut problems = Vec::new();
        let text = read_file(file).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        #[expect(clippy::disallowed_methods, reason = "this is the one door to the environment")]
        let variables = std::env::vars();
        Self::parse(text, variables, problems)
    }

    /// Reads a text and given variables; for tests and tools.
    pub fn from_text(
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigProblems> {
        Self::parse(Some(("the file".to_owned(), text.to_owned())), variables, Vec::new())
    }

    /// The configuration in force with where each value came from, secrets left out.
    #[must_use]
    pub fn redacted(&self) -> &str {
        &self.printed
    }

    fn parse(
        file: Option<(String, String)>,
        variables: impl IntoIterator<Item = (String, String)>,
        mut problems: Vec<ConfigProblem>,
    ) -> Result<Self, ConfigProblems> {
        let mut given = Given::default();
        if let Some((name, text)) = file {
            given.file(&name, &text, &mut problems);
        }
        given.environment(variables);
        let mut reader = Reader::new(given, problems);
        let mut config = Self::read(&mut reader);
        let (printed, problems) = reader.finish();
        if !problems.is_empty() {
            return Err(ConfigProblems(problems));
        }
        config.printed = printed;
        Ok(config)
    }

    fn read(reader: &mut Reader) -> Self {
        Self {
            database: Database::read(reader),
            broker: Broker::read(reader),
            http: Http {
                listen: address(reader, "http", "127.0.0.1:8080"),
                operator_key_file: required_path(reader, "http", "operator_key_file", "operator.key"),
            },
            keys: Keys {
                file: required_path(reader, "keys", "file", "keys.toml"),
                create: reader.truth("keys", "create", true),
            },
            salesforce: Salesforce::read(reader),
            files: Files::read(reader),
            worker: Worker {
                slots: small(reader.number("worker", "slots", 8, 1..=512)),
                commit_rows: small(reader.number("worker", "commit_rows", 2000, 1..=2000)),
                listen: address(reader, "worker", "127.0.0.1:8081"),
            },
            dispatch: Dispatch::read(reader),
            log: Log {
                format: reader.word(
                    "log",
                    "format",
                    &[("text", LogFormat::Text), ("json", LogFormat::Json)],
                    "text",
                ),
                // These libraries tell of a lost connection at the place where it breaks; we do where it is dealt with.
                filter: reader.text("log", "filter", "info,lapin=off,deadpool=off"),
            },
            printed: String::new(),
        }
    }
}

impl Database {
    fn read(reader: &mut Reader) -> Self {
        let url = reader.secret(
            "database",
            "url",
            "everything is kept in PostgreSQL",
            "write postgres://user:password@host:5432/database, or set DATABASE_URL",
        );
        let parsed = checked_url(reader, "database.url", &url, &["postgres", "postgresql"]);
        let local = parsed.as_ref().is_none_or(is_loopback);
        let default = if local { "disable" } else { "require" };
        Self {
            url,
            ca_file: existing_file(reader, "database", "ca_file"),
            pool_size: usize::from(small(reader.number("database", "pool_size", 16, 2..=1000))),
            tls: reader.word(
                "database",
                "tls",
                &[("require", DatabaseTls::Require), ("disable", DatabaseTls::Disable)],
                default,
            ),
        }
    }
}

impl Broker {
    fn read(reader: &mut Reader) -> Self {
        let url = reader.secret(
            "broker",
            "url",
            "work is handed out through RabbitMQ",
            "write amqp://user:password@host:5672/vhost (amqps:// with TLS), or set AMQP_URL",
        );
        checked_url(reader, "broker.url", &url, &["amqp", "amqps"]);
        Self { url, ca_file: existing_file(reader, "broker", "ca_file") }
    }
}

impl Salesforce {
    fn read(reader: &mut Reader) -> Self {
        let api_version = reader.text("salesforce", "api_version", "66.0");
        let well_formed = api_version
            .split_once('.')
            .is_some_and(|(major, minor)| major.parse::<u16>().is_ok() && minor == "0");
        if !well_formed {
            reader.problem(
                "salesforce.api_version",
                format!("{api_version:?} is no API version"),
                "it becomes part of every path at Salesforce",
                "write it like \"66.0\"",
            );
        }
        let calls = reader.number("salesforce", "calls_per_second", 50, 1..=1000);
        Self {
            api_version,
            ca_file: existing_file(reader, "salesforce", "ca_file"),
            allow_hosts: reader.list("salesforce", "allow_hosts"),
            allow_loopback: reader.truth("salesforce", "allow_loopback", false),
            calls_per_second: u32::from(small(calls)),
            timeout: Duration::from_secs(reader.number("salesforce", "timeout_s", 120, 1..=600)),
        }
    }
}

impl Dispatch {
    fn read(reader: &mut Reader) -> Self {
        let mut ms =
            |key, default| Duration::from_millis(reader.number("dispatch", key, default, 10..=60_000));
        let (busy_wait, idle_wait) = (ms("busy_wait_ms", 100), ms("idle_wait_ms", 250));
        let mut seconds =
            |key, default| Duration::from_secs(reader.number("dispatch", key, default, 1..=3600));
        Self {
            busy_wait,
            idle_wait,
            unclaimed: seconds("unclaimed_s", 20),
            reap_every: seconds("reap_every_s", 2),
            reconcile_every: seconds("reconcile_every_s", 5),
            batch: small(reader.number("dispatch", "batch", 500, 1..=5000)),
        }
    }
}

/// A number whose bounds keep it small.
fn small(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn address(reader: &mut Reader, section: &str, default: &str) -> SocketAddr {
    let text = reader.text(section, "listen", default);
    text.parse().unwrap_or_else(|_| {
        reader.problem(
            &format!("{section}.listen"),
            format!("{text:?} is no address"),
            "the server would not know where to listen",
            "write an address and a port, like 127.0.0.1:8080, or 0.0.0.0:8080 for all",
        );
        default.parse().expect("the default is an address")
    })
}

fn required_path(reader: &mut Reader, section: &str, key: &str, default: &str) -> PathBuf {
    PathBuf::from(reader.text(section, key, default))
}

pub(super) fn existing_file(reader: &mut Reader, section: &str, key: &str) -> Option<PathBuf> {
    let path = reader.path(section, key)?;
    if let Err(error) = std::fs::File::open(&path) {
        reader.problem(
            &format!("{section}.{key}"),
            format!("{} cannot be read: {error}", path.display()),
            "certificates of the other side are checked against it",
            "name a PEM file that this process may read, or leave the key out",
        );
    }
    Some(path)
}

fn checked_url(reader: &mut Reader, key: &str, url: &Secret<String>, schemes: &[&str]) -> Option<Url> {
    if url.expose().is_empty() {
        return None;
    }
    let parsed = Url::parse(url.expose()).ok().filter(|parsed| schemes.contains(&parsed.scheme()));
    if parsed.is_none() {
        reader.problem(
            key,
            "it is no URL of its kind".to_owned(),
            "the server would not be found",
            &format!("begin it with {}://", schemes.join(":// or ")),
        );
    }
    parsed
}

/// A socket path, `localhost` or a loopback address.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        None => true,
        // An address in a URL that is not HTTP's own kind reads as a name.
        Some(Host::Domain(name)) => {
            let address: Option<std::net::IpAddr> = name.parse().ok();
            name == "localhost"
                || name.to_ascii_lowercase().starts_with("%2f")
                || address.is_some_and(|address| address.is_loopback())
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
    }
}

#[cfg(test)]
#[path = "sections_test.rs"]
mod tests;
