//! Finding the rows of a plan without looking at every one.
//!
//! Sync clients page by `stamp >= t AND (stamp > t OR Id > x) AND stamp < hi ORDER BY stamp, Id`. That is one
//! contiguous range of the time index, and is answered as such: no row is sorted, and none outside the range
//! is touched. Whatever a range does not say exactly stays behind as a filter, so a missed pattern costs time,
//! never truth.

use std::cmp::Ordering;

use super::Sight;
use super::filter::{cell_at, passes, prepare};
use crate::id::SfId;
use crate::soql::ast::Operator;
use crate::soql::plan::{End, FieldPath, Filter, Plan, SortKey};
use crate::store::{Handle, Reader, Table};
use crate::value::Value;

/// Handles of the rows that a plan answers. `candidates`, when given, are the only rows considered.
pub(super) fn select(plan: &Plan, sight: Sight<'_>, candidates: Option<Vec<Handle>>) -> Vec<Handle> {
    let table = &sight.reader.store.tables[plan.object];
    let mut terms =
        plan.filter.iter().map(|filter| prepare(filter, sight)).flat_map(conjuncts).collect::<Vec<_>>();
    let route = match candidates.or_else(|| by_ids(table, &terms)) {
        Some(handles) => Route { handles: Box::new(handles.into_iter()), order: Served::Nothing },
        None => by_time(plan, table, &mut terms).unwrap_or_else(|| scan(plan, table)),
    };
    let passing = route.handles.filter(|handle| {
        sight.sees(plan.object, *handle)
            && terms.iter().all(|term| passes(term, sight.reader, plan.object, *handle))
    });
    let limit = plan.limit.unwrap_or(usize::MAX);
    let served = match route.order {
        Served::Everything => true,
        Served::Nothing => plan.order.is_empty(),
    };
    if served {
        return passing.skip(plan.offset).take(limit).collect();
    }
    let mut rows: Vec<Handle> = passing.collect();
    sort(&mut rows, &plan.order, sight.reader, plan.object);
    rows.into_iter().skip(plan.offset).take(limit).collect()
}

struct Route<'a> {
    handles: Box<dyn Iterator<Item = Handle> + 'a>,
    order: Served,
}

/// How much of ORDER BY the route delivers by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Served {
    Everything,
    Nothing,
}

fn conjuncts(filter: Filter) -> Vec<Filter> {
    match filter {
        Filter::And(filters) => filters.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

/// The field of the row itself that a path names.
fn own_field(path: &FieldPath) -> Option<usize> {
    match path.end {
        End::Field(field) if path.hops.is_empty() => Some(field),
        _ => None,
    }
}

/// Rows named by id, or by the id of a parent.
fn by_ids(table: &Table, terms: &[Filter]) -> Option<Vec<Handle>> {
    let id_field = table.schema.field_index("Id");
    terms.iter().find_map(|term| {
        let (path, ids) = match term {
            Filter::Compare(path, Operator::Equal, Value::Id(id)) => (path, vec![*id]),
            Filter::InIds(path, ids) => (path, ids.iter().copied().collect()),
            _ => return None,
        };
        let field = own_field(path)?;
        let mut handles: Vec<Handle> = if Some(field) == id_field {
            ids.into_iter().filter_map(|id| table.find(id)).collect()
        } else {
            let index = table.reference_index(field)?;
            ids.into_iter().flat_map(|id| index.of_parent(id)).collect()
        };
        handles.sort_unstable();
        Some(handles)
    })
}

/// A range of a time index, when the order or a bound names one. Absorbed terms are removed.
fn by_time<'a>(plan: &Plan, table: &'a Table, terms: &mut Vec<Filter>) -> Option<Route<'a>> {
    let ordered_by =
        plan.order.first().and_then(|key| own_field(&key.path)).filter(|at| table.time_index(*at).is_some());
    let bounded_by =
        || terms.iter().find_map(|term| bound_field(term).filter(|at| table.time_index(*at).is_some()));
    let field = ordered_by.or_else(bounded_by)?;
    let id_order = plan.order.first().and_then(|key| own_field(&key.path)) == table.schema.field_index("Id");
    let index = table.time_index(field)?;
    let range = Range::absorb(table, field, terms);
    if ordered_by.is_none() && id_order && plan.limit.is_some() && range.is_everything() {
        return None;
    }
    let handles = index.between(range.low, range.high);
    let (descending, served) = serves(&plan.order, field, table);
    let order = if served { Served::Everything } else { Served::Nothing };
    let handles: Box<dyn Iterator<Item = Handle> + 'a> =
        if descending { Box::new(handles.rev()) } else { Box::new(handles) };
    Some(Route { handles, order })
}

/// Whether (time, id) in one direction satisfies the order.
fn serves(order: &[SortKey], field: usize, table: &Table) -> (bool, bool) {
    let Some((first, rest)) = order.split_first() else {
        return (false, true);
    };
    let id_field = table.schema.field_index("Id");
    let by_time = own_field(&first.path) == Some(field);
    let then_id = match rest {
        [] => true,
        [second] => own_field(&second.path) == id_field && second.descending == first.descending,
        _ => false,
    };
    (first.descending, by_time && then_id)
}

fn scan<'a>(plan: &Plan, table: &'a Table) -> Route<'a> {
    let by_id = |key: &SortKey| own_field(&key.path) == table.schema.field_index("Id");
    match plan.order.first() {
        None => Route { handles: Box::new(table.handles()), order: Served::Everything },
        Some(key) if by_id(key) && key.descending => {
            Route { handles: Box::new(table.handles().rev()), order: Served::Everything }
        }
        Some(key) if by_id(key) => Route { handles: Box::new(table.handles()), order: Served::Everything },
        Some(_) => Route { handles: Box::new(table.handles()), order: Served::Nothing },
    }
}

fn bound_field(term: &Filter) -> Option<usize> {
    match term {
        Filter::Compare(path, operator, Value::Instant(_)) if *operator != Operator::NotEqual => {
            own_field(path)
        }
        _ => None,
    }
}

/// Rows from `low` (inclusive) to `high` (exclusive) in (time, row) order.
#[derive(Clone, Copy)]
struct Range {
    low: (i64, Handle),
    high: (i64, Handle),
}

impl Range {
    const ALL: Self = Self { low: (i64::MIN, 0), high: (i64::MAX, Handle::MAX) };

    fn is_everything(&self) -> bool {
        self.low == Self::ALL.low && self.high == Self::ALL.high
    }

    fn absorb(table: &Table, field: usize, terms: &mut Vec<Filter>) -> Self {
        let mut range = Self::ALL;
        terms.retain(|term| !range.take_bound(field, term));
        terms.retain(|term| !range.take_keyset(table, field, term));
        range
    }

    /// `stamp >= t` and its like.
    fn take_bound(&mut self, field: usize, term: &Filter) -> bool {
        let Filter::Compare(path, operator, Value::Instant(at)) = term else {
            return false;
        };
        if own_field(path) != Some(field) {
            return false;
        }
        let (here, after) = ((*at, 0), (at.saturating_add(1), 0));
        match operator {
            Operator::Equal => (self.low, self.high) = (self.low.max(here), self.high.min(after)),
            Operator::Greater => self.low = self.low.max(after),
            Operator::GreaterOrEqual => self.low = self.low.max(here),
            Operator::Less => self.high = self.high.min(here),
            Operator::LessOrEqual => self.high = self.high.min(after),
            Operator::NotEqual => return false,
        }
        true
    }

    /// `(stamp > t OR Id > x)` beside `stamp >= t`, or `(stamp > t OR (stamp = t AND Id > x))`, and both
    /// turned downwards.
    fn take_keyset(&mut self, table: &Table, field: usize, term: &Filter) -> bool {
        let Some(keyset) = Keyset::read(term, field, table.schema.field_index("Id")) else {
            return false;
        };
        let Keyset { at, id, upwards, with_equality } = keyset;
        if upwards {
            if !with_equality && self.low < (at, 0) {
                return false;
            }
            self.low = self.low.max((at, table.first_after(id)));
        } else {
            if !with_equality && self.high > (at.saturating_add(1), 0) {
                return false;
            }
            let first_not_below = table.find(id).unwrap_or_else(|| table.first_after(id));
            self.high = self.high.min((at, first_not_below));
        }
        true
    }
}

struct Keyset {
    at: i64,
    id: SfId,
    upwards: bool,
    with_equality: bool,
}

impl Keyset {
    fn read(term: &Filter, field: usize, id_field: Option<usize>) -> Option<Self> {
        let Filter::Or(sides) = term else { return None };
        let [Filter::Compare(stamp, operator, Value::Instant(at)), other] = &sides[..] else {
            return None;
        };
        if own_field(stamp) != Some(field) {
            return None;
        }
        let upwards = match operator {
            Operator::Greater => true,
            Operator::Less => false,
            _ => return None,
        };
        let id_of = |filter: &Filter| match filter {
            Filter::Compare(path, found, Value::Id(id))
                if own_field(path) == id_field && found == operator =>
            {
                Some(*id)
            }
            _ => None,
        };
        if let Some(id) = id_of(other) {
            return Some(Self { at: *at, id, upwards, with_equality: false });
        }
        let Filter::And(both) = other else { return None };
        let [Filter::Compare(again, Operator::Equal, Value::Instant(same)), last] = &both[..] else {
            return None;
        };
        let id = id_of(last)?;
        (own_field(again) == Some(field) && same == at).then_some(Self {
            at: *at,
            id,
            upwards,
            with_equality: true,
        })
    }
}

fn sort(rows: &mut [Handle], order: &[SortKey], reader: Reader<'_>, object: usize) {
    let keys_of = |handle: Handle| -> Vec<Value> {
        let key = |key: &SortKey| cell_at(reader, object, handle, &key.path).to_value();
        order.iter().map(key).collect()
    };
    let mut keyed: Vec<(Vec<Value>, Handle)> =
        rows.iter().map(|handle| (keys_of(*handle), *handle)).collect();
    keyed.sort_by(|(a, a_handle), (b, b_handle)| {
        let by_keys = order.iter().zip(a.iter().zip(b)).map(|(key, (a, b))| compare_key(key, a, b));
        by_keys.fold(Ordering::Equal, Ordering::then).then(a_handle.cmp(b_handle))
    });
    for (slot, (_, handle)) in rows.iter_mut().zip(keyed) {
        *slot = handle;
    }
}

/// Nulls lead unless `NULLS LAST`, whatever the direction.
fn compare_key(key: &SortKey, a: &Value, b: &Value) -> Ordering {
    match (a == &Value::Null, b == &Value::Null) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if key.nulls_last {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, true) => {
            if key.nulls_last {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, false) => {
            let ordering = a.cell().compare(b.cell()).unwrap_or(Ordering::Equal);
            if key.descending { ordering.reverse() } else { ordering }
        }
    }
}
