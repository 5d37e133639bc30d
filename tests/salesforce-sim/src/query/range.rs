//! Terms of a filter that together are one range of a time index.

use super::access::own_field;
use crate::id::SfId;
use crate::soql::ast::Operator;
use crate::soql::plan::Filter;
use crate::store::{Handle, Table};
use crate::value::Value;

/// The field that a term bounds.
pub(super) fn bound_field(term: &Filter) -> Option<usize> {
    match term {
        Filter::Compare(path, operator, Value::Instant(_)) if *operator != Operator::NotEqual => {
            own_field(path)
        }
        _ => None,
    }
}

/// Rows from `low` (inclusive) to `high` (exclusive) in (time, row) order.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) low: (i64, Handle),
    pub(super) high: (i64, Handle),
}

impl Range {
    const ALL: Self = Self { low: (i64::MIN, 0), high: (i64::MAX, Handle::MAX) };

    pub(super) fn is_everything(&self) -> bool {
        self.low == Self::ALL.low && self.high == Self::ALL.high
    }

    /// The range that some terms say; those are removed.
    pub(super) fn absorb(table: &Table, field: usize, terms: &mut Vec<Filter>) -> Self {
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
