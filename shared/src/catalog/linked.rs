//! Linked paths: whether each step of `Account.Owner.Name` can be walked by this integration user.
//!
//! Describe of the child shows a reference even when its parent's object or field is hidden, and a query through it is
//! refused as a whole. Only the parents' own describes tell, so a walk says which of them it still needs.

use std::collections::HashMap;
use std::sync::Arc;

use super::describe::{FieldDescribe, ObjectDescribe};

/// What is known of parent objects, by API name; `None` for one that the user cannot see.
pub type Parents = HashMap<String, Option<Arc<ObjectDescribe>>>;

/// What becomes of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walk {
    /// It can be read.
    Reads,
    /// A step of it, or its last field, cannot be read.
    Broken,
    /// That depends on this object's describe.
    Needs(String),
}

/// Walks a path from an object, as far as its parents are known.
#[must_use]
pub fn walk(from: &ObjectDescribe, path: &str, parents: &Parents) -> Walk {
    let mut object = from;
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        if steps.peek().is_none() {
            return if object.field(step).is_some() { Walk::Reads } else { Walk::Broken };
        }
        let Some(reference) = reference(object, step) else { return Walk::Broken };
        // A reference to several objects is walked to what they have in common, which describe does not list.
        let [parent] = reference.reference_to.as_slice() else { return Walk::Reads };
        object = match parents.get(parent) {
            Some(Some(parent)) if parent.queryable => parent,
            Some(_) => return Walk::Broken,
            None => return Walk::Needs(parent.clone()),
        };
    }
    Walk::Broken
}

pub(super) fn reference<'a>(object: &'a ObjectDescribe, step: &str) -> Option<&'a FieldDescribe> {
    object
        .fields
        .iter()
        .find(|field| field.relationship_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(step)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object with plain fields and references, like `Owner>User`.
    fn object(name: &str, fields: &[&str]) -> ObjectDescribe {
        let fields: Vec<serde_json::Value> = fields
            .iter()
            .map(|field| match field.split_once('>') {
                None => serde_json::json!({"name": field, "type": "string"}),
                Some((step, to)) => serde_json::json!({
                    "name": format!("{step}Id"), "type": "reference", "relationshipName": step,
                    "referenceTo": to.split('+').collect::<Vec<_>>(),
                }),
            })
            .collect();
        serde_json::from_value(serde_json::json!({"name": name, "queryable": true, "fields": fields}))
            .unwrap()
    }

    fn case() -> ObjectDescribe {
        object("Case", &["Subject", "Account>Account", "Owner>Group+User", "Parent>Case"])
    }

    fn seen(describes: Vec<ObjectDescribe>) -> Parents {
        describes.into_iter().map(|describe| (describe.name.clone(), Some(Arc::new(describe)))).collect()
    }

    #[test]
    fn a_path_asks_for_one_parent_after_the_other() {
        let mut parents = Parents::new();
        let path = "Account.Owner.Name";
        assert_eq!(walk(&case(), path, &parents), Walk::Needs("Account".to_owned()));
        parents.extend(seen(vec![object("Account", &["Name", "Owner>User"])]));
        assert_eq!(walk(&case(), path, &parents), Walk::Needs("User".to_owned()));
        parents.extend(seen(vec![object("User", &["Name"])]));
        assert_eq!(walk(&case(), path, &parents), Walk::Reads);
        assert_eq!(walk(&case(), "Account.Owner.Title", &parents), Walk::Broken, "a field hidden at the end");
        assert_eq!(walk(&case(), "Account.Boss.Name", &parents), Walk::Broken, "a step that is not there");
        assert_eq!(walk(&case(), "account.OWNER.name", &parents), Walk::Reads, "names have no case");
    }

    #[test]
    fn a_parent_that_cannot_be_seen_at_any_step_breaks_the_path() {
        let mut parents = seen(vec![object("Account", &["Name", "Owner>User"])]);
        parents.insert("User".to_owned(), None);
        assert_eq!(walk(&case(), "Account.Owner.Name", &parents), Walk::Broken);
        assert_eq!(walk(&case(), "Account.Name", &parents), Walk::Reads, "only what goes through it");
        let unqueryable = ObjectDescribe { queryable: false, ..object("Account", &["Name"]) };
        assert_eq!(walk(&case(), "Account.Name", &seen(vec![unqueryable])), Walk::Broken);
    }

    #[test]
    fn a_reference_to_several_objects_is_always_walked() {
        assert_eq!(walk(&case(), "Owner.Name", &Parents::new()), Walk::Reads);
        assert_eq!(walk(&case(), "Owner.Profile.Name", &Parents::new()), Walk::Reads);
    }

    #[test]
    fn an_object_may_be_its_own_parent() {
        assert_eq!(walk(&case(), "Parent.Parent.Subject", &seen(vec![case()])), Walk::Reads);
    }
}
