//! Values that were read through a lookup: what the parent's own ground truth says they should be.
//!
//! The platform does not stamp a child when its parent changes, so a linked value may rightly be older here than
//! in the org. Whether it is may be told from the two stamps, and nothing else is excused.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::lines::{Lines, Truth};
use super::values::{moment, text};
use crate::org::Org;

/// Objects that are never at the upper end of a lookup that we read through, and are many.
const NEVER_PARENTS: [&str; 15] = [
    "CaseComment",
    "EmailMessage",
    "EmailMessageRelation",
    "CaseHistory",
    "Task",
    "Attachment",
    "CaseFeed",
    "FeedItem",
    "FeedComment",
    "FeedTrackedChange",
    "ContentDocumentLink",
    "ContentVersion",
    "ConversationEntry",
    "LiveChatTranscriptEvent",
    "VoiceCallRecording",
];
/// Lookups with several targets: `Type` is then the parent's object, and `Name` whatever it goes by.
const POLYMORPHIC: [&str; 4] = ["Owner", "Who", "What", "RelatedTo"];
/// What objects without a field `Name` go by.
const NAMES: [&str; 3] = ["Name", "CaseNumber", "Subject"];

/// A record that others look up to.
#[derive(Debug)]
struct Parent {
    object: String,
    deleted: bool,
    stamp: Option<DateTime<Utc>>,
    /// JSON by field, of the fields that some path ends in or goes through.
    values: HashMap<String, String>,
}

/// All possible parents of an org.
#[derive(Debug, Default)]
pub(super) struct Parents(HashMap<String, Parent>);

/// What a linked value should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Linked<'a> {
    /// JSON.
    pub(super) value: &'a str,
    /// A text that is not JSON yet: the name of an object.
    pub(super) object: Option<&'a str>,
    /// When a record on the way changed last; `None` when one is gone altogether.
    pub(super) changed_at: Option<DateTime<Utc>>,
}

impl Parents {
    /// Reads the parents' ends of these paths.
    pub(super) async fn read(org: &Org, paths: &[String]) -> anyhow::Result<Self> {
        let mut parents = Self::default();
        if paths.is_empty() {
            return Ok(parents);
        }
        let wanted = wanted_fields(paths);
        for object in org.truth_summary().await?.objects.keys() {
            if NEVER_PARENTS.contains(&object.as_str()) {
                continue;
            }
            let mut lines = Lines::new(org.truth(object).await?);
            while let Some(line) = lines.next().await? {
                parents.add(object, &Truth::read(line)?, &wanted);
            }
        }
        Ok(parents)
    }

    pub(super) fn add(&mut self, object: &str, truth: &Truth<'_>, wanted: &HashSet<String>) {
        let values = truth
            .fields
            .iter()
            .filter(|(field, _)| wanted.contains(**field))
            .map(|(field, value)| ((*field).to_owned(), value.get().to_owned()))
            .collect();
        let parent =
            Parent { object: object.to_owned(), deleted: truth.deleted, stamp: moment(truth.stamp), values };
        self.0.insert(truth.id.to_owned(), parent);
    }

    /// Whether that record is in the recycle bin.
    pub(super) fn is_deleted(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|parent| parent.deleted)
    }

    /// What the value at `path` of this child should be.
    pub(super) fn resolve(&self, child: &Truth<'_>, path: &str) -> Linked<'_> {
        let nothing = |changed_at| Linked { value: "null", object: None, changed_at };
        let mut steps: Vec<&str> = path.split('.').collect();
        let leaf = steps.pop().unwrap_or_default();
        let mut changed_at = moment(child.stamp);
        let mut at: Option<&Parent> = None;
        for step in &steps {
            let field = lookup_field(step);
            let id = match at {
                None => text(child.raw(&field)),
                Some(parent) => parent.values.get(&field).and_then(|json| text(json)),
            };
            let Some(id) = id else { return nothing(changed_at) };
            let Some(parent) = self.0.get(id.as_ref()) else { return nothing(None) };
            changed_at = changed_at.max(parent.stamp);
            if parent.deleted {
                return nothing(changed_at);
            }
            at = Some(parent);
        }
        let Some(parent) = at else { return nothing(changed_at) };
        let polymorphic = steps.last().is_some_and(|step| POLYMORPHIC.contains(step));
        if polymorphic && leaf == "Type" {
            // A queue is a row of Group and says so only by its type.
            let object = if parent.object == "Group" { "Queue" } else { &parent.object };
            return Linked { value: "null", object: Some(object), changed_at };
        }
        let value = if leaf == "Name" {
            NAMES.iter().find_map(|name| parent.values.get(*name))
        } else {
            parent.values.get(leaf)
        };
        value.map_or_else(|| nothing(changed_at), |value| Linked { value, object: None, changed_at })
    }
}

/// The field that holds the id behind a step of a path.
fn lookup_field(step: &str) -> String {
    step.strip_suffix("__r").map_or_else(|| format!("{step}Id"), |custom| format!("{custom}__c"))
}

fn wanted_fields(paths: &[String]) -> HashSet<String> {
    let mut wanted: HashSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    for path in paths {
        let mut steps = path.split('.').skip(1).peekable();
        while let Some(step) = steps.next() {
            wanted.insert(if steps.peek().is_some() { lookup_field(step) } else { step.to_owned() });
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHILD: &str = r#"{"Id":"500A","stamp":"2026-01-02T00:00:00.000Z","deleted":false,
        "fields":{"OwnerId":"005A","ContactId":null,"Team__c":"a01A"}}"#;

    fn parents() -> Parents {
        let wanted = wanted_fields(&["Owner.Manager.Alias".to_owned(), "Team__r.Code__c".to_owned()]);
        let mut parents = Parents::default();
        for (object, line) in [
            (
                "User",
                r#"{"Id":"005A","stamp":"2026-01-01T00:00:00.000Z","deleted":false,
                "fields":{"Name":"Ada","ManagerId":"005B","Phone":"1"}}"#,
            ),
            (
                "User",
                r#"{"Id":"005B","stamp":"2026-01-03T00:00:00.000Z","deleted":false,
                "fields":{"Name":"Bo","Alias":"bo","ManagerId":null}}"#,
            ),
            (
                "Team__c",
                r#"{"Id":"a01A","stamp":"2026-01-04T00:00:00.000Z","deleted":true,
                "fields":{"Name":"T","Code__c":"x"}}"#,
            ),
        ] {
            parents.add(object, &Truth::read(line.as_bytes()).unwrap(), &wanted);
        }
        parents
    }

    #[test]
    fn a_linked_value_is_the_parents_own() {
        let (parents, child) = (parents(), Truth::read(CHILD.as_bytes()).unwrap());
        assert_eq!(parents.resolve(&child, "Owner.Name").value, "\"Ada\"");
        assert_eq!(parents.resolve(&child, "Owner.Type").object, Some("User"));
        let far = parents.resolve(&child, "Owner.Manager.Alias");
        assert_eq!((far.value, far.changed_at), ("\"bo\"", moment("2026-01-03T00:00:00.000Z")));
    }

    #[test]
    fn no_parent_and_a_deleted_parent_give_nothing() {
        let (parents, child) = (parents(), Truth::read(CHILD.as_bytes()).unwrap());
        let none = parents.resolve(&child, "Contact.Name");
        assert_eq!((none.value, none.changed_at), ("null", moment("2026-01-02T00:00:00.000Z")));
        let gone = parents.resolve(&child, "Team__r.Code__c");
        assert_eq!((gone.value, gone.changed_at), ("null", moment("2026-01-04T00:00:00.000Z")));
    }
}
