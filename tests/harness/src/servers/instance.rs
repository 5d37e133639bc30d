//! One private instance: a directory with a PostgreSQL, a RabbitMQ, or both, and what is needed to find them again.
//!
//! Everything here blocks and expects its caller to hold the instance's start lock.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use serde::{Deserialize, Serialize};
use url::Url;

use super::broker::{Broker, BrokerPorts, NODE};
use super::error::ServersError;
use super::ledger::{Ledger, boot_id};
use super::locate::{self, BrokerPrograms, PostgresPrograms};
use super::place::{Users, free_port, instance_directory, is_free, target_directory, write_private};
use super::postgres::{Postgres, remove_tree};
use super::{Durability, install};
use crate::broker_admin::{BrokerAdmin, ErlangNode};

/// Raised when the meaning of an instance's files changes; older data are then made anew.
const FORMAT: u32 = 1;

/// What a later process needs to find the servers again. Holds passwords: mode 0600.
#[derive(Serialize, Deserialize)]
struct Settings {
    format: u32,
    boot: String,
    fast: bool,
    postgres_port: u16,
    broker_ports: BrokerPorts,
    password: String,
    cookie: String,
}

/// Where servers are and how to administer them. Cheap to clone; holds passwords, so it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Endpoints {
    /// A superuser's (or, for a foreign server, the given user's) address of a database that always exists.
    pub(crate) database: Url,
    /// The broker, with its default vhost.
    pub(crate) amqp: Url,
    pub(crate) broker: BrokerAdmin,
}

/// Which servers, where, and how careful with data.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) durability: Durability,
    pub(crate) postgres: bool,
    pub(crate) broker: bool,
    /// Whether the broker begins without what a former run left.
    pub(crate) empty_broker: bool,
}

pub(crate) struct Instance {
    pub(crate) directory: PathBuf,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) broker: Option<Broker>,
}

/// An instance's directory with its start lock held. Dropping it lets the next one in.
pub(crate) struct Entrance {
    pub(crate) directory: PathBuf,
    users: Users,
    postgres: Option<PostgresPrograms>,
    broker: Option<BrokerPrograms>,
    empty_broker: bool,
    _start_lock: File,
}

impl Entrance {
    /// Finds the programs (installing them if need be), makes the directory and takes its start lock.
    pub(crate) fn open(plan: &Plan<'_>) -> Result<Self, ServersError> {
        let (postgres, broker) = programs(plan)?;
        let users = Users::choose()?;
        let directory = instance_directory(plan.name, users)?;
        let start_lock = open_lock(&directory.join("start.lock"))?;
        start_lock.lock().map_err(ServersError::io("lock", &directory))?;
        Ok(Self {
            directory,
            users,
            postgres,
            broker,
            empty_broker: plan.empty_broker,
            _start_lock: start_lock,
        })
    }

    /// The file that users of the instance hold locked.
    pub(crate) fn clients_lock(&self) -> Result<File, ServersError> {
        open_lock(&self.directory.join("clients.lock"))
    }

    /// Reads or makes the instance's settings. Starts nothing.
    pub(crate) fn instance(&self, durability: Durability) -> Result<Instance, ServersError> {
        let ledger = Arc::new(Ledger::new(&self.directory));
        let path = self.directory.join("instance.json");
        let running =
            ledger.processes().iter().any(|process| process.name != "watchdog" && process.is_alive());
        let settings = match read_settings(&path, durability) {
            Some(settings) if running || settings.ports_are_free() => settings,
            Some(settings) => {
                Settings { postgres_port: free_port()?, broker_ports: broker_ports()?, ..settings }
            }
            None => {
                // Without settings the passwords are unknown, and running servers cannot be used: end them by proof.
                stop_all(&ledger);
                remove_tree(&self.directory.join("postgres"))?;
                remove_tree(&self.directory.join("broker"))?;
                Settings::fresh(durability)?
            }
        };
        let text = serde_json::to_string(&settings).expect("plain values serialise");
        write_private(&path, &text, 0o600, None)?;
        Ok(self.assemble(settings, durability, ledger))
    }

    fn assemble(&self, settings: Settings, durability: Durability, ledger: Arc<Ledger>) -> Instance {
        let postgres = self.postgres.clone().map(|programs| Postgres {
            programs,
            directory: self.directory.clone(),
            ledger: Arc::clone(&ledger),
            user: self.users.postgres,
            port: settings.postgres_port,
            password: settings.password.clone(),
            durability,
        });
        let broker = self.broker.clone().map(|programs| Broker {
            programs,
            directory: self.directory.clone(),
            ledger: Arc::clone(&ledger),
            user: self.users.broker,
            starts_empty: self.empty_broker,
            ports: settings.broker_ports,
            password: settings.password,
            cookie: settings.cookie,
        });
        Instance { directory: self.directory.clone(), ledger, postgres, broker }
    }
}

impl Instance {
    /// Starts both servers side by side; a server that already answers is left alone. Says whether PostgreSQL was started.
    pub(crate) fn start(&self) -> Result<bool, ServersError> {
        thread::scope(|scope| {
            let postgres = scope.spawn(|| self.start_postgres());
            let broker = scope.spawn(|| self.start_broker());
            let postgres = postgres.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let broker = broker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            broker.and(postgres)
        })
    }

    fn start_postgres(&self) -> Result<bool, ServersError> {
        let Some(postgres) = &self.postgres else {
            return Ok(false);
        };
        if self.ledger.live(super::postgres::NAME).is_some() && postgres.answers() {
            return Ok(false);
        }
        postgres.stop();
        postgres.start().map(|()| true)
    }

    fn start_broker(&self) -> Result<(), ServersError> {
        let Some(broker) = &self.broker else {
            return Ok(());
        };
        if self.ledger.live(super::broker::NAME).is_some() && broker.answers() {
            return Ok(());
        }
        broker.stop();
        broker.start()
    }

    /// Stops what the ledger proves to be ours: in order when the data are to be kept, otherwise at once.
    pub(crate) fn stop(&self, keep_data: bool) {
        if !keep_data {
            stop_all(&self.ledger);
            return;
        }
        thread::scope(|scope| {
            if let Some(postgres) = &self.postgres {
                scope.spawn(|| postgres.stop());
            }
            if let Some(broker) = &self.broker {
                scope.spawn(|| broker.stop());
            }
        });
        stop_all(&self.ledger);
    }

    /// How to administer the broker, when this instance has one.
    pub(crate) fn broker_admin(&self) -> Option<BrokerAdmin> {
        let broker = self.broker.as_ref()?;
        Some(BrokerAdmin::Node(ErlangNode {
            node: NODE.to_owned(),
            erl: broker.programs.erl.clone(),
            erl_call: broker.programs.erl_call.clone(),
            home: broker.home(),
            user: broker.user,
            port_mapper: broker.ports.port_mapper,
        }))
    }
}

impl Settings {
    fn fresh(durability: Durability) -> Result<Self, ServersError> {
        Ok(Self {
            format: FORMAT,
            boot: boot_id(),
            fast: durability == Durability::Fast,
            postgres_port: free_port()?,
            broker_ports: broker_ports()?,
            password: random_word(),
            cookie: random_word(),
        })
    }

    fn ports_are_free(&self) -> bool {
        let BrokerPorts { amqp, distribution, port_mapper } = self.broker_ports;
        [self.postgres_port, amqp, distribution, port_mapper].into_iter().all(is_free)
    }
}

/// The settings of an earlier run, if its data may be used again: without `fsync` data do not outlive the machine's boot.
fn read_settings(path: &Path, durability: Durability) -> Option<Settings> {
    let settings: Settings = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let fast = durability == Durability::Fast;
    let usable = settings.format == FORMAT && settings.fast == fast && (!fast || settings.boot == boot_id());
    usable.then_some(settings)
}

fn broker_ports() -> Result<BrokerPorts, ServersError> {
    Ok(BrokerPorts { amqp: free_port()?, distribution: free_port()?, port_mapper: free_port()? })
}

/// 128 random bits as text that needs no quoting anywhere.
pub(crate) fn random_word() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// Kills every live process of the ledger but the watchdog.
pub(crate) fn stop_all(ledger: &Ledger) {
    for process in ledger.processes() {
        if process.name != "watchdog" && process.is_alive() {
            process.stop("KILL", std::time::Duration::from_secs(10));
        }
    }
}

fn open_lock(path: &Path) -> Result<File, ServersError> {
    File::options().create(true).append(true).open(path).map_err(ServersError::io("open", path))
}

fn programs(plan: &Plan<'_>) -> Result<(Option<PostgresPrograms>, Option<BrokerPrograms>), ServersError> {
    let find =
        || (plan.postgres.then(locate::postgres).flatten(), plan.broker.then(locate::broker).flatten());
    let complete = |found: &(Option<_>, Option<_>)| {
        found.0.is_some() == plan.postgres && found.1.is_some() == plan.broker
    };
    let found = find();
    if complete(&found) {
        return Ok(found);
    }
    // One installation at a time; the others find its result.
    let directory = target_directory().join("private-servers");
    std::fs::create_dir_all(&directory).map_err(ServersError::io("create", &directory))?;
    let lock = open_lock(&directory.join("install.lock"))?;
    lock.lock().map_err(ServersError::io("lock", &directory))?;
    let found = find();
    let mut packages = Vec::new();
    if plan.postgres && found.0.is_none() {
        packages.push("postgresql");
    }
    if plan.broker && found.1.is_none() {
        packages.push("rabbitmq-server");
    }
    if packages.is_empty() {
        return Ok(found);
    }
    install::install(&packages)?;
    let found = find();
    if complete(&found) {
        return Ok(found);
    }
    Err(ServersError::Install {
        packages: packages.join(" "),
        reason: "the packages are installed, but no PostgreSQL 15 or newer and RabbitMQ were found"
            .to_owned(),
    })
}
