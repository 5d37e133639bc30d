//! x
pub mod permissions;
