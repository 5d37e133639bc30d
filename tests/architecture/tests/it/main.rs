//! One binary for all rules.

mod dependencies;
mod imports;
mod migrations;
mod sizes;
