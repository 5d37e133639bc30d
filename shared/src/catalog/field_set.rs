//! The list of paths that an object is read with, in the order in which a canonical record keeps them.
//!
//! A field set is append-only: when the list changes, a new set with a larger id is made, and a read under
//! an older set never replaces a row read under a newer one.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::describe::{FieldType, ObjectDescribe};
use super::linked::{Parents, Walk, walk};
use super::registry::StandardObject;
use crate::ids::FieldSetId;

/// One path of a field set with the type its values are kept in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// A field or a dotted walk over lookups: `Account.Owner.Name`.
    pub path: String,
    /// How its values are kept.
    #[serde(rename = "type")]
    pub kind: FieldType,
}

/// The paths of an object in canonical (bytewise) order, with a tree for reading nested JSON.
#[derive(Debug, Clone)]
pub struct FieldSet {
    /// Its place in the log of sets; larger is newer.
    pub id: FieldSetId,
    fields: Vec<Field>,
    root: Node,
}

/// A level of the JSON that Salesforce answers with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) leaves: HashMap<String, usize>,
    pub(crate) parents: HashMap<String, Node>,
}

impl FieldSet {
    /// Makes a set of these fields; order and repeats do not matter.
    #[must_use]
    pub fn new(id: FieldSetId, mut fields: Vec<Field>) -> Self {
        fields.sort_by(|a, b| a.path.cmp(&b.path));
        fields.dedup_by(|a, b| a.path == b.path);
        let mut root = Node::default();
        for (index, field) in fields.iter().enumerate() {
            let mut node = &mut root;
            let mut names = field.path.split('.').peekable();
            while let Some(name) = names.next() {
                if names.peek().is_none() {
                    node.leaves.insert(name.to_owned(), index);
                } else {
                    node = node.parents.entry(name.to_owned()).or_default();
                }
            }
        }
        Self { id, fields, root }
    }

    /// The fields in canonical order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The place of a path in a canonical record.
    #[must_use]
    pub fn position(&self, path: &str) -> Option<usize> {
        self.fields.binary_search_by(|field| field.path.as_str().cmp(path)).ok()
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

/// The fields to read of an object: all that describe shows and a column can hold, and the linked paths.
///
/// A path that cannot be walked, as far as `parents` tells, is left out and returned in the second list.
#[must_use]
pub fn choose_fields(
    describe: &ObjectDescribe,
    extra_paths: &[String],
    parents: &Parents,
) -> (Vec<Field>, Vec<String>) {
    let standard = StandardObject::find(&describe.name);
    let excluded = standard.map_or(&[][..], |object| object.excluded);
    let mut fields: Vec<Field> = describe
        .fields
        .iter()
        .filter(|field| !excluded.contains(&field.name.as_str()))
        .filter_map(|field| {
            FieldType::from_describe(&field.kind).map(|kind| Field { path: field.name.clone(), kind })
        })
        .collect();
    let mut dropped = Vec::new();
    for path in linked_paths(describe, extra_paths) {
        if fields.iter().any(|field| field.path == path) {
            continue;
        }
        match walk(describe, &path, parents) {
            // A parent's value is kept as text: the type of the last step belongs to the parent object and is not
            // needed to read it back.
            Walk::Reads if path.contains('.') => fields.push(Field { path, kind: FieldType::AnyType }),
            // A parent that was not asked about is not known to be readable.
            Walk::Reads | Walk::Broken | Walk::Needs(_) => dropped.push(path),
        }
    }
    (fields, dropped)
}

/// The paths to read along: the object's own by default, and the ones that people asked for.
#[must_use]
pub fn linked_paths(describe: &ObjectDescribe, extra_paths: &[String]) -> Vec<String> {
    let linked = StandardObject::find(&describe.name).map_or(&[][..], |object| object.linked);
    linked.iter().map(|path| (*path).to_owned()).chain(extra_paths.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe() -> ObjectDescribe {
        serde_json::from_value(serde_json::json!({
            "name": "Case", "keyPrefix": "500", "queryable": true,
            "fields": [
                {"name": "Id", "type": "id", "filterable": true, "sortable": true},
                {"name": "Comments", "type": "textarea"},
                {"name": "OwnerId", "type": "reference", "relationshipName": "Owner", "referenceTo": ["Group", "User"]},
                {"name": "ContactId", "type": "reference", "relationshipName": "Contact", "referenceTo": ["Contact"]},
                {"name": "MailingAddress", "type": "address"},
                {"name": "SystemModstamp", "type": "datetime", "filterable": true, "sortable": true}
            ]
        }))
        .unwrap()
    }

    #[test]
    fn what_no_column_can_hold_or_nobody_may_see_is_left_out() {
        let parents = Parents::from([("Contact".to_owned(), None)]);
        let (fields, dropped) =
            choose_fields(&describe(), &["Owner.Alias".to_owned(), "Nope.Name".to_owned()], &parents);
        let set = FieldSet::new(FieldSetId(1), fields);
        let paths: Vec<&str> = set.fields().iter().map(|field| field.path.as_str()).collect();
        assert_eq!(
            paths,
            ["ContactId", "Id", "Owner.Alias", "Owner.Name", "Owner.Type", "OwnerId", "SystemModstamp"]
        );
        assert_eq!(dropped, ["Contact.Name", "Account.Name", "RecordType.DeveloperName", "Nope.Name"]);
        assert_eq!(set.position("OwnerId"), Some(5));
        assert_eq!(describe().cursor_field(), Some("SystemModstamp"));

        let contact = serde_json::from_value(serde_json::json!({
            "name": "Contact", "queryable": true, "fields": [{"name": "Name", "type": "string"}]
        }));
        let parents = Parents::from([("Contact".to_owned(), Some(std::sync::Arc::new(contact.unwrap())))]);
        let (fields, dropped) = choose_fields(&describe(), &[], &parents);
        assert!(fields.iter().any(|field| field.path == "Contact.Name"));
        assert!(!dropped.contains(&"Contact.Name".to_owned()), "a parent that may be read is read along");
    }
}
