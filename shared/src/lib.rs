//! Models, decisions and edges that the scheduler and the workers share.

pub mod catalog;
pub mod clock;
pub mod error;
pub mod ids;
pub mod ports;
pub mod record;
pub mod salesforce;
pub mod secret;
