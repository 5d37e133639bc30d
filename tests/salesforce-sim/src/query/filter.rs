//! Does a row pass a filter? Two-valued logic, as SOQL has it: a null compares as not equal and as neither
//! less nor greater.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::{Sight, access};
use crate::id::SfId;
use crate::soql::ast::Operator;
use crate::soql::plan::{End, FieldPath, Filter, Wild};
use crate::store::{Handle, Reader};
use crate::value::{Cell, Value, compare_text};

/// Runs the sub-selects in a filter once, before any row is looked at.
pub(super) fn prepare(filter: &Filter, sight: Sight<'_>) -> Filter {
    let all = |filters: &[Filter]| filters.iter().map(|one| prepare(one, sight)).collect();
    match filter {
        Filter::And(filters) => Filter::And(all(filters)),
        Filter::Or(filters) => Filter::Or(all(filters)),
        Filter::Not(inner) => Filter::Not(Box::new(prepare(inner, sight))),
        Filter::InQuery(path, plan, field) => {
            let rows = access::select(plan, sight, None);
            let id = |row: &Handle| match sight.reader.cell(plan.object, *row, *field) {
                Cell::Id(id) => Some(id),
                _ => None,
            };
            Filter::InIds(path.clone(), rows.iter().filter_map(id).collect::<HashSet<SfId>>())
        }
        other => other.clone(),
    }
}

/// The value at the end of a path from a row.
pub(super) fn cell_at<'a>(reader: Reader<'a>, object: usize, handle: Handle, path: &FieldPath) -> Cell<'a> {
    let (mut object, mut handle) = (object, handle);
    for hop in &path.hops {
        match reader.parent(object, handle, *hop) {
            Some((parent, row)) => (object, handle) = (parent, row),
            None => return Cell::Null,
        }
    }
    match &path.end {
        End::Field(field) => reader.cell(object, handle, *field),
        End::Named(name) if name == "Type" => Cell::Text(type_name(reader, object)),
        End::Named(name) => match reader.store.tables[object].schema.named_field(name) {
            Some(field) => reader.cell(object, handle, field),
            None => Cell::Null,
        },
    }
}

/// What `Owner.Type` says of an object: queues are rows of `Group`.
pub(super) fn type_name(reader: Reader<'_>, object: usize) -> &str {
    let name = reader.store.tables[object].schema.name.as_str();
    if name == "Group" { "Queue" } else { name }
}

/// Whether a row passes. The filter must have been through [`prepare`].
pub(super) fn passes(filter: &Filter, reader: Reader<'_>, object: usize, handle: Handle) -> bool {
    let cell = |path: &FieldPath| cell_at(reader, object, handle, path);
    match filter {
        Filter::And(filters) => filters.iter().all(|one| passes(one, reader, object, handle)),
        Filter::Or(filters) => filters.iter().any(|one| passes(one, reader, object, handle)),
        Filter::Not(inner) => !passes(inner, reader, object, handle),
        Filter::Compare(path, operator, value) => compare(cell(path), *operator, value),
        Filter::Range(path, operator, from, to) => in_range(cell(path), *operator, *from, *to),
        Filter::In(path, values) => values.iter().any(|value| equal(cell(path), value)),
        Filter::InIds(path, ids) => matches!(cell(path), Cell::Id(id) if ids.contains(&id)),
        Filter::Like(path, pattern) => matches!(cell(path), Cell::Text(text) if like(text, pattern)),
        Filter::Includes(path, sets) => includes(cell(path), sets),
        Filter::Constant(value) => *value,
        Filter::InQuery(..) => false,
    }
}

fn equal(cell: Cell<'_>, value: &Value) -> bool {
    match value {
        Value::Null => cell.is_null(),
        _ => cell.compare(value.cell()) == Some(Ordering::Equal),
    }
}

fn compare(cell: Cell<'_>, operator: Operator, value: &Value) -> bool {
    let ordering = cell.compare(value.cell());
    match operator {
        Operator::Equal => equal(cell, value),
        Operator::NotEqual => !equal(cell, value),
        Operator::Less => ordering == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => ordering == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn in_range(cell: Cell<'_>, operator: Operator, from: i64, to: i64) -> bool {
    let at = match cell {
        Cell::Instant(at) => at,
        Cell::Date(day) => day * crate::time::DAY_MS,
        _ => return operator == Operator::NotEqual,
    };
    match operator {
        Operator::Equal => from <= at && at < to,
        Operator::NotEqual => !(from <= at && at < to),
        Operator::Less => at < from,
        Operator::LessOrEqual => at < to,
        Operator::Greater => at >= to,
        Operator::GreaterOrEqual => at >= from,
    }
}

fn includes(cell: Cell<'_>, sets: &[Vec<String>]) -> bool {
    let Cell::Text(text) = cell else { return false };
    let has = |wanted: &String| text.split(';').any(|value| compare_text(value, wanted) == Ordering::Equal);
    sets.iter().any(|set| set.iter().all(has))
}

/// Wildcard matching without backtracking further than the last run.
fn like(text: &str, pattern: &[Wild]) -> bool {
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let (mut at, mut piece) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(piece) {
            Some(Wild::Run) => {
                retry = Some((at, piece));
                piece += 1;
                continue;
            }
            Some(Wild::Any) => {}
            Some(Wild::One(character)) if *character == text[at] => {}
            _ => match retry {
                Some((from, run)) => {
                    retry = Some((from + 1, run));
                    (at, piece) = (from + 1, run + 1);
                    continue;
                }
                None => return false,
            },
        }
        at += 1;
        piece += 1;
    }
    pattern[piece..].iter().all(|piece| *piece == Wild::Run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match() {
        let run = [Wild::One('a'), Wild::Run, Wild::One('c')];
        assert!(like("abbc", &run) && like("AC", &run) && like("accc", &run));
        assert!(!like("acb", &run));
        assert!(like("ab", &[Wild::Any, Wild::One('b')]) && !like("b", &[Wild::Any, Wild::One('b')]));
        assert!(like("", &[Wild::Run]) && !like("", &[Wild::Any]));
    }
}
