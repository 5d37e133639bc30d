//! The promises, kept by the real scheduler and the real workers as processes of their own, on real PostgreSQL and
//! real RabbitMQ, against the simulator: while they are killed, cut off and lied to.
//!
//! Every test ends with the oracle ([`demo::verify`]): each value that is stored equals the org's ground truth; and
//! with a look through every log of every program ([`logs`]).
//!
//! Where to begin: [`stack`] is one installation, [`tenant`] one customer with one org, [`simulator`] the org's side.
//! The tests stand by what goes wrong: [`crash`], [`kills`], [`servers`], [`messages`], [`reading`], [`pages`],
//! [`permissions`], [`tenants`], [`memory`].
//!
//! **How it stays quick.** Orgs are small, and pages are made smaller still, so that a load of seconds has dozens of
//! pages; stacks run beside each other, because most of a crash test is waiting for a lease to run out; the
//! simulator and both servers are shared. **The worker with crash points** is a second program of the worker's
//! package, behind a feature that nothing else asks for: the workspace's own builds never see it, and building it
//! compiles one crate, because everything below is what `cargo test` has built already (see [`programs`]).

#![expect(clippy::unwrap_used, reason = "tests fail by panicking, their small functions too")]

mod crash;
mod kills;
mod logs;
mod memory;
mod messages;
mod pages;
mod permissions;
mod programs;
mod reading;
mod servers;
mod simulator;
mod stack;
mod tenant;
mod tenants;

use std::time::Duration;

/// A verdict of "never"; a passing test does not wait so long.
const DEADLINE: Duration = Duration::from_secs(180);

/// What the scheduler says when a worker died with a job in hand.
const LEASE_RAN_OUT: &str = "a lease ran out without a word";
