//! What can go wrong with the servers, in words for the person at the terminal.

use std::path::{Path, PathBuf};

/// Why no servers are to be had.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    /// A server program is not installed and this process may not install it.
    #[error(
        "{what}: not installed, and this user may not install it. Install it, then run this again:\n\n    {command}\n\n\
         Or set DATABASE_URL and AMQP_URL to servers that run already."
    )]
    Missing {
        /// Which servers.
        what: String,
        /// The exact command that installs them.
        command: String,
    },
    /// The distribution's packages were installed, or could not be, and still no usable server is there.
    #[error(
        "installing {packages} failed: {reason}\nInstall PostgreSQL 15 or newer and RabbitMQ 3.10 or newer, or set DATABASE_URL and AMQP_URL."
    )]
    Install {
        /// The packages asked for.
        packages: String,
        /// What apt-get said last, or what is missing afterwards.
        reason: String,
    },
    /// A file, directory or program refused.
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// Its object.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another process uses this private instance.
    #[error("the private servers in {} are in use by another process; stop it first", .0.display())]
    Busy(PathBuf),
    /// A directory in a shared place belongs to somebody else.
    #[error("{} exists and is not ours (owner or mode differ); remove it or choose another CARGO_TARGET_DIR", .0.display())]
    Foreign(PathBuf),
    /// A server ended or did not answer in time.
    #[error("{server} did not start: {reason}\nthe end of its log:\n{log_tail}")]
    NotReady {
        /// `PostgreSQL` or `RabbitMQ`.
        server: &'static str,
        /// Whether it ended, or was late.
        reason: String,
        /// The last lines it wrote.
        log_tail: String,
    },
    /// A tool of the servers (initdb, erl_call) failed.
    #[error("{tool} failed: {output}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// What it said.
        output: String,
    },
    /// A URL from the environment cannot be read.
    #[error("{variable} is not a usable URL: {reason}")]
    BadUrl {
        /// The environment variable.
        variable: &'static str,
        /// Why; never the URL, which holds a password.
        reason: String,
    },
}

impl ServersError {
    /// The exit code a program should end with: 2 when a person must install something, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Missing { .. } | Self::Install { .. } => 2,
            Self::Io { .. }
            | Self::Busy(_)
            | Self::Foreign(_)
            | Self::NotReady { .. }
            | Self::Tool { .. }
            | Self::BadUrl { .. } => 1,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
