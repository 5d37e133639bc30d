//! Where words go: standard output, or standard error when standard output is for a program.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::ProgressDrawTarget;

/// Speaks to the person at the terminal. A reader that went away is no reason to fail.
#[derive(Debug)]
pub(crate) struct Voice {
    json: bool,
    started: Instant,
}

impl Voice {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, started: Instant::now() }
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A line as it is.
    pub(crate) fn line(&self, text: &str) {
        if self.json {
            let _ = writeln!(std::io::stderr(), "{text}");
        } else {
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }

    /// A line with its time.
    pub(crate) fn step(&self, text: &str) {
        self.line(&format!("{:>6.1} s  {text}", self.elapsed().as_secs_f64()));
    }

    /// What went wrong, with its causes.
    pub(crate) fn problem(&self, error: &anyhow::Error) {
        let _ = writeln!(
            std::io::stderr(),
            "\nThe demo failed after {:.1} s: {error:#}",
            self.elapsed().as_secs_f64()
        );
    }

    /// The one line for programs.
    pub(crate) fn json(&self, value: &serde_json::Value) {
        if self.json {
            let _ = writeln!(std::io::stdout(), "{value}");
        }
    }

    /// Where moving bars may be drawn; `None` when nobody sees them move.
    pub(crate) fn canvas(&self) -> Option<ProgressDrawTarget> {
        if self.json {
            std::io::stderr().is_terminal().then(ProgressDrawTarget::stderr)
        } else {
            std::io::stdout().is_terminal().then(ProgressDrawTarget::stdout)
        }
    }
}
