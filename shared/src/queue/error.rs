//! Failures of the broker and what happens after each.

use crate::clock::Timestamp;
use crate::error::{Backoff, Classify, Disposition, UserMessage};

/// A failure between us and RabbitMQ.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The address or the CA file cannot be used.
    #[error("use the broker's settings: {0}")]
    Settings(String),
    /// No connection, or it was lost.
    #[error("reach RabbitMQ")]
    Unreachable(#[source] lapin::Error),
    /// RabbitMQ knows neither this user with this password, nor this virtual host for it.
    #[error("RabbitMQ refused the login: {reply}")]
    LoginRefused {
        /// The server's own words.
        reply: String,
    },
    /// RabbitMQ did not answer in time.
    #[error("RabbitMQ did not answer within {seconds} s while asked to {what}")]
    TimedOut {
        /// What it was asked to do.
        what: &'static str,
        /// How long we waited, in seconds.
        seconds: u64,
    },
    /// An exchange or queue of our name exists with other settings.
    #[error("{subject} exists with other settings: {reply}")]
    Drift {
        /// Which exchange or queue.
        subject: String,
        /// The server's own words.
        reply: String,
    },
    /// The last attempt to connect failed a moment ago; the next one is not due yet.
    #[error("RabbitMQ was not reachable a moment ago: {last}")]
    BackingOff {
        /// What the last attempt said.
        last: String,
    },
    /// RabbitMQ takes no messages: memory or disk alarm.
    #[error("RabbitMQ takes no messages now: it has raised a memory or disk alarm")]
    Blocked,
    /// No confirm came in time: the message may or may not be there.
    #[error("RabbitMQ did not confirm the message within {seconds} s")]
    NotConfirmed {
        /// How long we waited, in seconds.
        seconds: u64,
    },
    /// RabbitMQ confirmed that it could not keep the message.
    #[error("RabbitMQ refused the message")]
    Refused,
    /// No queue is bound for the message.
    #[error("RabbitMQ returned the message: {0}")]
    Returned(String),
    /// The delivery's connection is gone: RabbitMQ will deliver the message again.
    #[error("the delivery is stale: its connection was lost")]
    Stale,
}

impl QueueError {
    /// What an operator is told. Every variant has all of what, why and fix.
    #[must_use]
    pub fn message(&self) -> UserMessage {
        let code = format!("queue_{}", self.code());
        let (why, fix) = match self {
            Self::Settings(_) => (
                "Refrain could not make sense of broker.url or broker.ca_file.",
                "Write broker.url as amqp://user:password@host:5672/vhost, or amqps:// with TLS; ca_file must be PEM.",
            ),
            Self::Drift { .. } => (
                "RabbitMQ never changes the settings of a queue or exchange that exists.",
                "Delete the named one, or give Refrain a virtual host of its own. No work is lost: Refrain publishes \
                 again whatever is due.",
            ),
            Self::Blocked => (
                "A memory or disk alarm is set on the broker.",
                "Free memory or disk on the broker; Refrain goes on by itself.",
            ),
            Self::LoginRefused { .. } => (
                "User or password in broker.url are wrong, or the user may not use the virtual host.",
                "Correct broker.url, or add the user with rabbitmqctl; Refrain tries again by itself.",
            ),
            Self::Unreachable(_) | Self::TimedOut { .. } | Self::BackingOff { .. } => (
                "The broker is down, the network is cut, or its certificate is not signed by broker.ca_file.",
                "Check that the broker runs and that broker.url names it; Refrain tries again by itself.",
            ),
            Self::NotConfirmed { .. } | Self::Refused | Self::Returned(_) | Self::Stale => (
                "The message did not safely reach a queue.",
                "Nothing to do: the job stays due and is published again.",
            ),
        };
        UserMessage::new(&code, format!("{self}."), why, fix)
    }

    /// Whether the connection is of no more use after this failure.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::LoginRefused { .. }
            | Self::TimedOut { .. }
            | Self::NotConfirmed { .. }
            | Self::Stale => true,
            Self::Settings(_)
            | Self::Drift { .. }
            | Self::BackingOff { .. }
            | Self::Blocked
            | Self::Refused
            | Self::Returned(_) => false,
        }
    }
}

impl Classify for QueueError {
    fn disposition(&self, _now: Timestamp) -> Disposition {
        match self {
            Self::Settings(_) | Self::Drift { .. } => Disposition::Bug,
            Self::Stale => Disposition::Discard,
            Self::Unreachable(_)
            | Self::LoginRefused { .. }
            | Self::TimedOut { .. }
            | Self::BackingOff { .. }
            | Self::Blocked
            | Self::NotConfirmed { .. }
            | Self::Refused
            | Self::Returned(_) => Disposition::Retry { backoff: Backoff::Hiccup },
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Unreachable(_) => "unreachable",
            Self::LoginRefused { .. } => "login_refused",
            Self::TimedOut { .. } => "timed_out",
            Self::Drift { .. } => "drift",
            Self::BackingOff { .. } => "backing_off",
            Self::Blocked => "blocked",
            Self::NotConfirmed { .. } => "not_confirmed",
            Self::Refused => "refused",
            Self::Returned(_) => "returned",
            Self::Stale => "stale",
        }
    }
}
