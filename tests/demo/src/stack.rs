//! The programs as separate processes: simulator, scheduler, workers. Configured by one file that people can use
//! with the command line as well.
//!
//! Every child is killed when its value is dropped, and by the [`guard`] when the owner itself is killed.

pub mod guard;

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use harness::process::{Program, Running};
use harness::wait;
use refrain_shared::config::Config;
use refrain_shared::storage::ConnectOptions;
use refrain_shared::wiring::database_options;
use serde::Deserialize;

use crate::org::Org;
use crate::refrain::Refrain;
use guard::Guard;

/// How long a program may take until it serves; generous, because a passing start does not pay for it.
const START: Duration = Duration::from_secs(60);
/// How long an orderly stop may take before it is a kill.
const STOP: Duration = Duration::from_secs(15);

/// Where an installation of Refrain lives.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Logs are in `target/test-logs/<name>`.
    pub name: String,
    /// Holds the configuration, the key ring and the operator's key.
    pub directory: PathBuf,
    /// The database, owned by its user.
    pub database_url: String,
    /// The broker's vhost.
    pub amqp_url: String,
    /// The authority that signed the org's certificate.
    pub ca_file: PathBuf,
    /// Further lines of the configuration file, by section: `("worker", "slots = 2")`. They win.
    pub settings: Vec<(&'static str, String)>,
}

impl Installation {
    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("refrain.toml")
    }

    /// The key ring, made by the scheduler at its first start.
    #[must_use]
    pub fn key_ring(&self) -> PathBuf {
        self.directory.join("keys.toml")
    }

    /// The operator's API key, made by the scheduler at its first start.
    #[must_use]
    pub fn operator_key_file(&self) -> PathBuf {
        self.directory.join("operator.key")
    }

    /// How to reach the database, for a look into it.
    ///
    /// # Errors
    /// When the settings cannot be used; the text says what is wrong with them.
    pub fn database(&self) -> anyhow::Result<ConnectOptions> {
        let config = Config::from_text(&self.configuration(), [])
            .map_err(|problems| anyhow::anyhow!("the configuration cannot be used: {problems}"))?;
        Ok(database_options(&config))
    }

    /// Writes the configuration file, readable by its owner only.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        let path = self.config_file();
        std::fs::create_dir_all(&self.directory)
            .and_then(|()| {
                let mut options = std::fs::OpenOptions::new();
                options.write(true).create(true).truncate(true).mode(0o600).open(&path)
            })
            .and_then(|mut file| file.write_all(self.configuration().as_bytes()))
            .with_context(|| format!("write {}", path.display()))
    }

    fn configuration(&self) -> String {
        let path = |path: &Path| quoted(&path.to_string_lossy());
        let mut settings: Vec<(&str, &str, String)> = vec![
            ("database", "url", quoted(&self.database_url)),
            ("broker", "url", quoted(&self.amqp_url)),
            ("http", "listen", quoted("127.0.0.1:0")),
            ("http", "operator_key_file", path(&self.operator_key_file())),
            ("keys", "file", path(&self.key_ring())),
            ("salesforce", "ca_file", path(&self.ca_file)),
            ("salesforce", "allow_loopback", "true".to_owned()),
            ("worker", "listen", quoted("127.0.0.1:0")),
            ("dispatch", "reconcile_every_s", "1".to_owned()),
            ("log", "format", quoted("json")),
        ];
        for (section, line) in &self.settings {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            settings.retain(|(other, name, _)| !(other == section && *name == key.trim()));
            settings.push((section, key.trim(), value.trim().to_owned()));
        }
        settings.sort_by_key(|(section, ..)| *section);
        let (mut text, mut last) = (String::new(), "");
        for (section, key, value) in settings {
            if section != last {
                let _ = writeln!(text, "[{section}]");
                last = section;
            }
            let _ = writeln!(text, "{key} = {value}");
        }
        text
    }

    /// A program of this installation.
    fn configured(&self, program: Program) -> Program {
        program.arg("--config").arg(self.config_file())
    }
}

/// A JSON string is a TOML string too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Applies the schema.
///
/// # Errors
/// When the program fails; its log is in the text.
pub async fn migrate(installation: &Installation) -> anyhow::Result<()> {
    let running =
        installation.configured(Program::new("scheduler")).arg("migrate").spawn(&installation.name)?;
    let status = running.wait_exit(START).await?;
    anyhow::ensure!(status.success(), "scheduler migrate ended with {status}:\n{}", running.logs());
    Ok(())
}

/// A running scheduler.
#[derive(Debug)]
pub struct Scheduler {
    /// The process.
    pub process: Running,
    /// Its API, with the operator's key.
    pub api: Refrain,
}

impl Scheduler {
    /// Starts a scheduler and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time; its last log lines are in the text.
    pub async fn start(installation: &Installation, guard: Option<&Guard>) -> anyhow::Result<Self> {
        let process =
            installation.configured(Program::new("scheduler")).arg("serve").spawn(&installation.name)?;
        guard.map_or(Ok(()), |guard| guard.watch(process.id()))?;
        let address = logged_address(&process, "the scheduler serves", "address").await?;
        let url = format!("http://{address}");
        process.wait_ready(&format!("{url}/readyz"), START).await?;
        let key_file = installation.operator_key_file();
        let key = std::fs::read_to_string(&key_file)
            .with_context(|| format!("read the operator's key in {}", key_file.display()))?;
        Ok(Self { process, api: Refrain::new(&url, &key) })
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// The process.
    pub process: Running,
    /// Where its health and metrics are.
    pub url: String,
}

impl Worker {
    /// Starts a worker and waits until it is ready.
    ///
    /// # Errors
    /// As [`Scheduler::start`].
    pub async fn start(installation: &Installation, guard: Option<&Guard>) -> anyhow::Result<Self> {
        Self::start_as(Program::new("worker"), installation, guard).await
    }

    /// As [`Self::start`], from another build of the program, or with more in its environment.
    ///
    /// # Errors
    /// As [`Scheduler::start`].
    pub async fn start_as(
        program: Program,
        installation: &Installation,
        guard: Option<&Guard>,
    ) -> anyhow::Result<Self> {
        let process = installation.configured(program).arg("run").spawn(&installation.name)?;
        guard.map_or(Ok(()), |guard| guard.watch(process.id()))?;
        let address = logged_address(&process, "worker runs", "listen").await?;
        let url = format!("http://{address}");
        process.wait_ready(&format!("{url}/readyz"), START).await?;
        Ok(Self { process, url })
    }

    /// The most memory it ever held, in bytes; `None` once it has ended.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    }
}

/// What a simulator is started with.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// Cases of the org.
    pub cases: u32,
    /// Another seed, another org.
    pub seed: u64,
    /// Calls that the org allows in 24 hours.
    pub daily_max: u64,
    /// For its certificate and keys.
    pub directory: PathBuf,
}

/// A running simulator.
#[derive(Debug)]
pub struct Simulator {
    /// The process.
    pub process: Running,
    /// What it said when it was ready.
    pub ready: Ready,
}

/// The simulator's addresses and orgs.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// HTTPS address of all orgs.
    pub https: String,
    /// The authority that signed its certificate.
    pub ca_file: PathBuf,
    /// The control API.
    pub control: String,
    /// The orgs.
    pub orgs: Vec<OrgEntry>,
}

/// An org and its secrets, which are worth nothing outside the simulator.
#[derive(Debug, Clone, Deserialize)]
pub struct OrgEntry {
    /// Organization id.
    pub org_id: String,
    /// Where it is.
    pub instance_url: String,
    /// Consumer key.
    pub client_id: String,
    /// Consumer secret.
    pub client_secret: String,
}

impl Simulator {
    /// Starts a simulator with one org and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time.
    pub async fn start(
        log_name: &str,
        options: &SimulatorOptions,
        guard: Option<&Guard>,
    ) -> anyhow::Result<Self> {
        let mut program = Program::new("salesforce-sim").arg("serve").arg("--dir").arg(&options.directory);
        for (name, value) in [
            ("--cases", u64::from(options.cases)),
            ("--seed", options.seed),
            ("--daily-max", options.daily_max),
        ] {
            program = program.arg(name).arg(value.to_string());
        }
        Self::launch(program, log_name, guard).await
    }

    /// Starts a simulator by a command line of the caller's own and waits until it is ready.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn launch(program: Program, log_name: &str, guard: Option<&Guard>) -> anyhow::Result<Self> {
        let process = program.spawn(log_name)?;
        guard.map_or(Ok(()), |guard| guard.watch(process.id()))?;
        let [stdout, _] = process.log_files();
        let line = wait::until(START, "the simulator's ready line", async || {
            let text = std::fs::read_to_string(stdout).unwrap_or_default();
            let ended = process.exit_status().is_some();
            let line = text.split_once('\n').map(|(line, _)| line.to_owned());
            line.map(Ok).or_else(|| ended.then_some(Err(())))
        })
        .await?
        .map_err(|()| anyhow::anyhow!("the simulator ended at once:\n{}", process.logs()))?;
        let ready = serde_json::from_str(&line).context("understand the simulator's ready line")?;
        Ok(Self { process, ready })
    }

    /// Its first org.
    ///
    /// # Panics
    /// When it was started without one.
    #[must_use]
    pub fn org(&self) -> (&OrgEntry, Org) {
        let entry = self.ready.orgs.first().expect("it is started with an org");
        (entry, Org::new(&self.ready.control, &entry.org_id))
    }
}

/// Ends a process in order, or else by force.
pub async fn stop(process: &Running) {
    if process.terminate(STOP).await.is_err() {
        process.kill();
    }
}

/// The address that a program logs once it listens; it was asked to take any free port.
async fn logged_address(process: &Running, message: &str, field: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Line {
        fields: serde_json::Map<String, serde_json::Value>,
    }
    let [_, log] = process.log_files();
    let found = wait::until(START, message, async || {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let address = text.lines().find_map(|line| {
            let Line { fields } = serde_json::from_str(line).ok()?;
            let said = fields.get("message")?.as_str()? == message;
            fields.get(field).filter(|_| said)?.as_str().map(str::to_owned)
        });
        address.map(Ok).or_else(|| process.exit_status().map(Err))
    })
    .await
    .with_context(|| format!("look into {}", log.display()))?;
    found.map_err(|status| anyhow::anyhow!("a program ended with {status}:\n{}", process.logs()))
}
