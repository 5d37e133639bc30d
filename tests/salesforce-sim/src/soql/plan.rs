//! A checked statement: every name is an index, every literal has its type.

use std::collections::HashSet;

use super::ast::Operator;
use crate::id::SfId;
use crate::value::Value;

/// A field reached from a row: the references followed, then the field of the object at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldPath {
    /// Reference fields to follow, each in the object where the one before ended.
    pub hops: Vec<usize>,
    /// What is read at the end.
    pub end: End,
}

/// The end of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// A field of a known object.
    Field(usize),
    /// A field by name, of whatever object a polymorphic reference leads to; `Type` is the object itself.
    Named(String),
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A field.
    Path(FieldPath),
    /// A part of a date or time.
    Part(DatePart, FieldPath),
    /// How far a place is from a point.
    Distance(Distance),
}

/// Parts of dates and times, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the functions")]
pub enum DatePart {
    CalendarYear,
    CalendarQuarter,
    CalendarMonth,
    FiscalYear,
    FiscalQuarter,
    FiscalMonth,
    DayInMonth,
    DayInWeek,
    DayInYear,
    DayOnly,
    HourInDay,
    WeekInMonth,
    WeekInYear,
}

/// `DISTANCE(place, GEOLOCATION(latitude, longitude), unit)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Distance {
    /// Latitude of the place, in degrees.
    pub latitude: FieldPath,
    /// Longitude of the place.
    pub longitude: FieldPath,
    /// The point.
    pub from: (f64, f64),
    /// In kilometres, not miles.
    pub in_kilometres: bool,
}

/// One part of an answered row.
#[derive(Clone, Debug)]
pub enum Output {
    /// A field.
    Field {
        /// `"Name":` with the quotes and the colon.
        key: Vec<u8>,
        /// Which field of the row's object.
        field: usize,
    },
    /// A parent's fields.
    Parent {
        /// `"Contact":`
        key: Vec<u8>,
        /// The reference field followed.
        via: usize,
        /// Whether the answer calls the parent `Name`.
        virtual_name: bool,
        /// What to write for each object the reference may lead to; for others nothing but null.
        branches: Vec<(usize, Vec<Output>)>,
    },
    /// The object's name behind a polymorphic reference (`Owner.Type`).
    TypeName {
        /// `"Type":`
        key: Vec<u8>,
    },
    /// A field that the virtual `Name` object has and this one lacks.
    Absent {
        /// `"Email":`
        key: Vec<u8>,
    },
    /// A computed or formatted value.
    Computed {
        /// `"expr0":`
        key: Vec<u8>,
        /// What is computed.
        term: Term,
        /// Written as people of the user's locale read it.
        formatted: bool,
    },
    /// A child list.
    Children {
        /// `"CaseComments":`
        key: Vec<u8>,
        /// The reference field in the child object that points here.
        field: usize,
        /// The sub-query.
        plan: std::sync::Arc<Plan>,
    },
}

/// A checked condition.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All hold.
    And(Vec<Filter>),
    /// One holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// Compared with one value.
    Compare(Term, Operator, Value),
    /// Inside a half-open range of milliseconds (relative dates), with the operator that was used.
    Range(Term, Operator, i64, i64),
    /// One of several values.
    In(Term, Vec<Value>),
    /// One of many ids.
    InIds(Term, HashSet<SfId>),
    /// One of the ids that another statement yields.
    InQuery(Term, Box<Plan>, usize),
    /// Text with wildcards.
    Like(Term, Vec<Wild>),
    /// Multi-picklist: any of these sets of values is contained whole.
    Includes(Term, Vec<Vec<String>>),
    /// Always or never true.
    Constant(bool),
}

/// A piece of a LIKE pattern, lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wild {
    /// This character.
    One(char),
    /// Any character.
    Any,
    /// Any run of characters.
    Run,
}

/// One sort key.
#[derive(Clone, Debug)]
pub struct SortKey {
    /// By what.
    pub term: Term,
    /// Downwards.
    pub descending: bool,
    /// Nulls at the end; otherwise they lead.
    pub nulls_last: bool,
}

/// A column of a grouped answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// A grouping key, by its place in [`Grouping::keys`].
    Key(usize),
    /// An aggregate of a value; `None` counts rows.
    Aggregate(Aggregate, Option<Term>),
    /// Whether this key was left out of the group: 1 in a subtotal.
    Grouping(usize),
    /// Another column as people read it.
    Formatted(Box<Column>),
}

/// A condition on a group.
#[derive(Clone, Debug)]
pub enum Having {
    /// All hold.
    And(Vec<Having>),
    /// One holds.
    Or(Vec<Having>),
    /// It does not hold.
    Not(Box<Having>),
    /// A column passes a filter; what the filter itself reads does not count.
    Test(Column, Box<Filter>),
}

/// How rows are grouped.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// GROUP BY.
    pub keys: Vec<Term>,
    /// For each kind of group which keys it has; one kind unless there are subtotals.
    pub sets: Vec<Vec<bool>>,
    /// JSON key and content of each column.
    pub columns: Vec<(String, Column)>,
    /// HAVING.
    pub having: Option<Having>,
    /// ORDER BY: column, downwards, nulls at the end.
    pub order: Vec<(Column, bool, bool)>,
}

/// Aggregate functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the functions")]
pub enum Aggregate {
    Count,
    CountDistinct,
    Min,
    Max,
    Sum,
    Avg,
}

/// What the answer looks like.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Records.
    Rows(Vec<Output>),
    /// `SELECT COUNT()`.
    Count,
    /// Aggregate rows.
    Grouped(Box<Grouping>),
}

/// A statement ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The object read.
    pub object: usize,
    /// What is answered.
    pub shape: Shape,
    /// Which rows.
    pub filter: Option<Filter>,
    /// In which order.
    pub order: Vec<SortKey>,
    /// At most how many.
    pub limit: Option<usize>,
    /// How many are skipped.
    pub offset: usize,
    /// How many custom long-text fields are selected: two or more make small pages.
    pub custom_long_texts: usize,
    /// How many very long texts are selected: two or more make small pages too.
    pub huge_texts: usize,
    /// A file field that is selected: only one row may be answered then.
    pub blob: Option<usize>,
}
