//! The simulator seen from outside: through its HTTP API and its control API only, save where a test says so.

mod faults;
mod generator;
mod keyset;
mod limits;
mod oauth;
mod oracle;
mod queries;
mod records;
mod samples;
mod support;
mod tls;
