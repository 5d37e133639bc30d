//! A filter with typed values, and whether it holds of a record.
//!
//! Two-valued: a test of a field without a value does not hold, and what is not so is so. Negations are carried down to the
//! tests, so that the query that is made of it rests on no rule of Salesforce's for `NOT` and nulls. Text is compared as
//! SOQL does, whatever its case; an id of 15 characters is the same as its form of 18.

use std::cmp::Ordering;

use chrono::NaiveDate;
use serde_json::Value;

use super::{Filter, Leaf, Node, Test};
use crate::catalog::{FieldSet, FieldType};
use crate::clock::{Timestamp, parse_salesforce_datetime};
use crate::ids::SalesforceId;
use crate::record::CanonicalRecord;
use crate::record::number::{canonical_decimal, compare_decimals};

/// The years that SOQL knows.
const YEARS: std::ops::RangeInclusive<i32> = 1700..=4000;

/// A filter, ready to be held against records of one field set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// Each of them holds.
    All(Vec<Keep>),
    /// One of them holds.
    Any(Vec<Keep>),
    /// A test of one field.
    Test {
        /// The field.
        field: String,
        /// What is asked of it.
        asks: Asks,
    },
}

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// It has one of these values.
    OneOf(Vec<Literal>),
    /// It has none of these, or no value.
    NoneOf(Vec<Literal>),
    /// It is less than this; or has no value, where `or_null` says so.
    Below(Literal, OrNull),
    /// It is this or more; or has no value, where `or_null` says so.
    AtLeast(Literal, OrNull),
    /// It has no value.
    Null,
    /// It has a value.
    NotNull,
}

/// Whether a field without a value passes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrNull {
    /// It does.
    Passes,
    /// It does not.
    Fails,
}

/// A value of a field's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// Text, picklist values and ids included.
    Text(String),
    /// A number in its canonical spelling.
    Number(String),
    /// True or false.
    Flag(bool),
    /// A day.
    Day(NaiveDate),
    /// A moment, in whole seconds.
    Moment(Timestamp),
}

impl Literal {
    /// A value of a filter as one of that type; `None` when it is none.
    #[must_use]
    pub fn of(value: &Value, kind: FieldType) -> Option<Self> {
        match (kind, value) {
            (FieldType::Text, Value::String(text)) => Some(Self::Text(text.clone())),
            (FieldType::Boolean, Value::Bool(flag)) => Some(Self::Flag(*flag)),
            (FieldType::Integer | FieldType::Decimal, Value::Number(number)) => {
                canonical_decimal(&number.to_string()).filter(|text| !text.contains('e')).map(Self::Number)
            }
            (FieldType::Date, Value::String(text)) => day(text).map(Self::Day),
            (FieldType::Datetime, Value::String(text)) => moment(text).map(Self::Moment),
            _ => None,
        }
    }
}

fn day(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (text.len() == 10 && YEARS.contains(&chrono::Datelike::year(&day))).then_some(day)
}

/// In whole seconds: Salesforce keeps no more of a moment, and a bound between two of them would be cut off there.
fn moment(text: &str) -> Option<Timestamp> {
    let moment = chrono::DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (moment.timestamp_subsec_nanos() == 0 && YEARS.contains(&chrono::Datelike::year(&moment)))
        .then_some(moment)
}

impl Keep {
    /// A filter for records of this set; `None` when the set lacks one of its fields, or has it with another type.
    #[must_use]
    pub fn of(filter: &Filter, set: &FieldSet) -> Option<Self> {
        node(filter.root(), true, set)
    }

    /// Whether a record of the set is kept.
    #[must_use]
    pub fn holds(&self, record: &CanonicalRecord<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(record)),
            Self::Test { field, asks } => asks.holds(record.text(field).as_deref()),
        }
    }
}

/// The part as it is asked for: `so`, or not so.
fn node(part: &Node, so: bool, set: &FieldSet) -> Option<Keep> {
    let each = |parts: &[Node]| parts.iter().map(|part| node(part, so, set)).collect::<Option<Vec<_>>>();
    match (part, so) {
        (Node::Not(part), _) => node(part, !so, set),
        (Node::All(parts), true) | (Node::Any(parts), false) => each(parts).map(Keep::All),
        (Node::Any(parts), true) | (Node::All(parts), false) => each(parts).map(Keep::Any),
        (Node::Leaf(leaf), _) => {
            let kind = set.fields()[set.position(&leaf.field)?].kind;
            Some(Keep::Test { field: leaf.field.clone(), asks: asks(leaf, so, kind)? })
        }
    }
}

fn asks(leaf: &Leaf, so: bool, kind: FieldType) -> Option<Asks> {
    let of = |value: &Value| Literal::of(value, kind);
    let all = |values: &[Value]| values.iter().map(of).collect::<Option<Vec<_>>>();
    Some(match (&leaf.test, so) {
        (Test::Is(value), true) => Asks::OneOf(vec![of(value)?]),
        (Test::Is(value), false) => Asks::NoneOf(vec![of(value)?]),
        (Test::In(values), true) | (Test::NotIn(values), false) => Asks::OneOf(all(values)?),
        (Test::NotIn(values), true) | (Test::In(values), false) => Asks::NoneOf(all(values)?),
        (Test::Below(than), true) => Asks::Below(of(than)?, OrNull::Fails),
        (Test::AtLeast(than), false) => Asks::Below(of(than)?, OrNull::Passes),
        (Test::AtLeast(than), true) => Asks::AtLeast(of(than)?, OrNull::Fails),
        (Test::Below(than), false) => Asks::AtLeast(of(than)?, OrNull::Passes),
        (Test::IsNull(is_null), _) if *is_null == so => Asks::Null,
        (Test::IsNull(_), _) => Asks::NotNull,
    })
}

impl Asks {
    fn holds(&self, value: Option<&str>) -> bool {
        let Some(value) = value else {
            return matches!(
                self,
                Self::Null
                    | Self::NoneOf(_)
                    | Self::Below(_, OrNull::Passes)
                    | Self::AtLeast(_, OrNull::Passes)
            );
        };
        match self {
            Self::OneOf(values) => values.iter().any(|wanted| wanted.is(value)),
            Self::NoneOf(values) => !values.iter().any(|wanted| wanted.is(value)),
            Self::Below(than, _) => than.against(value) == Some(Ordering::Less),
            Self::AtLeast(than, _) => {
                matches!(than.against(value), Some(Ordering::Equal | Ordering::Greater))
            }
            Self::Null => false,
            Self::NotNull => true,
        }
    }
}

impl Literal {
    fn is(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => is_same_text(text, value),
            Self::Number(_) | Self::Flag(_) | Self::Day(_) | Self::Moment(_) => {
                self.against(value) == Some(Ordering::Equal)
            }
        }
    }

    /// How a record's value stands to this one; `None` where that means nothing.
    fn against(&self, value: &str) -> Option<Ordering> {
        match self {
            Self::Text(_) => None,
            Self::Number(number) => compare_decimals(value, number),
            Self::Flag(flag) => value.parse::<bool>().ok().map(|value| value.cmp(flag)),
            Self::Day(day) => NaiveDate::parse_from_str(value, "%Y-%m-%d").ok().map(|value| value.cmp(day)),
            Self::Moment(moment) => parse_salesforce_datetime(value).map(|value| value.cmp(moment)),
        }
    }
}

fn is_same_text(wanted: &str, value: &str) -> bool {
    if wanted == value {
        return true;
    }
    // Every text of 15 letters and digits looks like an id, so only the longer form of the same one is.
    if (wanted.len(), value.len()) == (15, 18) || (wanted.len(), value.len()) == (18, 15) {
        let ids = (SalesforceId::parse(wanted), SalesforceId::parse(value));
        return matches!(ids, (Ok(wanted), Ok(value)) if wanted == value);
    }
    if wanted.is_ascii() && value.is_ascii() {
        return wanted.eq_ignore_ascii_case(value);
    }
    wanted.to_lowercase() == value.to_lowercase()
}
