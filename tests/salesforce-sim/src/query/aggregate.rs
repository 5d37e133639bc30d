//! GROUP BY, HAVING and aggregate functions. Results are at most one page: there is no cursor over them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::filter::cell_passes;
use super::formatted::formatted;
use super::term::with_term;
use super::{Sight, access};
use crate::soql::plan::{Aggregate, Column, Grouping, Having, Plan, Term};
use crate::value::{Cell, Value, owned, write_text};

/// One group: its keys (none for those a subtotal leaves out) and what is gathered of its rows.
struct Group {
    keys: Vec<Option<Value>>,
    gathered: Vec<Gathered>,
}

/// What an aggregate needs to know of the rows so far.
#[derive(Clone, Default)]
struct Gathered {
    rows: usize,
    present: usize,
    sum: f64,
    least: Option<Value>,
    greatest: Option<Value>,
    distinct: HashSet<String>,
}

/// The JSON objects of a grouped plan.
pub(super) fn rows(plan: &Plan, grouping: &Grouping, sight: Sight<'_>) -> Vec<Vec<u8>> {
    let ungrouped = Plan { order: Vec::new(), limit: None, offset: 0, ..plan.clone() };
    let found = access::select(&ungrouped, sight, None);
    let terms = terms(grouping);
    let mut groups: HashMap<String, Group> = HashMap::new();
    if grouping.keys.is_empty() {
        groups.insert(
            String::new(),
            Group { keys: Vec::new(), gathered: vec![Gathered::default(); terms.len()] },
        );
    }
    for handle in found.iter() {
        let Some(record) = sight.reader.record(plan.object, handle) else { continue };
        let read = |term: &Term| with_term(sight.reader, plan.object, &record, term, owned);
        let keys: Vec<Value> = grouping.keys.iter().map(read).collect();
        let values: Vec<Value> = terms.iter().map(|(_, term)| term.map_or(Value::Bool(true), read)).collect();
        for set in &grouping.sets {
            let own: Vec<Option<Value>> =
                keys.iter().zip(set).map(|(key, kept)| kept.then(|| key.clone())).collect();
            let group = groups
                .entry(identity(&own))
                .or_insert_with(|| Group { keys: own, gathered: vec![Gathered::default(); terms.len()] });
            for ((gathered, value), (function, _)) in group.gathered.iter_mut().zip(&values).zip(&terms) {
                gathered.add(value, *function);
            }
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    let value = |group: &Group, column: &Column| value(group, column, &terms);
    groups.retain(|group| grouping.having.as_ref().is_none_or(|having| holds(having, group, &value)));
    groups.sort_by(|a, b| order(grouping, a, b, &value));
    let answered = groups.iter().skip(plan.offset).take(plan.limit.unwrap_or(usize::MAX));
    answered.map(|group| write(grouping, |column| value(group, column))).collect()
}

/// Every aggregate of a statement, each once.
fn terms(grouping: &Grouping) -> Vec<(Aggregate, Option<&Term>)> {
    let mut all = Vec::new();
    let columns = grouping.columns.iter().map(|(_, column)| column);
    let ordered = grouping.order.iter().map(|(column, ..)| column);
    columns.chain(ordered).for_each(|column| gather_column(column, &mut all));
    grouping.having.iter().for_each(|having| gather_having(having, &mut all));
    all
}

fn gather_column<'a>(column: &'a Column, all: &mut Vec<(Aggregate, Option<&'a Term>)>) {
    match column {
        Column::Aggregate(function, term) => {
            let one = (*function, term.as_ref());
            if !all.contains(&one) {
                all.push(one);
            }
        }
        Column::Formatted(inner) => gather_column(inner, all),
        Column::Key(_) | Column::Grouping(_) => {}
    }
}

fn gather_having<'a>(having: &'a Having, all: &mut Vec<(Aggregate, Option<&'a Term>)>) {
    match having {
        Having::And(inner) | Having::Or(inner) => inner.iter().for_each(|one| gather_having(one, all)),
        Having::Not(inner) => gather_having(inner, all),
        Having::Test(column, _) => gather_column(column, all),
    }
}

/// A text that equal keys share: text without regard to case, as everywhere.
fn identity(keys: &[Option<Value>]) -> String {
    let one = |key: &Option<Value>| match key {
        None => "-".to_owned(),
        Some(value) => same_text(value),
    };
    keys.iter().map(one).collect::<Vec<_>>().join("\u{1f}")
}

fn same_text(value: &Value) -> String {
    match value.cell() {
        Cell::Text(text) => format!("t{}", text.to_lowercase()),
        other => {
            let mut out = Vec::new();
            other.write_json(&mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

impl Gathered {
    fn add(&mut self, value: &Value, function: Aggregate) {
        self.rows += 1;
        if *value == Value::Null {
            return;
        }
        self.present += 1;
        match function {
            Aggregate::Sum | Aggregate::Avg => self.sum += number(value),
            Aggregate::Min => keep(&mut self.least, value, Ordering::Less),
            Aggregate::Max => keep(&mut self.greatest, value, Ordering::Greater),
            Aggregate::CountDistinct => _ = self.distinct.insert(same_text(value)),
            Aggregate::Count => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "averages are doubles on the platform too")]
    fn answer(&self, function: Aggregate) -> Value {
        let count = |length: usize| Value::Int(i64::try_from(length).unwrap_or(i64::MAX));
        match function {
            Aggregate::Count => count(self.present),
            Aggregate::CountDistinct => count(self.distinct.len()),
            Aggregate::Min => self.least.clone().unwrap_or(Value::Null),
            Aggregate::Max => self.greatest.clone().unwrap_or(Value::Null),
            Aggregate::Sum | Aggregate::Avg if self.present == 0 => Value::Null,
            Aggregate::Sum => Value::Double(self.sum),
            Aggregate::Avg => Value::Double(self.sum / self.present as f64),
        }
    }
}

fn keep(best: &mut Option<Value>, value: &Value, wanted: Ordering) {
    let better = best.as_ref().is_none_or(|best| value.cell().compare(best.cell()) == Some(wanted));
    if better {
        *best = Some(value.clone());
    }
}

#[expect(clippy::cast_precision_loss, reason = "sums are doubles on the platform too")]
fn number(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        _ => 0.0,
    }
}

/// The value of a column of a group.
fn value(group: &Group, column: &Column, terms: &[(Aggregate, Option<&Term>)]) -> Value {
    match column {
        Column::Key(place) => group.keys[*place].clone().unwrap_or(Value::Null),
        Column::Grouping(place) => Value::Int(i64::from(group.keys[*place].is_none())),
        Column::Formatted(inner) => {
            let plain = value(group, inner, terms);
            formatted(plain.cell()).map_or(Value::Null, Value::from)
        }
        Column::Aggregate(function, term) => {
            let wanted = (*function, term.as_ref());
            let place = terms.iter().position(|one| *one == wanted);
            place.map_or(Value::Null, |place| group.gathered[place].answer(*function))
        }
    }
}

fn holds(having: &Having, group: &Group, value: &impl Fn(&Group, &Column) -> Value) -> bool {
    match having {
        Having::And(all) => all.iter().all(|one| holds(one, group, value)),
        Having::Or(all) => all.iter().any(|one| holds(one, group, value)),
        Having::Not(inner) => !holds(inner, group, value),
        Having::Test(column, filter) => cell_passes(filter, value(group, column).cell()),
    }
}

/// The order asked for, and where that leaves ties the order of the keys.
fn order(grouping: &Grouping, a: &Group, b: &Group, value: &impl Fn(&Group, &Column) -> Value) -> Ordering {
    let asked = grouping.order.iter().map(|(column, descending, nulls_last)| {
        super::access::compare_values(&value(a, column), &value(b, column), *descending, *nulls_last)
    });
    let by_keys = a.keys.iter().zip(&b.keys).map(|(a, b)| match (a, b) {
        (Some(a), Some(b)) => super::access::compare_values(a, b, false, false),
        // Subtotals come after what they sum up.
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    asked.chain(by_keys).fold(Ordering::Equal, Ordering::then)
}

fn write(grouping: &Grouping, value: impl Fn(&Column) -> Value) -> Vec<u8> {
    let mut out = br#"{"attributes":{"type":"AggregateResult"}"#.to_vec();
    for (name, column) in &grouping.columns {
        out.push(b',');
        write_text(&mut out, name);
        out.push(b':');
        value(column).cell().write_json(&mut out);
    }
    out.push(b'}');
    out
}
