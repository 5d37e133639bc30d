//! Where values come from that are not a record's own.

use serde_json::{Value, json};

use super::*;
use crate::catalog::FieldType;

/// An object with plain fields, formulas like `Score=`, and references like `Owner>User`.
fn object(name: &str, fields: &[&str]) -> ObjectDescribe {
    let stamp = json!({"name": "SystemModstamp", "type": "datetime", "filterable": true, "sortable": true});
    let field = |field: &&str| match field.split_once('>') {
        None => {
            json!({"name": field.trim_end_matches('='), "type": "string", "calculated": field.ends_with('=')})
        }
        Some((step, to)) => json!({
            "name": format!("{step}Id"), "type": "reference", "relationshipName": step, "filterable": true,
            "referenceTo": to.split('+').collect::<Vec<_>>(),
        }),
    };
    let fields: Vec<Value> = fields.iter().map(field).chain([stamp]).collect();
    serde_json::from_value(json!({"name": name, "queryable": true, "fields": fields})).unwrap()
}

fn case() -> ObjectDescribe {
    let fields =
        ["Subject", "ContactEmail", "Contact>Contact", "Account>Account", "Owner>Group+User", "Parent>Case"];
    object("Case", &fields)
}

fn people() -> Parents {
    let known = [
        case(),
        object("Contact", &["Name", "Email", "Account>Account"]),
        object("Account", &["Name", "Owner>User"]),
        object("User", &["Name", "Profile>Profile"]),
        object("Group", &["Name"]),
    ];
    known.into_iter().map(|describe| (describe.name.clone(), Some(Arc::new(describe)))).collect()
}

fn of(describe: &ObjectDescribe, paths: &[&str], parents: &Parents) -> Derived {
    let field = |path: &&str| Field { path: (*path).to_owned(), kind: FieldType::Text };
    derived(describe, &paths.iter().map(field).collect::<Vec<_>>(), parents)
}

/// An edge in one line.
fn told(derived: &Derived) -> Vec<String> {
    let line = |edge: &Edge| {
        let reads: Vec<&str> = edge.reads.iter().map(String::as_str).collect();
        format!("{} -> {} {}", edge.field, edge.parent, reads.join(" "))
    };
    derived.edges.iter().map(line).collect()
}

#[test]
fn each_step_of_a_path_is_an_edge_with_what_is_read_there() {
    let paths = ["Subject", "Contact.Name", "Contact.Account.Name", "Account.Owner.Name", "Account.Name"];
    let found = of(&case(), &paths, &people());
    assert_eq!(
        told(&found),
        [
            "Account.OwnerId -> User Name",
            "AccountId -> Account Name OwnerId",
            "Contact.AccountId -> Account Name",
            "ContactId -> Contact AccountId Name",
        ]
    );
    assert!(found.needs.is_empty() && !found.loose && !found.formulas);
}

#[test]
fn a_reference_to_several_objects_has_an_edge_to_each() {
    let found = of(&case(), &["Owner.Name", "Owner.Type", "Owner.Profile.Name"], &people());
    assert_eq!(told(&found), ["OwnerId -> Group Name", "OwnerId -> User Name ProfileId"]);
    assert_eq!(found.needs, BTreeSet::from(["Profile".to_owned()]));
    let mut known = people();
    known.insert("Profile".to_owned(), Some(Arc::new(object("Profile", &["Name"]))));
    let found = of(&case(), &["Owner.Profile.Name"], &known);
    assert_eq!(
        told(&found),
        ["Owner.ProfileId -> Profile Name", "OwnerId -> Group ", "OwnerId -> User ProfileId"]
    );
}

#[test]
fn a_parent_is_asked_about_before_anything_is_said_of_it_and_a_hidden_one_shows_nothing() {
    let mut parents = people();
    parents.remove("Contact");
    let found = of(&case(), &["Contact.Account.Name"], &parents);
    assert_eq!((found.edges.len(), found.loose), (0, false));
    assert_eq!(found.needs, BTreeSet::from(["Contact".to_owned()]));
    parents.insert("Contact".to_owned(), None);
    assert_eq!(of(&case(), &["Contact.Account.Name"], &parents), Derived::default());
}

#[test]
fn a_copy_of_a_parents_value_follows_it_like_a_linked_one() {
    let found = of(&case(), &["ContactEmail"], &people());
    assert_eq!(told(&found), ["ContactId -> Contact Email"]);
    assert!(!found.formulas, "no schedule is needed for it");
}

#[test]
fn formulas_and_what_behaves_like_them_ask_for_a_schedule_where_they_are_read() {
    let scored = object("Case", &["Score=", "MilestoneStatus"]);
    assert!(of(&scored, &["Score"], &people()).formulas);
    assert!(of(&scored, &["MilestoneStatus"], &people()).formulas);
    assert!(!of(&scored, &["Subject"], &people()).formulas);
}

#[test]
fn what_cannot_be_followed_is_told() {
    let stampless = ObjectDescribe { fields: Vec::new(), ..object("Account", &[]) };
    let mut parents = people();
    parents.insert("Account".to_owned(), Some(Arc::new(stampless)));
    let found = of(&case(), &["Account.Name"], &parents);
    assert_eq!((found.edges.len(), found.loose), (0, true));
    let mut unfiltered = case();
    for field in &mut unfiltered.fields {
        field.filterable = false;
    }
    assert!(of(&unfiltered, &["Contact.Name"], &people()).loose);
    assert!(of(&case(), &["Nobody.Name"], &people()).loose, "a step that is not there");
}

#[test]
fn links_to_files_are_found_by_their_document_and_not_by_who_made_it() {
    let link = object("ContentDocumentLink", &["ContentDocument>ContentDocument"]);
    let document = object("ContentDocument", &["Title", "CreatedBy>User"]);
    let mut parents = people();
    parents.insert("ContentDocument".to_owned(), Some(Arc::new(document)));
    let found = of(&link, &["ContentDocument.Title", "ContentDocument.CreatedBy.Name"], &parents);
    assert_eq!(told(&found), ["ContentDocumentId -> ContentDocument CreatedById Title"]);
    assert!(found.loose);
}

#[test]
fn a_reference_to_very_many_objects_is_followed_to_those_that_are_known() {
    let task = object("Task", &["What>Account+Campaign+Case+Contract+Order+Product2+Solution"]);
    let found = of(&task, &["What.Name"], &people());
    assert_eq!(told(&found), ["WhatId -> Account Name", "WhatId -> Case "]);
    assert!(found.loose && found.needs.is_empty());
}

#[test]
fn an_object_may_be_its_own_parent() {
    assert_eq!(
        told(&of(&case(), &["Parent.Parent.Subject"], &people())),
        ["Parent.ParentId -> Case Subject", "ParentId -> Case ParentId"]
    );
}
