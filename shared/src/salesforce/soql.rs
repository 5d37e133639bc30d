//! The only producer of SOQL text.
//!
//! Nothing unescaped can enter: names are checked when they are made, ids and moments have their own types,
//! and there is no way to put free text into a query. Ids are compared by Salesforce only, never by us.

use std::fmt::{self, Write as _};

use super::condition::Condition;
use crate::clock::{Timestamp, format_instant};
use crate::ids::SalesforceId;

/// A name that may not stand in a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is no {expected}")]
pub struct InvalidName {
    /// What was given, cut to 60 characters.
    pub given: String,
    /// What was expected.
    pub expected: &'static str,
}

impl InvalidName {
    fn new(given: &str, expected: &'static str) -> Self {
        Self { given: given.chars().filter(|c| !c.is_control()).take(60).collect(), expected }
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 80
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// An object's API name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(String);

impl ObjectName {
    /// Checks a name: a letter, then letters, digits and underscores.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName::new(text, "object name")) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A field, or a walk over at most five lookups to one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(String);

impl FieldPath {
    /// Checks a path: names with dots between, at most five relationships deep.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let names = text.split('.');
        if names.clone().count() <= 6 && names.clone().all(is_name) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::new(text, "field path of at most five relationships"))
        }
    }

    /// The path of every record's id.
    #[must_use]
    pub fn id() -> Self {
        Self("Id".to_owned())
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first name: the field itself, or the relationship that is walked first.
    #[must_use]
    pub fn root(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

/// A place in the total order of an object's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The cursor field's value.
    pub at: Timestamp,
    /// The record.
    pub id: SalesforceId,
}

/// Which end of a window is read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first; increments.
    Ascending,
    /// Newest first.
    Descending,
    /// In the order of ids, of objects whose cursor can bound a window and not order it.
    ById,
}

/// A window of the cursor field, from `from` (included) to `to` (excluded), and how far it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Begin, included.
    pub from: Timestamp,
    /// End, excluded.
    pub to: Timestamp,
    /// The last record that was read, if any; in reading order everything up to it is done.
    pub after: Option<Position>,
    /// Reading order.
    pub direction: Direction,
    /// At most so many records.
    pub limit: Option<u32>,
}

/// A finished query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soql {
    text: String,
    object: ObjectName,
    /// Where its conditions end, and whether it has any.
    conditions: (usize, bool),
}

impl Soql {
    fn new(text: String, object: &ObjectName, has_conditions: bool) -> Self {
        Self { conditions: (text.len(), has_conditions), text, object: object.clone() }
    }

    /// The same, of records alone of which this holds too.
    #[must_use]
    pub fn under(mut self, filter: Option<&Condition>) -> Self {
        let Some(filter) = filter else { return self };
        let (at, has_conditions) = self.conditions;
        let more = format!(" {} {}", if has_conditions { "AND" } else { "WHERE" }, filter.as_str());
        self.text.insert_str(at, &more);
        self.conditions = (at + more.len(), true);
        self
    }

    /// A keyset page of a window, ordered by (cursor, Id).
    #[must_use]
    pub fn window(object: &ObjectName, fields: &[FieldPath], cursor: &FieldPath, window: &Window) -> Self {
        let c = cursor.as_str();
        let (from, to) = (format_instant(window.from), format_instant(window.to));
        let mut text = select_list(fields, Some(cursor));
        let _ = write!(text, " FROM {} WHERE ", object.as_str());
        let _ = match (window.direction, window.after.map(|after| (format_instant(after.at), after.id))) {
            (_, None) => write!(text, "{c} >= {from} AND {c} < {to}"),
            (Direction::Ascending, Some((t, id))) => {
                write!(text, "{c} >= {t} AND ({c} > {t} OR Id > '{id}') AND {c} < {to}")
            }
            (Direction::ById, Some((_, id))) => {
                write!(text, "{c} >= {from} AND {c} < {to} AND Id > '{id}'")
            }
            (Direction::Descending, Some((t, id))) => {
                write!(text, "{c} <= {t} AND ({c} < {t} OR Id < '{id}') AND {c} >= {from}")
            }
        };
        let conditions = (text.len(), true);
        let _ = match window.direction {
            Direction::Ascending => write!(text, " ORDER BY {c}, Id"),
            Direction::Descending => write!(text, " ORDER BY {c} DESC, Id DESC"),
            Direction::ById => write!(text, " ORDER BY Id"),
        };
        if let Some(limit) = window.limit {
            let _ = write!(text, " LIMIT {limit}");
        }
        Self { text, conditions, object: object.clone() }
    }

    /// A slice of history in no order, as Bulk jobs read it: an order would keep Salesforce from cutting the job.
    #[must_use]
    pub fn slice(
        object: &ObjectName,
        fields: &[FieldPath],
        cursor: &FieldPath,
        from: Timestamp,
        to: Timestamp,
    ) -> Self {
        let (o, c) = (object.as_str(), cursor.as_str());
        let (from, to) = (format_instant(from), format_instant(to));
        let list = select_list(fields, Some(cursor));
        Self::new(format!("{list} FROM {o} WHERE {c} >= {from} AND {c} < {to}"), object, true)
    }

    /// Every record in no order, as a Bulk job reads it.
    #[must_use]
    pub fn whole(object: &ObjectName, fields: &[FieldPath], cursor: &FieldPath) -> Self {
        let list = select_list(fields, Some(cursor));
        Self::new(format!("{list} FROM {}", object.as_str()), object, false)
    }

    /// These records by id; the cursor is read along. At most a few hundred ids fit a URL.
    #[must_use]
    pub fn by_ids(
        object: &ObjectName,
        fields: &[FieldPath],
        cursor: &FieldPath,
        ids: &[SalesforceId],
    ) -> Self {
        Self::by_references(object, fields, cursor, &FieldPath::id(), ids)
    }

    /// The records whose reference `field` points to one of these ids: the children of parents.
    #[must_use]
    pub fn by_references(
        object: &ObjectName,
        fields: &[FieldPath],
        cursor: &FieldPath,
        field: &FieldPath,
        ids: &[SalesforceId],
    ) -> Self {
        let mut text = select_list(fields, Some(cursor));
        let _ = write!(text, " FROM {} WHERE {} IN (", object.as_str(), field.as_str());
        for (place, id) in ids.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let _ = write!(text, "{comma}'{id}'");
        }
        text.push(')');
        Self::new(text, object, true)
    }

    /// The records whose reference `field` points to one of these ids, in the order of their own ids, after `after`.
    #[must_use]
    pub fn children(
        object: &ObjectName,
        fields: &[FieldPath],
        cursor: &FieldPath,
        (field, ids): (&FieldPath, &[SalesforceId]),
        after: Option<SalesforceId>,
    ) -> Self {
        let Self { mut text, .. } = Self::by_references(object, fields, cursor, field, ids);
        if let Some(after) = after {
            let _ = write!(text, " AND Id > '{after}'");
        }
        let conditions = (text.len(), true);
        text.push_str(" ORDER BY Id");
        Self { text, conditions, object: object.clone() }
    }

    /// The records whose `field` holds one of these numbers. What is not all digits is left out.
    #[must_use]
    pub fn by_numbers(
        object: &ObjectName,
        fields: &[FieldPath],
        cursor: &FieldPath,
        field: &FieldPath,
        numbers: &[String],
    ) -> Self {
        let is_number = |text: &&String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let numbers: Vec<String> =
            numbers.iter().filter(is_number).map(|number| format!("'{number}'")).collect();
        // A list may not be empty; no record has an empty number.
        let list = if numbers.is_empty() { "''".to_owned() } else { numbers.join(",") };
        let mut text = select_list(fields, Some(cursor));
        let _ = write!(text, " FROM {} WHERE {} IN ({list})", object.as_str(), field.as_str());
        Self::new(text, object, true)
    }

    /// How many records a window holds, whatever was read of it.
    #[must_use]
    pub fn count(object: &ObjectName, cursor: &FieldPath, from: Timestamp, to: Timestamp) -> Self {
        let (o, c) = (object.as_str(), cursor.as_str());
        let (from, to) = (format_instant(from), format_instant(to));
        Self::new(format!("SELECT COUNT() FROM {o} WHERE {c} >= {from} AND {c} < {to}"), object, true)
    }

    /// How many records there are.
    #[must_use]
    pub fn count_all(object: &ObjectName) -> Self {
        Self::new(format!("SELECT COUNT() FROM {}", object.as_str()), object, false)
    }

    /// The record with the smallest value of the cursor field. The field's index answers this at once, where a
    /// `MIN(…)` goes over all records.
    #[must_use]
    pub fn oldest(object: &ObjectName, cursor: &FieldPath) -> Self {
        let (o, c) = (object.as_str(), cursor.as_str());
        let mut text = format!("{} FROM {o}", select_list(&[], Some(cursor)));
        let conditions = (text.len(), false);
        let _ = write!(text, " ORDER BY {c}, Id LIMIT 1");
        Self { text, conditions, object: object.clone() }
    }

    /// Whether the object can be read at all: one id.
    #[must_use]
    pub fn probe(object: &ObjectName) -> Self {
        let text = format!("SELECT Id FROM {}", object.as_str());
        let conditions = (text.len(), false);
        Self { text: text + " LIMIT 1", conditions, object: object.clone() }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The object that it reads.
    #[must_use]
    pub fn object(&self) -> &ObjectName {
        &self.object
    }

    /// Length in bytes once encoded into a URL.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        url::form_urlencoded::byte_serialize(self.text.as_bytes()).map(str::len).sum()
    }
}

impl fmt::Display for Soql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `SELECT` with Id and the cursor first, then the fields; a field named twice would be refused.
fn select_list(fields: &[FieldPath], cursor: Option<&FieldPath>) -> String {
    let mut text = "SELECT Id".to_owned();
    let mut seen = std::collections::HashSet::from(["id".to_owned()]);
    for field in cursor.into_iter().chain(fields) {
        if seen.insert(field.as_str().to_ascii_lowercase()) {
            text.push(',');
            text.push_str(field.as_str());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::parse_salesforce_datetime;

    fn at(text: &str) -> Timestamp {
        parse_salesforce_datetime(text).unwrap()
    }

    fn path(text: &str) -> FieldPath {
        FieldPath::parse(text).unwrap()
    }

    fn window(after: Option<Position>, direction: Direction) -> Window {
        let (from, to) = (at("2026-11-01T00:00:00.000Z"), at("2026-11-02T00:00:00.000Z"));
        Window { from, to, after, direction, limit: None }
    }

    fn position() -> Position {
        let id = SalesforceId::parse("5003000000D8cuI").unwrap();
        Position { at: at("2026-11-01T10:20:30.000Z"), id }
    }

    #[test]
    fn a_window_is_paged_by_cursor_and_id() {
        let case = ObjectName::parse("Case").unwrap();
        let fields = [path("Id"), path("Subject"), path("Owner.Name"), path("systemmodstamp")];
        let cursor = path("SystemModstamp");
        let text =
            |after, direction| Soql::window(&case, &fields, &cursor, &window(after, direction)).to_string();
        assert_eq!(
            text(None, Direction::Ascending),
            "SELECT Id,SystemModstamp,Subject,Owner.Name FROM Case WHERE SystemModstamp >= \
             2026-11-01T00:00:00.000Z AND SystemModstamp < 2026-11-02T00:00:00.000Z ORDER BY SystemModstamp, Id"
        );
        assert_eq!(
            text(Some(position()), Direction::Ascending),
            "SELECT Id,SystemModstamp,Subject,Owner.Name FROM Case WHERE SystemModstamp >= \
             2026-11-01T10:20:30.000Z AND (SystemModstamp > 2026-11-01T10:20:30.000Z OR Id > \
             '5003000000D8cuIAAR') AND SystemModstamp < 2026-11-02T00:00:00.000Z ORDER BY SystemModstamp, Id"
        );
        assert_eq!(
            text(Some(position()), Direction::Descending),
            "SELECT Id,SystemModstamp,Subject,Owner.Name FROM Case WHERE SystemModstamp <= \
             2026-11-01T10:20:30.000Z AND (SystemModstamp < 2026-11-01T10:20:30.000Z OR Id < \
             '5003000000D8cuIAAR') AND SystemModstamp >= 2026-11-01T00:00:00.000Z ORDER BY SystemModstamp DESC, \
             Id DESC"
        );
    }

    #[test]
    fn objects_without_a_modification_stamp_are_paged_by_what_they_have() {
        let history = ObjectName::parse("CaseHistory").unwrap();
        let window = Window { limit: Some(500), ..window(None, Direction::Descending) };
        assert_eq!(
            Soql::window(&history, &[path("Field")], &path("CreatedDate"), &window).as_str(),
            "SELECT Id,CreatedDate,Field FROM CaseHistory WHERE CreatedDate >= 2026-11-01T00:00:00.000Z AND \
             CreatedDate < 2026-11-02T00:00:00.000Z ORDER BY CreatedDate DESC, Id DESC LIMIT 500"
        );
    }

    #[test]
    fn counts_the_earliest_and_ids() {
        let case = ObjectName::parse("Case").unwrap();
        let cursor = path("SystemModstamp");
        let (from, to) = (at("2026-11-01T00:00:00.000Z"), at("2026-11-02T00:00:00.000Z"));
        assert_eq!(
            Soql::count(&case, &cursor, from, to).as_str(),
            "SELECT COUNT() FROM Case WHERE SystemModstamp >= 2026-11-01T00:00:00.000Z AND SystemModstamp < \
             2026-11-02T00:00:00.000Z"
        );
        assert_eq!(Soql::count_all(&case).as_str(), "SELECT COUNT() FROM Case");
        assert_eq!(
            Soql::slice(&case, &[path("Owner.Name")], &cursor, from, to).as_str(),
            "SELECT Id,SystemModstamp,Owner.Name FROM Case WHERE SystemModstamp >= 2026-11-01T00:00:00.000Z AND \
             SystemModstamp < 2026-11-02T00:00:00.000Z"
        );
        assert_eq!(
            Soql::whole(&case, &[path("IsDeleted")], &cursor).as_str(),
            "SELECT Id,SystemModstamp,IsDeleted FROM Case"
        );
        assert_eq!(
            Soql::oldest(&case, &cursor).as_str(),
            "SELECT Id,SystemModstamp FROM Case ORDER BY SystemModstamp, Id LIMIT 1"
        );
        let id = position().id;
        assert_eq!(
            Soql::by_ids(&case, &[path("Subject")], &cursor, &[id, id]).as_str(),
            "SELECT Id,SystemModstamp,Subject FROM Case WHERE Id IN ('5003000000D8cuIAAR','5003000000D8cuIAAR')"
        );
        let comment = ObjectName::parse("CaseComment").unwrap();
        assert_eq!(
            Soql::by_references(&comment, &[], &cursor, &path("ParentId"), &[id]).as_str(),
            "SELECT Id,SystemModstamp FROM CaseComment WHERE ParentId IN ('5003000000D8cuIAAR')"
        );
        assert_eq!(
            Soql::children(&comment, &[], &cursor, (&path("Parent.AccountId"), &[id]), Some(id)).as_str(),
            "SELECT Id,SystemModstamp FROM CaseComment WHERE Parent.AccountId IN ('5003000000D8cuIAAR') AND Id > \
             '5003000000D8cuIAAR' ORDER BY Id"
        );
    }

    #[test]
    fn paths_end_at_five_relationships() {
        assert!(FieldPath::parse("A.B.C.D.E.Name").is_ok());
        assert!(FieldPath::parse("A.B.C.D.E.F.Name").is_err());
        for bad in ["", ".", "A.", ".A", "A..B", "1A", "_A", "A B", "A'", "A)", "A,B", "Näme", "A\n"] {
            assert!(FieldPath::parse(bad).is_err(), "{bad}");
            assert!(ObjectName::parse(bad).is_err(), "{bad}");
        }
        assert!(ObjectName::parse("ns__SLA_Policy__c").is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_as_a_path_is_harmless(text in ".{0,40}") {
            if let Ok(path) = FieldPath::parse(&text) {
                prop_assert!(path.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.'));
            }
        }
    }
}
