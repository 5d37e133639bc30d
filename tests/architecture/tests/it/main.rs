//! One binary for all rules.

#![expect(
    clippy::unwrap_used,
    reason = "this whole file is a test, its readers too; a panic is how a test fails"
)]

mod dependencies;
mod deploy;
mod forms;
mod imports;
mod lessons;
mod metrics;
mod migrations;
mod sizes;
