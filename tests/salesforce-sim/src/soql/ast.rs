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

/// A call of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Lower-case name.
    pub name: String,
    /// As written.
    pub written: String,
    /// What stands between the parentheses.
    pub arguments: Vec<Argument>,
    /// Where it starts.
    pub at: Place,
}

/// What a function is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A field or another call.
    Expr(Expr),
    /// `'mi'`
    Text(String),
    /// `37.775`
    Number(f64),
}

/// Something that has a value for a row or a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A field.
    Path(Path),
    /// `COUNT(Id)`, `CALENDAR_YEAR(CreatedDate)`.
    Call(Call),
}

impl Expr {
    /// Where it starts.
    pub fn at(&self) -> Place {
        match self {
            Self::Path(path) => path.at,
            Self::Call(call) => call.at,
        }
    }

    /// The field itself, or the one that a call is about.
    pub fn first_path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Call(call) => call.arguments.iter().find_map(|argument| match argument {
                Argument::Expr(inner) => inner.first_path(),
                Argument::Text(_) | Argument::Number(_) => None,
            }),
        }
    }

    /// As an error message shows it.
    pub fn shown(&self) -> String {
        match self {
            Self::Path(path) => path.steps.join("."),
            Self::Call(call) => {
                let argument = |argument: &Argument| match argument {
                    Argument::Expr(expr) => expr.shown(),
                    Argument::Text(text) => format!("'{text}'"),
                    Argument::Number(number) => number.to_string(),
                };
                let arguments: Vec<String> = call.arguments.iter().map(argument).collect();
                format!("{}({})", call.written, arguments.join(", "))
            }
        }
    }
}

/// One entry of a SELECT list.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A field or a call.
    Value {
        /// Which one.
        expr: Expr,
        /// Name in the answer.
        alias: Option<String>,
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
    /// `value op literal`
    Compare(Expr, Operator, Literal),
    /// `value [NOT] IN (…)`
    In(Expr, Vec<Literal>, bool),
    /// `path [NOT] IN (SELECT …)`
    InQuery(Path, Box<Query>, bool),
    /// `value LIKE 'a%'`
    Like(Expr, String),
    /// `path INCLUDES (…)` (true) or `EXCLUDES` (false)
    Includes(Path, Vec<String>, bool),
}

/// One key of ORDER BY.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// By what.
    pub expr: Expr,
    /// `DESC`
    pub descending: bool,
    /// `NULLS LAST`
    pub nulls_last: bool,
}

/// GROUP BY.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupBy {
    /// With which subtotals.
    pub totals: Totals,
    /// By what.
    pub keys: Vec<Expr>,
    /// HAVING.
    pub having: Option<Condition>,
}

/// Subtotals of a grouped answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Totals {
    /// None.
    Plain,
    /// `ROLLUP(a, b)`: also by a, and over all.
    Rollup,
    /// `CUBE(a, b)`: by every choice of keys.
    Cube,
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
    /// `FROM Contact c, c.Account a`: the path of each further alias, without the first one.
    pub aliases: Vec<(Vec<String>, String)>,
    /// `USING SCOPE everything`, lower case.
    pub scope: Option<String>,
    /// WHERE.
    pub condition: Option<Condition>,
    /// WITH DATA CATEGORY: where it stands.
    pub data_category: Option<Place>,
    /// GROUP BY.
    pub group_by: Option<GroupBy>,
    /// ORDER BY.
    pub order_by: Vec<OrderBy>,
    /// LIMIT.
    pub limit: Option<usize>,
    /// OFFSET.
    pub offset: Option<usize>,
}
