//! Version 1: one file a resource. Changes to it are additions only.

pub mod changes;
pub mod connections;
pub mod jobs;
pub mod keys;
pub mod objects;
pub mod people;
pub mod quarantine;
pub mod status;
pub mod tenants;
pub mod tickets;

use refrain_shared::error::UserMessage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::ApiError;

/// What a person must do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ask {
    /// A stable word for programs.
    pub code: String,
    /// What happened.
    pub what: String,
    /// Why it happened.
    pub why: String,
    /// What to do about it.
    pub fix: String,
}

impl From<UserMessage> for Ask {
    fn from(message: UserMessage) -> Self {
        Self { code: message.code, what: message.what, why: message.why, fix: message.fix }
    }
}

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
