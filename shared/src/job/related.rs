//! Records that others lead to: the ticket of a message, the messages of a ticket. All pure.

use serde::{Deserialize, Serialize};

use crate::ids::SalesforceId;

/// Ids in one job, at most: what one query's URL takes beside a usual list of fields, some times over.
pub const MOST_IDS: usize = 200;

/// What a job of related records reads: those of its object whose `field` names one of `ids`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// `Id` for the records themselves, a reference for the children of others.
    pub field: String,
    /// Salesforce ids.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Instead of ids: numbers of tickets, in digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// What is not answered is gone: the record that they belong to is, or a sweep missed them twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// How far such a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelatedProgress {
    /// So many ids are done with.
    pub done: usize,
    /// So many are asked for at once.
    pub each: usize,
}

impl Default for RelatedProgress {
    fn default() -> Self {
        Self { done: 0, each: MOST_IDS }
    }
}

impl RelatedProgress {
    /// The ids to ask for next; none when all are done with. What is no id names nothing and is passed over.
    #[must_use]
    pub fn next(self, related: &Related) -> Vec<SalesforceId> {
        let left = related.ids.iter().skip(self.done).take(self.each.max(1));
        left.filter_map(|id| SalesforceId::parse(id).ok()).collect()
    }

    /// After the answer for [`next`](Self::next).
    #[must_use]
    pub fn advanced(self) -> Self {
        Self { done: self.done.saturating_add(self.each.max(1)), ..self }
    }

    /// Whether nothing is left to ask for.
    #[must_use]
    pub fn is_done(self, related: &Related) -> bool {
        self.done >= related.ids.len()
    }

    /// After an answer that was too slow or too large: fewer at once, or `None` where it was one alone.
    #[must_use]
    pub fn narrower(self, related: &Related) -> Option<Self> {
        let asked = self.each.min(related.ids.len().saturating_sub(self.done));
        (asked > 1).then_some(Self { each: asked / 2, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn related(count: usize) -> Related {
        let ids = (0..count).map(|n| SalesforceId::parse(&format!("500{n:012}")).unwrap().to_string());
        Related { field: "ParentId".to_owned(), ids: ids.collect(), numbers: Vec::new(), gone: false }
    }

    #[test]
    fn every_id_is_asked_for_once_whatever_was_too_much_on_the_way() {
        let all = related(450);
        let (mut progress, mut asked, mut turns) = (RelatedProgress::default(), Vec::new(), 0);
        while !progress.is_done(&all) {
            turns += 1;
            if turns % 3 == 0
                && let Some(less) = progress.narrower(&all)
            {
                progress = less;
            }
            asked.extend(progress.next(&all));
            progress = progress.advanced();
        }
        assert_eq!(asked.iter().map(ToString::to_string).collect::<Vec<_>>(), all.ids);
        assert!(progress.next(&all).is_empty());
    }

    #[test]
    fn one_id_alone_cannot_be_halved_and_what_is_no_id_is_passed_over() {
        let one = Related { ids: vec!["nonsense".to_owned()], ..related(1) };
        assert_eq!(RelatedProgress::default().narrower(&one), None);
        assert!(RelatedProgress::default().next(&one).is_empty());
        assert!(!RelatedProgress::default().is_done(&one));
        assert!(RelatedProgress::default().advanced().is_done(&one));
    }
}
