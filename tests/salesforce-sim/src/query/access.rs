//! Finding the rows of a plan without looking at every one.
//!
//! Sync clients page by `stamp >= t AND (stamp > t OR Id > x) AND stamp < hi ORDER BY stamp, Id`. That is one
//! contiguous range of the time index, and is answered as such: no row is sorted, none outside the range is touched, and
//! when nothing else is asked not even those inside. Whatever a range does not say exactly stays behind as a filter, so a
//! missed pattern costs time, never truth.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Sight;
use super::filter::{passes, prepare};
use super::range::{Range, bound_field};
use super::term::with_term;
use crate::soql::ast::Operator;
use crate::soql::plan::{End, Filter, Plan, SortKey, Term};
use crate::store::{Handle, Reader, Span, Table};
use crate::value::{Value, owned};

/// The rows of a result, in order.
#[derive(Clone, Debug)]
pub enum RowSet {
    /// One by one.
    Listed(Arc<[Handle]>),
    /// A piece of an index.
    Span(Span),
}

impl RowSet {
    /// How many rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Listed(rows) => rows.len(),
            Self::Span(span) => span.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row at a place, which must be below the length.
    pub fn get(&self, place: usize) -> Handle {
        match self {
            Self::Listed(rows) => rows[place],
            Self::Span(span) => span.get(place),
        }
    }

    /// How many rows a cursor over them keeps for itself.
    pub fn held(&self) -> usize {
        match self {
            Self::Listed(rows) => rows.len(),
            Self::Span(_) => 1,
        }
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Handle> + '_ {
        (0..self.len()).map(|place| self.get(place))
    }

    pub(super) fn to_vec(&self) -> Vec<Handle> {
        self.iter().collect()
    }
}

impl From<Vec<Handle>> for RowSet {
    fn from(rows: Vec<Handle>) -> Self {
        Self::Listed(rows.into())
    }
}

/// Rows that a plan answers. `candidates`, when given, are the only rows considered.
pub(super) fn select(plan: &Plan, sight: Sight<'_>, candidates: Option<Vec<Handle>>) -> RowSet {
    let route = route(plan, sight, candidates);
    if let Some(span) = route.span(plan, sight) {
        return RowSet::Span(span);
    }
    let limit = plan.limit.unwrap_or(usize::MAX);
    let served = route.served || plan.order.is_empty();
    let passing = route.passing(plan, sight);
    if served {
        return passing.skip(plan.offset).take(limit).collect::<Vec<_>>().into();
    }
    let mut rows: Vec<Handle> = passing.collect();
    sort(&mut rows, &plan.order, sight.reader, plan.object);
    rows.into_iter().skip(plan.offset).take(limit).collect::<Vec<_>>().into()
}

/// How many rows a plan answers.
pub(super) fn count(plan: &Plan, sight: Sight<'_>) -> usize {
    let plan = &Plan { order: Vec::new(), ..plan.clone() };
    let route = route(plan, sight, None);
    let all = match route.counted(plan, sight) {
        Some(count) => count,
        None => route.passing(plan, sight).count(),
    };
    all.saturating_sub(plan.offset).min(plan.limit.unwrap_or(usize::MAX))
}

/// Where the rows of a plan are looked for.
struct Route {
    place: Place,
    /// What a row must pass beside being there.
    terms: Vec<Filter>,
    /// Whether rows come in the order asked for.
    served: bool,
}

enum Place {
    /// These rows.
    Rows(Vec<Handle>),
    /// All rows in order of id, upwards or downwards.
    Table { descending: bool },
    /// A range of the time index of a field.
    Times { field: usize, range: Range, descending: bool },
}

impl Route {
    /// The rows that pass.
    fn passing<'a>(&'a self, plan: &'a Plan, sight: Sight<'a>) -> impl Iterator<Item = Handle> + 'a {
        let table = &sight.reader.store.tables[plan.object];
        let rows: Box<dyn Iterator<Item = Handle> + 'a> = match &self.place {
            Place::Rows(rows) => Box::new(rows.iter().copied()),
            Place::Table { descending: false } => Box::new(table.handles()),
            Place::Table { descending: true } => Box::new(table.handles().rev()),
            Place::Times { field, range, descending } => match table.time_index(*field) {
                Some(index) => {
                    Box::new(index.between(table, (range.low, range.high), sight.with_deleted, *descending))
                }
                None => Box::new(std::iter::empty()),
            },
        };
        rows.filter(move |handle| {
            sight.sees(plan.object, *handle)
                && (self.terms.is_empty()
                    || sight.reader.record(plan.object, *handle).is_some_and(|record| {
                        self.terms.iter().all(|term| passes(term, sight.reader, plan.object, &record))
                    }))
        })
    }

    /// The range, when every row in it is answered.
    fn whole_range(&self, plan: &Plan, sight: Sight<'_>) -> Option<(usize, Range, bool)> {
        let Place::Times { field, range, descending } = &self.place else { return None };
        let all = self.terms.is_empty() && sight.sees_all(plan.object);
        all.then_some((*field, *range, *descending))
    }

    /// The answer as a piece of the index.
    fn span(&self, plan: &Plan, sight: Sight<'_>) -> Option<Span> {
        // With a limit the first rows are found soon enough.
        if plan.limit.is_some() || plan.offset > 0 || !self.served {
            return None;
        }
        let (field, range, descending) = self.whole_range(plan, sight)?;
        let table = &sight.reader.store.tables[plan.object];
        table.time_index(field)?.span(table, (range.low, range.high), sight.with_deleted, descending)
    }

    /// The number of rows, when it can be told without looking at them.
    fn counted(&self, plan: &Plan, sight: Sight<'_>) -> Option<usize> {
        let table = &sight.reader.store.tables[plan.object];
        if let Place::Table { .. } = self.place {
            use crate::store::State;
            let all = self.terms.is_empty() && sight.sees_all(plan.object);
            let wanted = |state| state == State::Live || (state == State::Deleted && sight.with_deleted);
            return all.then(|| table.count(wanted));
        }
        let (field, range, _) = self.whole_range(plan, sight)?;
        Some(table.time_index(field)?.count(table, (range.low, range.high), sight.with_deleted))
    }
}

fn route(plan: &Plan, sight: Sight<'_>, candidates: Option<Vec<Handle>>) -> Route {
    let table = &sight.reader.store.tables[plan.object];
    let mut terms: Vec<Filter> =
        plan.filter.iter().map(|filter| prepare(filter, sight)).flat_map(conjuncts).collect();
    if let Some(rows) = candidates.or_else(|| by_ids(plan.object, sight, &terms)) {
        return Route { place: Place::Rows(rows), terms, served: false };
    }
    match by_time(plan, table, &mut terms) {
        Some((place, served)) => Route { place, terms, served },
        None => scan(plan, table, terms),
    }
}

fn conjuncts(filter: Filter) -> Vec<Filter> {
    match filter {
        Filter::And(filters) => filters.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

/// The field of the row itself that a term is.
pub(super) fn own_field(term: &Term) -> Option<usize> {
    match term {
        Term::Path(path) if path.hops.is_empty() => match path.end {
            End::Field(field) => Some(field),
            End::Named(_) => None,
        },
        _ => None,
    }
}

/// Rows named by id, or by the id of a parent.
fn by_ids(object: usize, sight: Sight<'_>, terms: &[Filter]) -> Option<Vec<Handle>> {
    let store = sight.reader.store;
    let (schema, table) = (&store.catalog.objects[object], &store.tables[object]);
    let id_field = schema.field_index("Id");
    terms.iter().find_map(|term| {
        let (path, ids) = match term {
            Filter::Compare(path, Operator::Equal, Value::Id(id)) => (path, vec![*id]),
            Filter::InIds(path, ids) => (path, ids.iter().copied().collect()),
            _ => return None,
        };
        let field = own_field(path)?;
        let mut handles: Vec<Handle> = if Some(field) == id_field {
            ids.into_iter().filter_map(|id| table.find(id)).collect()
        } else if store.is_indexed(object, field) {
            ids.into_iter().flat_map(|id| store.children(object, field, id)).collect()
        } else {
            return None;
        };
        handles.sort_unstable();
        handles.dedup();
        Some(handles)
    })
}

/// A range of a time index, when the order or a bound names one. Absorbed terms are removed.
fn by_time(plan: &Plan, table: &Table, terms: &mut Vec<Filter>) -> Option<(Place, bool)> {
    let ordered_by =
        plan.order.first().and_then(|key| own_field(&key.term)).filter(|at| table.time_index(*at).is_some());
    let bounded_by =
        || terms.iter().find_map(|term| bound_field(term).filter(|at| table.time_index(*at).is_some()));
    let field = ordered_by.or_else(bounded_by)?;
    let id_order = plan.order.first().and_then(|key| own_field(&key.term)) == table.schema.field_index("Id");
    let range = Range::absorb(table, field, terms);
    if ordered_by.is_none() && id_order && plan.limit.is_some() && range.is_everything() {
        return None;
    }
    let (descending, served) = serves(&plan.order, field, table);
    Some((Place::Times { field, range, descending }, served))
}

/// Whether (time, id) in one direction satisfies the order.
fn serves(order: &[SortKey], field: usize, table: &Table) -> (bool, bool) {
    let Some((first, rest)) = order.split_first() else {
        return (false, true);
    };
    let id_field = table.schema.field_index("Id");
    let by_time = own_field(&first.term) == Some(field);
    let then_id = match rest {
        [] => true,
        [second] => own_field(&second.term) == id_field && second.descending == first.descending,
        _ => false,
    };
    (first.descending, by_time && then_id)
}

fn scan(plan: &Plan, table: &Table, terms: Vec<Filter>) -> Route {
    let by_id = |key: &SortKey| own_field(&key.term) == table.schema.field_index("Id");
    let (served, descending) = match plan.order.first() {
        None => (true, false),
        Some(key) => (by_id(key), by_id(key) && key.descending),
    };
    Route { place: Place::Table { descending }, terms, served }
}

fn sort(rows: &mut [Handle], order: &[SortKey], reader: Reader<'_>, object: usize) {
    let keys_of = |handle: Handle| -> Vec<Value> {
        let Some(record) = reader.record(object, handle) else { return vec![Value::Null; order.len()] };
        let key = |key: &SortKey| with_term(reader, object, &record, &key.term, owned);
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

fn compare_key(key: &SortKey, a: &Value, b: &Value) -> Ordering {
    compare_values(a, b, key.descending, key.nulls_last)
}

/// Nulls lead unless they are asked to come last, whatever the direction.
pub(super) fn compare_values(a: &Value, b: &Value, descending: bool, nulls_last: bool) -> Ordering {
    let null_first = if nulls_last { Ordering::Greater } else { Ordering::Less };
    match (*a == Value::Null, *b == Value::Null) {
        (true, true) => Ordering::Equal,
        (true, false) => null_first,
        (false, true) => null_first.reverse(),
        (false, false) => {
            let ordering = a.cell().compare(b.cell()).unwrap_or(Ordering::Equal);
            if descending { ordering.reverse() } else { ordering }
        }
    }
}
