//! Reading again what is here of an object, because values are shown with it that are not its own: the children of changed
//! parents, a batch of parents at a time, and everything on a schedule, in the order of ids. All pure.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::catalog::Derived;
use crate::clock::Timestamp;
use crate::job::ObjectSettings;

/// Values of followed parents are read again on a schedule all the same, this much less often: a parent that was purged
/// leaves no stamp.
const NET: u32 = 7;
/// Ids asked for at once, at most; a query's URL holds fewer where many fields are read.
pub const EACH: usize = 500;

/// What a person asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Everything is to be read again that was not since this moment.
    pub wanted: Option<Timestamp>,
}

/// Where the standing job is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefreshProgress {
    /// When everything was last read again, by the moment at which that began.
    pub last: Option<Timestamp>,
    /// A person called it off then: what was asked for before is not done, and the schedule counts from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_off: Option<Timestamp>,
    /// So many ids are asked for at once, where fewer than usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<usize>,
    /// Everything is being read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk: Option<Walk>,
    /// The children of these parents are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// A walk over everything that is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// When it began; parents noted before it need no other look.
    pub began: Timestamp,
    /// Records up to this id are done with.
    pub after: Option<String>,
}

/// Changed parents whose children are being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The reference that names them.
    pub field: String,
    /// The parents.
    pub ids: Vec<String>,
    /// Changes of them noted up to then are what is read; later ones are read once more.
    pub until: Timestamp,
    /// Children up to this id are done with.
    pub after: Option<String>,
}

/// How often everything of an object is read again; never where all values are its own.
#[must_use]
pub fn every(settings: &ObjectSettings, derived: &Derived) -> Option<Duration> {
    let hours = settings.refresh_hours.clamp(1, 720);
    let hours = match derived {
        Derived { formulas: true, .. } | Derived { loose: true, .. } => hours,
        Derived { edges, .. } if !edges.is_empty() => hours * NET,
        Derived { .. } => return None,
    };
    Some(Duration::from_secs(u64::from(hours) * 3600))
}

impl RefreshProgress {
    /// When everything is to be read again next; what was loaded is as good as read again.
    #[must_use]
    pub fn due(
        &self,
        every: Option<Duration>,
        loaded_at: Option<Timestamp>,
        asked: Asked,
    ) -> Option<Timestamp> {
        let done = self.last.max(self.put_off);
        let asked = asked.wanted.filter(|wanted| done.is_none_or(|done| done < *wanted));
        let every = every.and_then(|every| TimeDelta::from_std(every).ok());
        // While it is being loaded there is nothing to be done.
        let by_schedule = every
            .zip(self.last.max(loaded_at))
            .map(|(every, last)| self.put_off.map_or(last, |off| last.max(off)) + every);
        asked.or(by_schedule)
    }

    /// Begins to read everything again; what was under way is part of it.
    #[must_use]
    pub fn walking(&self, now: Timestamp) -> Self {
        Self { walk: Some(Walk { began: now, after: None }), batch: None, ..self.clone() }
    }

    /// Everything is read.
    #[must_use]
    pub fn walked(&self) -> Self {
        let last = self.walk.as_ref().map(|walk| walk.began);
        Self { last: last.or(self.last), ..Self::default() }
    }

    /// After an answer that was too slow or too large: fewer parents at once, then what is here id by id; none when that was
    /// one record alone. Parents that are left out keep being noted.
    #[must_use]
    pub fn narrower(&self, asked: usize, now: Timestamp) -> Option<Self> {
        match &self.batch {
            Some(batch) if batch.ids.len() > 1 => {
                let ids = batch.ids[..batch.ids.len() / 2].to_vec();
                Some(Self { batch: Some(Batch { ids, ..batch.clone() }), ..self.clone() })
            }
            Some(_) => Some(self.walking(now)),
            None => (asked > 1).then(|| Self { each: Some(asked / 2), ..self.clone() }),
        }
    }
}

/// Whether it costs fewer calls to read everything that is here by its ids than to read these children by their parents,
/// most of which may not be kept here at all.
#[must_use]
pub fn walk_is_cheaper(children: u64, page_rows: u64, live: u64, ids_each: u64) -> bool {
    live.div_ceil(ids_each.max(1)) < children.div_ceil(page_rows.max(1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalog::Edge;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn edge() -> Edge {
        Edge { field: "AccountId".to_owned(), parent: "Account".to_owned(), reads: BTreeSet::new() }
    }

    #[test]
    fn formulas_are_read_daily_followed_values_weekly_and_the_rest_never() {
        let settings = ObjectSettings::default();
        let followed = Derived { edges: vec![edge()], ..Derived::default() };
        assert_eq!(every(&settings, &Derived::default()), None);
        assert_eq!(every(&settings, &followed), Some(7 * DAY));
        assert_eq!(every(&settings, &Derived { formulas: true, ..followed.clone() }), Some(DAY));
        assert_eq!(every(&settings, &Derived { loose: true, ..followed }), Some(DAY));
    }

    #[test]
    fn what_was_loaded_is_as_good_as_read_again_and_a_person_may_ask() {
        let progress = RefreshProgress::default();
        let none = Asked::default();
        assert_eq!(progress.due(Some(DAY), None, none), None, "it is being loaded");
        assert_eq!(progress.due(Some(DAY), Some(at(0)), none), Some(at(86_400)));
        let asked = Asked { wanted: Some(at(50)) };
        assert_eq!(progress.due(None, Some(at(0)), asked), Some(at(50)));
        let walked = progress.walking(at(60)).walked();
        assert_eq!(walked.due(None, Some(at(0)), asked), None, "once is enough");
        assert_eq!(walked.due(Some(DAY), Some(at(0)), asked), Some(at(86_460)));
    }

    #[test]
    fn what_is_too_much_is_asked_for_in_less_until_one_record_is() {
        let ids: Vec<String> = (0..5).map(|n| n.to_string()).collect();
        let batch = Batch { field: "OwnerId".to_owned(), ids, until: at(9), after: Some("x".to_owned()) };
        let mut progress = RefreshProgress { batch: Some(batch), ..RefreshProgress::default() };
        let mut asked = 400;
        let mut steps = 0;
        while let Some(less) = progress.narrower(asked, at(10)) {
            steps += 1;
            asked = less.each.unwrap_or(asked);
            progress = less;
        }
        assert_eq!((progress.walk.map(|walk| walk.began), asked), (Some(at(10)), 1));
        assert_eq!(steps, 3 + 8, "five parents, two, one, all by their ids; 400 ids down to one");
    }

    #[test]
    fn a_parent_of_everything_is_no_way_to_the_few_that_are_here() {
        assert!(walk_is_cheaper(500_000, 2_000, 30_000, 300));
        assert!(!walk_is_cheaper(1_000, 2_000, 30_000, 300));
        assert!(!walk_is_cheaper(100_000, 2_000, 100_000, 300));
        assert!(walk_is_cheaper(100_000, 200, 100_000, 300), "small pages are dear");
    }
}
