//! How an object looks now beside how it looked when it was described last: what an administrator of the org changed, or
//! what the integration user may see. All pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::describe::{FieldDescribe, ObjectDescribe};
use super::field_set::Field;
use super::registry::{Projection, Role};
use crate::job::ObjectSettings;

/// What happened to a field, a linked path or an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It can be seen: somebody made it or permitted it.
    New,
    /// It cannot be seen any more: somebody deleted it, or took the permission away.
    Lost,
    /// It is of another shape.
    Changed,
}

impl ChangeKind {
    /// The closed word in SQL and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Lost => "lost",
            Self::Changed => "changed",
        }
    }
}

/// The parts of a field's describe of which people are told when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Describe's type word.
    #[serde(rename = "type")]
    pub kind: String,
    /// Longest value in characters; 0 where it does not apply.
    pub length: u32,
    /// May stand in WHERE; encryption takes that away.
    pub filterable: bool,
    /// A formula.
    pub formula: bool,
    /// The objects a reference may point to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refers_to: Vec<String>,
}

impl From<&FieldDescribe> for Shape {
    fn from(field: &FieldDescribe) -> Self {
        Self {
            kind: field.kind.clone(),
            length: field.length,
            filterable: field.filterable,
            formula: field.calculated,
            refers_to: field.reference_to.clone(),
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// What happened.
    pub kind: ChangeKind,
    /// To this field or path; to the whole object where there is none.
    pub path: Option<String>,
    /// What the field was like; none of a path over lookups.
    pub before: Option<Shape>,
    /// What it is like.
    pub after: Option<Shape>,
    /// A field that came at the same time and looks the same: perhaps it was renamed to that. Describe has no ids of fields
    /// that would tell.
    pub perhaps: Option<String>,
}

impl SchemaChange {
    /// Of the whole object.
    #[must_use]
    pub fn of_object(kind: ChangeKind) -> Self {
        Self { kind, path: None, before: None, after: None, perhaps: None }
    }
}

/// An object at one look.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Its describe.
    pub describe: &'a ObjectDescribe,
    /// The paths that people wanted read along.
    pub linked: &'a [String],
    /// What was read of it.
    pub fields: &'a [Field],
}

/// What changed between two looks, in the order of paths. A path that people ask for anew, or not any more, is no change of
/// the org.
#[must_use]
pub fn schema_changes(before: &Look<'_>, after: &Look<'_>) -> Vec<SchemaChange> {
    let shapes = |look: &Look<'_>| -> BTreeMap<String, Shape> {
        look.describe.fields.iter().map(|field| (field.name.clone(), Shape::from(field))).collect()
    };
    let (old, new) = (shapes(before), shapes(after));
    let came: Vec<(&String, &Shape)> = new.iter().filter(|(name, _)| !old.contains_key(*name)).collect();
    let mut changes: Vec<SchemaChange> = Vec::new();
    for (name, was) in &old {
        let now = new.get(name);
        if now == Some(was) {
            continue;
        }
        let mut alike = came.iter().filter(|(_, shape)| now.is_none() && *shape == was);
        let perhaps = alike.next().filter(|_| alike.next().is_none());
        changes.push(SchemaChange {
            kind: if now.is_some() { ChangeKind::Changed } else { ChangeKind::Lost },
            path: Some(name.clone()),
            before: Some(was.clone()),
            after: now.cloned(),
            perhaps: perhaps.map(|(name, _)| (*name).clone()),
        });
    }
    changes.extend(came.into_iter().map(|(name, shape)| SchemaChange {
        kind: ChangeKind::New,
        path: Some(name.clone()),
        before: None,
        after: Some(shape.clone()),
        perhaps: None,
    }));
    let reads = |look: &Look<'_>, path: &str| look.fields.iter().any(|field| field.path == path);
    let walks = |look: &Look<'_>, other: &Look<'_>, kind| -> Vec<SchemaChange> {
        // Wanted by people at one look alone: they changed their minds.
        let is_asked = |path: &str| look.linked.iter().any(|wanted| wanted == path);
        let stays_asked = |path: &str| !is_asked(path) || other.linked.iter().any(|wanted| wanted == path);
        let found = look.fields.iter().map(|field| &field.path).filter(|path| path.contains('.'));
        found
            .filter(|path| !reads(other, path) && stays_asked(path))
            .map(|path| SchemaChange { path: Some(path.clone()), ..SchemaChange::of_object(kind) })
            .collect()
    };
    changes.extend(walks(before, after, ChangeKind::Lost));
    changes.extend(walks(after, before, ChangeKind::New));
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// What is made of a path, by what people set up or by default: where the path is lost, that stays empty.
#[must_use]
pub fn used_by(api_name: &str, role: Role, settings: &ObjectSettings, path: &str) -> Vec<String> {
    let facets = settings.facets.iter().filter(|facet| facet.path == path);
    let mut found: Vec<String> = facets.map(|facet| format!("facet {}", facet.name)).collect();
    if settings.linked.iter().any(|one| one == path) {
        found.push("linked".to_owned());
    }
    match Projection::of(api_name, role, settings) {
        Projection::Ticket(fields) if fields.paths().any(|one| one == path) => {
            found.push("ticket".to_owned());
        }
        Projection::Message(fields) if fields.paths().any(|one| one == path) => {
            found.push("message".to_owned());
        }
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::FieldType;
    use crate::job::checkpoint::{Facet, FacetKind};

    fn object(fields: &[(&str, &str, bool)]) -> ObjectDescribe {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, kind, filterable)| {
                serde_json::json!({"name": name, "type": kind, "filterable": filterable, "length": 80})
            })
            .collect();
        serde_json::from_value(serde_json::json!({"name": "Case", "queryable": true, "fields": fields}))
            .expect("a describe")
    }

    fn read(paths: &[&str]) -> Vec<Field> {
        paths.iter().map(|path| Field { path: (*path).to_owned(), kind: FieldType::Text }).collect()
    }

    fn told(before: &Look<'_>, after: &Look<'_>) -> Vec<String> {
        schema_changes(before, after)
            .into_iter()
            .map(|one| {
                let perhaps = one.perhaps.map(|name| format!(" ({name}?)")).unwrap_or_default();
                format!("{} {}{perhaps}", one.kind.word(), one.path.unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn fields_come_and_go_and_change_their_shape() {
        let before = object(&[("Id", "id", true), ("A__c", "string", true), ("B__c", "double", true)]);
        let after = object(&[("Id", "id", true), ("A__c", "string", false), ("C__c", "boolean", true)]);
        let look = |describe| Look { describe, linked: &[], fields: &[] };
        assert_eq!(told(&look(&before), &look(&after)), ["changed A__c", "lost B__c", "new C__c"]);
        assert_eq!(told(&look(&after), &look(&after)), [""; 0], "what is as it was is not told");
        let shapes = &schema_changes(&look(&before), &look(&after))[0];
        let filters = |shape: &Option<Shape>| shape.as_ref().map(|shape| shape.filterable);
        assert_eq!((filters(&shapes.before), filters(&shapes.after)), (Some(true), Some(false)));
    }

    #[test]
    fn one_that_goes_as_another_of_its_shape_comes_was_perhaps_renamed() {
        let look = |describe| Look { describe, linked: &[], fields: &[] };
        let before = object(&[("Old__c", "string", true)]);
        let after = object(&[("New__c", "string", true)]);
        assert_eq!(told(&look(&before), &look(&after)), ["new New__c", "lost Old__c (New__c?)"]);
        let two = object(&[("New__c", "string", true), ("Newer__c", "string", true)]);
        assert_eq!(
            told(&look(&before), &look(&two)),
            ["new New__c", "new Newer__c", "lost Old__c"],
            "which of them is not known"
        );
    }

    #[test]
    fn a_path_that_people_let_go_is_no_change_of_the_org() {
        let describe = object(&[("Id", "id", true)]);
        let (with, without) = (read(&["Account.Name", "Id"]), read(&["Id"]));
        let asked = ["Account.Name".to_owned()];
        let look = |linked, fields| Look { describe: &describe, linked, fields };
        assert_eq!(told(&look(&asked, &with), &look(&[], &without)), [""; 0]);
        assert_eq!(told(&look(&[], &without), &look(&asked, &with)), [""; 0]);
        assert_eq!(told(&look(&asked, &with), &look(&asked, &without)), ["lost Account.Name"]);
        assert_eq!(told(&look(&asked, &without), &look(&asked, &with)), ["new Account.Name"]);
        assert_eq!(told(&look(&[], &with), &look(&[], &without)), ["lost Account.Name"], "one by default");
    }

    #[test]
    fn whatever_people_set_up_over_a_path_is_named() {
        let facet = |name: &str, path: &str| Facet {
            name: name.to_owned(),
            path: path.to_owned(),
            kind: FacetKind::Text,
        };
        let settings = ObjectSettings {
            facets: vec![facet("owner", "Owner.Name"), facet("origin", "Origin")],
            linked: vec!["Owner.Name".to_owned()],
            ..ObjectSettings::default()
        };
        let uses = |path| used_by("Case", Role::Ticket, &settings, path);
        assert_eq!(uses("Owner.Name"), ["facet owner", "linked"]);
        assert_eq!(uses("Origin"), ["facet origin", "ticket"]);
        assert_eq!(uses("Subject"), ["ticket"], "by default");
        assert_eq!(uses("Plan__c"), [""; 0]);
        assert_eq!(
            used_by("EmailMessage", Role::Message, &ObjectSettings::default(), "TextBody"),
            ["message"]
        );
    }
}
