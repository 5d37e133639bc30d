//! What a measurement stands on: servers, one simulated org for a load, and a fresh installation of Refrain for each
//! repetition.

use std::path::PathBuf;

use anyhow::Context;
use demo::org::Org;
use demo::stack::guard::Guard;
use demo::stack::{self, Installation, OrgEntry, Scheduler, Simulator, Worker};
use futures_util::future::{join_all, try_join_all};
use harness::process::Program;
use harness::servers::{Options as ServerOptions, Servers, target_directory};

use crate::args::{Load, LoadOptions};

/// Name of database, vhost and log directory.
const NAME: &str = "refrain_bench";
/// No limit of an org stands in the way of a measurement.
const DAILY_CALLS: u64 = 50_000_000;

/// Servers that are durable as in production, and whoever ends our children if we are killed.
pub(crate) struct Ground {
    servers: Servers,
    guard: Guard,
    directory: PathBuf,
}

impl Ground {
    /// Starts the servers.
    pub(crate) async fn open(options: ServerOptions) -> anyhow::Result<Self> {
        let directory = target_directory().join("bench");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        let guard = Guard::start()?;
        let servers = Servers::for_program(options).await.context("start the servers")?;
        Ok(Self { servers, guard, directory })
    }

    /// Starts a simulator with the org of a load.
    pub(crate) async fn simulator(&self, load: Load, options: &LoadOptions) -> anyhow::Result<Simulator> {
        self.simulator_of(options.cases, options.seed, load.mail_characters()).await
    }

    /// Starts a simulator with an org of so many cases.
    pub(crate) async fn simulator_of(
        &self,
        cases: u32,
        seed: u64,
        mail_characters: u32,
    ) -> anyhow::Result<Simulator> {
        let mut program = Program::new("salesforce-sim").arg("serve").arg("--dir");
        program = program.arg(self.directory.join("salesforce"));
        for (name, value) in [
            ("--cases", u64::from(cases)),
            ("--seed", seed),
            ("--mail-characters", u64::from(mail_characters)),
            ("--daily-max", DAILY_CALLS),
        ] {
            program = program.arg(name).arg(value.to_string());
        }
        Simulator::launch(program, NAME, Some(&self.guard)).await.context("start the simulator")
    }

    /// An empty database with the schema.
    pub(crate) async fn migrated(&self, amqp_url: String, ca_file: PathBuf) -> anyhow::Result<Installation> {
        let _ = std::fs::remove_dir_all(self.directory.join("run"));
        let installation = Installation {
            name: NAME.to_owned(),
            directory: self.directory.join("run"),
            database_url: self.servers.fresh_database(NAME).await?,
            amqp_url,
            ca_file,
            // Calls are paced to spare the org; at the usual pace that alone would be measured.
            settings: vec![("salesforce", "calls_per_second = 1000".to_owned())],
        };
        installation.write()?;
        stack::migrate(&installation).await?;
        Ok(installation)
    }

    /// A fresh installation: empty database, empty vhost, a scheduler and workers that have done nothing yet.
    pub(crate) async fn installation(&self, simulator: &Simulator, workers: u32) -> anyhow::Result<Fresh> {
        let amqp_url = self.servers.new_vhost(NAME).await?;
        let installation = self.migrated(amqp_url, simulator.ready.ca_file.clone()).await?;
        let scheduler = Scheduler::start(&installation, Some(&self.guard)).await?;
        let starts = (0..workers).map(|_| Worker::start(&installation, Some(&self.guard)));
        let workers = try_join_all(starts).await?;
        let (entry, org) = simulator.org();
        Ok(Fresh { installation, scheduler, workers, entry: entry.clone(), org })
    }

    /// Stops the servers and removes what was written.
    pub(crate) async fn close(self) {
        let _ = self.servers.drop_database(NAME).await;
        self.servers.stop().await;
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A running installation.
pub(crate) struct Fresh {
    pub(crate) installation: Installation,
    pub(crate) scheduler: Scheduler,
    pub(crate) workers: Vec<Worker>,
    pub(crate) entry: OrgEntry,
    pub(crate) org: Org,
}

impl Fresh {
    /// Stops scheduler and workers; the database stays for the limits.
    pub(crate) async fn stop(self) -> Installation {
        join_all(self.workers.iter().map(|worker| stack::stop(&worker.process))).await;
        stack::stop(&self.scheduler.process).await;
        self.installation
    }
}
