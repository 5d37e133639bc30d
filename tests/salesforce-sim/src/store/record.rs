//! A record as it is read: stored values where there are some, derived ones otherwise.

use std::cell::OnceCell;

use super::table::Table;
use super::version::{State, Version};
use super::{Handle, Slots};
use crate::id::SfId;
use crate::value::{Cell, Value};

/// One version of a record, being read.
#[derive(Debug)]
pub struct Record<'a> {
    /// Its id.
    pub id: SfId,
    /// Its row.
    pub handle: Handle,
    table: &'a Table,
    version: Option<&'a Version>,
    wanted: Option<&'a Slots>,
    some: OnceCell<Derived>,
    all: OnceCell<Derived>,
}

#[derive(Debug)]
struct Derived {
    stamp: i64,
    values: Vec<Value>,
}

impl<'a> Record<'a> {
    /// A stored version of a row.
    pub(super) fn stored(
        table: &'a Table,
        handle: Handle,
        version: &'a Version,
        wanted: Option<&'a Slots>,
    ) -> Self {
        Self::new(table, handle, Some(version), wanted)
    }

    /// A row that nobody has changed since birth.
    pub(super) fn born(table: &'a Table, handle: Handle, wanted: Option<&'a Slots>) -> Self {
        Self::new(table, handle, None, wanted)
    }

    fn new(
        table: &'a Table,
        handle: Handle,
        version: Option<&'a Version>,
        wanted: Option<&'a Slots>,
    ) -> Self {
        let (some, all) = (OnceCell::new(), OnceCell::new());
        Self { id: table.id(handle), handle, table, version, wanted, some, all }
    }

    /// `SystemModstamp`.
    pub fn stamp(&self) -> i64 {
        match self.version {
            Some(version) => version.stamp,
            None if self.wanted.is_some() => self.derived(true).stamp,
            None => self.table.birth().map_or(0, |birth| birth.stamp(self.handle)),
        }
    }

    /// When this version became visible.
    pub fn committed_at(&self) -> i64 {
        self.version.map_or_else(|| self.stamp(), |version| version.committed_at)
    }

    /// Live, deleted or purged.
    pub fn state(&self) -> State {
        self.version.map_or(State::Live, |version| version.state)
    }

    /// The value of a slot.
    pub fn cell(&self, slot: usize) -> Cell<'_> {
        if let Some(cell) = self.version.and_then(|version| version.stored(slot)) {
            return cell;
        }
        let is_wanted = self.wanted.is_some_and(|wanted| wanted.contains(slot));
        self.derived(is_wanted).values.get(slot).map_or(Cell::Null, Value::cell)
    }

    /// The id in a slot.
    pub fn id_at(&self, slot: usize) -> Option<SfId> {
        if let Cell::Id(id) = self.cell(slot) { Some(id) } else { None }
    }

    /// Bytes of the file field at a slot.
    pub fn blob(&self, slot: usize) -> Option<Vec<u8>> {
        if let Some(Cell::Blob(bytes)) = self.version.and_then(|version| version.stored(slot)) {
            return Some(bytes.to_vec());
        }
        self.table.birth().filter(|birth| self.handle < birth.count())?.blob(self.handle)
    }

    /// Values from birth: the wanted ones, or for a slot outside them all.
    fn derived(&self, narrow: bool) -> &Derived {
        let (cell, wanted) = if narrow { (&self.some, self.wanted) } else { (&self.all, None) };
        cell.get_or_init(|| {
            let mut values = Vec::new();
            let birth = self.table.birth().filter(|birth| self.handle < birth.count());
            let stamp = birth.map_or(0, |birth| birth.fill(self.handle, wanted, &mut values));
            Derived { stamp, values }
        })
    }

    /// All values in slot order.
    pub fn values(&self) -> Vec<Value> {
        (0..self.table.schema.slots).map(|slot| self.cell(slot).to_value()).collect()
    }
}
