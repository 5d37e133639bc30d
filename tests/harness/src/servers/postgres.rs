//! One private PostgreSQL: made, configured, started, stopped, killed, wiped.
//!
//! It listens on 127.0.0.1 only, with a random password (scram), and on no Unix socket: socket paths are
//! limited to about 100 bytes and a target directory may be deeper.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::ServersError;
use super::launch::{Launch, launch};
use super::ledger::Ledger;
use super::locate::PostgresPrograms;
use super::place::{User, give, make_private, run_as, write_private};
use super::{Durability, tail};
use crate::wait::until_blocking;

/// The ledger's name for it.
pub(crate) const NAME: &str = "postgres";
/// The superuser of every private PostgreSQL and the only user of every private broker.
pub(crate) const ACCOUNT: &str = "refrain";
/// Generous: replay of a 2 GB write-ahead log after a kill, on a loaded machine.
const START_DEADLINE: Duration = Duration::from_mins(2);

pub(crate) struct Postgres {
    pub(crate) programs: PostgresPrograms,
    /// The instance's directory.
    pub(crate) directory: PathBuf,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) user: Option<User>,
    pub(crate) port: u16,
    pub(crate) password: String,
    pub(crate) durability: Durability,
}

impl Postgres {
    fn home(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("postgres.log")
    }

    /// Removes all data. The server must not run.
    pub(crate) fn wipe(&self) -> Result<(), ServersError> {
        remove_tree(&self.home())
    }

    /// Whether the data directory was made by this major version.
    fn is_initialised(&self) -> bool {
        std::fs::read_to_string(self.data().join("PG_VERSION"))
            .is_ok_and(|version| version.trim() == self.programs.major.to_string())
    }

    /// Starts the server, making its data directory first when there is none; returns when it answers.
    pub(crate) fn start(&self) -> Result<(), ServersError> {
        if !self.is_initialised() {
            self.initialise()?;
            return self.run();
        }
        // Data that a former run left unusable are thrown away rather than explained: nobody's truth lives here.
        match self.run() {
            Err(ServersError::NotReady { .. }) => {
                self.stop();
                self.wipe()?;
                self.initialise()?;
                self.run()
            }
            other => other,
        }
    }

    /// Starts the server on the data that are there.
    pub(crate) fn run(&self) -> Result<(), ServersError> {
        write_private(&self.data().join("postgresql.conf"), &self.settings(), 0o600, self.user)?;
        let access = "host all all 127.0.0.1/32 scram-sha-256\n";
        write_private(&self.data().join("pg_hba.conf"), access, 0o600, self.user)?;
        let started = Instant::now();
        loop {
            match self.run_once() {
                // After a kill the last backends may still hold the old shared memory for a moment.
                Err(ServersError::NotReady { log_tail, .. })
                    if log_tail.contains("still in use") && started.elapsed() < Duration::from_secs(10) => {}
                other => return other,
            }
        }
    }

    fn run_once(&self) -> Result<(), ServersError> {
        let _ = std::fs::remove_file(self.log());
        let home = self.home();
        let process = launch(
            &Launch {
                name: NAME,
                program: &self.programs.bin.join("postgres"),
                arguments: vec!["-D".to_owned(), self.data().to_string_lossy().into_owned()],
                environment: clock().chain([("TZ", "UTC".to_owned())]).collect(),
                user: self.user,
                directory: &home,
                log: &self.log(),
            },
            &self.ledger,
        )?;
        let mut ended = false;
        let ready = until_blocking(START_DEADLINE, "PostgreSQL", || {
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
        ServersError::NotReady {
            server: "PostgreSQL",
            reason: reason.to_owned(),
            log_tail: tail(&self.log()),
        }
    }

    /// Stops the server in order: sessions are ended, a checkpoint is written.
    pub(crate) fn stop(&self) {
        if let Some(process) = self.ledger.live(NAME) {
            process.stop("INT", Duration::from_secs(20));
        }
    }

    /// Kills the server without a word, as a power cut of the process would.
    pub(crate) fn kill(&self) {
        if let Some(process) = self.ledger.live(NAME) {
            process.stop("KILL", Duration::from_secs(10));
        }
    }

    /// Whether the server accepts connections: it asks for a password (`R`) instead of sending an error (`E`,
    /// "the database system is starting up").
    pub(crate) fn answers(&self) -> bool {
        greet(self.port, &startup_message(), b'R')
    }

    /// The server's address with the superuser's credentials.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{ACCOUNT}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    fn initialise(&self) -> Result<(), ServersError> {
        remove_tree(&self.data())?;
        make_private(&self.home(), self.user)?;
        let unfinished = self.home().join("unfinished");
        remove_tree(&unfinished)?;
        let password_file = self.home().join("password");
        write_private(&password_file, &self.password, 0o600, self.user)?;
        let mut command = Command::new(self.programs.bin.join("initdb"));
        command
            .args([
                "--no-sync",
                "--no-instructions",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--auth=scram-sha-256",
            ])
            .args(["--username", ACCOUNT, "--pwfile"])
            .arg(&password_file)
            .arg("-D")
            .arg(&unfinished)
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        run_as(&mut command, self.user, &self.home());
        let output = command.output().map_err(ServersError::io("run", self.programs.bin.join("initdb")))?;
        let _ = std::fs::remove_file(&password_file);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(ServersError::Tool { tool: "initdb", output: said });
        }
        // The name `data` appears only when initdb has finished, so a killed run leaves no half cluster.
        std::fs::rename(&unfinished, self.data()).map_err(ServersError::io("rename", &unfinished))?;
        give(&self.home(), self.user)
    }

    fn settings(&self) -> String {
        let Self { port, durability, .. } = self;
        let (fsync, checkpoint) = match durability {
            Durability::Honest => ("on", "10min"),
            Durability::Fast => ("off", "30min"),
        };
        format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n\
             max_connections = 300\nshared_buffers = 256MB\nmaintenance_work_mem = 128MB\n\
             fsync = {fsync}\nfull_page_writes = {fsync}\nsynchronous_commit = on\nwal_level = replica\n\
             wal_compression = on\nmax_wal_size = 2GB\nmin_wal_size = 128MB\ncheckpoint_timeout = {checkpoint}\n\
             jit = off\nautovacuum_naptime = 10s\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n\
             log_line_prefix = '%m [%p] %q%d '\nlog_lock_waits = on\npassword_encryption = scram-sha-256\n\
             client_encoding = utf8\n"
        )
    }
}

/// Protocol 3.0, user and database `refrain`: enough to be asked for a password.
fn startup_message() -> Vec<u8> {
    let parameters = format!("user\0{ACCOUNT}\0database\0postgres\0\0");
    let length = u32::try_from(8 + parameters.len()).expect("a short message");
    let mut message = length.to_be_bytes().to_vec();
    message.extend(196_608_u32.to_be_bytes());
    message.extend(parameters.into_bytes());
    message
}

/// Connects, says `hello` and looks at the first byte of the answer.
pub(crate) fn greet(port: u16, hello: &[u8], expected: u8) -> bool {
    let patience = Duration::from_secs(2);
    let Ok(mut stream) = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), patience) else {
        return false;
    };
    let mut first = [0_u8; 1];
    stream.set_read_timeout(Some(patience)).is_ok()
        && stream.write_all(hello).is_ok()
        && stream.read_exact(&mut first).is_ok()
        && first[0] == expected
}

/// Removes a directory and all below it, if it is there.
pub(crate) fn remove_tree(path: &Path) -> Result<(), ServersError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ServersError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// What makes every program's clock run ahead (`faketime`), as far as it is set for us: then it is the database's too.
fn clock() -> impl Iterator<Item = (&'static str, String)> {
    let names = [
        "LD_PRELOAD",
        "FAKETIME_TIMESTAMP_FILE",
        "FAKETIME_NO_CACHE",
        "FAKETIME_DONT_FAKE_MONOTONIC",
        "FAKETIME",
    ];
    names.into_iter().filter_map(|name| Some((name, super::environment(name)?)))
}
