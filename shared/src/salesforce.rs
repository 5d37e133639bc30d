//! The Salesforce edge: the one door through which a connection's org is read.
//!
//! Begin with [`Client`]: a call takes the shared session from the token store, passes the gate, goes over
//! the wire once, and comes back as a value or as a [`SalesforceError`] that says what happens next. An
//! expired session is renewed once; nothing else is repeated here. Reading records begins with
//! [`slice::RecordPages`]; its pages come one at a time.
//!
//! Must never: reach Salesforce without passing the gate, send a token to a host outside [`host`], build a
//! query outside [`soql`], log or keep a token, a body or a record's value in an error.

mod auth;
pub mod bulk;
mod client;
pub mod condition;
pub mod deleted;
pub mod describe;
pub mod download;
mod error;
mod fault;
mod gate;
pub mod host;
mod http;
pub mod identity;
mod limits;
mod pace;
pub mod query;
mod remedy;
pub mod results;
pub mod slice;
pub mod soql;
mod split;
#[cfg(test)]
mod stub;
pub mod transcript;

pub use auth::fault::{OAuthFault, OAuthKind};
pub use client::{Client, ClientSettings};
pub use error::{SalesforceError, WireStage};
pub use fault::{ApiFault, FaultKind};
pub use http::{Http, HttpSettings, HttpSetupError};
pub use limits::ApiUsage;
pub use pace::Pacer;
pub use remedy::object_refused;
