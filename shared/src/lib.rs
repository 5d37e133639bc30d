//! Models, decisions and edges that the scheduler and the workers share.
//!
//! Two layers. The core holds values and decisions: no I/O, no async, time comes in as an argument. The edges
//! each own one outside world and are the only modules that do I/O. Reading order:
//!
//! - core: [`ids`], [`clock`], [`error`], [`secret`], [`tenant`], [`catalog`], [`record`], [`ticket`], [`job`],
//!   [`limits`], [`privacy`], [`retention`], [`freshness`], [`audit`]
//! - edges: [`crypto`], [`storage`], [`queue`], [`config`], [`telemetry`]

pub mod audit;
pub mod catalog;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod error;
pub mod freshness;
pub mod ids;
pub mod job;
pub mod limits;
pub mod ports;
pub mod privacy;
pub mod queue;
pub mod record;
pub mod retention;
pub mod salesforce;
pub mod secret;
pub mod start;
pub mod storage;
pub mod telemetry;
pub mod tenant;
pub mod ticket;
pub mod wiring;
