//! Reads the text tables in `objects/`. They are part of the program, so a mistake in one panics at the first start
//! and in every test.
//!
//! The first line is `Name | Label | Plural | prefix | traits`, then one line a field:
//! `Name | Label | type(length) | flags | reference or picklist | notes`. A label `-` follows from the name.
//!
//! Flags: F filterable, S sortable, G groupable, N nillable, C createable, U updateable, L idLookup, A autoNumber,
//! D defaultedOnCreate, R restrictedPicklist, X not permissionable, M nameField, Q calculated, H htmlFormatted,
//! E externalId.
//!
//! Traits of objects beside what they can do: `needs=` a feature, `permission=` one that the user must have,
//! `follows=` the reference whose record decides who sees a row, `history=`/`feed=` the object it tells of,
//! `view=` another object whose rows it shows, `noprefix`, `noquery`.

use std::collections::HashMap;

use super::{Field, Kind, ObjectSchema, Reference, Source, Target, flag};

const ADDRESS_PARTS: [(&str, &str); 8] = [
    ("city", "City"),
    ("country", "Country"),
    ("geocodeAccuracy", "GeocodeAccuracy"),
    ("latitude", "Latitude"),
    ("longitude", "Longitude"),
    ("postalCode", "PostalCode"),
    ("state", "State"),
    ("street", "Street"),
];

/// One object from its table.
pub(super) fn object(table: &str) -> ObjectSchema {
    let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let heading: Vec<&str> = lines.next().expect("a table has a heading").split('|').map(str::trim).collect();
    let [name, label, plural, prefix, traits] = heading[..] else { panic!("heading of {table}") };
    let mut object = ObjectSchema {
        name: name.to_owned(),
        label: label.to_owned(),
        plural: plural.to_owned(),
        prefix: prefix.as_bytes().try_into().expect("a key prefix has three characters"),
        traits: traits.split_whitespace().map(str::to_owned).collect(),
        fields: Vec::new(),
        slots: 0,
        by_name: HashMap::new(),
    };
    for line in lines {
        for line in expand(line) {
            fields(&mut object, &line);
        }
    }
    link_compounds(&mut object.fields);
    object
}

/// Adds the field of a line; a location brings its two components.
pub(super) fn fields(object: &mut ObjectSchema, line: &str) {
    let field = field(line);
    if field.kind == Kind::Location {
        let stem = field.name.trim_end_matches("__c");
        for part in ["Latitude", "Longitude"] {
            let line = format!(
                "{stem}__{part}__s | {} ({part}) | double(18,15) | FSNCU | | compound={}",
                field.label, field.name
            );
            object.push(self::field(&line));
        }
    }
    object.push(field);
}

/// `@` lines stand for the system fields that most objects share.
fn expand(line: &str) -> Vec<String> {
    let created = "CreatedDate | Created Date | datetime | FSDX";
    let created_by = "CreatedById | Created By ID | reference | FSGDX | CreatedBy>User";
    let modified = "LastModifiedDate | Last Modified Date | datetime | FSDX";
    let modified_by = "LastModifiedById | Last Modified By ID | reference | FSGDX | LastModifiedBy>User";
    let stamp = "SystemModstamp | System Modstamp | datetime | FSDX | | stamp";
    let deleted = "IsDeleted | Deleted | boolean | FSGDX | | deleted";
    let lines: Vec<&str> = match line {
        "@audit" => vec![created, created_by, modified, modified_by, stamp],
        "@deleted" => vec![deleted],
        _ => return vec![line.to_owned()],
    };
    lines.into_iter().map(str::to_owned).collect()
}

fn field(line: &str) -> Field {
    let mut columns = line.split('|').map(str::trim);
    let mut next = || columns.next().unwrap_or_default();
    let (name, label, kind, letters, extra, notes) = (next(), next(), next(), next(), next(), next());
    let label = if label == "-" { spaced(name) } else { label.to_owned() };
    let (kind, length, precision, scale) = kind_of(kind);
    let picklist = matches!(kind, Kind::Picklist | Kind::MultiPicklist | Kind::Combobox);
    let (values, default) = if picklist { picklist_of(extra) } else { (Vec::new(), None) };
    let note = |wanted: &str| notes.split_whitespace().any(|word| word == wanted);
    let value_of = |key: &str| notes.split_whitespace().find_map(|word| word.strip_prefix(key));
    let source = match () {
        () if kind == Kind::Id => Source::Id,
        () if note("stamp") => Source::Stamp,
        () if note("deleted") => Source::Deleted,
        () if kind.is_compound() => Source::Compound(Vec::new()),
        () if kind == Kind::Base64 => Source::Blob(0),
        () if value_of("mirror=").is_some() => Source::Mirror { via: 0, object: 0, field: 0 },
        () => Source::Slot(0),
    };
    Field {
        name: name.to_owned(),
        label,
        kind,
        length,
        precision,
        scale,
        flags: flags_of(letters),
        reference: (kind == Kind::Reference).then(|| reference_of(extra, value_of("junctions="))),
        picklist: values,
        default,
        compound: value_of("compound=").or_else(|| value_of("mirror=")).map(str::to_owned),
        source,
    }
}

/// `LastEditById` as people read it: `Last Edit By ID`.
fn spaced(name: &str) -> String {
    let mut label = String::new();
    for (place, character) in name.char_indices() {
        let before = name[..place].chars().next_back();
        if character.is_uppercase() && before.is_some_and(|before| before.is_lowercase() || before == 'D') {
            label.push(' ');
        }
        label.push(character);
    }
    label.strip_suffix(" Id").map_or_else(|| label.clone(), |stem| format!("{stem} ID"))
}

pub(super) fn kind_of(text: &str) -> (Kind, u32, u32, u32) {
    let (word, rest) = text.split_once('(').unwrap_or((text, ""));
    let mut numbers =
        rest.trim_end_matches(')').split(',').map(|number| number.trim().parse::<u32>().unwrap_or(0));
    let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match word {
        "id" => (Kind::Id, 18, 0, 0),
        "reference" => (Kind::Reference, 18, 0, 0),
        "string" => (Kind::String, first, 0, 0),
        "textarea" => (Kind::Textarea, first, 0, 0),
        "email" => (Kind::Email, first, 0, 0),
        "phone" => (Kind::Phone, 40, 0, 0),
        "url" => (Kind::Url, if first > 0 { first } else { 255 }, 0, 0),
        "picklist" => (Kind::Picklist, first.max(40), 0, 0),
        "multipicklist" => (Kind::MultiPicklist, 4_099, 0, 0),
        "combobox" => (Kind::Combobox, 255, 0, 0),
        "boolean" => (Kind::Boolean, 0, 0, 0),
        "int" => (Kind::Int, 0, 0, 0),
        "long" => (Kind::Long, 0, 0, 0),
        "double" => (Kind::Double, 0, first, second),
        "percent" => (Kind::Percent, 0, first, second),
        "currency" => (Kind::Currency, 0, first, second),
        "date" => (Kind::Date, 0, 0, 0),
        "datetime" => (Kind::Datetime, 0, 0, 0),
        "time" => (Kind::Time, 0, 0, 0),
        "address" => (Kind::Address, 0, 0, 0),
        "location" => (Kind::Location, 0, 0, 0),
        "base64" => (Kind::Base64, 0, 0, 0),
        "anyType" => (Kind::AnyType, 0, 0, 0),
        other => panic!("unknown field type {other}"),
    }
}

fn flags_of(letters: &str) -> u32 {
    let bit = |letter| match letter {
        'F' => flag::FILTER,
        'S' => flag::SORT,
        'G' => flag::GROUP,
        'N' => flag::NILLABLE,
        'C' => flag::CREATE,
        'U' => flag::UPDATE,
        'L' => flag::LOOKUP,
        'A' => flag::AUTO,
        'D' => flag::DEFAULTED,
        'R' => flag::RESTRICTED,
        'X' => flag::UNHIDEABLE,
        'M' => flag::NAME,
        'Q' => flag::FORMULA,
        'H' => flag::HTML,
        'E' => flag::EXTERNAL,
        other => panic!("unknown field flag {other}"),
    };
    letters.chars().map(bit).fold(0, |all, one| all | one)
}

/// `Relation>Object:ChildList!,Object`: `!` cascades deletes, a leading `~` makes dotted access go through `Name`, and
/// `+Object:ChildList` is a list on an object that no value names.
fn reference_of(text: &str, junctions: Option<&str>) -> Reference {
    let (relationship, targets) = text.split_once('>').expect("a reference names its relationship");
    let named = relationship.trim_start_matches('~');
    let targets: Vec<Target> = targets
        .split(',')
        .map(|target| {
            let target = target.trim();
            let cascade = target.ends_with('!');
            let (object, list) = target.trim_end_matches('!').split_once(':').unwrap_or((target, ""));
            Target {
                object: object.trim_start_matches('+').trim_end_matches('!').to_owned(),
                children: (!list.is_empty()).then(|| list.to_owned()),
                cascade,
                list_only: object.starts_with('+'),
            }
        })
        .collect();
    Reference {
        relationship: (!named.is_empty()).then(|| named.to_owned()),
        polymorphic: targets.iter().filter(|target| !target.list_only).count() > 1
            || relationship.starts_with('~'),
        targets,
        junctions: junctions.iter().flat_map(|names| names.split(',')).map(str::to_owned).collect(),
    }
}

/// Values separated by commas; a trailing `*` marks the default.
fn picklist_of(text: &str) -> (Vec<String>, Option<String>) {
    let raw = || text.split(',').map(str::trim).filter(|value| !value.is_empty());
    let default = raw().find_map(|value| value.strip_suffix('*')).map(str::to_owned);
    (raw().map(|value| value.trim_end_matches('*').to_owned()).collect(), default)
}

pub(super) fn link_compounds(fields: &mut [Field]) {
    for at in 0..fields.len() {
        let name = fields[at].name.clone();
        let part = |named: String| fields.iter().find(|field| field.name == named).and_then(Field::slot);
        let parts = match fields[at].kind {
            Kind::Address => {
                let stem = name.trim_end_matches("Address");
                ADDRESS_PARTS
                    .iter()
                    .filter_map(|(key, suffix)| Some((*key, part(format!("{stem}{suffix}"))?)))
                    .collect()
            }
            Kind::Location => {
                let stem = name.trim_end_matches("__c");
                [("latitude", "Latitude"), ("longitude", "Longitude")]
                    .iter()
                    .filter_map(|(key, suffix)| Some((*key, part(format!("{stem}__{suffix}__s"))?)))
                    .collect()
            }
            _ => continue,
        };
        fields[at].source = Source::Compound(parts);
    }
}

/// Gives each field of a view the slot that the same field has in the object it shows.
pub(super) fn link_views(objects: &mut [ObjectSchema]) {
    for at in 0..objects.len() {
        let Some(shown) = objects[at].trait_value("view").map(str::to_owned) else { continue };
        let shown = objects.iter().position(|object| object.name == shown).expect("a view shows an object");
        for field in 0..objects[at].fields.len() {
            let twin =
                objects[shown].field(&objects[at].fields[field].name).expect("a view has no own field");
            objects[at].fields[field].source = twin.source.clone();
        }
        objects[at].slots = objects[shown].slots;
    }
}

/// Resolves `mirror=ContactId.Email` notes, which the parser left in `compound`.
pub(super) fn link_mirrors(objects: &mut [ObjectSchema]) {
    for at in 0..objects.len() {
        for field in 0..objects[at].fields.len() {
            if !matches!(objects[at].fields[field].source, Source::Mirror { .. }) {
                continue;
            }
            let path = objects[at].fields[field].compound.take().expect("a mirror has a path");
            let (via, wanted) = path.split_once('.').expect("a mirror path has two steps");
            let via = objects[at].field_index(via).expect("a mirror follows a field of its object");
            let reference = objects[at].fields[via].reference.as_ref().expect("a mirror follows a reference");
            let parent = &reference.targets[0].object;
            let object = objects.iter().position(|object| &object.name == parent).expect("a mirrored object");
            let target = objects[object].field_index(wanted).expect("a mirrored field");
            objects[at].fields[field].source = Source::Mirror { via, object, field: target };
        }
    }
}
