//! The test kit: real servers, throw-away databases and brokers, our programs as child processes, and faults.
//!
//! Where to begin: [`TestBed`] gives one test its own empty database and its own broker vhost on servers that all
//! test binaries of a `cargo test` run share; [`servers::PrivateServers`] gives one owner a pair of servers that it
//! may kill and restart; [`process`] runs our binaries; [`proxy`] breaks their connections; [`wait`] waits for a
//! condition.
//!
//! What it must never do: touch a server that it cannot prove to have started itself, leave one running after its
//! last user has gone, or print a password.

pub mod logs;
pub mod process;
pub mod proxy;
pub mod servers;
pub mod wait;

mod broker_admin;
mod database_admin;
mod testbed;

pub use broker_admin::AdminError;
pub use testbed::{BedError, Schema, TestBed};
