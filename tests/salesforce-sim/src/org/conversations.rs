//! Transcripts of conversations beyond what the records keep: what was said later, what was redacted, and how often they
//! may be asked for.

use std::collections::{HashMap, VecDeque};

use crate::id::SfId;
use crate::store::Spoken;

const HOUR_MS: i64 = 3_600_000;

/// The transcripts of an org.
#[derive(Debug)]
pub struct Conversations {
    /// Calls for transcripts that a user may make in an hour.
    pub per_hour: usize,
    calls: HashMap<SfId, VecDeque<i64>>,
    added: HashMap<String, Vec<Spoken>>,
    redacted: HashMap<String, String>,
}

impl Default for Conversations {
    fn default() -> Self {
        Self { per_hour: 1_000, calls: HashMap::new(), added: HashMap::new(), redacted: HashMap::new() }
    }
}

impl Conversations {
    /// Counts a call of a user; `false` when there were too many in the last hour.
    pub fn count(&mut self, user: SfId, now: i64) -> bool {
        let calls = self.calls.entry(user).or_default();
        while calls.front().is_some_and(|at| *at + HOUR_MS <= now) {
            calls.pop_front();
        }
        if calls.len() >= self.per_hour {
            return false;
        }
        calls.push_back(now);
        true
    }

    /// Adds something said in a conversation.
    pub fn add(&mut self, conversation: &str, spoken: Spoken) {
        self.added.entry(conversation.to_owned()).or_default().push(spoken);
    }

    /// Replaces the words of an entry.
    pub fn redact(&mut self, entry: &str, text: &str) {
        self.redacted.insert(entry.to_owned(), text.to_owned());
    }

    /// The whole transcript, in order of time: what it began with, what came later, and both as redacted.
    pub fn transcript(&self, conversation: &str, born: Vec<Spoken>) -> Vec<Spoken> {
        let mut all = born;
        all.extend(self.added.get(conversation).into_iter().flatten().cloned());
        for spoken in &mut all {
            if let Some(text) = self.redacted.get(&spoken.identifier) {
                spoken.text.clone_from(text);
            }
        }
        all.sort_by_key(|spoken| spoken.at);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_rolls() {
        let user = SfId::new(*b"005", *b"Rf", 1);
        let mut all = Conversations { per_hour: 2, ..Conversations::default() };
        assert!(all.count(user, 0) && all.count(user, 1) && !all.count(user, HOUR_MS - 1));
        assert!(all.count(user, HOUR_MS));
    }
}
