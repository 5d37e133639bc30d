//! A Salesforce simulator: orgs full of believable support cases behind the platform's own HTTP API.
pub mod clock;
pub mod id;
pub mod org;
pub mod query;
pub mod schema;
pub mod soql;
pub mod store;
pub mod time;
pub mod value;
