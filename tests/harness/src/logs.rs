//! Looks through logs for what must never be there: secrets and customers' words.
//!
//! A test plants canaries (a token, a password, a name in a ticket) and at its end scans everything that was written.
//! A finding names file, line and canary by its label, and never prints the line: the report is a log as well.

use std::fmt;
use std::path::{Path, PathBuf};

/// Strings that must not appear, each with a label for the report.
#[derive(Debug, Clone, Default)]
pub struct Canaries(Vec<(String, String)>);

impl Canaries {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    ///
    /// # Panics
    /// When the text is shorter than six bytes: it would be found by chance.
    #[must_use]
    pub fn with(mut self, label: &str, text: &str) -> Self {
        assert!(text.len() >= 6, "canary {label} is too short to mean anything");
        self.0.push((label.to_owned(), text.to_owned()));
        self
    }

    /// Every place in the files where a canary stands. A file that is not there holds none.
    pub fn find_in<'a>(&self, files: impl IntoIterator<Item = &'a Path>) -> Vec<Finding> {
        files
            .into_iter()
            .flat_map(|path| {
                let bytes = std::fs::read(path).unwrap_or_default();
                self.find_in_text(&String::from_utf8_lossy(&bytes), path)
            })
            .collect()
    }

    /// Fails the test when a canary stands in one of the files.
    ///
    /// # Panics
    /// With the list of places.
    pub fn assert_absent<'a>(&self, files: impl IntoIterator<Item = &'a Path>) {
        let found = self.find_in(files);
        let places: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "logs hold what they must not:\n{}", places.join("\n"));
    }

    fn find_in_text(&self, text: &str, path: &Path) -> Vec<Finding> {
        let per_line = |(index, line): (usize, &str)| {
            self.0
                .iter()
                .filter(|(_, canary)| line.contains(canary.as_str()))
                .map(|(label, _)| Finding { file: path.to_owned(), line: index + 1, canary: label.clone() })
                .collect::<Vec<_>>()
        };
        text.lines().enumerate().flat_map(per_line).collect()
    }
}

/// A canary in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The log.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// The canary's label.
    pub canary: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.canary)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Canaries, Finding};

    #[test]
    fn a_finding_names_the_place_and_not_the_words() {
        let canaries = Canaries::new().with("token", "s3cr3t-token").with("customer", "Rosalind");
        let found = canaries.find_in_text("fine\nDear Rosalind\n", Path::new("worker.err"));
        assert_eq!(
            found,
            vec![Finding { file: "worker.err".into(), line: 2, canary: "customer".to_owned() }]
        );
        assert_eq!(found[0].to_string(), "worker.err:2: customer");
    }
}
