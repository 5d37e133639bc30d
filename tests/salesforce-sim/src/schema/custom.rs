//! Objects and fields that a customer adds, renames and removes, at birth or while the org runs.
//!
//! A removed field stays in its place, unseen: indexes of fields never move, so open cursors stay valid.

use std::sync::Arc;

use serde::Deserialize;

use super::{Catalog, Field, Kind, ObjectSchema, flag, parse};

/// Most custom fields of an object.
const MOST_FIELDS: usize = 800;

/// Types of numbered custom fields, in turn.
const TURN: [&str; 14] = [
    "string(80)",
    "picklist(255)",
    "double(16,2)",
    "boolean",
    "datetime",
    "date",
    "textarea(255)",
    "currency(16,2)",
    "percent(5,2)",
    "email(80)",
    "multipicklist",
    "phone",
    "textarea(32768)",
    "url",
];

/// A field to add.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewField {
    /// API name, ending in `__c`.
    pub name: String,
    /// What people read; made from the name if absent.
    #[serde(default)]
    pub label: Option<String>,
    /// Type as describe names it, with its sizes: `string(80)`, `double(16,2)`, `reference`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Values of a picklist.
    #[serde(default)]
    pub values: Vec<String>,
    /// The object that a reference points to.
    #[serde(default)]
    pub references: Option<String>,
    /// Whether the field is an external id.
    #[serde(default)]
    pub external_id: bool,
}

/// An object to add.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewObject {
    /// API name, ending in `__c`.
    pub name: String,
    /// What people read; made from the name if absent.
    #[serde(default)]
    pub label: Option<String>,
    /// Its fields beside the system ones.
    #[serde(default)]
    pub fields: Vec<NewField>,
}

/// Makes a custom object.
///
/// # Errors
/// A sentence for people.
pub(super) fn object(wish: &NewObject, before: &[ObjectSchema]) -> Result<ObjectSchema, String> {
    if !wish.name.ends_with("__c") || !plain(&wish.name) {
        return Err(format!("'{}' is no custom object name: letters, digits, then __c.", wish.name));
    }
    if before.iter().any(|object| object.name.eq_ignore_ascii_case(&wish.name)) {
        return Err(format!("The org already has an object '{}'.", wish.name));
    }
    let label = wish.label.clone().unwrap_or_else(|| wish.name.trim_end_matches("__c").replace('_', " "));
    // The standard tables have one custom object, with the first prefix.
    let number = before.iter().filter(|object| object.is_custom()).count();
    let (tens, ones) = (number / 36, number % 36);
    let digit = |value: usize| char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[value % 36]);
    let table = format!(
        "{} | {label} | {label}s | a{}{} | create update delete undelete search trigger layout mru replicate\n\
         Id | Record ID | id | FSGLDX\nOwnerId | Owner ID | reference | FSGCUDX | Owner>Group,User\n@deleted\n\
         Name | {label} Name | string(80) | FSGCULXM\n@audit\n",
        wish.name,
        digit(tens),
        digit(ones),
    );
    let mut object = parse::object(&table);
    for field in &wish.fields {
        add(&mut object, field)?;
    }
    Ok(object)
}

fn plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 80
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Adds a custom field to an object.
fn add(object: &mut ObjectSchema, wish: &NewField) -> Result<(), String> {
    let name = &wish.name;
    if !name.ends_with("__c") || !plain(name) {
        return Err(format!("'{name}' is no custom field name: letters, digits, then __c."));
    }
    if object.field(name).is_some() {
        return Err(format!("{} already has a field '{name}'.", object.name));
    }
    if customs_of(object) >= MOST_FIELDS {
        return Err(format!("{} has {MOST_FIELDS} custom fields already; that is the most.", object.name));
    }
    let label = wish.label.clone().unwrap_or_else(|| name.trim_end_matches("__c").replace('_', " "));
    let flags = flags_of(&wish.kind, wish.external_id)?;
    let extra = match &wish.references {
        Some(parent) => {
            format!("{}__r>{parent}:{}_{}__r", name.trim_end_matches("__c"), stem(object), stem_of(name))
        }
        None => wish.values.join(","),
    };
    parse::fields(object, &format!("{name} | {label} | {} | {flags} | {extra}", wish.kind));
    parse::link_compounds(&mut object.fields);
    Ok(())
}

fn customs_of(object: &ObjectSchema) -> usize {
    object.fields.iter().filter(|field| field.is_custom() && field.exists()).count()
}

fn stem(object: &ObjectSchema) -> String {
    object.name.trim_end_matches("__c").to_owned()
}

fn stem_of(name: &str) -> &str {
    name.trim_end_matches("__c")
}

fn flags_of(kind: &str, external: bool) -> Result<String, String> {
    let word = kind.split('(').next().unwrap_or_default();
    let length: u32 = kind
        .split_once('(')
        .and_then(|(_, rest)| rest.split([',', ')']).next()?.trim().parse().ok())
        .unwrap_or(0);
    let flags = match word {
        "string" | "email" | "phone" | "url" | "picklist" | "date" | "reference" | "combobox" => "FSGNCU",
        "boolean" => "FSGCUD",
        "textarea" if length > 255 => "NCU",
        "double" | "currency" | "percent" | "int" | "datetime" | "time" | "textarea" => "FSNCU",
        "multipicklist" | "location" => "FNCU",
        other => return Err(format!("No custom field can be of type '{other}'.")),
    };
    Ok(if external { format!("{flags}E") } else { flags.to_owned() })
}

/// Adds fields `Custom_001__c`… of every type in turn until the object has `total` custom fields.
pub(super) fn add_numbered(object: &mut ObjectSchema, total: usize) -> Result<(), String> {
    if total > MOST_FIELDS {
        return Err(format!("{total} custom fields are too many: an object has at most {MOST_FIELDS}."));
    }
    for number in 0..total.saturating_sub(customs_of(object)) {
        let kind = TURN[number % TURN.len()];
        let values = ["Red", "Green", "Blue", "Ultra Violet"].map(str::to_owned).to_vec();
        let picks = kind.contains("picklist");
        let wish = NewField {
            name: format!("Custom_{:03}__c", number + 1),
            label: Some(format!("Custom {:03}", number + 1)),
            kind: kind.to_owned(),
            values: if picks { values } else { Vec::new() },
            references: None,
            external_id: false,
        };
        add(object, &wish)?;
    }
    Ok(())
}

/// A change of an org's schema while it runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaChange {
    /// Objects to add.
    #[serde(default)]
    pub add_objects: Vec<NewObject>,
    /// Fields to add, as (object, field).
    #[serde(default)]
    pub add_fields: Vec<(String, NewField)>,
    /// Fields to remove, as `Object.Field`.
    #[serde(default)]
    pub remove_fields: Vec<String>,
    /// Fields to rename, as (`Object.Field`, new name). The values stay.
    #[serde(default)]
    pub rename_fields: Vec<(String, String)>,
    /// Fields of which text is to be filtered and sorted no more, as encryption does it.
    #[serde(default)]
    pub encrypt_fields: Vec<String>,
}

/// The catalogue after a change.
///
/// # Errors
/// A sentence for people.
pub fn changed(catalog: &Catalog, change: &SchemaChange) -> Result<Catalog, String> {
    let mut next = catalog.clone();
    for wish in &change.add_objects {
        let before: Vec<ObjectSchema> = next.objects.iter().map(|object| (**object).clone()).collect();
        next.push(object(wish, &before)?);
    }
    for path in &change.remove_fields {
        let (object, index) = customs(&mut next, path)?;
        object.remove(index);
    }
    for (path, name) in &change.rename_fields {
        let (object, index) = customs(&mut next, path)?;
        if object.field(name).is_some() {
            return Err(format!("{} already has a field '{name}'.", object.name));
        }
        let before = std::mem::replace(&mut object.fields[index].name, name.clone());
        object.by_name.remove(&before);
        object.by_name.insert(name.clone(), index);
    }
    for path in &change.encrypt_fields {
        let (object, index) = customs(&mut next, path)?;
        object.fields[index].flags &= !(flag::FILTER | flag::SORT | flag::GROUP);
    }
    for (object, wish) in &change.add_fields {
        add(object_mut(&mut next, object)?, wish)?;
    }
    next.link_children();
    Ok(next)
}

fn object_mut<'a>(catalog: &'a mut Catalog, name: &str) -> Result<&'a mut ObjectSchema, String> {
    let index = catalog.index(name).ok_or_else(|| format!("No object '{name}' in this org."))?;
    Ok(Arc::make_mut(&mut catalog.objects[index]))
}

/// A custom field by its path.
fn customs<'a>(catalog: &'a mut Catalog, path: &str) -> Result<(&'a mut ObjectSchema, usize), String> {
    let unknown = || format!("No custom field '{path}' in this org. Write Object.Field__c.");
    let (object, name) = path.split_once('.').ok_or_else(unknown)?;
    let object = object_mut(catalog, object)?;
    let index = object.field_index(name).filter(|index| object.fields[*index].is_custom());
    Ok((object, index.ok_or_else(unknown)?))
}

/// Whether a field was added by [`add_numbered`] or by a customer, and so has invented values at birth.
pub fn is_invented(field: &Field) -> bool {
    field.is_custom() && field.kind != Kind::Reference
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: &str) -> NewField {
        NewField {
            name: name.to_owned(),
            label: None,
            kind: kind.to_owned(),
            values: Vec::new(),
            references: None,
            external_id: false,
        }
    }

    #[test]
    fn indexes_stay_when_fields_go() {
        let before = Catalog::support_org();
        let case = before.index("Case").unwrap();
        let kept = before.objects[case].field_index("Csat_Score__c").unwrap();
        let change = SchemaChange {
            remove_fields: vec!["Case.Order_Number__c".to_owned()],
            rename_fields: vec![("Case.Is_Vip__c".to_owned(), "Vip__c".to_owned())],
            add_fields: vec![("Case".to_owned(), field("Order_Number__c", "double(18,0)"))],
            ..SchemaChange::default()
        };
        let after = changed(&before, &change).unwrap();
        let schema = &after.objects[case];
        assert_eq!(schema.field_index("Csat_Score__c"), Some(kept));
        assert_eq!(schema.field("Order_Number__c").unwrap().kind, Kind::Double);
        assert!(schema.field("Is_Vip__c").is_none() && schema.field("vip__c").is_some());
        assert_eq!(schema.slots, before.objects[case].slots + 1);
    }

    #[test]
    fn a_custom_object_has_a_prefix_of_its_own() {
        let wish = NewObject {
            name: "Widget__c".to_owned(),
            label: None,
            fields: vec![
                field("Size__c", "double(5,1)"),
                NewField { references: Some("Case".to_owned()), ..field("Case__c", "reference") },
            ],
        };
        let change = SchemaChange { add_objects: vec![wish.clone()], ..SchemaChange::default() };
        let after = changed(&Catalog::support_org(), &change).unwrap();
        let index = after.index("widget__c").unwrap();
        assert_eq!(after.by_prefix(after.objects[index].prefix), Some(index));
        let lists: Vec<&str> =
            after.children("Case").filter_map(|link| link.target.children.as_deref()).collect();
        assert!(lists.contains(&"Widget_Case__r"), "{lists:?}");
        assert!(changed(&after, &change).is_err(), "a name is taken once");
    }

    #[test]
    fn wrong_wishes_are_explained() {
        let catalog = Catalog::support_org();
        let wish = |name: &str, kind: &str| SchemaChange {
            add_fields: vec![("Case".to_owned(), field(name, kind))],
            ..SchemaChange::default()
        };
        for (change, part) in [
            (wish("Plain", "string(80)"), "no custom field name"),
            (wish("X__c", "blob"), "No custom field can be of type"),
            (wish("Is_Vip__c", "boolean"), "already has"),
        ] {
            assert!(changed(&catalog, &change).unwrap_err().contains(part));
        }
    }
}
