//! What the org was asked: the oracle that a client's own counting is checked against.
//!
//! Never holds a token. SOQL is kept as sent; it names fields and ids, not customers.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// Calls kept in the log; older ones are dropped, the counts stay.
const KEPT: usize = 50_000;

/// One finished call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// When it arrived (simulated, RFC 3339).
    pub at: String,
    /// HTTP method.
    pub method: String,
    /// Path without the query string.
    pub path: String,
    /// The statement, if any; a next page has its query's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soql: Option<String>,
    /// The user it was made as.
    pub user: Option<String>,
    /// HTTP status; 0 when the connection was broken instead.
    pub status: u16,
    /// Records in the answer's page.
    pub rows: usize,
    /// Bytes of the answer's body as sent.
    pub bytes: usize,
    /// Real milliseconds from arrival to answer.
    pub ms: u64,
}

/// All calls of an org.
#[derive(Debug, Default)]
pub struct CallLog {
    api: u64,
    token: u64,
    by_path: BTreeMap<String, u64>,
    calls: VecDeque<Call>,
}

impl CallLog {
    /// Counts a call against the allowance.
    pub fn count_api(&mut self) {
        self.api += 1;
    }

    /// Adds a finished call.
    pub fn add(&mut self, call: Call) {
        if call.path.starts_with("/services/oauth2/") {
            self.token += 1;
        }
        *self.by_path.entry(pattern(&call.path)).or_default() += 1;
        if self.calls.len() == KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// Calls that counted against the allowance.
    pub fn api(&self) -> u64 {
        self.api
    }

    /// Calls of the OAuth endpoints.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Calls by path pattern.
    pub fn by_path(&self) -> &BTreeMap<String, u64> {
        &self.by_path
    }

    /// The last calls, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }
}

/// The path with locators and record ids replaced, so that the counts stay few.
fn pattern(path: &str) -> String {
    let step = |step: &str| {
        let id = step.split('-').next().unwrap_or_default();
        let is_id = matches!(id.len(), 15 | 18) && id.bytes().any(|byte| byte.is_ascii_digit());
        if is_id && crate::id::SfId::parse(id).is_some() { "{id}".to_owned() } else { step.to_owned() }
    };
    path.split('/').map(step).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locators_and_ids_are_one_path() {
        assert_eq!(
            pattern("/services/data/v66.0/query/01gRf0000000001AAA-2000"),
            "/services/data/v66.0/query/{id}"
        );
        assert_eq!(
            pattern("/services/data/v66.0/sobjects/Case/describe"),
            "/services/data/v66.0/sobjects/Case/describe"
        );
    }
}
