//! Takes the given values one key at a time, as what the key asks for, and collects everything that is wrong.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::problem::ConfigProblem;
use super::source::{Given, Origin, Raw};
use crate::secret::Secret;

pub(super) struct Reader {
    given: Given,
    pub(super) problems: Vec<ConfigProblem>,
    printed: Vec<(String, String)>,
    known: Vec<String>,
}

impl Reader {
    pub(super) fn new(given: Given, problems: Vec<ConfigProblem>) -> Self {
        Self { given, problems, printed: Vec::new(), known: Vec::new() }
    }

    /// A text, or the default.
    pub(super) fn text(&mut self, section: &str, key: &str, default: &str) -> String {
        self.take(section, key, default.to_owned(), as_text, |text| format!("{text:?}"))
    }

    /// A text that must be given.
    pub(super) fn secret(&mut self, section: &str, key: &str, why: &str, example: &str) -> Secret<String> {
        let file_key = format!("{key}_file");
        let direct = self.find(section, key);
        let by_file = self.find(section, &file_key);
        let name = format!("{section}.{key}");
        let (value, from) = match (direct, by_file) {
            (Some((raw, origin)), None) => match as_text(&raw) {
                Ok(text) => (text, origin.to_string()),
                Err(expected) => {
                    self.wrong(&name, expected, example);
                    (String::new(), String::new())
                }
            },
            (None, Some((raw, origin))) => {
                match as_text(&raw).map(|path| (std::fs::read_to_string(&path), path)) {
                    Ok((Ok(text), path)) => (text.trim().to_owned(), format!("{path}, named by {origin}")),
                    Ok((Err(error), path)) => {
                        self.problem(
                            &format!("{section}.{file_key}"),
                            format!("{path} cannot be read: {error}"),
                            "the secret is to come from that file",
                            "name a file that this process may read",
                        );
                        (String::new(), String::new())
                    }
                    Err(expected) => {
                        self.wrong(&format!("{section}.{file_key}"), expected, "/run/secrets/…");
                        (String::new(), String::new())
                    }
                }
            }
            (Some(_), Some(_)) => {
                self.problem(
                    &name,
                    format!("both {key} and {file_key} are given"),
                    "it would not be clear which one counts",
                    "keep one of them",
                );
                (String::new(), String::new())
            }
            (None, None) => {
                self.problem(&name, "it is not set".to_owned(), why, example);
                (String::new(), String::new())
            }
        };
        self.printed.push((name, format!("[secret] # {from}")));
        Secret::new(value)
    }

    /// A text that may be left out; an empty one counts as none.
    pub(super) fn optional_secret(
        &mut self,
        section: &str,
        key: &str,
        example: &str,
    ) -> Option<Secret<String>> {
        let is_empty = |(raw, _): &(Raw, Origin)| as_text(raw).is_ok_and(|text| text.is_empty());
        let file_key = format!("{key}_file");
        let given = self.find(section, key);
        let by_file = self.find(section, &file_key);
        if given.as_ref().is_none_or(is_empty) && by_file.as_ref().is_none_or(is_empty) {
            let from = given.map_or_else(|| "default".to_owned(), |(_, origin)| origin.to_string());
            self.printed.push((format!("{section}.{key}"), format!("\"\" # {from}")));
            return None;
        }
        Some(self.secret(section, key, "it may be left out, but not be half given", example))
    }

    /// A whole number within bounds, or the default.
    pub(super) fn number(
        &mut self,
        section: &str,
        key: &str,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> u64 {
        let value = self.take(section, key, default, as_number, u64::to_string);
        if bounds.contains(&value) {
            return value;
        }
        self.problem(
            &format!("{section}.{key}"),
            format!("{value} is out of bounds"),
            "a value outside of them does harm or does nothing",
            &format!("write a number from {} to {}", bounds.start(), bounds.end()),
        );
        default
    }

    /// A yes or no, or the default.
    pub(super) fn truth(&mut self, section: &str, key: &str, default: bool) -> bool {
        self.take(section, key, default, as_truth, bool::to_string)
    }

    /// A path that need not exist yet, or none.
    pub(super) fn path(&mut self, section: &str, key: &str) -> Option<PathBuf> {
        let text = self.text(section, key, "");
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    /// A list of texts; separated by commas in the environment.
    pub(super) fn list(&mut self, section: &str, key: &str) -> Vec<String> {
        self.take(section, key, Vec::new(), as_list, |list| format!("{list:?}"))
    }

    /// One of a closed set of words, or the default.
    pub(super) fn word<T: Copy>(
        &mut self,
        section: &str,
        key: &str,
        words: &[(&str, T)],
        default: &str,
    ) -> T {
        let text = self.text(section, key, default);
        let find = |wanted: &str| words.iter().find(|(word, _)| *word == wanted).map(|(_, value)| *value);
        find(&text).unwrap_or_else(|| {
            let choices: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.problem(
                &format!("{section}.{key}"),
                format!("{text:?} is not one of its words"),
                "only these words have a meaning",
                &format!("write one of {}", choices.join(", ")),
            );
            find(default).expect("the default is one of the words")
        })
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, key: &str, what: String, why: &str, fix: &str) {
        self.problems.push(ConfigProblem {
            key: key.to_owned(),
            what,
            why: why.to_owned(),
            fix: fix.to_owned(),
        });
    }

    /// Refuses what no key has asked for; gives the printed form and all problems.
    pub(super) fn finish(mut self) -> (String, Vec<ConfigProblem>) {
        let unknown: Vec<_> = std::mem::take(&mut self.given.0).into_iter().collect();
        for ((section, key), (_, origin)) in unknown {
            let name = format!("{section}.{key}");
            let close =
                self.known.iter().min_by_key(|known| distance(known, &name)).cloned().unwrap_or_default();
            self.problem(
                &name,
                format!("there is no such key ({origin})"),
                "a mistyped key would silently leave the default in force",
                &format!("did you mean {close}? Otherwise remove it"),
            );
        }
        let mut printed = String::new();
        let mut section = "";
        for (name, value) in &self.printed {
            let (of, key) = name.split_once('.').unwrap_or(("", name));
            if of != section {
                let _ = writeln!(printed, "[{of}]");
                section = of;
            }
            let _ = writeln!(printed, "{key} = {value}");
        }
        (printed, self.problems)
    }

    fn find(&mut self, section: &str, key: &str) -> Option<(Raw, Origin)> {
        self.known.push(format!("{section}.{key}"));
        self.given.0.remove(&(section.to_owned(), key.to_owned()))
    }

    fn take<T>(
        &mut self,
        section: &str,
        key: &str,
        default: T,
        read: impl Fn(&Raw) -> Result<T, &'static str>,
        print: impl Fn(&T) -> String,
    ) -> T {
        let name = format!("{section}.{key}");
        let (value, origin) = match self.find(section, key) {
            None => (default, "default".to_owned()),
            Some((raw, origin)) => match read(&raw) {
                Ok(value) => (value, origin.to_string()),
                Err(expected) => {
                    self.wrong(&name, expected, &print(&default));
                    (default, "default".to_owned())
                }
            },
        };
        self.printed.push((name, format!("{} # {origin}", print(&value))));
        value
    }

    fn wrong(&mut self, name: &str, expected: &str, example: &str) {
        self.problem(
            name,
            format!("it is not {expected}"),
            "its meaning would be guessed",
            &format!("write {expected}, for example {example}"),
        );
    }
}

fn as_text(raw: &Raw) -> Result<String, &'static str> {
    match raw {
        Raw::Text(text) | Raw::Toml(toml::Value::String(text)) => Ok(text.clone()),
        Raw::Toml(_) => Err("a text in quotes"),
    }
}

fn as_number(raw: &Raw) -> Result<u64, &'static str> {
    match raw {
        Raw::Text(text) => text.trim().parse().map_err(|_| "a whole number"),
        Raw::Toml(toml::Value::Integer(number)) => {
            u64::try_from(*number).map_err(|_| "a whole number from 0")
        }
        Raw::Toml(_) => Err("a whole number"),
    }
}

fn as_truth(raw: &Raw) -> Result<bool, &'static str> {
    match raw {
        Raw::Text(text) => text.trim().parse().map_err(|_| "true or false"),
        Raw::Toml(toml::Value::Boolean(truth)) => Ok(*truth),
        Raw::Toml(_) => Err("true or false"),
    }
}

fn as_list(raw: &Raw) -> Result<Vec<String>, &'static str> {
    const EXPECTED: &str = "a list of texts";
    match raw {
        Raw::Text(text) => {
            Ok(text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect())
        }
        Raw::Toml(toml::Value::Array(values)) => {
            values.iter().map(|value| value.as_str().map(str::to_owned).ok_or(EXPECTED)).collect()
        }
        Raw::Toml(_) => Err(EXPECTED),
    }
}

/// How many edits lie between two keys (Levenshtein), to name the one that was meant.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let edited = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], edited);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("database.url", "database.url"), 0);
        assert_eq!(distance("database.pool_size", "database.poolsize"), 1);
        assert_eq!(distance("abc", ""), 3);
    }
}
