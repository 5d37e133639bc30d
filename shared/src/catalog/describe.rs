//! What an object looks like to the integration user: the parts of Salesforce's describe that decisions use.
//!
//! A field hidden by field-level security is simply absent here; permissions are data. Unknown keys are
//! ignored and missing ones take defaults, because the set of keys grows with every release.

use serde::{Deserialize, Serialize};

/// An object as described for the integration user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDescribe {
    /// API name, in canonical case.
    pub name: String,
    /// First three characters of the object's ids; feeds and histories have none in describe.
    #[serde(default)]
    pub key_prefix: Option<String>,
    /// Whether SOQL may read it.
    #[serde(default)]
    pub queryable: bool,
    /// The fields that the user may see.
    pub fields: Vec<FieldDescribe>,
}

impl ObjectDescribe {
    /// The field of that name, whatever its case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&FieldDescribe> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The field that tells of changes: SystemModstamp, else LastModifiedDate, else CreatedDate. It bounds windows; where
    /// it cannot order them, as of comments to a feed, ids do.
    #[must_use]
    pub fn cursor_field(&self) -> Option<&str> {
        let sorts = |name: &str| self.field(name).is_some_and(|field| field.sortable);
        ["SystemModstamp", "LastModifiedDate", "CreatedDate"].into_iter().find(|name| {
            self.field(name).is_some_and(|field| field.filterable) && (sorts(name) || sorts("Id"))
        })
    }
}

/// One field as described for the integration user.
#[expect(clippy::struct_excessive_bools, reason = "they are describe's own flags")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldDescribe {
    /// API name.
    pub name: String,
    /// Describe's type word.
    #[serde(rename = "type")]
    pub kind: String,
    /// May stand in WHERE.
    #[serde(default)]
    pub filterable: bool,
    /// May stand in ORDER BY.
    #[serde(default)]
    pub sortable: bool,
    /// A formula: changes without stamping the record.
    #[serde(default)]
    pub calculated: bool,
    /// Comparisons mind the case of its letters.
    #[serde(default)]
    pub case_sensitive: bool,
    /// A field that an administrator of the org made.
    #[serde(default)]
    pub custom: bool,
    /// Longest value in characters; 0 where it does not apply.
    #[serde(default)]
    pub length: u32,
    /// The objects a reference may point to.
    #[serde(default)]
    pub reference_to: Vec<String>,
    /// The name by which SOQL walks the reference.
    #[serde(default)]
    pub relationship_name: Option<String>,
    /// More than one target: only the virtual object `Name` can be walked to.
    #[serde(default)]
    pub polymorphic_foreign_key: bool,
}

/// How a field's values are kept in a canonical record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Any text, ids and picklists included.
    Text,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A decimal number, never a binary float.
    Decimal,
    /// A day.
    Date,
    /// A moment in UTC.
    Datetime,
    /// A time of day.
    Time,
    /// Whatever the changed field held; kept as text.
    AnyType,
}

impl FieldType {
    /// The type behind describe's word; `None` for what is no column (blobs, compounds, lists).
    ///
    /// Compounds are read by their components, blobs by their own call. An unknown word reads as text.
    #[must_use]
    pub fn from_describe(kind: &str) -> Option<Self> {
        match kind {
            "base64" | "address" | "location" | "junctionidlist" | "complexvalue" | "json" => None,
            "boolean" => Some(Self::Boolean),
            "int" | "long" => Some(Self::Integer),
            "double" | "currency" | "percent" => Some(Self::Decimal),
            "date" => Some(Self::Date),
            "datetime" => Some(Self::Datetime),
            "time" => Some(Self::Time),
            "anyType" => Some(Self::AnyType),
            _ => Some(Self::Text),
        }
    }
}
