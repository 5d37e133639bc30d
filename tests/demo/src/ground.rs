//! What the demo stands on: servers, processes, files; how it comes up and how it goes away.
//!
//! Whatever has come up is here, so that an interruption at any moment can take down just that. If the demo is
//! killed, the guard and the servers' watchdogs do it.

use std::path::PathBuf;

use anyhow::Context;
use chrono::{DateTime, Utc};
use demo::programs;
use demo::stack::guard::Guard;
use demo::stack::{self, Installation, Scheduler, Simulator, SimulatorOptions, Worker};
use harness::servers::{Options as ServerOptions, Servers, target_directory};
use tokio::try_join;

use crate::args::Options;
use crate::voice::Voice;

/// Name of the demo's database, vhost and log directory.
const NAME: &str = "refrain_demo";
/// Enough for a demo that runs for days: it reads each object every few seconds, and may use a quarter of this.
const DAILY_CALLS: u64 = 50_000_000;

/// Everything that must be gone at the end.
pub(crate) struct Ground {
    options: Options,
    directory: PathBuf,
    database_name: String,
    guard: Option<Guard>,
    database: Option<Servers>,
    broker: Option<Servers>,
    pub(crate) simulator: Option<Simulator>,
    pub(crate) installation: Option<Installation>,
    pub(crate) scheduler: Option<Scheduler>,
    pub(crate) workers: Vec<Worker>,
}

impl Ground {
    pub(crate) fn new(options: &Options) -> Self {
        let demos = target_directory().join("demo");
        // What is kept is never found again by name, so no later demo overwrites it.
        let suffix =
            options.keep.then(|| format!("{}", DateTime::<Utc>::from(started()).format("%Y%m%d_%H%M%S")));
        let named =
            |base: &str| suffix.as_ref().map_or_else(|| base.to_owned(), |suffix| format!("{base}_{suffix}"));
        Self {
            options: options.clone(),
            directory: demos.join(named("run")),
            database_name: named(NAME),
            guard: None,
            database: None,
            broker: None,
            simulator: None,
            installation: None,
            scheduler: None,
            workers: Vec::new(),
        }
    }

    /// Servers, simulator and schema: all at once, as far as one does not wait for the other.
    pub(crate) async fn prepare(&mut self, voice: &Voice) -> anyhow::Result<()> {
        let _ = std::fs::remove_dir_all(&self.directory);
        let _ = std::fs::remove_dir_all(target_directory().join("test-logs").join(NAME));
        std::fs::create_dir_all(&self.directory)
            .with_context(|| format!("create {}", self.directory.display()))?;
        let guard = self.guard.insert(Guard::start()?);
        let Self { options, directory, database_name, database, broker, simulator, .. } = self;
        let programs = async {
            programs::build().await?;
            voice.step("programs are built");
            let options = SimulatorOptions {
                cases: options.cases,
                seed: options.seed,
                daily_max: DAILY_CALLS,
                directory: directory.join("salesforce"),
            };
            let started = Simulator::start(NAME, &options, Some(guard)).await?;
            voice.step("the simulated org is there");
            Ok::<_, anyhow::Error>(simulator.insert(started))
        };
        let postgres = async {
            let options = ServerOptions::program("demo-database").only_postgres();
            let servers = database.insert(Servers::for_program(options).await?);
            let url = servers.fresh_database(database_name).await?;
            voice.step(if servers.private().is_some() {
                "private PostgreSQL is up"
            } else {
                "PostgreSQL of DATABASE_URL"
            });
            Ok(url)
        };
        let schema = async {
            let (simulator, url) = try_join!(programs, postgres)?;
            let schema_only = Installation {
                name: NAME.to_owned(),
                directory: directory.join("migrate"),
                database_url: url,
                // Not up yet, and not needed.
                amqp_url: "amqp://127.0.0.1:1/".to_owned(),
                ca_file: simulator.ready.ca_file.clone(),
                settings: Vec::new(),
            };
            schema_only.write()?;
            stack::migrate(&schema_only).await?;
            voice.step("the schema is applied");
            Ok::<_, anyhow::Error>(schema_only)
        };
        let rabbit = async {
            let options = ServerOptions::program("demo-broker").only_broker().discard_data();
            let servers = broker.insert(Servers::for_program(options).await?);
            let url = servers.new_vhost(NAME).await?;
            voice.step(if servers.private().is_some() {
                "private RabbitMQ is up"
            } else {
                "RabbitMQ of AMQP_URL"
            });
            Ok(url)
        };
        let (schema_only, amqp_url) = try_join!(schema, rabbit)?;
        let installation = Installation { amqp_url, directory: directory.clone(), ..schema_only };
        installation.write()?;
        self.installation = Some(installation);
        Ok(())
    }

    /// The scheduler; it makes the key ring that workers need.
    pub(crate) async fn start_scheduler(&mut self, voice: &Voice) -> anyhow::Result<&Scheduler> {
        let installation = self.installation.as_ref().context("prepare comes first")?;
        let scheduler = Scheduler::start(installation, self.guard.as_ref()).await?;
        voice.step(&format!("the scheduler serves {}", scheduler.api.url()));
        Ok(self.scheduler.insert(scheduler))
    }

    /// The workers, all at once.
    pub(crate) async fn start_workers(
        installation: &Installation,
        guard: Option<&Guard>,
        count: u32,
    ) -> anyhow::Result<Vec<Worker>> {
        let starts = (0..count).map(|_| Worker::start(installation, guard));
        futures_util::future::try_join_all(starts).await
    }

    /// The guard, for processes that are started elsewhere.
    pub(crate) fn guard(&self) -> Option<&Guard> {
        self.guard.as_ref()
    }

    /// Fails when a process that should run has ended, with the end of its log.
    pub(crate) fn check_alive(&self) -> anyhow::Result<()> {
        let simulator = self.simulator.as_ref().map(|it| ("the simulator", &it.process));
        let scheduler = self.scheduler.as_ref().map(|it| ("the scheduler", &it.process));
        let workers = self.workers.iter().map(|it| ("a worker", &it.process));
        for (name, process) in simulator.into_iter().chain(scheduler).chain(workers) {
            if let Some(status) = process.exit_status() {
                let logs = process.logs();
                let lines: Vec<&str> = logs.lines().collect();
                let tail = lines[lines.len().saturating_sub(10)..].join("\n");
                anyhow::bail!("{name} ended with {status}; the end of its log:\n{tail}");
            }
        }
        Ok(())
    }

    /// The logs of all processes.
    pub(crate) fn logs() -> PathBuf {
        target_directory().join("test-logs").join(NAME)
    }

    /// The database's address as it may be shown: with its password only where the password opens nothing else.
    pub(crate) fn shown_urls(&self) -> (String, String) {
        let installation = self.installation.as_ref();
        let shown = |servers: &Option<Servers>, url: Option<&String>| {
            let private = servers.as_ref().is_some_and(|servers| servers.private().is_some());
            let url = url.cloned().unwrap_or_default();
            if private { url } else { without_password(&url) }
        };
        (
            shown(&self.database, installation.map(|it| &it.database_url)),
            shown(&self.broker, installation.map(|it| &it.amqp_url)),
        )
    }

    /// Stops everything in order, and removes what was made unless it is to be kept.
    pub(crate) async fn clear(&mut self, voice: &Voice) {
        let stops = self.workers.iter().map(|worker| stack::stop(&worker.process));
        futures_util::future::join_all(stops).await;
        self.workers.clear();
        if let Some(scheduler) = self.scheduler.take() {
            stack::stop(&scheduler.process).await;
        }
        if let Some(simulator) = self.simulator.take() {
            stack::stop(&simulator.process).await;
        }
        if let Some(database) = self.database.take() {
            if !self.options.keep
                && let Err(error) = database.drop_database(&self.database_name).await
            {
                voice.problem(&error.into());
            }
            database.stop().await;
        }
        if let Some(broker) = self.broker.take() {
            broker.stop().await;
        }
        if self.options.keep {
            voice.line(&format!(
                "Kept: configuration and keys in {}, database {} (start its server with \
                 `cargo run -p harness --bin servers -- run demo-database`), logs in {}.",
                self.directory.display(),
                self.database_name,
                Self::logs().display()
            ));
        } else {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
        self.guard = None;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the name of kept data says when they were made; nothing is decided by it"
)]
fn started() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return String::new() };
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}@{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_shown_url_has_no_password() {
        assert_eq!(without_password("postgres://me:p@ss@db:5432/x"), "postgres://me@db:5432/x");
        assert_eq!(without_password("amqp://broker/x"), "amqp://broker/x");
        assert_eq!(without_password("nonsense"), "");
    }
}
