//! What an object's records show that is not their own, and that no stamp of theirs tells of: values of parents, read
//! along over lookups, and formulas. All pure.
//!
//! A value over a lookup follows its parent: an [`Edge`] says by which reference the children of a changed parent are
//! found. What no edge leads to is read again on a schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::describe::{FieldDescribe, ObjectDescribe};
use super::field_set::Field;
use super::linked::{Parents, reference};
use super::registry::{Found, StandardObject};

/// A lookup that may point to so many objects is followed to those that Refrain knows or reads; a task may be about any
/// of the org's objects, and following each of them would cost a call an hour for every one.
const MOST_TARGETS: usize = 5;

/// Copies of a parent's value that describe shows as fields of the object's own: they follow the parent without a stamp.
/// The platform keeps no list of them; these are the ones that support objects have.
const MIRRORS: [(&str, &str, &str); 6] = [
    ("Case", "ContactEmail", "Contact.Email"),
    ("Case", "ContactFax", "Contact.Fax"),
    ("Case", "ContactMobile", "Contact.MobilePhone"),
    ("Case", "ContactPhone", "Contact.Phone"),
    ("Case", "CreatorName", "CreatedBy.Name"),
    ("CaseComment", "CreatorName", "CreatedBy.Name"),
];

/// Fields that change with the time or with other records and are no formulas by their describe.
const PSEUDO_FORMULAS: [(&str, &str); 6] = [
    ("Case", "MilestoneStatus"),
    ("ContractLineItem", "Status"),
    ("Entitlement", "Status"),
    ("MessagingSession", "ChannelEndUserFormula"),
    ("ServiceContract", "Status"),
    ("User", "SmallPhotoUrl"),
];

/// Whether a field's values follow the time or other records, without a change of their own.
#[must_use]
pub fn follows_others(object: &str, field: &FieldDescribe) -> bool {
    let is = |of: &str, name: &str| of == object && name == field.name;
    field.calculated
        || MIRRORS.iter().any(|(of, name, _)| is(of, name))
        || PSEUDO_FORMULAS.iter().any(|(of, name)| is(of, name))
}

/// A lookup through which values of a parent are read along.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// The reference by which a parent's children are found: `ContactId`, `Contact.AccountId`.
    pub field: String,
    /// The parent object's API name.
    pub parent: String,
    /// The parent's fields that are read through it.
    pub reads: BTreeSet<String>,
}

/// Where an object's values come from that are not its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derived {
    /// Lookups whose parents are followed, in order.
    pub edges: Vec<Edge>,
    /// Parent objects whose describe is needed to know the rest.
    #[serde(skip)]
    pub needs: BTreeSet<String>,
    /// Some value over a lookup is followed by no edge.
    pub loose: bool,
    /// Some value is a formula, or behaves like one.
    pub formulas: bool,
}

/// Looks at everything that is read of an object, as far as its parents are known.
#[must_use]
pub fn derived(describe: &ObjectDescribe, fields: &[Field], parents: &Parents) -> Derived {
    let found = StandardObject::find(&describe.name).map_or(Found::ByStamp, |object| object.found);
    let reads = |name: &str| fields.iter().any(|field| field.path == name);
    let is_formula = |field: &FieldDescribe| field.calculated && reads(&field.name);
    let is_pseudo = |(object, field): &(&str, &str)| *object == describe.name && reads(field);
    let mut walks = Walks { derived: Derived::default(), found: BTreeMap::new(), parents, of: found };
    walks.derived.formulas = describe.fields.iter().any(is_formula) || PSEUDO_FORMULAS.iter().any(is_pseudo);
    if found == Found::ByCalls {
        return walks.derived;
    }
    let mirrors = MIRRORS
        .iter()
        .filter(|(object, field, _)| *object == describe.name && reads(field))
        .map(|(.., of)| *of);
    let linked = fields.iter().map(|field| field.path.as_str()).filter(|path| path.contains('.'));
    for path in linked.chain(mirrors) {
        walks.walk(describe, path);
    }
    let edge = |((field, parent), reads)| Edge { field, parent, reads };
    Derived { edges: walks.found.into_iter().map(edge).collect(), ..walks.derived }
}

struct Walks<'a> {
    derived: Derived,
    found: BTreeMap<(String, String), BTreeSet<String>>,
    parents: &'a Parents,
    of: Found,
}

impl Walks<'_> {
    /// Makes an edge of each step of the path but the last, to each object that it may lead to.
    fn walk(&mut self, from: &ObjectDescribe, path: &str) {
        let steps: Vec<&str> = path.split('.').collect();
        let mut objects = vec![Arc::new(from.clone())];
        for (place, step) in steps[..steps.len() - 1].iter().enumerate() {
            let references: Vec<FieldDescribe> =
                objects.iter().filter_map(|object| reference(object, step).cloned()).collect();
            let Some(first) = references.first() else {
                // A step that only a parent knows which is not described yet, or which nobody sees.
                self.derived.loose |= self.derived.needs.is_empty();
                return;
            };
            let field = [&steps[..place], &[first.name.as_str()]].concat().join(".");
            // Links to files are found by their own references alone: Salesforce filters them by no other record's field.
            let can_ask = first.filterable && (place == 0 || self.of != Found::ByParents);
            let targets: BTreeSet<String> =
                references.iter().flat_map(|reference| reference.reference_to.iter().cloned()).collect();
            let followed = self.followed(&targets);
            self.derived.loose |= !can_ask || followed.len() < targets.len();
            objects = Vec::new();
            for target in followed {
                match self.parents.get(target) {
                    None => drop(self.derived.needs.insert(target.clone())),
                    // Of a parent that cannot be seen nothing is shown.
                    Some(None) => {}
                    Some(Some(parent)) if can_ask && parent.queryable && parent.cursor_field().is_some() => {
                        let read = self.found.entry((field.clone(), target.clone())).or_default();
                        read.extend(read_next(parent, &steps[place + 1..]));
                        objects.push(Arc::clone(parent));
                    }
                    Some(Some(parent)) => {
                        self.derived.loose = true;
                        objects.push(Arc::clone(parent));
                    }
                }
            }
            if objects.is_empty() {
                return;
            }
        }
    }

    fn followed<'t>(&self, targets: &'t BTreeSet<String>) -> Vec<&'t String> {
        let few = targets.len() <= MOST_TARGETS;
        let is_followed = |target: &&String| {
            few || self.parents.contains_key(*target) || StandardObject::find(target).is_some()
        };
        targets.iter().filter(is_followed).collect()
    }
}

/// The parent's own field behind the next step of a path: the value at its end, or the reference that it walks on by.
fn read_next(parent: &ObjectDescribe, rest: &[&str]) -> Option<String> {
    match rest {
        [last] => parent.field(last).map(|field| field.name.clone()),
        [step, ..] => reference(parent, step).map(|field| field.name.clone()),
        [] => None,
    }
}

#[cfg(test)]
#[path = "derived_test.rs"]
mod tests;
