//! Rows by a time of theirs.

use std::sync::OnceLock;

use super::sorted::{Entry, LAST, SortedSet, Span};
use crate::schema::Source;
use crate::store::Handle;
use crate::store::table::Table;
use crate::store::version::{State, Version};
use crate::value::{Cell, Value};

/// A place in (time, row) order; times are milliseconds since 1970.
pub(crate) type Place = (i64, Handle);

/// An index by a time.
#[derive(Debug)]
pub struct TimeIndex {
    /// The field it sorts by.
    pub field: usize,
    /// Rows in or out of the recycle bin.
    all: OnceLock<SortedSet>,
    /// Rows out of it.
    live: OnceLock<SortedSet>,
}

impl TimeIndex {
    pub(in crate::store) fn new(field: usize) -> Self {
        Self { field, all: OnceLock::new(), live: OnceLock::new() }
    }

    fn set(&self, table: &Table, with_deleted: bool) -> &SortedSet {
        let (cell, wanted): (_, &dyn Fn(State) -> bool) = if with_deleted {
            (&self.all, &|state| state != State::Purged)
        } else {
            (&self.live, &|state| state == State::Live)
        };
        cell.get_or_init(|| SortedSet::new(self.read(table, wanted)))
    }

    /// The entries of all rows in a wanted state.
    fn read(&self, table: &Table, wanted: &dyn Fn(State) -> bool) -> Vec<Entry> {
        let source = &table.schema.fields[self.field].source;
        let mut entries = Vec::with_capacity(table.len());
        for handle in table.handles() {
            let entry = match table.stored(handle) {
                Some(row) => row.current.as_ref().and_then(|version| {
                    wanted(version.state).then(|| Self::entry(table, source, handle, version)).flatten()
                }),
                None => Self::born(table, source, handle),
            };
            entries.extend(entry);
        }
        entries
    }

    /// The entry of an untouched row.
    fn born(table: &Table, source: &Source, handle: Handle) -> Option<Entry> {
        let birth = table.birth()?;
        match source {
            Source::Stamp => Some((seconds(birth.stamp(handle)), handle)),
            Source::Slot(slot) => match birth.value(handle, *slot) {
                Value::Instant(at) => Some((seconds(at), handle)),
                _ => None,
            },
            _ => None,
        }
    }

    fn entry(table: &Table, source: &Source, handle: Handle, version: &Version) -> Option<Entry> {
        match source {
            Source::Stamp => Some((seconds(version.stamp), handle)),
            Source::Slot(slot) => match version.stored(*slot) {
                Some(Cell::Instant(at)) => Some((seconds(at), handle)),
                Some(_) => None,
                None => Self::born(table, source, handle),
            },
            _ => None,
        }
    }

    /// The entry of a version, to take it out or put it in.
    pub(in crate::store) fn entry_of(
        &self,
        table: &Table,
        handle: Handle,
        version: &Version,
    ) -> Option<Entry> {
        Self::entry(table, &table.schema.fields[self.field].source, handle, version)
    }

    /// Follows a row from one version to the next.
    pub(in crate::store) fn replace(
        &mut self,
        before: Option<(Entry, State)>,
        after: Option<(Entry, State)>,
    ) {
        for (cell, live_only) in [(&mut self.all, false), (&mut self.live, true)] {
            let Some(set) = cell.get_mut() else { continue };
            let wanted = |state| if live_only { state == State::Live } else { state != State::Purged };
            let there = |side: Option<(Entry, State)>| {
                side.filter(|(_, state)| wanted(*state)).map(|(entry, _)| entry)
            };
            let (before, after) = (there(before), there(after));
            if before == after {
                continue;
            }
            if let Some(entry) = before {
                set.remove(entry);
            }
            if let Some(entry) = after {
                set.insert(entry);
            }
        }
    }

    /// Rows from one place (inclusive) to another (exclusive) in (time, id) order, upwards or downwards.
    pub fn between<'a>(
        &'a self,
        table: &'a Table,
        range: (Place, Place),
        with_deleted: bool,
        descending: bool,
    ) -> impl Iterator<Item = Handle> + 'a {
        let (low, high) = bounds(range);
        self.set(table, with_deleted).iter(low, high, descending).map(|entry| entry.1)
    }

    /// How many rows lie between.
    pub fn count(&self, table: &Table, range: (Place, Place), with_deleted: bool) -> usize {
        let (low, high) = bounds(range);
        self.set(table, with_deleted).count(low, high)
    }

    /// The rows between as they are now, when no recent change lies among them.
    pub fn span(
        &self,
        table: &Table,
        range: (Place, Place),
        with_deleted: bool,
        descending: bool,
    ) -> Option<Span> {
        let (low, high) = bounds(range);
        self.set(table, with_deleted).span(low, high, descending)
    }
}

fn bounds((low, high): (Place, Place)) -> (Entry, Entry) {
    (bound(low), bound(high))
}

/// A bound in whole seconds: rows have no finer times, so a bound inside a second stands for the next one.
fn bound((millis, handle): Place) -> Entry {
    if millis == i64::MAX {
        return LAST;
    }
    if millis.rem_euclid(1_000) == 0 { (seconds(millis), handle) } else { (seconds(millis + 1_000), 0) }
}

fn seconds(millis: i64) -> u32 {
    u32::try_from(millis.div_euclid(1_000).max(0)).unwrap_or(u32::MAX)
}
