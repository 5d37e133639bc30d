//! One installation of Refrain for one test: database, vhost, schedulers and workers as processes of their own.
//!
//! A test starts and kills what it likes, and ends with [`Stack::finish`]: what still runs is asked to stop and must
//! do so in good order, and every log of every program is looked through.

use std::path::{Path, PathBuf};
use std::time::Duration;

use demo::refrain::Refrain;
use demo::stack::{self, Installation, Scheduler, Worker};
use harness::process::{Program, Running};
use harness::{Schema, TestBed};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::logs::{self, Secrets};
use crate::tenant::Tenant;
use crate::{programs, simulator};

/// Stacks at once: each is four processes or so, most of the time waiting for a lease to run out.
static PLACES: Semaphore = Semaphore::const_new(4);

/// A worker is gone within 30 s, and an orchestrator gives it a minute.
const GRACE: Duration = Duration::from_secs(40);

/// A running installation.
pub(crate) struct Stack {
    pub(crate) installation: Installation,
    pub(crate) schedulers: Vec<Scheduler>,
    pub(crate) workers: Vec<Worker>,
    logs: Vec<PathBuf>,
    bed: TestBed,
    _place: SemaphorePermit<'static>,
}

impl Stack {
    /// A migrated database and an empty vhost on the servers that all tests share; no program runs yet.
    pub(crate) async fn new(name: &str) -> Self {
        let (place, bed) = bed(name).await;
        let (database, amqp) = (bed.database_url().to_owned(), bed.amqp_url().to_owned());
        Self::on(name, place, bed, &database, &amqp).await
    }

    /// As [`Self::new`], with one scheduler and so many workers running.
    pub(crate) async fn running(name: &str, workers: usize) -> Self {
        let mut stack = Self::new(name).await;
        stack.start_scheduler().await;
        for _ in 0..workers {
            stack.start_worker().await;
        }
        stack
    }

    /// As [`Self::new`], with a database or a broker that the test owns and may break.
    pub(crate) async fn with(name: &str, database: Option<&str>, amqp: Option<&str>) -> Self {
        let (place, bed) = bed(name).await;
        let (shared_database, shared_amqp) = (bed.database_url().to_owned(), bed.amqp_url().to_owned());
        if let Some(database) = database {
            migrate(database).await.unwrap();
        }
        Self::on(name, place, bed, database.unwrap_or(&shared_database), amqp.unwrap_or(&shared_amqp)).await
    }

    async fn on(
        name: &str,
        place: SemaphorePermit<'static>,
        bed: TestBed,
        database: &str,
        amqp: &str,
    ) -> Self {
        let installation = Installation {
            name: format!("e2e_{name}"),
            directory: directory(bed.name()),
            database_url: database.to_owned(),
            amqp_url: amqp.to_owned(),
            ca_file: simulator::ready().await.ca_file.clone(),
            settings: quick(),
        };
        // Logs of an earlier run would only confuse whoever looks for this one's.
        let old = harness::servers::target_directory().join("test-logs").join(&installation.name);
        let _ = std::fs::remove_dir_all(old);
        installation.write().unwrap();
        Self {
            installation,
            schedulers: Vec::new(),
            workers: Vec::new(),
            logs: Vec::new(),
            bed,
            _place: place,
        }
    }

    /// Changes a setting for the programs that are started from here on.
    pub(crate) fn set(&mut self, section: &'static str, line: &str) {
        self.installation.settings.push((section, line.to_owned()));
        self.installation.write().unwrap();
    }

    /// One more scheduler.
    pub(crate) async fn start_scheduler(&mut self) -> usize {
        let scheduler = Scheduler::start(&self.installation, None).await.unwrap();
        self.watch(&scheduler.process);
        self.schedulers.push(scheduler);
        self.schedulers.len() - 1
    }

    /// One more worker.
    pub(crate) async fn start_worker(&mut self) -> usize {
        self.start_worker_as(Program::new("worker")).await
    }

    /// One more worker, for so many jobs at once.
    pub(crate) async fn start_worker_with_slots(&mut self, slots: u16) -> usize {
        let program = Program::new("worker").env("REFRAIN_WORKER__SLOTS", slots.to_string());
        self.start_worker_as(program).await
    }

    /// One more worker, of another build or with more in its environment.
    pub(crate) async fn start_worker_as(&mut self, program: Program) -> usize {
        let worker = Worker::start_as(program, &self.installation, None).await.unwrap();
        self.watch(&worker.process);
        self.workers.push(worker);
        self.workers.len() - 1
    }

    fn watch(&mut self, process: &Running) {
        self.logs.extend(process.log_files().map(Path::to_path_buf));
    }

    /// SIGKILL for a scheduler.
    pub(crate) fn kill_scheduler(&mut self, index: usize) {
        self.schedulers.remove(index).process.kill();
    }

    /// SIGKILL for a worker.
    pub(crate) fn kill_worker(&mut self, index: usize) {
        self.workers.remove(index).process.kill();
    }

    /// SIGTERM for a worker, which must then end in good order.
    pub(crate) async fn stop_worker(&mut self, index: usize) {
        ended_in_order(&self.workers.remove(index).process).await;
    }

    /// The API, of whichever scheduler.
    ///
    /// # Panics
    /// When none runs.
    pub(crate) fn api(&self) -> &Refrain {
        &self.schedulers.first().expect("a scheduler runs").api
    }

    /// Runs SQL as the owner of the tables, past all roles, for a look that no API gives; the rows' values as text.
    pub(crate) async fn sql(&self, statements: &str) -> Vec<Vec<String>> {
        let (client, connection) =
            tokio_postgres::connect(&self.installation.database_url, NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        let messages = client.simple_query(statements).await.unwrap();
        drop(client);
        driver.await.unwrap().unwrap();
        let values = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        };
        messages.iter().filter_map(values).collect()
    }

    /// A counter's value, summed over all workers that run.
    pub(crate) async fn counted(&self, metric: &str) -> u64 {
        let mut sum = 0;
        for worker in &self.workers {
            let url = format!("{}/metrics", worker.url);
            let text = reqwest::get(url).await.unwrap().error_for_status().unwrap().text().await.unwrap();
            let values = text.lines().filter(|line| line.starts_with(metric));
            sum += values.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>();
        }
        sum
    }

    /// Stops what still runs, looks through all logs, and removes everything. `announced` are the messages of the
    /// warnings and errors that this test causes.
    pub(crate) async fn finish(mut self, tenants: &[&Tenant], announced: &[&str]) {
        let running = self.workers.drain(..).map(|worker| worker.process);
        for process in running.chain(self.schedulers.drain(..).map(|scheduler| scheduler.process)) {
            ended_in_order(&process).await;
        }
        let mut secrets = Secrets::of(&self.installation);
        for tenant in tenants {
            secrets.add_org(&tenant.simulated).await;
        }
        secrets.assert_absent(&self.logs);
        logs::assert_announced(&self.logs, announced);
        let _ = std::fs::remove_dir_all(&self.installation.directory);
        self.bed.finish().await.unwrap();
    }
}

async fn ended_in_order(process: &Running) {
    let status = process.terminate(GRACE).await.unwrap();
    assert!(status.success(), "a program that was asked to stop ended with {status}:\n{}", process.logs());
}

async fn bed(name: &str) -> (SemaphorePermit<'static>, TestBed) {
    // A second installation of the provider is refused, and that is all.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    programs::shipped().await;
    let place = PLACES.acquire().await.expect("the semaphore is never closed");
    let schema = Schema::new(&migrations(), async |url: String| migrate(&url).await);
    (place, TestBed::with_schema(&format!("e2e_{name}"), schema).await)
}

/// The bytes of all migrations, in order.
fn migrations() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
}

/// Applies the schema with the program itself.
async fn migrate(database: &str) -> Result<(), String> {
    let installation = Installation {
        name: "e2e_migrate".to_owned(),
        directory: directory(&format!("migrate-{:x}", std::process::id())),
        database_url: database.to_owned(),
        // Not asked for anything.
        amqp_url: "amqp://127.0.0.1:1/".to_owned(),
        ca_file: simulator::ready().await.ca_file.clone(),
        settings: Vec::new(),
    };
    installation.write().map_err(|error| format!("{error:#}"))?;
    stack::migrate(&installation).await.map_err(|error| format!("{error:#}"))
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e").join(name)
}

/// Everything that only waits is made to wait less. A lane outlives its worker by the time-out of a call, so that is
/// short as well; the lease is not a setting.
fn quick() -> Vec<(&'static str, String)> {
    [
        ("database", "pool_size = 6"),
        ("dispatch", "busy_wait_ms = 20"),
        ("dispatch", "idle_wait_ms = 50"),
        ("dispatch", "reap_every_s = 1"),
        ("dispatch", "unclaimed_s = 5"),
        ("salesforce", "timeout_s = 20"),
    ]
    .map(|(section, line)| (section, line.to_owned()))
    .to_vec()
}
