//! The worker: moves data, and nothing else.
//!
//! A message names a job; [`runner`] leases it, [`engine`] reads and writes it, and the outcome goes back into
//! the jobs table. Reading order: [`runner`], [`jobs`], [`engine`], [`lane`].
//!
//! It never decides what is due, never waits inside a job for a condition to pass, and never acknowledges a
//! message before what it stands for is committed.

pub mod context;
pub mod crash;
pub mod engine;
pub mod error;
pub mod jobs;
pub mod lane;
pub mod lease;
pub mod parents;
pub mod runner;
pub mod serve;
pub mod tenants;
