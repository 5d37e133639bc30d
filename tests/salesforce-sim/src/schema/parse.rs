//! Reads the text tables of [`super::tables`]. They are part of the program, so a mistake in one panics at the
//! first start and in every test.

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

/// One object from its table: a heading line `Name | Label | Plural | prefix | traits`, then one line a field:
/// `Name | Label | type(length) | flags | reference or picklist | notes`.
pub(super) fn object(table: &str) -> ObjectSchema {
    let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let heading: Vec<&str> = lines.next().expect("a table has a heading").split('|').map(str::trim).collect();
    let [name, label, plural, prefix, traits] = heading[..] else { panic!("heading of {table}") };
    let mut fields: Vec<Field> = Vec::new();
    for line in lines {
        fields.extend(expand(line).iter().map(|line| field(line)));
    }
    let mut slots = 0;
    for field in &mut fields {
        if let Source::Slot(slot) = &mut field.source {
            *slot = slots;
            slots += 1;
        }
    }
    link_addresses(&mut fields);
    let by_name =
        fields.iter().enumerate().map(|(at, field)| (field.name.clone(), at)).collect::<HashMap<_, _>>();
    ObjectSchema {
        name: name.to_owned(),
        label: label.to_owned(),
        plural: plural.to_owned(),
        prefix: prefix.as_bytes().try_into().expect("a key prefix has three characters"),
        traits: traits.split_whitespace().map(str::to_owned).collect(),
        fields,
        slots,
        by_name,
    }
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
    let (kind, length, precision, scale) = kind_of(kind);
    let picklist = matches!(kind, Kind::Picklist | Kind::MultiPicklist | Kind::Combobox);
    let (values, default) = if picklist { picklist_of(extra) } else { (Vec::new(), None) };
    let note = |wanted: &str| notes.split_whitespace().any(|word| word == wanted);
    let value_of = |key: &str| notes.split_whitespace().find_map(|word| word.strip_prefix(key));
    let source = match () {
        () if kind == Kind::Id => Source::Id,
        () if note("stamp") => Source::Stamp,
        () if note("deleted") => Source::Deleted,
        () if kind == Kind::Address => Source::Address(Vec::new()),
        () if value_of("mirror=").is_some() => Source::Mirror { via: 0, object: 0, field: 0 },
        () => Source::Slot(0),
    };
    Field {
        name: name.to_owned(),
        label: label.to_owned(),
        kind,
        length,
        precision,
        scale,
        flags: flags_of(letters),
        reference: (kind == Kind::Reference).then(|| reference_of(extra)),
        picklist: values,
        default,
        compound: value_of("compound=").or_else(|| value_of("mirror=")).map(str::to_owned),
        source,
    }
}

fn kind_of(text: &str) -> (Kind, u32, u32, u32) {
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
        "url" => (Kind::Url, 255, 0, 0),
        "picklist" => (Kind::Picklist, first.max(40), 0, 0),
        "multipicklist" => (Kind::MultiPicklist, 4_099, 0, 0),
        "combobox" => (Kind::Combobox, 255, 0, 0),
        "boolean" => (Kind::Boolean, 0, 0, 0),
        "int" => (Kind::Int, 0, 0, 0),
        "double" => (Kind::Double, 0, first, second),
        "currency" => (Kind::Currency, 0, first, second),
        "date" => (Kind::Date, 0, 0, 0),
        "datetime" => (Kind::Datetime, 0, 0, 0),
        "address" => (Kind::Address, 0, 0, 0),
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

/// `Relation>Object:ChildList!,Object`: `!` cascades deletes, a leading `~` makes dotted access go through `Name`.
fn reference_of(text: &str) -> Reference {
    let (relationship, targets) = text.split_once('>').expect("a reference names its relationship");
    let named = relationship.trim_start_matches('~');
    let targets: Vec<Target> = targets
        .split(',')
        .map(|target| {
            let (object, children) = target.trim().split_once(':').unwrap_or((target.trim(), ""));
            let list = children.trim_end_matches('!');
            Target {
                object: object.to_owned(),
                children: (!list.is_empty()).then(|| list.to_owned()),
                cascade: children.ends_with('!'),
            }
        })
        .collect();
    Reference {
        relationship: (!named.is_empty()).then(|| named.to_owned()),
        polymorphic: targets.len() > 1 || relationship.starts_with('~'),
        targets,
    }
}

/// Values separated by commas; a trailing `*` marks the default.
fn picklist_of(text: &str) -> (Vec<String>, Option<String>) {
    let raw = || text.split(',').map(str::trim).filter(|value| !value.is_empty());
    let default = raw().find_map(|value| value.strip_suffix('*')).map(str::to_owned);
    (raw().map(|value| value.trim_end_matches('*').to_owned()).collect(), default)
}

fn link_addresses(fields: &mut [Field]) {
    for at in 0..fields.len() {
        if fields[at].kind != Kind::Address {
            continue;
        }
        let prefix = fields[at].name.trim_end_matches("Address").to_owned();
        let slot = |suffix: &str| {
            let name = format!("{prefix}{suffix}");
            fields.iter().find(|field| field.name == name).and_then(Field::slot)
        };
        let parts =
            ADDRESS_PARTS.iter().filter_map(|(key, suffix)| slot(suffix).map(|slot| (*key, slot))).collect();
        fields[at].source = Source::Address(parts);
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
