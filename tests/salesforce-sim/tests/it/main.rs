//! The simulator seen from outside: through its HTTP API and its control API only, save where a test says so.

#![expect(clippy::disallowed_methods, reason = "a JWT's life goes by the machine's clock")]
#![expect(
    clippy::unwrap_used,
    reason = "this whole file is a test, its helpers too; a panic is how a test fails"
)]

mod authorize;
mod browser;
mod bulk;
mod customs;
mod faults;
mod generator;
mod jwt;
mod keyset;
mod limits;
mod moves;
mod oauth;
mod objects;
mod oracle;
mod pages;
mod queries;
mod records;
mod refusals;
mod replication;
mod resources;
mod rows;
mod samples;
mod sight;
mod soap;
mod soql;
mod support;
