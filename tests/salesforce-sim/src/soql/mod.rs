//! SOQL: from text to a plan over the schema.
//!
//! `lexer` and `parser` know only grammar, `resolve` checks names against what the asking user may see
//! and yields a [`plan`]. Running a plan is [`crate::query`]'s work. The grammar is what sync clients send;
//! valid SOQL beyond it answers `MALFORMED_QUERY … is not supported by the simulator`.

pub mod ast;
pub mod errors;
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
