//! A Salesforce simulator: orgs full of believable support cases behind the platform's own HTTP API, with a
//! control API to change, break and question them.
//!
//! People develop against it, the demo runs on it, tests break it on purpose. It knows nothing of the product.
//!
//! Reading order, from the bottom:
//! - [`schema`] says what objects there are, [`store`] keeps every version of every record, [`generate`] fills
//!   an org from a seed;
//! - [`soql`] turns statements into plans, [`query`] runs them;
//! - [`org`] is one org with its sessions, allowance, cursors, faults and log;
//! - [`http`] is what a client sees, [`control`] what a test sees;
//! - [`simulator`] starts it all, [`scenario`] goes on by itself.
//!
//! What must never happen: a visible value that does not come from the simulated [`clock`], a token or a
//! customer's text in a log, an answer to SOQL that only seems right (refuse it loudly instead).

#![expect(
    clippy::disallowed_methods,
    reason = "its own clock is the machine's plus an offset; JWTs go by the machine's"
)]

pub mod clock;
pub mod control;
pub mod generate;
pub mod http;
pub mod id;
pub mod options;
pub mod org;
pub mod query;
pub mod scenario;
pub mod schema;
pub mod simulator;
pub mod soql;
pub mod store;
pub mod time;
pub mod value;

pub use options::{Options, OrgOptions};
pub use simulator::{OrgEntry, Ready, Running, Simulator};
