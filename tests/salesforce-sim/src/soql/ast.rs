//! What a statement says, before any name in it is known to exist.

/// A place in the statement, counted in characters from 0.
pub type Place = usize;

/// `Contact.Account.Name`, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The steps in order.
    pub steps: Vec<String>,
    /// Where it starts.
    pub at: Place,
}

/// One entry of a SELECT list.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A field.
    Field {
        /// Which one.
        path: Path,
        /// Name in the answer; only used in grouped queries.
        alias: Option<String>,
    },
    /// `COUNT(Id) n`, `toLabel(Status)`.
    Function {
        /// Lower-case name.
        name: String,
        /// The argument, absent in `COUNT()`.
        argument: Option<Path>,
        /// Name in the answer.
        alias: Option<String>,
        /// Where it starts.
        at: Place,
    },
    /// `(SELECT … FROM CaseComments)`.
    Children(Box<Query>),
    /// `TYPEOF Owner WHEN User THEN Name ELSE Id END`.
    TypeOf {
        /// The polymorphic relationship.
        path: Path,
        /// Object name and its fields.
        branches: Vec<(String, Vec<Path>)>,
        /// Fields for every other object.
        otherwise: Vec<Path>,
    },
    /// `FIELDS(ALL|STANDARD|CUSTOM)`, upper case.
    AllFields(String, Place),
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the operators")]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `'text'`, unescaped.
    Text(String),
    /// `12`
    Int(i64),
    /// `12.5`
    Double(f64),
    /// `TRUE`
    Bool(bool),
    /// `NULL`
    Null,
    /// `2026-11-23` as a day number.
    Date(i64),
    /// `2026-11-23T00:00:00Z` in milliseconds since 1970.
    Instant(i64),
    /// `LAST_N_DAYS:3` as upper-case name and number.
    Relative(String, Option<i64>),
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// `path op value`
    Compare(Path, Operator, Literal),
    /// `path [NOT] IN (…)`
    In(Path, Vec<Literal>, bool),
    /// `path [NOT] IN (SELECT …)`
    InQuery(Path, Box<Query>, bool),
    /// `path LIKE 'a%'`
    Like(Path, String),
    /// `path INCLUDES (…)` (true) or `EXCLUDES` (false)
    Includes(Path, Vec<String>, bool),
}

/// One key of ORDER BY.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// The field.
    pub path: Path,
    /// `DESC`
    pub descending: bool,
    /// `NULLS LAST`
    pub nulls_last: bool,
}

/// A whole statement or sub-query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// SELECT list.
    pub items: Vec<Item>,
    /// Object, or child relationship in a sub-query.
    pub from: String,
    /// Where it stands.
    pub from_at: Place,
    /// `FROM Case c`
    pub alias: Option<String>,
    /// `USING SCOPE everything`, lower case.
    pub scope: Option<String>,
    /// WHERE.
    pub condition: Option<Condition>,
    /// GROUP BY.
    pub group_by: Vec<Path>,
    /// ORDER BY.
    pub order_by: Vec<OrderBy>,
    /// LIMIT.
    pub limit: Option<usize>,
    /// OFFSET.
    pub offset: Option<usize>,
}
