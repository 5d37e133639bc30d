//! The list of paths that an object is read with, in the order in which a canonical record keeps them.
//!
//! A field set is append-only: when the list changes, a new set with a larger id is made, and a read under
//! an older set never replaces a row read under a newer one.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::describe::{FieldType, ObjectDescribe};
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
/// `broken` names the relationships whose parent object the user cannot read. A path through one of them, or
/// whose first step describe does not show, is left out and returned in the second list.
#[must_use]
pub fn choose_fields(
    describe: &ObjectDescribe,
    extra_paths: &[String],
    broken: &[String],
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
    let linked = standard.map_or(&[][..], |object| object.linked);
    for path in linked.iter().map(|path| (*path).to_owned()).chain(extra_paths.iter().cloned()) {
        if fields.iter().any(|field| field.path == path) {
            continue;
        }
        let (step, rest) = path.split_once('.').unwrap_or((&path, ""));
        let walks = !broken.iter().any(|name| name == step)
            && describe
                .fields
                .iter()
                .any(|field| field.relationship_name.as_deref() == Some(step) && !rest.is_empty());
        if walks {
            // A parent's value is kept as text unless its own describe says better; the type of the last
            // step belongs to the parent object and is not needed to read it back.
            fields.push(Field { path, kind: FieldType::AnyType });
        } else {
            dropped.push(path);
        }
    }
    (fields, dropped)
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
                {"name": "OwnerId", "type": "reference", "relationshipName": "Owner"},
                {"name": "MailingAddress", "type": "address"},
                {"name": "SystemModstamp", "type": "datetime", "filterable": true, "sortable": true}
            ]
        }))
        .unwrap()
    }

    #[test]
    fn what_no_column_can_hold_or_nobody_may_see_is_left_out() {
        let (fields, dropped) =
            choose_fields(&describe(), &["Owner.Alias".to_owned(), "Nope.Name".to_owned()], &[]);
        let set = FieldSet::new(FieldSetId(1), fields);
        let paths: Vec<&str> = set.fields().iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["Id", "Owner.Alias", "Owner.Name", "Owner.Type", "OwnerId", "SystemModstamp"]);
        assert_eq!(dropped, ["Contact.Name", "Account.Name", "RecordType.DeveloperName", "Nope.Name"]);
        assert_eq!(set.position("OwnerId"), Some(4));
        assert_eq!(describe().cursor_field(), Some("SystemModstamp"));

        let (fields, dropped) = choose_fields(&describe(), &[], &["Owner".to_owned()]);
        assert!(fields.iter().all(|field| !field.path.starts_with("Owner.")));
        assert!(dropped.contains(&"Owner.Name".to_owned()), "a parent nobody may read takes its paths along");
    }
}
