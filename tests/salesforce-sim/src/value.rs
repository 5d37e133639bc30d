//! Stored values, borrowed views of them, and their REST JSON form.
//!
//! [`Value`] is what a version of a record owns, [`Cell`] what readers see: some cells (stamps, values taken
//! from a parent) are never stored. Text is shared, because picklist values repeat a million times.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::id::SfId;
use crate::time;

/// A stored value.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value.
    Null,
    /// A checkbox.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A decimal number; written with at least one decimal.
    Double(f64),
    /// Any kind of text.
    Text(Arc<str>),
    /// Text that the program itself contains; equal to the same text of the other kind.
    Word(&'static str),
    /// A record id.
    Id(SfId),
    /// Days since 1970.
    Date(i64),
    /// Milliseconds since 1970 UTC.
    Instant(i64),
    /// Milliseconds since midnight.
    Time(i64),
    /// Bytes of a file.
    Blob(Arc<[u8]>),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Blob(a), Self::Blob(b)) => a == b,
            _ => self.cell() == other.cell(),
        }
    }
}

impl Value {
    /// Text, or null for an empty string: the platform stores no empty strings.
    pub fn text(text: &str) -> Self {
        if text.is_empty() { Self::Null } else { Self::Text(Arc::from(text)) }
    }

    /// The view of this value.
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(value) => Cell::Bool(*value),
            Self::Int(value) => Cell::Int(*value),
            Self::Double(value) => Cell::Double(*value),
            Self::Text(value) => Cell::Text(value),
            Self::Word(value) => Cell::Text(value),
            Self::Time(value) => Cell::Time(*value),
            Self::Blob(value) => Cell::Blob(value),
            Self::Id(value) => Cell::Id(*value),
            Self::Date(value) => Cell::Date(*value),
            Self::Instant(value) => Cell::Instant(*value),
        }
    }

    /// The id, when this is one.
    pub fn as_id(&self) -> Option<SfId> {
        if let Self::Id(id) = self { Some(*id) } else { None }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        if text.is_empty() { Self::Null } else { Self::Text(text.into()) }
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<SfId> for Value {
    fn from(value: SfId) -> Self {
        Self::Id(value)
    }
}

/// A value as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A checkbox.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A decimal number.
    Double(f64),
    /// Any kind of text.
    Text(&'a str),
    /// A record id.
    Id(SfId),
    /// Days since 1970.
    Date(i64),
    /// Milliseconds since 1970 UTC.
    Instant(i64),
    /// Milliseconds since midnight.
    Time(i64),
    /// Bytes of a file.
    Blob(&'a [u8]),
}

impl Cell<'_> {
    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// An owned copy.
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Double(value) => Value::Double(value),
            Self::Text(value) => Value::Text(Arc::from(value)),
            Self::Time(value) => Value::Time(value),
            Self::Blob(value) => Value::Blob(Arc::from(value)),
            Self::Id(value) => Value::Id(value),
            Self::Date(value) => Value::Date(value),
            Self::Instant(value) => Value::Instant(value),
        }
    }

    /// Compares two present values of like type; text without regard to case. `None` when either is null
    /// or the types do not compare. A date meets an instant at its midnight.
    pub fn compare(self, other: Cell<'_>) -> Option<Ordering> {
        #[expect(clippy::cast_precision_loss, reason = "the platform compares numbers as doubles too")]
        match (self, other) {
            (Self::Bool(a), Cell::Bool(b)) => Some(a.cmp(&b)),
            (Self::Int(a), Cell::Int(b))
            | (Self::Date(a), Cell::Date(b))
            | (Self::Time(a), Cell::Time(b))
            | (Self::Instant(a), Cell::Instant(b)) => Some(a.cmp(&b)),
            (Self::Int(a), Cell::Double(b)) => (a as f64).partial_cmp(&b),
            (Self::Double(a), Cell::Int(b)) => a.partial_cmp(&(b as f64)),
            (Self::Double(a), Cell::Double(b)) => a.partial_cmp(&b),
            (Self::Text(a), Cell::Text(b)) => Some(compare_text(a, b)),
            (Self::Id(a), Cell::Id(b)) => Some(a.cmp(&b)),
            (Self::Date(a), Cell::Instant(b)) => Some((a * time::DAY_MS).cmp(&b)),
            (Self::Instant(a), Cell::Date(b)) => Some(a.cmp(&(b * time::DAY_MS))),
            _ => None,
        }
    }

    /// Appends the REST JSON form.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            // Which path leads to the bytes depends on the record: see the renderer.
            Self::Null | Self::Blob(_) => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Self::Double(value) => write_double(out, *value),
            Self::Text(value) => write_text(out, value),
            Self::Id(value) => {
                out.push(b'"');
                out.extend_from_slice(value.as_bytes());
                out.push(b'"');
            }
            Self::Time(value) => {
                out.push(b'"');
                time::write_time(out, *value);
                out.push(b'"');
            }
            Self::Date(value) => {
                out.push(b'"');
                time::write_date(out, *value);
                out.push(b'"');
            }
            Self::Instant(value) => {
                out.push(b'"');
                time::write_instant(out, *value);
                out.push(b'"');
            }
        }
    }
}

/// [`Cell::to_value`] for cells of any life: a method's path names one life only.
pub fn owned(cell: Cell<'_>) -> Value {
    cell.to_value()
}

/// Case-insensitive comparison. The ASCII path builds no folded copies.
pub fn compare_text(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return fold(a).cmp(fold(b));
    }
    a.to_lowercase().cmp(&b.to_lowercase())
}

fn fold(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.bytes().map(|byte| byte.to_ascii_lowercase())
}

fn write_double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        // Debug formatting of a float keeps the shortest exact digits and at least one decimal.
        out.extend_from_slice(format!("{value:?}").as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing to a vector does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(cell: Cell<'_>) -> String {
        let mut out = Vec::new();
        cell.write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_keep_a_decimal() {
        assert_eq!(json(Cell::Double(12.0)), "12.0");
        assert_eq!(json(Cell::Double(61.217_062)), "61.217062");
        assert_eq!(json(Cell::Int(12)), "12");
    }

    #[test]
    fn text_is_escaped_and_stays_unicode() {
        assert_eq!(json(Cell::Text("a\"b\r\n\u{7}é😀")), "\"a\\\"b\\r\\n\\u0007é😀\"");
    }

    #[test]
    fn text_compares_without_case() {
        assert_eq!(Cell::Text("ABC").compare(Cell::Text("abc")), Some(Ordering::Equal));
        assert_eq!(Cell::Text("ÄB").compare(Cell::Text("äb")), Some(Ordering::Equal));
        assert_eq!(Cell::Null.compare(Cell::Text("abc")), None);
    }
}
