//! The simulator seen from outside: through its HTTP API and its control API only, save where a test says so.

#![expect(clippy::disallowed_methods, reason = "a JWT's life goes by the machine's clock")]
#![expect(
    clippy::unwrap_used,
    reason = "this whole file is a test, its helpers too; a panic is how a test fails"
)]

mod bulk;
mod faults;
mod generator;
mod keyset;
mod limits;
mod oauth;
mod oracle;
mod pages;
mod queries;
mod records;
mod resources;
mod samples;
mod support;
mod tls;
