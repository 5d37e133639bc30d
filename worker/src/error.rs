//! A failed step of a job, with what is to happen next.

use refrain_shared::clock::Timestamp;
use refrain_shared::error::{Classify, Disposition};

/// Where in a job something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Deciding what to read.
    Plan,
    /// Reading it.
    Extract,
    /// Turning it into rows.
    Transform,
    /// Making the rows last.
    Load,
}

impl Step {
    /// The closed word in the attempts history and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Extract => "extract",
            Self::Transform => "transform",
            Self::Load => "load",
        }
    }
}

/// A failure, classified where the fact was known; the runner only obeys it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {detail}", step.word())]
pub struct JobError {
    /// Where.
    pub step: Step,
    /// What happens next.
    pub disposition: Disposition,
    /// A closed word.
    pub code: &'static str,
    /// The chain of causes on one line; no secrets, no customer content.
    pub detail: String,
}

impl JobError {
    /// Classifies an edge's error.
    pub fn of<E: Classify + std::error::Error>(step: Step, error: &E, now: Timestamp) -> Self {
        Self { step, disposition: error.disposition(now), code: error.code(), detail: chain(error) }
    }
}

/// An error and its causes on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.replace(['\n', '\r'], " ")
}
