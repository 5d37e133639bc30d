//! Where values come from: the file, the environment, and secret files. Finds; judges nothing but its own syntax.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::problem::ConfigProblem;

/// The file that is read when none is named and it is there.
pub const DEFAULT_FILE: &str = "refrain.toml";
const PREFIX: &str = "REFRAIN_";
/// Variables of this prefix that are no configuration: the API key of the command line, and where it calls.
const NOT_CONFIGURATION: [&str; 3] = ["REFRAIN_API_KEY", "REFRAIN_API_URL", "REFRAIN_CONFIG"];

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// From the file, typed by TOML.
    Toml(toml::Value),
    /// From the environment: text, read as the key's own type.
    Text(String),
}

/// Where a value came from, for messages and the printed configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File(String),
    Variable(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(name) => write!(f, "{name}"),
            Self::Variable(name) => write!(f, "environment {name}"),
        }
    }
}

/// All values that were given, by section and key.
#[derive(Debug, Default)]
pub(super) struct Given(pub(super) BTreeMap<(String, String), (Raw, Origin)>);

impl Given {
    /// Takes in a TOML text.
    pub(super) fn file(&mut self, name: &str, text: &str, problems: &mut Vec<ConfigProblem>) {
        let table: toml::Table = match toml::from_str(text) {
            Ok(table) => table,
            Err(error) => {
                // Without the quoted line: it may hold a secret.
                problems.push(ConfigProblem {
                    key: name.to_owned(),
                    what: format!("it is not TOML: {}", error.message()),
                    why: "the whole file is unreadable then".to_owned(),
                    fix: at_line(text, error.span()),
                });
                return;
            }
        };
        for (section, value) in table {
            let toml::Value::Table(keys) = value else {
                problems.push(ConfigProblem {
                    key: section,
                    what: "it stands outside of any [section]".to_owned(),
                    why: "every key belongs to a section".to_owned(),
                    fix: "write it below the [section] it belongs to".to_owned(),
                });
                continue;
            };
            for (key, value) in keys {
                self.0.insert((section.clone(), key), (Raw::Toml(value), Origin::File(name.to_owned())));
            }
        }
    }

    /// Takes in the environment: `REFRAIN_SECTION__KEY`, and the two names that tools know.
    pub(super) fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let mut plain = Vec::new();
        for (name, value) in variables {
            let place = match name.as_str() {
                "DATABASE_URL" => ("database", "url"),
                "AMQP_URL" => ("broker", "url"),
                _ => {
                    if NOT_CONFIGURATION.contains(&name.as_str()) {
                        continue;
                    }
                    if let Some(rest) = name.strip_prefix(PREFIX) {
                        let (section, key) = rest.split_once("__").unwrap_or((rest, ""));
                        let place = (section.to_lowercase(), key.to_lowercase());
                        self.0.insert(place, (Raw::Text(value), Origin::Variable(name)));
                    }
                    continue;
                }
            };
            plain.push((place, name, value));
        }
        // Our own names win over the general ones.
        for ((section, key), name, value) in plain {
            let own = format!("{PREFIX}{}__{}", section.to_uppercase(), key.to_uppercase());
            let place = (section.to_owned(), key.to_owned());
            let by_own_name = matches!(self.0.get(&place), Some((_, Origin::Variable(by))) if *by == own);
            if !by_own_name {
                self.0.insert(place, (Raw::Text(value), Origin::Variable(name)));
            }
        }
    }
}

/// The file's name and text: the named one, or the default one if it is there.
pub(super) fn read_file(named: Option<&Path>) -> Result<Option<(String, String)>, ConfigProblem> {
    let path = named.map_or_else(|| PathBuf::from(DEFAULT_FILE), Path::to_path_buf);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigProblem {
            key: path.display().to_string(),
            what: format!("it cannot be read: {error}"),
            why: "the configuration file was named, or is there".to_owned(),
            fix: "name a readable file with --config, or none to use the defaults and the environment"
                .to_owned(),
        }),
    }
}

fn at_line(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let line =
        span.and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
    format!("look at line {line}")
}
