//! Faults that tests inject: which calls they hit and what happens then.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// This answer instead of the true one, without the platform's headers.
    Status {
        /// HTTP status.
        status: u16,
        /// Body.
        #[serde(default)]
        body: String,
        /// `Content-Type`.
        #[serde(default)]
        content_type: Option<String>,
    },
    /// An error body of the platform.
    Error {
        /// HTTP status.
        status: u16,
        /// `errorCode`, or `error` on OAuth paths.
        code: String,
        /// `message`, or `error_description` on OAuth paths.
        message: String,
    },
    /// The connection closes without an answer.
    Close,
    /// The body ends early.
    Truncate {
        /// Bytes of the body (as sent, so maybe compressed) that still arrive.
        after: usize,
    },
    /// The true answer, late.
    Delay {
        /// By how many real milliseconds.
        ms: u64,
    },
    /// 200 with JSON that does not parse.
    Malformed,
    /// 200 with a web page.
    Html,
    /// The true answer, made once a gate opens.
    Hold {
        /// The gate's name.
        gate: String,
    },
    /// What was true when the call came, sent once a gate opens: an answer that was slow on its way.
    HoldAnswer {
        /// The gate's name.
        gate: String,
    },
    /// One record of the page has a field of an impossible type, or no id.
    BadRecord {
        /// The field; without it the record loses its id.
        #[serde(default)]
        field: Option<String>,
    },
}

/// Which calls a fault looks at. Every given part must match.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Part of the path.
    #[serde(default)]
    pub path: Option<String>,
    /// Part of the statement, in any case; next pages count as their query.
    #[serde(default)]
    pub soql: Option<String>,
    /// HTTP method.
    #[serde(default)]
    pub method: Option<String>,
}

/// A fault as a test asks for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRequest {
    /// Which calls.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// The first matching call that is hit; 1 is the next one.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many calls in a row are hit.
    #[serde(default = "one")]
    pub times: u64,
    /// What happens.
    pub fault: Fault,
}

fn one() -> u64 {
    1
}

/// A fault in place.
#[derive(Clone, Debug, Serialize)]
pub struct Planted {
    /// Number of the fault.
    pub id: u64,
    /// Which calls.
    #[serde(rename = "match")]
    pub matches: Match,
    /// First matching call hit.
    pub nth: u64,
    /// Calls hit in a row.
    pub times: u64,
    /// What happens.
    pub fault: Fault,
    /// Matching calls seen.
    pub seen: u64,
    /// Calls hit.
    pub hits: u64,
}

/// The faults of an org.
#[derive(Debug, Default)]
pub struct Faults {
    planted: Vec<Planted>,
    next: u64,
}

impl Faults {
    /// Plants a fault and returns its number.
    pub fn plant(&mut self, request: FaultRequest) -> u64 {
        self.next += 1;
        let FaultRequest { matches, nth, times, fault } = request;
        self.planted.push(Planted {
            id: self.next,
            matches,
            nth: nth.max(1),
            times,
            fault,
            seen: 0,
            hits: 0,
        });
        self.next
    }

    /// All faults in place.
    pub fn all(&self) -> &[Planted] {
        &self.planted
    }

    /// Removes all faults.
    pub fn clear(&mut self) {
        self.planted.clear();
    }

    /// The fault that hits this call. Every fault sees every call; the first planted one that is due hits.
    pub fn strike(&mut self, method: &str, path: &str, soql: Option<&str>) -> Option<Fault> {
        let mut struck = None;
        for planted in &mut self.planted {
            if !planted.matches.covers(method, path, soql) {
                continue;
            }
            planted.seen += 1;
            let due = planted.seen >= planted.nth && planted.hits < planted.times;
            if due && struck.is_none() {
                planted.hits += 1;
                struck = Some(planted.fault.clone());
            }
        }
        struck
    }
}

impl Match {
    fn covers(&self, method: &str, path: &str, soql: Option<&str>) -> bool {
        let contains = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        self.path.as_ref().is_none_or(|part| contains(path, part))
            && self.soql.as_ref().is_none_or(|part| soql.is_some_and(|soql| contains(soql, part)))
            && self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_match_is_hit_as_often_as_asked() {
        let mut faults = Faults::default();
        let matches = Match { soql: Some("from case".to_owned()), ..Match::default() };
        faults.plant(FaultRequest { matches, nth: 2, times: 2, fault: Fault::Close });
        let hit = |faults: &mut Faults, soql| faults.strike("GET", "/query", Some(soql)).is_some();
        assert!(!hit(&mut faults, "SELECT Id FROM User"));
        let hits: Vec<bool> = (0..4).map(|_| hit(&mut faults, "SELECT Id FROM Case")).collect();
        assert_eq!(hits, [false, true, true, false]);
        assert_eq!((faults.all()[0].seen, faults.all()[0].hits), (4, 2));
    }
}
