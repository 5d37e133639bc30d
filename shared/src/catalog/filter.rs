//! Which records of an object are kept: a condition over the record's own fields, as a closed tree. All pure.
//!
//! History is asked for under it; what changes is asked for without it and judged here, so that a record that leaves the
//! filter leaves a stub and is not kept as it was for ever. Here is the judge ([`keep`]); the query may only bring more.
//!
//! - here: the tree and its words, as people write it
//! - [`check`]: whether it can be asked of an object, by its describe
//! - [`keep`]: the tree with typed values, and whether it holds of a record

pub mod check;
pub mod keep;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Groups within groups.
const MOST_DEPTH: usize = 4;
/// Tests of one filter.
const MOST_TESTS: usize = 20;
/// Values of one list.
const MOST_VALUES: usize = 200;
/// All of it as JSON: a query stands in a URL, beside the fields.
const MOST_BYTES: usize = 3_000;
/// Characters of one value: the longest text that Salesforce compares.
const MOST_CHARS: usize = 255;

/// The tests, as people write them.
const TESTS: &str = "is, in, not_in, below, at_least or is_null";

/// A filter: `{"all": [{"field": "Type", "in": ["Problem", "Question"]}, {"not": {"field": "Origin", "is": "Web"}}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Filter {
    root: Node,
}

/// A group or a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Each of them holds.
    All(Vec<Node>),
    /// One of them holds.
    Any(Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// A test of one field.
    Leaf(Leaf),
}

/// A test of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The field's API name.
    pub field: String,
    /// What is asked of it.
    pub test: Test,
}

/// What is asked of a field. A field without a value is in no list, below nothing and at least nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It has this value.
    Is(Value),
    /// It has one of these.
    In(Vec<Value>),
    /// It has none of these, or no value at all.
    NotIn(Vec<Value>),
    /// It is less, or earlier.
    Below(Value),
    /// It is as much or more, or not earlier.
    AtLeast(Value),
    /// It has no value, or has one.
    IsNull(bool),
}

/// Why something is no filter, and where: `filter.all[1]: …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct NoFilter {
    at: String,
    what: String,
}

impl Filter {
    /// The tree.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The tests, in their order.
    #[must_use]
    pub fn tests(&self) -> Vec<&Leaf> {
        let mut tests = Vec::new();
        collect(&self.root, &mut tests);
        tests
    }
}

/// Whether everything that passes `new` certainly passed `old`. What is not seen to be so is no harm: it is read once more.
/// `None` is no filter at all.
#[must_use]
pub fn is_narrower(old: Option<&Filter>, new: Option<&Filter>) -> bool {
    let Some(old) = old else { return true };
    new.is_some_and(|new| implies(&new.root, &old.root))
}

/// What passes both; `None` is no filter at all. Of so many that nobody could read it, what passes nothing.
#[must_use]
pub fn both(one: Option<&Filter>, other: Option<&Filter>) -> Option<Filter> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other).cloned() };
    let mut parts = Vec::new();
    for part in [&one.root, &other.root].into_iter().flat_map(flat) {
        if !parts.contains(part) {
            parts.push(part.clone());
        }
    }
    let nothing = || {
        let test = Test::IsNull(true);
        Filter { root: Node::Leaf(Leaf { field: "Id".to_owned(), test }) }
    };
    let both = if let [part] = &parts[..] { part.clone() } else { Node::All(parts) };
    Some(Filter::try_from(written(both)).unwrap_or_else(|_| nothing()))
}

/// What all has to hold.
fn flat(node: &Node) -> Vec<&Node> {
    match node {
        Node::All(nodes) => nodes.iter().flat_map(flat).collect(),
        Node::Any(_) | Node::Not(_) | Node::Leaf(_) => vec![node],
    }
}

fn implies(new: &Node, old: &Node) -> bool {
    if new == old {
        return true;
    }
    match (new, old) {
        (_, Node::All(olds)) => olds.iter().all(|old| implies(new, old)),
        (Node::Any(news), _) => news.iter().all(|new| implies(new, old)),
        (Node::All(news), Node::Any(olds)) => {
            news.iter().any(|new| implies(new, old)) || olds.iter().any(|old| implies(new, old))
        }
        (Node::All(news), _) => news.iter().any(|new| implies(new, old)),
        (_, Node::Any(olds)) => olds.iter().any(|old| implies(new, old)),
        (Node::Leaf(new), Node::Leaf(old)) if new.field == old.field => match (&new.test, &old.test) {
            (Test::NotIn(new), Test::NotIn(old)) => old.iter().all(|value| new.contains(value)),
            (Test::Is(_) | Test::In(_), Test::Is(_) | Test::In(_)) => {
                new.test.values().iter().all(|value| old.test.values().contains(value))
            }
            _ => false,
        },
        (Node::Leaf(_) | Node::Not(_), _) => false,
    }
}

impl Test {
    /// The values that it names.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        match self {
            Self::Is(value) | Self::Below(value) | Self::AtLeast(value) => std::slice::from_ref(value),
            Self::In(values) | Self::NotIn(values) => values,
            Self::IsNull(_) => &[],
        }
    }
}

fn collect<'a>(node: &'a Node, tests: &mut Vec<&'a Leaf>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| collect(node, tests)),
        Node::Not(node) => collect(node, tests),
        Node::Leaf(leaf) => tests.push(leaf),
    }
}

impl TryFrom<Value> for Filter {
    type Error = NoFilter;

    fn try_from(value: Value) -> Result<Self, NoFilter> {
        let at = "filter";
        if value.to_string().len() > MOST_BYTES {
            return Err(no(at, format!("it is longer than {MOST_BYTES} bytes; name fewer values")));
        }
        let filter = Self { root: node(&value, at, MOST_DEPTH)? };
        let count = filter.tests().len();
        if count > MOST_TESTS {
            return Err(no(at, format!("it has {count} tests; {MOST_TESTS} are the most")));
        }
        Ok(filter)
    }
}

fn no(at: &str, what: impl Into<String>) -> NoFilter {
    NoFilter { at: at.to_owned(), what: what.into() }
}

fn node(value: &Value, at: &str, depth: usize) -> Result<Node, NoFilter> {
    let shape = || format!("it is neither a group (all, any or not) nor a test: a field with {TESTS}");
    let map = value.as_object().ok_or_else(|| no(at, shape()))?;
    if map.contains_key("field") {
        return leaf(map, at).map(Node::Leaf);
    }
    let mut entries = map.iter();
    let (Some((word, inner)), None) = (entries.next(), entries.next()) else { return Err(no(at, shape())) };
    if depth == 0 {
        return Err(no(at, format!("groups are more than {MOST_DEPTH} deep")));
    }
    let at = format!("{at}.{word}");
    match word.as_str() {
        "all" => nodes(inner, &at, depth).map(Node::All),
        "any" => nodes(inner, &at, depth).map(Node::Any),
        "not" => node(inner, &at, depth - 1).map(|node| Node::Not(Box::new(node))),
        _ => Err(no(&at, "no such group: use all, any or not")),
    }
}

fn nodes(value: &Value, at: &str, depth: usize) -> Result<Vec<Node>, NoFilter> {
    let list = value.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| no(at, "give a list of at least one group or test"))?;
    list.iter().enumerate().map(|(place, value)| node(value, &format!("{at}[{place}]"), depth - 1)).collect()
}

fn leaf(map: &Map<String, Value>, at: &str) -> Result<Leaf, NoFilter> {
    let field = map["field"].as_str().filter(|name| is_field(name)).ok_or_else(|| {
        no(
            at,
            "field is not the API name of one of the object's own fields; a parent's fields are not its own",
        )
    })?;
    let mut tests = map.iter().filter(|(word, _)| *word != "field");
    let (Some((word, value)), None) = (tests.next(), tests.next()) else {
        return Err(no(at, format!("{field} needs exactly one of {TESTS}")));
    };
    let at = format!("{at}.{word}");
    let test = match word.as_str() {
        "is" => Test::Is(scalar(value, &at)?),
        "in" => Test::In(scalars(value, &at)?),
        "not_in" => Test::NotIn(scalars(value, &at)?),
        "below" => Test::Below(ordered(value, &at)?),
        "at_least" => Test::AtLeast(ordered(value, &at)?),
        "is_null" => Test::IsNull(value.as_bool().ok_or_else(|| no(&at, "give true or false"))?),
        _ => return Err(no(&at, format!("no such test of {field}: use {TESTS}"))),
    };
    Ok(Leaf { field: field.to_owned(), test })
}

/// Salesforce's own rule for names, so that nothing else ever reaches a query.
fn is_field(name: &str) -> bool {
    name.len() <= 80
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn scalars(value: &Value, at: &str) -> Result<Vec<Value>, NoFilter> {
    let list = value.as_array().filter(|list| (1..=MOST_VALUES).contains(&list.len()));
    let list = list.ok_or_else(|| no(at, format!("give a list of 1 to {MOST_VALUES} values")))?;
    list.iter().map(|value| scalar(value, at)).collect()
}

fn ordered(value: &Value, at: &str) -> Result<Value, NoFilter> {
    match scalar(value, at)? {
        Value::Bool(_) => Err(no(at, "give a number, a date or a moment")),
        value => Ok(value),
    }
}

fn scalar(value: &Value, at: &str) -> Result<Value, NoFilter> {
    match value {
        Value::String(text) if text.is_empty() => {
            Err(no(at, "Salesforce keeps no empty text; ask for is_null instead"))
        }
        // Salesforce stores no blanks at either end, and a query can hold no control characters as they are.
        Value::String(text) if text.trim() != text || text.chars().any(char::is_control) => {
            Err(no(at, "a text begins or ends with a blank, or holds a control character"))
        }
        Value::String(text) if text.chars().count() > MOST_CHARS => {
            Err(no(at, format!("a text is longer than {MOST_CHARS} characters")))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        Value::Null => Err(no(at, "a value is null; ask for is_null instead")),
        Value::Array(_) | Value::Object(_) => Err(no(at, "a value is no text, number, true or false")),
    }
}

impl From<Filter> for Value {
    fn from(filter: Filter) -> Self {
        written(filter.root)
    }
}

fn written(node: Node) -> Value {
    let of = |word: &str, value: Value| Value::Object(Map::from_iter([(word.to_owned(), value)]));
    let list = |nodes: Vec<Node>| Value::Array(nodes.into_iter().map(written).collect());
    match node {
        Node::All(nodes) => of("all", list(nodes)),
        Node::Any(nodes) => of("any", list(nodes)),
        Node::Not(node) => of("not", written(*node)),
        Node::Leaf(Leaf { field, test }) => {
            let (word, value) = match test {
                Test::Is(value) => ("is", value),
                Test::In(values) => ("in", Value::Array(values)),
                Test::NotIn(values) => ("not_in", Value::Array(values)),
                Test::Below(value) => ("below", value),
                Test::AtLeast(value) => ("at_least", value),
                Test::IsNull(is_null) => ("is_null", Value::Bool(is_null)),
            };
            let field = ("field".to_owned(), Value::String(field));
            Value::Object(Map::from_iter([field, (word.to_owned(), value)]))
        }
    }
}

#[cfg(test)]
#[path = "filter_test.rs"]
mod tests;
