//! SOQL: from text to a plan over the schema.
//!
//! `lexer` and `parser` know only grammar, `resolve` checks names against what the asking user may see
//! and yields a [`plan`]. Running a plan is [`crate::query`]'s work. The whole grammar of the REST API is read; what is
//! refused is refused for a reason that the platform has too. Dates are in UTC, for the users live there, and the fiscal
//! year is the calendar's.

pub mod ast;
pub mod errors;
mod functions;
mod lexer;
mod literal;
mod parser;
pub mod plan;
mod resolve;

pub use errors::SoqlError;
pub use parser::parse;
pub use resolve::{Asker, resolve};

/// Longest statement the platform takes, in characters.
pub const MAX_LENGTH: usize = 100_000;
