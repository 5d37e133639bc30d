//! Logs, metrics and health. Every other edge may use it; it uses none of them.
//!
//! What it must never do: put a tenant's id, a message or anything of a customer's into a label.

pub mod health;
pub mod init;
pub mod names;

pub use health::{Check, Health, health_router};
pub use init::{Telemetry, TelemetryError, init_logs, init_metrics};
