//! GROUP BY and aggregate functions. Results are at most one page: there is no cursor over them.

use std::cmp::Ordering;

use super::filter::with_cell;
use super::{Sight, access};
use crate::soql::plan::{Aggregate, Column, FieldPath, Plan};
use crate::store::Handle;
use crate::value::{Value, owned, write_text};

/// The JSON objects of a grouped plan, in order of the keys.
pub(super) fn rows(
    plan: &Plan,
    keys: &[FieldPath],
    columns: &[(String, Column)],
    sight: Sight<'_>,
) -> Vec<Vec<u8>> {
    let ungrouped = Plan { order: Vec::new(), limit: None, offset: 0, ..plan.clone() };
    let read = |handle: Handle, path: &FieldPath| {
        let record = sight.reader.record(plan.object, handle);
        record.map_or(Value::Null, |record| with_cell(sight.reader, plan.object, &record, path, owned))
    };
    let mut groups: Vec<(Vec<Value>, Vec<Handle>)> = Vec::new();
    if keys.is_empty() {
        groups.push((Vec::new(), access::select(&ungrouped, sight, None).to_vec()));
    } else {
        let mut keyed: Vec<(Vec<Value>, Handle)> = access::select(&ungrouped, sight, None)
            .iter()
            .map(|handle| (keys.iter().map(|key| read(handle, key)).collect(), handle))
            .collect();
        keyed.sort_by(|(a, _), (b, _)| compare_all(a, b));
        for (key, handle) in keyed {
            match groups.last_mut() {
                Some((last, members)) if compare_all(last, &key) == Ordering::Equal => members.push(handle),
                _ => groups.push((key, vec![handle])),
            }
        }
    }
    let value = |column: &Column, key: &[Value], members: &[Handle]| match column {
        Column::Key(place) => key[*place].clone(),
        Column::Aggregate(function, path) => {
            let values = members.iter().filter_map(|handle| path.as_ref().map(|path| read(*handle, path)));
            aggregate(*function, values.filter(|value| *value != Value::Null).collect())
        }
    };
    let limit = plan.limit.unwrap_or(usize::MAX);
    let answered = groups.iter().skip(plan.offset).take(limit);
    answered.map(|(key, members)| write(columns, |column| value(column, key, members))).collect()
}

fn write(columns: &[(String, Column)], value: impl Fn(&Column) -> Value) -> Vec<u8> {
    let mut out = br#"{"attributes":{"type":"AggregateResult"}"#.to_vec();
    for (name, column) in columns {
        out.push(b',');
        write_text(&mut out, name);
        out.push(b':');
        value(column).cell().write_json(&mut out);
    }
    out.push(b'}');
    out
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a == &Value::Null, b == &Value::Null) {
        (false, false) => a.cell().compare(b.cell()).unwrap_or(Ordering::Equal),
        (a_null, b_null) => b_null.cmp(&a_null),
    }
}

fn compare_all(a: &[Value], b: &[Value]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| compare(a, b)).fold(Ordering::Equal, Ordering::then)
}

#[expect(clippy::cast_precision_loss, reason = "sums are doubles on the platform too")]
fn aggregate(function: Aggregate, mut values: Vec<Value>) -> Value {
    let number = |value: &Value| match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        _ => 0.0,
    };
    let count = |length: usize| Value::Int(i64::try_from(length).unwrap_or(i64::MAX));
    match function {
        Aggregate::Count => count(values.len()),
        Aggregate::CountDistinct => {
            values.sort_by(compare);
            values.dedup_by(|a, b| compare(a, b) == Ordering::Equal);
            count(values.len())
        }
        Aggregate::Min => values.into_iter().min_by(compare).unwrap_or(Value::Null),
        Aggregate::Max => values.into_iter().max_by(compare).unwrap_or(Value::Null),
        Aggregate::Sum | Aggregate::Avg if values.is_empty() => Value::Null,
        Aggregate::Sum => Value::Double(values.iter().map(number).sum()),
        Aggregate::Avg => Value::Double(values.iter().map(number).sum::<f64>() / values.len() as f64),
    }
}
