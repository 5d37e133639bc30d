//! A private pair of servers with one owner, who may also break them.

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Durability;
use super::error::ServersError;
use super::instance::{Endpoints, Entrance, Instance, Plan, random_word};
use super::launch::watch;
use super::place::target_directory;
use crate::broker_admin::{AdminError, BrokerAdmin};
use crate::wait::until_blocking;

/// Which private servers to start.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) name: String,
    pub(crate) durability: Durability,
    pub(crate) keep_data: bool,
    pub(crate) postgres: bool,
    pub(crate) broker: bool,
}

impl Options {
    /// Servers for a program such as the demo: durable as in production, data kept from run to run under `name`.
    /// Two processes cannot use the same name at once ([`ServersError::Busy`]).
    pub fn program(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            durability: Durability::Honest,
            keep_data: true,
            postgres: true,
            broker: true,
        }
    }

    /// Servers for one test that breaks them: fresh, without `fsync`, removed at the end.
    pub fn throw_away(test: &str) -> Self {
        let name = format!("own-{test}-{}", &random_word()[..8]);
        Self { name, durability: Durability::Fast, keep_data: false, postgres: true, broker: true }
    }

    /// Sets what a crash of the machine may cost.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Data are removed at the end, and the servers killed instead of stopped in order, which is quicker.
    #[must_use]
    pub fn discard_data(mut self) -> Self {
        self.keep_data = false;
        self
    }

    /// Leaves RabbitMQ out.
    #[must_use]
    pub fn only_postgres(mut self) -> Self {
        self.broker = false;
        self
    }

    /// Leaves PostgreSQL out.
    #[must_use]
    pub fn only_broker(mut self) -> Self {
        self.postgres = false;
        self
    }
}

/// Private servers that this value owns. They keep their ports when they are restarted. Dropping the value stops them;
/// if the process is killed, the watchdog does, within about a second.
pub struct PrivateServers {
    inner: Arc<Inner>,
}

struct Inner {
    instance: Instance,
    keep_data: bool,
    stopped: AtomicBool,
    /// Held alone for as long as the servers are ours.
    _owner_lock: File,
}

impl fmt::Debug for PrivateServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateServers")
            .field("directory", &self.inner.instance.directory)
            .finish_non_exhaustive()
    }
}

impl PrivateServers {
    /// Starts the servers, both at once; installs their packages first when it must and may.
    pub async fn start(options: Options) -> Result<Self, ServersError> {
        blocking(move || Self::start_blocking(&options)).await
    }

    /// As [`Self::start`], for callers without a runtime.
    pub fn start_blocking(options: &Options) -> Result<Self, ServersError> {
        if !options.keep_data {
            remove_abandoned();
        }
        let plan = Plan {
            name: &options.name,
            durability: options.durability,
            postgres: options.postgres,
            broker: options.broker,
            empty_broker: !options.keep_data,
        };
        let entrance = Entrance::open(&plan)?;
        let owner_lock = entrance.clients_lock()?;
        // A watchdog that just woke holds the lock for an instant; a real owner holds it for longer.
        until_blocking(Duration::from_secs(2), "the instance's former owner", || owner_lock.try_lock().ok())
            .map_err(|_| ServersError::Busy(entrance.directory.clone()))?;
        let instance = entrance.instance(options.durability)?;
        instance.stop(true);
        watch(&instance.directory, 0, &instance.ledger)?;
        let inner = Inner {
            instance,
            keep_data: options.keep_data,
            stopped: AtomicBool::new(false),
            _owner_lock: owner_lock,
        };
        inner.instance.start()?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The superuser's address of a database. With a password: do not print it where others read.
    ///
    /// # Panics
    /// When the servers were started without PostgreSQL.
    pub fn database_url(&self, database: &str) -> String {
        self.inner.instance.postgres.as_ref().expect("started with PostgreSQL").url(database)
    }

    /// The broker's address. With a password: do not print it where others read.
    ///
    /// # Panics
    /// When the servers were started without RabbitMQ.
    pub fn amqp_url(&self, vhost: &str) -> String {
        self.inner.instance.broker.as_ref().expect("started with RabbitMQ").url(vhost)
    }

    /// Stops PostgreSQL in order (fast shutdown) and leaves it down.
    pub async fn stop_postgres(&self) {
        self.with(|inner| inner.each_postgres(super::postgres::Postgres::stop)).await;
    }

    /// Kills PostgreSQL (SIGKILL) and leaves it down. Returns when its backends are gone.
    pub async fn kill_postgres(&self) {
        self.with(|inner| inner.each_postgres(super::postgres::Postgres::kill)).await;
    }

    /// Starts PostgreSQL again on its old port and data; stops it first when it runs.
    pub async fn restart_postgres(&self) -> Result<(), ServersError> {
        self.with(|inner| {
            let Some(postgres) = &inner.instance.postgres else {
                return Ok(());
            };
            postgres.stop();
            postgres.run()
        })
        .await
    }

    /// Stops RabbitMQ in order and leaves it down.
    pub async fn stop_broker(&self) {
        self.with(|inner| inner.each_broker(super::broker::Broker::stop)).await;
    }

    /// Kills RabbitMQ (SIGKILL) and leaves it down.
    pub async fn kill_broker(&self) {
        self.with(|inner| inner.each_broker(super::broker::Broker::kill)).await;
    }

    /// Starts RabbitMQ again on its old port and data; stops it first when it runs.
    pub async fn restart_broker(&self) -> Result<(), ServersError> {
        self.with(|inner| {
            let Some(broker) = &inner.instance.broker else {
                return Ok(());
            };
            broker.stop();
            broker.run()
        })
        .await
    }

    /// Kills RabbitMQ and removes all it has: queues, messages, vhosts. It stays down until [`Self::restart_broker`],
    /// and then has the default vhost and the same user again.
    pub async fn wipe_broker(&self) -> Result<(), ServersError> {
        self.with(|inner| {
            let Some(broker) = &inner.instance.broker else {
                return Ok(());
            };
            broker.kill();
            broker.wipe()
        })
        .await
    }

    /// Stops the broker's clock (SIGSTOP): connections stay open and nothing answers.
    pub async fn freeze_broker(&self) {
        self.signal_broker("STOP").await;
    }

    /// Ends [`Self::freeze_broker`].
    pub async fn thaw_broker(&self) {
        self.signal_broker("CONT").await;
    }

    async fn signal_broker(&self, signal: &'static str) {
        self.with(move |inner| {
            if let Some(broker) = inner.instance.ledger.live(super::broker::NAME) {
                broker.signal(signal);
            }
        })
        .await;
    }

    /// Makes the broker believe that memory is short (it then blocks publishers), or ends that belief.
    pub async fn memory_alarm(&self, raised: bool) -> Result<(), AdminError> {
        let expression = if raised {
            "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})."
        } else {
            "rabbit_alarm:clear_alarm({resource_limit, memory, node()})."
        };
        self.broker_eval(expression).await.map(drop)
    }

    /// Evaluates an Erlang expression in the broker and gives what it prints; for faults that have no call of their own.
    pub async fn broker_eval(&self, expression: &str) -> Result<String, AdminError> {
        match self.inner.instance.broker_admin() {
            Some(BrokerAdmin::Node(node)) => node.eval(expression).await,
            Some(BrokerAdmin::Management(_)) | None => Err(AdminError::NoNode),
        }
    }

    /// Whether a broker belongs to this instance.
    pub(crate) fn has_broker(&self) -> bool {
        self.inner.instance.broker.is_some()
    }

    /// A new vhost, which must not exist yet: RabbitMQ 3.10 trips over quorum queues of a vhost that was there before.
    pub(crate) async fn new_vhost(&self, name: &str) -> Result<(), AdminError> {
        let broker = self.inner.instance.broker_admin().ok_or(AdminError::NoNode)?;
        broker.create_vhost(name, super::postgres::ACCOUNT).await
    }

    pub(crate) fn endpoints(&self) -> Option<Endpoints> {
        Some(Endpoints {
            database: self.database_url("postgres").parse().ok()?,
            amqp: self.amqp_url("/").parse().ok()?,
            broker: self.inner.instance.broker_admin()?,
        })
    }

    /// Stops the servers and waits for them.
    pub async fn stop(self) {
        self.with(Inner::stop).await;
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> T {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner)).await
    }
}

impl Inner {
    fn each_postgres(&self, work: impl FnOnce(&super::postgres::Postgres)) {
        if let Some(postgres) = &self.instance.postgres {
            work(postgres);
        }
    }

    fn each_broker(&self, work: impl FnOnce(&super::broker::Broker)) {
        if let Some(broker) = &self.instance.broker {
            work(broker);
        }
    }

    fn stop(&self) {
        if self.stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        self.instance.stop(self.keep_data);
        if !self.keep_data {
            let _ = std::fs::remove_dir_all(&self.instance.directory);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Removes throw-away instances whose owner was killed. One whose lock is held has an owner.
fn remove_abandoned() {
    let Ok(entries) = std::fs::read_dir(target_directory().join("private-servers")) else {
        return;
    };
    for directory in entries.flatten().map(|entry| entry.path()) {
        let throw_away = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with("own-"));
        let Ok(lock) = File::options().append(true).open(directory.join("clients.lock")) else {
            continue;
        };
        let Ok(start) = File::options().append(true).open(directory.join("start.lock")) else {
            continue;
        };
        if throw_away && start.try_lock().is_ok() && lock.try_lock().is_ok() {
            super::instance::stop_all(&super::ledger::Ledger::new(&directory));
            let _ = std::fs::remove_dir_all(&directory);
        }
    }
}

/// Runs blocking work off the runtime's own threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
