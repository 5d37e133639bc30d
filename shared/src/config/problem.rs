//! What is wrong with a configuration, for the person who wrote it.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Which key, as `section.key`, or which file.
    pub key: String,
    /// What is wrong; never a secret's value.
    pub what: String,
    /// Why that cannot be.
    pub why: String,
    /// What to write instead.
    pub fix: String,
}

/// Everything that is wrong, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblems(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "The configuration has {count} problem{}:", if count == 1 { "" } else { "s" })?;
        for problem in &self.0 {
            writeln!(f, "- {}: {}", problem.key, problem.what)?;
            writeln!(f, "  Why: {}", problem.why)?;
            writeln!(f, "  Fix: {}", problem.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}
