//! The objects an org has, as data: fields, types, relationships and flags.
//!
//! Objects are written as small text tables (`objects/*.txt`) in the letters of the object reference and read
//! by `parse`. Everything else (describe, SOQL, store) is driven by the result, so a new object is a new table,
//! never new code. `make` builds an org's catalogue from them: which features it has, which objects and fields its
//! customer added. This module must not know any record.

pub mod custom;
pub mod describe;
pub mod make;
mod parse;

use std::collections::HashMap;
use std::sync::Arc;

/// What a field holds, named as describe names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the platform's own field types")]
pub enum Kind {
    Id,
    Reference,
    String,
    Textarea,
    Email,
    Phone,
    Url,
    Picklist,
    MultiPicklist,
    Combobox,
    Boolean,
    Int,
    Long,
    Double,
    Percent,
    Currency,
    Date,
    Datetime,
    Time,
    Address,
    Location,
    Base64,
    AnyType,
}

impl Kind {
    /// Whether its values are text.
    pub fn is_text(self) -> bool {
        matches!(
            self,
            Self::String
                | Self::Textarea
                | Self::Email
                | Self::Phone
                | Self::Url
                | Self::Picklist
                | Self::MultiPicklist
                | Self::Combobox
        )
    }

    /// Whether its values are numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Double | Self::Percent | Self::Currency)
    }

    /// Whether its values are record ids.
    pub fn is_id(self) -> bool {
        matches!(self, Self::Id | Self::Reference)
    }

    /// Whether it is made of other fields.
    pub fn is_compound(self) -> bool {
        matches!(self, Self::Address | Self::Location)
    }
}

/// Letters of a field's flags; the comments give the describe property each one sets.
pub mod flag {
    /// `filterable`
    pub const FILTER: u32 = 1;
    /// `sortable`
    pub const SORT: u32 = 1 << 1;
    /// `groupable`
    pub const GROUP: u32 = 1 << 2;
    /// `nillable`
    pub const NILLABLE: u32 = 1 << 3;
    /// `createable`
    pub const CREATE: u32 = 1 << 4;
    /// `updateable`
    pub const UPDATE: u32 = 1 << 5;
    /// `idLookup`
    pub const LOOKUP: u32 = 1 << 6;
    /// `autoNumber`
    pub const AUTO: u32 = 1 << 7;
    /// `defaultedOnCreate`
    pub const DEFAULTED: u32 = 1 << 8;
    /// `restrictedPicklist`
    pub const RESTRICTED: u32 = 1 << 9;
    /// not `permissionable`: such a field cannot be hidden
    pub const UNHIDEABLE: u32 = 1 << 10;
    /// `nameField`
    pub const NAME: u32 = 1 << 11;
    /// `calculated`
    pub const FORMULA: u32 = 1 << 12;
    /// `htmlFormatted`
    pub const HTML: u32 = 1 << 13;
    /// `externalId`
    pub const EXTERNAL: u32 = 1 << 14;
    /// Removed by the customer: nobody sees it any more.
    pub const REMOVED: u32 = 1 << 15;
}

/// One object that a reference may point to, and the name of the list at that end.
#[derive(Clone, Debug)]
pub struct Target {
    /// API name of the parent object; it may be one this org does not have.
    pub object: String,
    /// Name of the child list on the parent, when it can be traversed.
    pub children: Option<String>,
    /// Whether the parent's deletion takes the child with it.
    pub cascade: bool,
    /// Whether this end is only a list on the parent: no value points there by its own name.
    pub list_only: bool,
}

/// The lookup side of a relationship.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The name used in dotted paths; `None` when the path cannot be used.
    pub relationship: Option<String>,
    /// Where it may point.
    pub targets: Vec<Target>,
    /// Whether dotted access goes through the virtual `Name` object.
    pub polymorphic: bool,
    /// Lists of ids on the parent that stand for these rows.
    pub junctions: Vec<String>,
}

impl Reference {
    /// The objects that a value may point to.
    pub fn objects(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().filter(|target| !target.list_only).map(|target| target.object.as_str())
    }
}

/// Where a field's value comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The record's own id.
    Id,
    /// The stamp of the version.
    Stamp,
    /// Whether the version is a deletion.
    Deleted,
    /// A stored value.
    Slot(usize),
    /// Components of a compound address or location, as (JSON key, slot).
    Compound(Vec<(&'static str, usize)>),
    /// Bytes, kept or derived apart from the record.
    Blob(usize),
    /// A parent's value, read when asked: it changes without a stamp of this record.
    Mirror {
        /// The reference field followed (index in this object).
        via: usize,
        /// Index of the parent object in the catalogue.
        object: usize,
        /// Index of the field in the parent object.
        field: usize,
    },
}

/// A field of an object.
#[derive(Clone, Debug)]
pub struct Field {
    /// API name in canonical case.
    pub name: String,
    /// Label as people see it.
    pub label: String,
    /// Type.
    pub kind: Kind,
    /// Length of text in characters, 0 for other types.
    pub length: u32,
    /// Digits in all, for decimals.
    pub precision: u32,
    /// Digits after the point, for decimals.
    pub scale: u32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// For references.
    pub reference: Option<Reference>,
    /// Values of a picklist.
    pub picklist: Vec<String>,
    /// The default picklist value.
    pub default: Option<String>,
    /// The compound field this one is a part of.
    pub compound: Option<String>,
    /// Where the value comes from.
    pub source: Source,
}

impl Field {
    /// Whether a flag is set.
    pub fn has(&self, bit: u32) -> bool {
        self.flags & bit != 0
    }

    /// Whether the field was made by the customer.
    pub fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Whether this is text too long to filter by.
    pub fn is_long_text(&self) -> bool {
        self.kind == Kind::Textarea && self.length > 4_000
    }

    /// The slot, for stored fields.
    pub fn slot(&self) -> Option<usize> {
        if let Source::Slot(slot) = self.source { Some(slot) } else { None }
    }

    /// Whether the field still exists.
    pub fn exists(&self) -> bool {
        !self.has(flag::REMOVED)
    }
}

/// An object of an org.
#[derive(Clone, Debug)]
pub struct ObjectSchema {
    /// API name.
    pub name: String,
    /// Singular label.
    pub label: String,
    /// Plural label.
    pub plural: String,
    /// First three characters of its ids.
    pub prefix: [u8; 3],
    /// Words such as `delete` or `follows=ParentId`: what the object can do and how it behaves.
    pub traits: Vec<String>,
    /// Fields in describe order.
    pub fields: Vec<Field>,
    /// Number of stored slots.
    pub slots: usize,
    by_name: HashMap<String, usize>,
}

impl ObjectSchema {
    /// Index of a field by its name in any case.
    pub fn field_index(&self, name: &str) -> Option<usize> {
        let same = |field: &Field| field.exists() && field.name.eq_ignore_ascii_case(name);
        self.by_name.get(name).copied().or_else(|| self.fields.iter().position(same))
    }

    /// What the virtual object `Name` shows as its `Name`: the field of that name, else the object's name field.
    pub fn named_field(&self, name: &str) -> Option<usize> {
        let own = self.field_index(name);
        own.or_else(|| {
            if name == "Name" { self.fields.iter().position(|field| field.has(flag::NAME)) } else { None }
        })
    }

    /// A field by its name in any case.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.field_index(name).map(|index| &self.fields[index])
    }

    /// Slot of a stored field that the caller knows to exist.
    pub fn slot(&self, name: &str) -> usize {
        self.stored(name).unwrap_or_else(|| panic!("{}.{name} is not a stored field", self.name))
    }

    /// Slot of a field, when the object has it and stores it.
    pub fn stored(&self, name: &str) -> Option<usize> {
        self.field(name).and_then(Field::slot)
    }

    /// Whether the object has this trait.
    pub fn can(&self, what: &str) -> bool {
        self.traits.iter().any(|have| have == what)
    }

    /// The value of a trait such as `follows=ParentId`.
    pub fn trait_value(&self, key: &str) -> Option<&str> {
        self.traits.iter().find_map(|have| have.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether the customer made the object.
    pub fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Adds a field; a stored one gets the next slot.
    pub(super) fn push(&mut self, mut field: Field) {
        if let Source::Slot(slot) | Source::Blob(slot) = &mut field.source {
            *slot = self.slots;
            self.slots += 1;
        }
        self.by_name.insert(field.name.clone(), self.fields.len());
        self.fields.push(field);
    }

    /// Takes a field out of sight. It keeps its place: indexes of fields never move.
    pub(super) fn remove(&mut self, index: usize) {
        self.fields[index].flags |= flag::REMOVED;
        let name = self.fields[index].name.clone();
        self.by_name.remove(&name);
    }
}

/// A child list seen from its parent.
#[derive(Clone, Debug)]
pub struct ChildLink {
    /// Index of the child object.
    pub object: usize,
    /// Index of the reference field in the child object.
    pub field: usize,
    /// The parent's entry in that reference.
    pub target: Target,
}

/// All objects of an org.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The objects; indexes into this list stand for objects everywhere.
    pub objects: Vec<Arc<ObjectSchema>>,
    by_name: HashMap<String, usize>,
    by_prefix: HashMap<[u8; 3], usize>,
    /// Child lists by the name of the parent object.
    children: HashMap<String, Vec<ChildLink>>,
}

impl Catalog {
    /// The standard support org with every feature.
    pub fn support_org() -> Self {
        make::catalog(&make::Wishes::default()).expect("the standard tables are valid")
    }

    fn new(objects: Vec<ObjectSchema>) -> Self {
        let mut catalog = Self {
            objects: Vec::new(),
            by_name: HashMap::new(),
            by_prefix: HashMap::new(),
            children: HashMap::new(),
        };
        for object in objects {
            catalog.push(object);
        }
        catalog.link_children();
        catalog
    }

    /// Finds all child lists; to be called again whenever a field or object comes or goes.
    fn link_children(&mut self) {
        self.children.clear();
        for (object, schema) in self.objects.iter().enumerate() {
            for (field, definition) in schema.fields.iter().enumerate().filter(|(_, field)| field.exists()) {
                for target in definition.reference.iter().flat_map(|reference| &reference.targets) {
                    let link = ChildLink { object, field, target: target.clone() };
                    self.children.entry(target.object.clone()).or_default().push(link);
                }
            }
        }
    }

    /// Adds an object. The first object of a prefix owns its ids: a view is added after what it shows.
    fn push(&mut self, object: ObjectSchema) {
        self.by_name.insert(object.name.clone(), self.objects.len());
        self.by_prefix.entry(object.prefix).or_insert(self.objects.len());
        self.objects.push(Arc::new(object));
    }

    /// Index of an object by its name in any case.
    pub fn index(&self, name: &str) -> Option<usize> {
        match self.by_name.get(name) {
            Some(index) => Some(*index),
            None => self.objects.iter().position(|object| object.name.eq_ignore_ascii_case(name)),
        }
    }

    /// Index of the object whose ids start so.
    pub fn by_prefix(&self, prefix: [u8; 3]) -> Option<usize> {
        self.by_prefix.get(&prefix).copied()
    }

    /// The object whose table holds the rows of this one: itself, unless it is a view.
    pub fn storage(&self, object: usize) -> usize {
        self.objects[object].trait_value("view").and_then(|name| self.index(name)).unwrap_or(object)
    }

    /// Child lists of an object, traversable or not.
    pub fn children(&self, parent: &str) -> impl Iterator<Item = &ChildLink> {
        self.children.get(parent).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_support_org_has_its_objects() {
        let catalog = Catalog::support_org();
        for name in ["Case", "CaseComment", "EmailMessage", "CaseHistory", "Contact", "User", "Task"] {
            assert!(catalog.index(name).is_some(), "{name}");
        }
        for name in ["RecordType", "Account", "Group", "Organization", "Escalation__c", "case"] {
            assert!(catalog.index(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_case_has_its_child_lists() {
        let catalog = Catalog::support_org();
        let names: Vec<&str> =
            catalog.children("Case").filter_map(|link| link.target.children.as_deref()).collect();
        for name in [
            "CaseComments",
            "EmailMessages",
            "Emails",
            "Histories",
            "Tasks",
            "Cases",
            "Escalations__r",
            "Feeds",
            "Attachments",
            "ContentDocumentLinks",
            "LiveChatTranscripts",
            "MessagingSessions",
            "VoiceCalls",
        ] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
    }

    #[test]
    fn a_view_shares_the_slots_of_what_it_shows() {
        let catalog = Catalog::support_org();
        let (view, shown) = (catalog.index("CaseFeed").unwrap(), catalog.index("FeedItem").unwrap());
        assert_eq!(catalog.storage(view), shown);
        assert_eq!(catalog.by_prefix(*b"0D5"), Some(shown));
        for field in &catalog.objects[view].fields {
            let twin = catalog.objects[shown].field(&field.name).unwrap();
            assert_eq!(field.slot(), twin.slot(), "{}", field.name);
        }
    }
}
