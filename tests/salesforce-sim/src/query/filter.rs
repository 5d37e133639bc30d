//! Does a row pass a filter? Two-valued logic, as SOQL has it: a null compares as not equal and as neither
//! less nor greater.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::term::with_term;
use super::{Sight, access};
use crate::id::SfId;
use crate::soql::ast::Operator;
use crate::soql::plan::{Filter, Wild};
use crate::store::{Reader, Record};
use crate::value::{Cell, Value, compare_text};

/// Runs the sub-selects in a filter once, before any row is looked at.
pub(super) fn prepare(filter: &Filter, sight: Sight<'_>) -> Filter {
    let all = |filters: &[Filter]| filters.iter().map(|one| prepare(one, sight)).collect();
    match filter {
        Filter::And(filters) => Filter::And(all(filters)),
        Filter::Or(filters) => Filter::Or(all(filters)),
        Filter::Not(inner) => Filter::Not(Box::new(prepare(inner, sight))),
        Filter::InQuery(term, plan, field) => {
            let rows = access::select(plan, sight, None);
            let id = |row| sight.reader.value(plan.object, row, *field).as_id();
            Filter::InIds(term.clone(), rows.iter().filter_map(id).collect::<HashSet<SfId>>())
        }
        other => other.clone(),
    }
}

/// Whether a row passes. The filter must have been through [`prepare`].
pub(super) fn passes(filter: &Filter, reader: Reader<'_>, object: usize, record: &Record<'_>) -> bool {
    let all = |filters: &[Filter], wanted: bool| {
        filters.iter().any(|one| passes(one, reader, object, record) == wanted)
    };
    match filter {
        Filter::And(filters) => !all(filters, false),
        Filter::Or(filters) => all(filters, true),
        Filter::Not(inner) => !passes(inner, reader, object, record),
        Filter::Constant(value) => *value,
        Filter::InQuery(..) => false,
        Filter::Compare(term, ..)
        | Filter::Range(term, ..)
        | Filter::In(term, _)
        | Filter::InIds(term, _)
        | Filter::Like(term, _)
        | Filter::Includes(term, _) => {
            with_term(reader, object, record, term, |cell| cell_passes(filter, cell))
        }
    }
}

/// Whether a value passes a filter about one value.
pub(super) fn cell_passes(filter: &Filter, cell: Cell<'_>) -> bool {
    match filter {
        Filter::Compare(_, operator, value) => compare(cell, *operator, value),
        Filter::Range(_, operator, from, to) => in_range(cell, *operator, *from, *to),
        Filter::In(_, values) => values.iter().any(|value| equal(cell, value)),
        Filter::InIds(_, ids) => matches!(cell, Cell::Id(id) if ids.contains(&id)),
        Filter::Like(_, pattern) => matches!(cell, Cell::Text(text) if like(text, pattern)),
        Filter::Includes(_, sets) => includes(cell, sets),
        Filter::Constant(value) => *value,
        Filter::Or(filters) => filters.iter().any(|one| cell_passes(one, cell)),
        _ => false,
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
