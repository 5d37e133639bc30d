//! Version 1: one file a resource. Changes to it are additions only.

pub mod audit;
pub mod cancels;
pub mod changes;
pub mod connections;
pub mod dead;
pub mod files;
pub mod holds;
pub mod jobs;
pub mod keys;
pub mod limits;
pub mod objects;
pub mod pauses;
pub mod people;
pub mod quarantine;
pub mod records;
pub mod resyncs;
pub mod retention;
pub mod schema_changes;
pub mod status;
pub mod tenants;
pub mod tickets;
pub mod verifications;

use super::problem::ApiError;

/// A name for people, within its bounds.
fn checked_name(name: &str) -> Result<String, ApiError> {
    const LONGEST: usize = 200;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST {
        return Err(ApiError::invalid(
            "The name is empty or too long.",
            format!("Give a name of 1 to {LONGEST} characters."),
        ));
    }
    Ok(name.to_owned())
}
