//! From Salesforce's JSON to the canonical record: an array of describe-typed scalars in the order of the
//! field set. The same record gives the same bytes whichever API delivered it, and no value is lost.
//!
//! Values are copied as the raw JSON they came as wherever that is already canonical (a string without
//! escapes, a plain number), which is nearly always; nothing is built in between.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::number::canonical_decimal;
use crate::catalog::field_set::Node;
use crate::catalog::{FieldSet, FieldType};
use crate::clock::{Timestamp, format_instant, parse_salesforce_datetime};

/// Why one record of a page cannot be kept. The page goes on; the record is quarantined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordProblem {
    /// Not a JSON object.
    #[error("the record is not a JSON object")]
    NotAnObject,
    /// A value does not have the type that describe gave its field.
    #[error("the value of {field} is not of type {expected}")]
    WrongType {
        /// Path of the field.
        field: String,
        /// Describe's type, in our words.
        expected: &'static str,
    },
    /// A field without which nothing can be stored is missing or unusable.
    #[error("{field} is missing or unusable")]
    Unidentified {
        /// Path of the field.
        field: &'static str,
    },
}

impl RecordProblem {
    /// The closed word stored with a quarantined record.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject => "not_an_object",
            Self::WrongType { .. } => "wrong_type",
            Self::Unidentified { .. } => "unidentified",
        }
    }

    /// The path it is about, if it is about one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NotAnObject => None,
            Self::WrongType { field, .. } => Some(field),
            Self::Unidentified { field } => Some(field),
        }
    }
}

/// A canonical record with the place of each value.
#[derive(Debug, Clone)]
pub struct CanonicalRecord<'a> {
    bytes: &'a [u8],
    spans: &'a [Range<u32>],
    set: &'a FieldSet,
}

/// Canonical records of a page, or of small ones together, back to back in one buffer.
#[derive(Debug, Default)]
pub struct PageRecords {
    bytes: Vec<u8>,
    spans: Vec<Range<u32>>,
    ends: Vec<usize>,
    width: usize,
}

impl PageRecords {
    /// An empty page for records of this set.
    #[must_use]
    pub fn new(set: &FieldSet) -> Self {
        Self { width: set.len(), ..Self::default() }
    }

    /// How many records were kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether none was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The record at `index`; `set` must be the one the page was made for.
    #[must_use]
    pub fn get<'a>(&'a self, index: usize, set: &'a FieldSet) -> CanonicalRecord<'a> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        CanonicalRecord {
            bytes: &self.bytes[start..self.ends[index]],
            spans: &self.spans[index * self.width..(index + 1) * self.width],
            set,
        }
    }

    /// Appends a record whose scalars `write` knows by their place in the set; nothing when it has none for one.
    pub(super) fn append(
        &mut self,
        set: &FieldSet,
        write: impl Fn(usize, FieldType, &mut Vec<u8>) -> Option<()>,
    ) -> Result<(), RecordProblem> {
        let (start, first_span) = (self.bytes.len(), self.spans.len());
        self.bytes.push(b'[');
        for (position, field) in set.fields().iter().enumerate() {
            if position > 0 {
                self.bytes.push(b',');
            }
            let from = self.bytes.len() - start;
            if write(position, field.kind, &mut self.bytes).is_none() {
                self.bytes.truncate(start);
                self.spans.truncate(first_span);
                return Err(RecordProblem::WrongType {
                    field: field.path.clone(),
                    expected: type_word(field.kind),
                });
            }
            self.spans.push(span(from, self.bytes.len() - start));
        }
        self.bytes.push(b']');
        self.ends.push(self.bytes.len());
        Ok(())
    }
}

/// Appends one record of a query answer to the page.
///
/// On a problem nothing is appended.
pub fn canonicalize(record: &RawValue, set: &FieldSet, page: &mut PageRecords) -> Result<(), RecordProblem> {
    let mut slots: Vec<Option<&str>> = vec![None; set.len()];
    collect(record, set.root(), &mut slots).map_err(|_| RecordProblem::NotAnObject)?;
    page.append(set, |position, kind, out| write_scalar(slots[position].unwrap_or("null"), kind, out))
}

/// A record is far below 4 GiB: Salesforce ends a record at some megabytes.
fn span(from: usize, to: usize) -> Range<u32> {
    let narrow = |at: usize| u32::try_from(at).expect("a record is far smaller than 4 GiB");
    narrow(from)..narrow(to)
}

/// Fills the slots that this level of the answer names.
fn collect<'a>(
    raw: &'a RawValue,
    node: &Node,
    slots: &mut [Option<&'a str>],
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    deserializer.deserialize_map(Level { node, slots })
}

struct Level<'s, 'a> {
    node: &'s Node,
    slots: &'s mut [Option<&'a str>],
}

impl<'a> Visitor<'a> for Level<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(KeyOf(self.node))? {
            match key {
                Key::Leaf(index) => self.slots[index] = Some(map.next_value::<&RawValue>()?.get()),
                Key::Parent(node) => {
                    let raw = map.next_value::<&RawValue>()?;
                    if raw.get().starts_with('{') {
                        collect(raw, node, self.slots).map_err(serde::de::Error::custom)?;
                    }
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

enum Key<'s> {
    Leaf(usize),
    Parent(&'s Node),
    Other,
}

struct KeyOf<'s>(&'s Node);

impl<'de, 's> DeserializeSeed<'de> for KeyOf<'s> {
    type Value = Key<'s>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'s>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'s> Visitor<'_> for KeyOf<'s> {
    type Value = Key<'s>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key<'s>, E> {
        if let Some(index) = self.0.leaves.get(name) {
            return Ok(Key::Leaf(*index));
        }
        Ok(self.0.parents.get(name).map_or(Key::Other, Key::Parent))
    }
}

fn type_word(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Text => "text",
        FieldType::Boolean => "boolean",
        FieldType::Integer => "whole number",
        FieldType::Decimal => "decimal number",
        FieldType::Date => "date",
        FieldType::Datetime => "datetime",
        FieldType::Time => "time",
        FieldType::AnyType => "any scalar",
    }
}

/// Appends one scalar in canonical form; `None` when it is not of the field's type.
fn write_scalar(raw: &str, kind: FieldType, out: &mut Vec<u8>) -> Option<()> {
    // Salesforce stores no empty strings; Bulk cannot tell them from null.
    if raw == "null" || raw == "\"\"" {
        out.extend_from_slice(b"null");
        return Some(());
    }
    let quoted = raw.starts_with('"');
    match kind {
        FieldType::AnyType if quoted && is_rest_moment(raw.trim_matches('"')) => write_datetime(raw, out),
        FieldType::Text | FieldType::AnyType if quoted => write_text(raw, out),
        FieldType::AnyType if !raw.starts_with(['{', '[']) => write_string(raw, out),
        FieldType::Boolean if raw == "true" || raw == "false" => {
            out.extend_from_slice(raw.as_bytes());
            Some(())
        }
        FieldType::Integer | FieldType::Decimal if !quoted => write_number(raw, kind, out),
        FieldType::Datetime if quoted => write_datetime(raw, out),
        FieldType::Date if quoted => {
            check_date(raw.trim_matches('"'))?;
            write_text(raw, out)
        }
        FieldType::Time if quoted => {
            check_time(raw.trim_matches('"'))?;
            write_text(raw, out)
        }
        FieldType::Text
        | FieldType::AnyType
        | FieldType::Boolean
        | FieldType::Integer
        | FieldType::Decimal
        | FieldType::Date
        | FieldType::Datetime
        | FieldType::Time => None,
    }
}

/// Appends one cell of delimited text in canonical form; `None` when it is not of the field's type.
pub(super) fn write_cell(cell: &str, kind: FieldType, out: &mut Vec<u8>) -> Option<()> {
    if cell.is_empty() {
        out.extend_from_slice(b"null");
        return Some(());
    }
    match kind {
        FieldType::AnyType if is_rest_moment(cell) => write_datetime(cell, out),
        FieldType::Text | FieldType::AnyType => write_string(cell, out),
        FieldType::Boolean => {
            out.extend_from_slice(["true", "false"].into_iter().find(|word| *word == cell)?.as_bytes());
            Some(())
        }
        FieldType::Integer | FieldType::Decimal => write_number(cell, kind, out),
        FieldType::Datetime => write_datetime(cell, out),
        FieldType::Date => check_date(cell).and_then(|()| write_string(cell, out)),
        FieldType::Time => check_time(cell).and_then(|()| write_string(cell, out)),
    }
}

fn write_number(text: &str, kind: FieldType, out: &mut Vec<u8>) -> Option<()> {
    let number = canonical_decimal(text)?;
    if kind == FieldType::Integer && number.contains(['.', 'e']) {
        return None;
    }
    out.extend_from_slice(number.as_bytes());
    Some(())
}

fn check_date(text: &str) -> Option<()> {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|_| ())
}

fn check_time(text: &str) -> Option<()> {
    chrono::NaiveTime::parse_from_str(text.strip_suffix('Z').unwrap_or(text), "%H:%M:%S%.f").ok().map(|_| ())
}

/// A moment as REST spells it. Of a field whose type is not known, Bulk's rows would hold the same one as `…Z`.
fn is_rest_moment(text: &str) -> bool {
    text.strip_suffix("+0000").is_some_and(|stem| stem.len() == 23 && looks_like_instant(stem))
}

/// A JSON string without escapes is already canonical; others are read and written again.
fn write_text(raw: &str, out: &mut Vec<u8>) -> Option<()> {
    if !raw.contains('\\') {
        out.extend_from_slice(raw.as_bytes());
        return Some(());
    }
    if let Ok(text) = serde_json::from_str::<String>(raw) {
        return write_string(&text, out);
    }
    // A lone surrogate is no text in any encoding of ours; its escape is kept as it came, so that nothing is
    // lost and the rest of the value reads as ever.
    let text = serde_json::from_str::<String>(&lone_surrogates_as_text(raw)).ok()?;
    write_string(&text, out)
}

/// The same JSON string with each escape of a lone surrogate as text of its own.
fn lone_surrogates_as_text(raw: &str) -> String {
    let mut kept = String::with_capacity(raw.len() + 16);
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        kept.push_str(before);
        // Any other escape is over after two characters; what follows are digits, if anything.
        let length = match (surrogate(escape), escape.get(6..).and_then(surrogate)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(_), _) => {
                kept.push('\\');
                6
            }
            (None, _) => 2,
        };
        let (escape, after) = escape.split_at(length.min(escape.len()));
        kept.push_str(escape);
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// The surrogate that an escape at the beginning of the text stands for.
fn surrogate(text: &str) -> Option<u16> {
    let unit = u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()?;
    (0xD800..=0xDFFF).contains(&unit).then_some(unit)
}

fn write_string(text: &str, out: &mut Vec<u8>) -> Option<()> {
    serde_json::to_writer(out, text).ok()
}

/// REST's `…000+0000` is by far the commonest; it becomes Bulk's `…000Z` by cutting, without parsing.
fn write_datetime(raw: &str, out: &mut Vec<u8>) -> Option<()> {
    let text = raw.trim_matches('"');
    let plain = text.strip_suffix("+0000").or_else(|| text.strip_suffix('Z')).filter(|stem| stem.len() == 23);
    let stem = match plain {
        Some(stem) if looks_like_instant(stem) => Cow::Borrowed(stem),
        _ => {
            let instant = format_instant(parse_salesforce_datetime(text)?);
            Cow::Owned(instant.strip_suffix('Z')?.to_owned())
        }
    };
    out.push(b'"');
    out.extend_from_slice(stem.as_bytes());
    out.extend_from_slice(b"Z\"");
    Some(())
}

/// Digits and separators of `2013-04-04T20:52:22.000`; real validity is checked where the value is used.
fn looks_like_instant(stem: &str) -> bool {
    stem.bytes().enumerate().all(|(place, byte)| match place {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'.',
        _ => byte.is_ascii_digit(),
    })
}

/// The places of a stored record's values.
///
/// `None` when the bytes are not an array of `width` scalars, which only a bug or damage can cause.
#[must_use]
pub fn spans_of(bytes: &[u8], width: usize) -> Option<Vec<Range<u32>>> {
    let values: Vec<&RawValue> = serde_json::from_slice(bytes).ok()?;
    let base = bytes.as_ptr() as usize;
    let spans: Vec<Range<u32>> = values
        .iter()
        .map(|value| {
            let from = value.get().as_ptr() as usize - base;
            span(from, from + value.get().len())
        })
        .collect();
    (spans.len() == width).then_some(spans)
}

impl<'a> CanonicalRecord<'a> {
    /// A stored record with the places that [`spans_of`] found.
    #[must_use]
    pub fn stored(bytes: &'a [u8], spans: &'a [Range<u32>], set: &'a FieldSet) -> Self {
        Self { bytes, spans, set }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The set it was read with.
    #[must_use]
    pub fn field_set(&self) -> &'a FieldSet {
        self.set
    }

    /// The JSON of the value at a place of the field set.
    #[must_use]
    pub fn raw(&self, position: usize) -> &'a str {
        let span = &self.spans[position];
        std::str::from_utf8(&self.bytes[span.start as usize..span.end as usize])
            .expect("canonical bytes are made from text")
    }

    /// The value at a path as text; `None` when null or not in the set.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<Cow<'a, str>> {
        let raw = self.raw(self.set.position(path)?);
        let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return (raw != "null").then_some(Cow::Borrowed(raw));
        };
        if inner.contains('\\') {
            return serde_json::from_str(raw).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(inner))
    }

    /// The value at a path as a boolean.
    #[must_use]
    pub fn boolean(&self, path: &str) -> Option<bool> {
        match self.raw(self.set.position(path)?) {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The value at a path as a moment.
    #[must_use]
    pub fn instant(&self, path: &str) -> Option<Timestamp> {
        parse_salesforce_datetime(&self.text(path)?)
    }

    /// The whole record as a JSON object of paths, for people and for comparison with ground truth.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        self.set
            .fields()
            .iter()
            .enumerate()
            .map(|(position, field)| {
                let value = serde_json::from_str(self.raw(position)).unwrap_or(serde_json::Value::Null);
                (field.path.clone(), value)
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "canonical_test.rs"]
mod tests;
