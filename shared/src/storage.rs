//! PostgreSQL: the truth. The only place with SQL.
//!
//! Three pools, two roles, one owner for each column (the comments of the migrations name it):
//!
//! - [`control`]: sqlx, role `refrain_control`: what people want (tenants, connections, object syncs, keys).
//! - [`Database::control`]: deadpool-postgres, role `refrain_control`: jobs, leases, limits, gates.
//! - [`Database::tenant`]: deadpool-postgres, role `refrain_tenant`: one tenant's rows in a [`TenantTx`], with
//!   row-level security and a transaction-local tenant.
//!
//! Traps that shape this module: an abandoned transaction is rolled back by no recycling method, so BEGIN is
//! never sent as text; a tenant set for the session would survive in the pool, so it is only ever local; a
//! `begin` is never wrapped in a time-out.

pub mod audit;
pub mod checkpoints;
pub mod chunks;
pub mod connection_secrets;
pub mod content;
pub mod control;
mod departures;
pub mod describes;
pub mod dispatch;
pub mod error;
pub mod expiry;
pub mod files;
pub mod filters;
pub mod followed;
pub mod gates;
pub mod holds;
pub mod jobs;
pub mod keys;
pub mod migrations;
pub mod org_limits;
pub mod page_commit;
pub mod pool;
pub mod read_again;
pub mod records;
pub mod related;
pub mod reproject;
pub mod schema_changes;
pub mod slices;
pub mod standings;
pub mod sweeps;
pub mod verify;

pub use error::StoreError;
pub use pool::{ConnectOptions, Database, TenantTx, TlsMode};
