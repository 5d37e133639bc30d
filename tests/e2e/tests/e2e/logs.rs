//! What the programs wrote: no secret, no customer's words, and no warning that the test did not announce.
//!
//! What this module says of a finding is a log as well, so it names the place and never quotes what was found.

use std::path::{Path, PathBuf};

use demo::stack::Installation;
use harness::logs::Canaries;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::simulator::Simulated;

/// Fields of the org whose values are customers' words, names and addresses.
const WORDS: [(&str, &[&str]); 5] = [
    ("Case", &["Subject", "Description", "SuppliedEmail", "SuppliedName"]),
    ("CaseComment", &["CommentBody"]),
    ("EmailMessage", &["Subject", "TextBody", "HtmlBody", "FromAddress", "ToAddress"]),
    ("Contact", &["Name", "Email", "Phone"]),
    ("Task", &["Subject", "Description"]),
];
/// How access tokens go on after the org's id of fifteen characters.
const ACCESS_TOKEN: &str = "!AQ4A";
/// What every first start warns of.
const AT_FIRST_START: &str = "made a new key ring";
/// A shorter text may stand in a log by chance.
const SHORTEST: usize = 12;
/// As much of a text as will not be cut, escaped or broken over lines by whoever writes it.
const LONGEST: usize = 60;

/// Everything that no log may hold.
pub(crate) struct Secrets(Canaries);

impl Secrets {
    /// The secrets of an installation: its passwords, the operator's key, the key ring.
    pub(crate) fn of(installation: &Installation) -> Self {
        let mut canaries = Canaries::new();
        for (label, url) in [
            ("the database's password", &installation.database_url),
            ("the broker's password", &installation.amqp_url),
        ] {
            if let Some(password) = Url::parse(url).unwrap().password().filter(|word| word.len() >= 6) {
                canaries = canaries.with(label, password);
            }
        }
        let key = std::fs::read_to_string(installation.operator_key_file()).unwrap();
        let ring = std::fs::read_to_string(installation.key_ring()).unwrap();
        let material = ring.lines().find_map(|line| line.strip_prefix("material = ")).unwrap();
        Self(
            canaries
                .with("the operator's key", key.trim())
                .with("a key-encryption key", material.trim_matches('"')),
        )
    }

    /// The org's consumer secret and its customers' words.
    pub(crate) async fn add_org(&mut self, simulated: &Simulated) {
        let entry = &simulated.entry;
        let token = format!("{}{ACCESS_TOKEN}", &entry.org_id[..15]);
        let mut canaries = std::mem::take(&mut self.0)
            .with("a client secret", &entry.client_secret)
            .with("an access token", &token);
        let mut words = 0;
        for (object, fields) in WORDS {
            for record in simulated.truth(object).await {
                for field in fields {
                    let Some(text) = record["fields"][field].as_str().and_then(telling) else { continue };
                    canaries = canaries.with(&format!("{object}.{field}"), text);
                    words += 1;
                }
            }
        }
        assert!(words > 0, "an org without a word would prove nothing");
        self.0 = canaries;
    }

    /// Fails when any of it stands in a log.
    ///
    /// # Panics
    /// With the places.
    pub(crate) fn assert_absent(&self, logs: &[PathBuf]) {
        self.0.assert_absent(logs.iter().map(PathBuf::as_path));
    }
}

/// The longest part of a text that stands in a log as it is: without what JSON escapes or a line ends with.
fn telling(text: &str) -> Option<&str> {
    let parts = text.split(|c: char| c.is_control() || c == '"' || c == '\\');
    let part = parts.max_by_key(|part| part.len()).map(str::trim)?;
    let end = part.char_indices().nth(LONGEST).map_or(part.len(), |(at, _)| at);
    Some(&part[..end]).filter(|part| part.len() >= SHORTEST)
}

#[derive(Deserialize)]
struct Line {
    level: String,
    fields: serde_json::Map<String, Value>,
}

/// Fails on a warning or an error whose message was not announced, and on a line that is no log line at all, such as
/// a panic's.
///
/// # Panics
/// With the places and messages; a message is the program's own constant text.
pub(crate) fn assert_announced(logs: &[PathBuf], announced: &[&str]) {
    let mut found = Vec::new();
    for path in logs.iter().filter(|path| path.extension().is_some_and(|extension| extension == "err")) {
        let text = std::fs::read_to_string(path).unwrap();
        for (index, line) in text.lines().enumerate() {
            if let Some(message) = unannounced(line, announced) {
                found.push(format!("{}:{}: {message}", shown(path), index + 1));
            }
        }
    }
    assert!(found.is_empty(), "the test did not announce:\n{}", found.join("\n"));
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn unannounced(line: &str, announced: &[&str]) -> Option<String> {
    let Ok(Line { level, fields }) = serde_json::from_str(line) else {
        return Some("a line that is no log line".to_owned());
    };
    let message = fields.get("message").and_then(Value::as_str).unwrap_or_default();
    let is_quiet = matches!(level.as_str(), "INFO" | "DEBUG" | "TRACE");
    let is_announced =
        announced.iter().chain([&AT_FIRST_START]).any(|announced| message.starts_with(announced));
    (!is_quiet && !is_announced).then(|| format!("{level} {message}"))
}

#[test]
fn a_word_is_looked_for_as_a_log_would_write_it() {
    assert_eq!(telling("short"), None);
    assert_eq!(telling("say \"no\"\nto the printer on floor three"), Some("to the printer on floor three"));
    assert_eq!(telling(&"ü".repeat(100)).map(|text| text.chars().count()), Some(LONGEST));
}

#[test]
fn only_what_was_announced_may_be_loud() {
    let line = |level: &str| format!(r#"{{"level":"{level}","fields":{{"message":"a lease ran out"}}}}"#);
    assert_eq!(unannounced(&line("INFO"), &[]), None);
    assert_eq!(unannounced(&line("WARN"), &["a lease"]), None);
    assert_eq!(unannounced(&line("ERROR"), &["another"]), Some("ERROR a lease ran out".to_owned()));
    assert!(unannounced("thread 'main' panicked at src/main.rs:1:1:", &["thread"]).is_some());
}
