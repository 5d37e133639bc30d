//! One private RabbitMQ: configured, started, stopped, killed, wiped.
//!
//! It has its own Erlang cookie, its own port mapper (`epmd`, ours too, so it is stopped too), no plugins, and
//! listens on 127.0.0.1 only. The node's name is the same everywhere, which its private port mapper allows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::ServersError;
use super::launch::{Launch, launch};
use super::ledger::Ledger;
use super::locate::BrokerPrograms;
use super::place::{User, make_private, write_private};
use super::postgres::{ACCOUNT, greet, remove_tree};
use super::tail;
use crate::wait::until_blocking;

/// The ledger's names.
pub(crate) const NAME: &str = "broker";
const PORT_MAPPER: &str = "epmd";
/// The Erlang node. `localhost` resolves everywhere, which a machine's own name does not.
pub(crate) const NODE: &str = "refrain@localhost";
/// A first boot takes 13 s on an idle two-core machine; beside a build several times that.
const START_DEADLINE: Duration = Duration::from_mins(2);
/// An orderly stop takes about 2 s.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The ports of one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct BrokerPorts {
    pub(crate) amqp: u16,
    pub(crate) distribution: u16,
    pub(crate) port_mapper: u16,
}

pub(crate) struct Broker {
    pub(crate) programs: BrokerPrograms,
    /// The instance's directory.
    pub(crate) directory: PathBuf,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) user: Option<User>,
    /// RabbitMQ 3.10 refuses quorum queues in a vhost whose former self was deleted while it booted; a broker that
    /// starts empty never meets one.
    pub(crate) starts_empty: bool,
    pub(crate) ports: BrokerPorts,
    pub(crate) password: String,
    pub(crate) cookie: String,
}

impl Broker {
    /// The broker's HOME: cookie, configuration and data.
    pub(crate) fn home(&self) -> PathBuf {
        self.directory.join("broker")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("broker.log")
    }

    /// Removes all data: queues, messages, users, vhosts. The broker must not run.
    pub(crate) fn wipe(&self) -> Result<(), ServersError> {
        remove_tree(&self.home())
    }

    /// Starts the broker; returns when it answers.
    pub(crate) fn start(&self) -> Result<(), ServersError> {
        if self.starts_empty {
            self.wipe()?;
        }
        let was_there = self.home().join("data").is_dir();
        match self.run() {
            Err(ServersError::NotReady { .. }) if was_there => {
                self.kill();
                self.wipe()?;
                self.run()
            }
            other => other,
        }
    }

    /// Starts the broker on the data that are there.
    pub(crate) fn run(&self) -> Result<(), ServersError> {
        self.configure()?;
        self.start_port_mapper()?;
        let _ = std::fs::remove_file(self.log());
        let home = self.home();
        let process = launch(
            &Launch {
                name: NAME,
                program: &self.programs.server,
                arguments: Vec::new(),
                environment: self.environment(),
                user: self.user,
                directory: &home,
                log: &self.log(),
            },
            &self.ledger,
        )?;
        let mut ended = false;
        let ready = until_blocking(START_DEADLINE, "RabbitMQ", || {
            ended = !process.is_alive();
            (ended || self.answers()).then_some(())
        });
        match ready {
            Ok(()) if !ended => Ok(()),
            Ok(()) => Err(self.not_ready("it ended")),
            Err(late) => Err(self.not_ready(&late.to_string())),
        }
    }

    fn not_ready(&self, reason: &str) -> ServersError {
        ServersError::NotReady { server: "RabbitMQ", reason: reason.to_owned(), log_tail: tail(&self.log()) }
    }

    /// Stops broker and port mapper in order.
    pub(crate) fn stop(&self) {
        if let Some(process) = self.ledger.live(NAME) {
            process.stop("TERM", STOP_PATIENCE);
        }
        if let Some(process) = self.ledger.live(PORT_MAPPER) {
            process.stop("KILL", STOP_PATIENCE);
        }
    }

    /// Kills the broker without a word. The port mapper stays: it holds no data and notices by itself.
    pub(crate) fn kill(&self) {
        if let Some(process) = self.ledger.live(NAME) {
            process.stop("KILL", STOP_PATIENCE);
        }
    }

    /// Whether the broker greets an AMQP 0-9-1 client: it opens its listener last.
    pub(crate) fn answers(&self) -> bool {
        const METHOD_FRAME: u8 = 1;
        greet(self.ports.amqp, b"AMQP\x00\x00\x09\x01", METHOD_FRAME)
    }

    /// The broker's address; `vhost` in its plain form.
    pub(crate) fn url(&self, vhost: &str) -> String {
        let vhost = if vhost == "/" { "%2f" } else { vhost };
        format!("amqp://{ACCOUNT}:{}@127.0.0.1:{}/{vhost}", self.password, self.ports.amqp)
    }

    fn start_port_mapper(&self) -> Result<(), ServersError> {
        if self.ledger.live(PORT_MAPPER).is_some() {
            return Ok(());
        }
        let port = self.ports.port_mapper;
        let home = self.home();
        let process = launch(
            &Launch {
                name: PORT_MAPPER,
                program: &self.programs.epmd,
                arguments: ["-address", "127.0.0.1", "-port", &port.to_string()].map(str::to_owned).to_vec(),
                environment: Vec::new(),
                user: self.user,
                directory: &home,
                log: &self.directory.join("epmd.log"),
            },
            &self.ledger,
        )?;
        let address = ([127, 0, 0, 1], port).into();
        let answered = until_blocking(Duration::from_secs(10), "epmd", || {
            let patience = Duration::from_secs(1);
            (!process.is_alive() || std::net::TcpStream::connect_timeout(&address, patience).is_ok())
                .then_some(())
        });
        if answered.is_err() || !process.is_alive() {
            return Err(self.not_ready("its port mapper epmd did not start"));
        }
        Ok(())
    }

    fn configure(&self) -> Result<(), ServersError> {
        let home = self.home();
        make_private(&home, self.user)?;
        for directory in ["data", "log"] {
            make_private(&home.join(directory), self.user)?;
        }
        let put = |name: &str, text: &str, mode| write_private(&home.join(name), text, mode, self.user);
        put(".erlang.cookie", &self.cookie, 0o400)?;
        put("enabled_plugins", "[].\n", 0o600)?;
        // Consumer time-outs are looked at once per tick; the default minute would make a test of one take a minute.
        put("advanced.config", "[{rabbit, [{channel_tick_interval, 1000}]}].\n", 0o600)?;
        put("rabbitmq.conf", &self.settings(), 0o600)
    }

    fn settings(&self) -> String {
        format!(
            "listeners.tcp.1 = 127.0.0.1:{}\ndefault_user = {ACCOUNT}\ndefault_pass = {}\nloopback_users = none\n\
             heartbeat = 10\ndisk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 1GB\n\
             log.console = true\nlog.console.level = info\nlog.file = false\n",
            self.ports.amqp, self.password
        )
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let home = self.home();
        let at = |name: &str| home.join(name).to_string_lossy().into_owned();
        let BrokerPorts { amqp, distribution, port_mapper } = self.ports;
        // `-sname` here starts distribution at once, which spares RabbitMQ a helper node that looks for epmd.
        let additional = format!(
            "-noinput -sname {NODE} -kernel inet_dist_use_interface {{127,0,0,1}} \
             -kernel inet_dist_listen_min {distribution} -kernel inet_dist_listen_max {distribution} \
             +S 2:2 +SDio 4 +sbwt none +sbwtdcpu none +sbwtdio none"
        );
        vec![
            ("HOME", home.to_string_lossy().into_owned()),
            ("ERL_EPMD_PORT", port_mapper.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("ERL_CRASH_DUMP_SECONDS", "0".to_owned()),
            // Makes the script become the Erlang machine instead of standing in front of it: the pid we know is the broker.
            ("RABBITMQ_ALLOW_INPUT", "1".to_owned()),
            ("RABBITMQ_NODENAME", NODE.to_owned()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODE_PORT", amqp.to_string()),
            ("RABBITMQ_DIST_PORT", distribution.to_string()),
            ("RABBITMQ_MNESIA_BASE", at("data")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_PID_FILE", at("broker.pid")),
            ("RABBITMQ_CONF_ENV_FILE", at("no-such-file")),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            // Otherwise the machine's own /etc/rabbitmq/conf.d would be read too.
            ("RABBITMQ_CONFIG_FILES", at("no-such-directory")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", additional),
        ]
    }
}
