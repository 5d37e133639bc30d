//! Faults that tests inject: which calls they hit, when, and what happens then.

mod kind;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub use kind::{Disguise, Encoding, Fault, Framing, Paging, Part, Shape, Step};

use crate::generate::random::Random;

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
    /// Statements of more bytes than this.
    #[serde(default)]
    pub soql_longer_than: Option<usize>,
    /// HTTP method.
    #[serde(default)]
    pub method: Option<String>,
    /// Name of the user.
    #[serde(default)]
    pub user: Option<String>,
}

/// Part of the matching calls, in a fixed rhythm.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Every {
    /// Of so many calls in a row …
    pub of: u64,
    /// … the first so many are hit.
    pub hits: u64,
}

/// Part of the matching calls, by chance; the same ones for the same seed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// How likely a hit is.
    pub percent: u64,
    /// Which calls.
    #[serde(default)]
    pub seed: u64,
}

/// A fault as a test asks for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRequest {
    /// Which calls.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// The first matching call that can be hit; 1 is the next one.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many calls are hit: one, unless a time, a rhythm or a chance is given.
    #[serde(default)]
    pub times: Option<u64>,
    /// How long it lasts, in simulated milliseconds from now.
    #[serde(default)]
    pub for_ms: Option<i64>,
    /// A rhythm.
    #[serde(default)]
    pub every: Option<Every>,
    /// A chance.
    #[serde(default)]
    pub chance: Option<Chance>,
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
    /// First matching call that can be hit.
    pub nth: u64,
    /// Calls hit at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// When it ends, in simulated milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Rhythm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    /// Chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<Chance>,
    /// What happens.
    pub fault: Fault,
    /// Matching calls seen.
    pub seen: u64,
    /// Calls hit.
    pub hits: u64,
}

impl Planted {
    /// Whether a hit can still come.
    pub fn is_live(&self, now: i64) -> bool {
        self.times.is_none_or(|times| self.hits < times) && self.until.is_none_or(|until| now < until)
    }

    /// Whether the call that was just counted is hit.
    fn is_due(&self, now: i64) -> bool {
        let Some(place) = self.seen.checked_sub(self.nth) else {
            return false;
        };
        self.is_live(now)
            && self.every.is_none_or(|every| place % every.of.max(1) < every.hits)
            && self.chance.is_none_or(|chance| {
                Random::new(chance.seed.wrapping_mul(1_000_003).wrapping_add(self.seen)).below(100)
                    < usize::try_from(chance.percent).unwrap_or(100)
            })
    }
}

/// A fault that hits a call.
#[derive(Clone, Debug)]
pub struct Struck {
    /// What happens.
    pub fault: Fault,
    /// How often the fault has hit, this time included.
    pub hit: u64,
}

/// A call as faults look at it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path.
    pub path: &'a str,
    /// Statement, also of a next page.
    pub soql: Option<&'a str>,
    /// Name of the user, when it is known.
    pub user: Option<&'a str>,
    /// Simulated time.
    pub now: i64,
}

/// The faults of an org.
#[derive(Debug, Default)]
pub struct Faults {
    planted: Vec<Planted>,
    next: u64,
    detours: HashMap<String, Option<String>>,
}

impl Faults {
    /// Plants a fault and returns its number.
    pub fn plant(&mut self, request: FaultRequest, now: i64) -> u64 {
        self.next += 1;
        let FaultRequest { matches, nth, times, for_ms, every, chance, fault } = request;
        let once = for_ms.is_none() && every.is_none() && chance.is_none();
        self.planted.push(Planted {
            id: self.next,
            matches,
            nth: nth.max(1),
            times: times.or(once.then_some(1)),
            until: for_ms.map(|length| now + length),
            every,
            chance,
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
        self.detours.clear();
    }

    /// Removes a fault; `false` when there is none of this number.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.planted.len();
        self.planted.retain(|planted| planted.id != id);
        self.planted.len() < before
    }

    /// The fault that hits this call. Every fault sees every call; the first planted one that is due hits.
    pub fn strike(&mut self, call: Seen<'_>) -> Option<Struck> {
        let mut struck = None;
        for planted in &mut self.planted {
            if !planted.matches.covers(call) {
                continue;
            }
            planted.seen += 1;
            if struck.is_none() && planted.is_due(call.now) {
                planted.hits += 1;
                struck = Some(Struck { fault: planted.fault.clone(), hit: planted.hits });
            }
        }
        struck
    }

    /// Notes where a page leads, once, instead of where it would: `None` for nowhere.
    pub fn set_detour(&mut self, page: String, next: Option<String>) {
        self.detours.insert(page, next);
    }

    /// Where a page leads instead of where it would.
    pub fn take_detour(&mut self, page: &str) -> Option<Option<String>> {
        self.detours.remove(page)
    }
}

impl Match {
    fn covers(&self, call: Seen<'_>) -> bool {
        let contains = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        self.path.as_ref().is_none_or(|part| contains(call.path, part))
            && self.soql.as_ref().is_none_or(|part| call.soql.is_some_and(|soql| contains(soql, part)))
            && self.soql_longer_than.is_none_or(|length| call.soql.is_some_and(|soql| soql.len() > length))
            && self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(call.method))
            && self.user.as_ref().is_none_or(|wanted| call.user == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fault: &serde_json::Value) -> FaultRequest {
        serde_json::from_value(fault.clone()).unwrap()
    }

    fn hits(faults: &mut Faults, calls: usize, soql: &str) -> Vec<bool> {
        let strike = |now| Seen { method: "GET", path: "/query", soql: Some(soql), user: None, now };
        (0..calls).map(|call| faults.strike(strike(i64::try_from(call).unwrap())).is_some()).collect()
    }

    #[test]
    fn the_nth_match_is_hit_as_often_as_asked() {
        let mut faults = Faults::default();
        let matches = serde_json::json!({"soql": "from case"});
        let fault = serde_json::json!({"match": matches, "nth": 2, "times": 2, "fault": {"kind": "close"}});
        faults.plant(request(&fault), 0);
        assert_eq!(hits(&mut faults, 1, "SELECT Id FROM User"), [false]);
        assert_eq!(hits(&mut faults, 4, "SELECT Id FROM Case"), [false, true, true, false]);
        assert_eq!((faults.all()[0].seen, faults.all()[0].hits), (4, 2));
    }

    #[test]
    fn a_fault_can_last_a_time_or_keep_a_rhythm() {
        let mut faults = Faults::default();
        faults.plant(request(&serde_json::json!({"for_ms": 3, "fault": {"kind": "close"}})), 0);
        assert_eq!(hits(&mut faults, 5, "x"), [true, true, true, false, false]);
        faults.clear();
        let every = serde_json::json!({"every": {"of": 4, "hits": 3}, "fault": {"kind": "close"}});
        faults.plant(request(&every), 0);
        assert_eq!(hits(&mut faults, 8, "x"), [true, true, true, false, true, true, true, false]);
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed() {
        let run = |seed: u64| {
            let mut faults = Faults::default();
            let chance =
                serde_json::json!({"chance": {"percent": 30, "seed": seed}, "fault": {"kind": "close"}});
            faults.plant(request(&chance), 0);
            hits(&mut faults, 400, "x")
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let hit = run(1).into_iter().filter(|hit| *hit).count();
        assert!((80..160).contains(&hit), "{hit} of 400 at 30 %");
    }
}
