//! Rows by the record that a reference of theirs points to.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::id::SfId;
use crate::store::Handle;
use crate::store::table::Table;

/// An index by a reference field.
#[derive(Debug)]
pub struct ParentIndex {
    /// The field.
    pub field: usize,
    slot: usize,
    born: OnceLock<Vec<(SfId, Handle)>>,
    /// Rows that were changed or made since birth.
    stored: BTreeSet<(SfId, Handle)>,
}

impl ParentIndex {
    pub(in crate::store) fn new(field: usize, slot: usize) -> Self {
        Self { field, slot, born: OnceLock::new(), stored: BTreeSet::new() }
    }

    /// What a row points to in some version: its slot.
    pub(in crate::store) fn slot(&self) -> usize {
        self.slot
    }

    /// Follows a row from one parent to another.
    pub(in crate::store) fn replace(&mut self, handle: Handle, before: Option<SfId>, after: Option<SfId>) {
        if let Some(parent) = before {
            self.stored.remove(&(parent, handle));
        }
        if let Some(parent) = after {
            self.stored.insert((parent, handle));
        }
    }

    /// Rows of a parent in any state but purged, in order of id.
    pub fn of_parent(&self, table: &Table, parent: SfId) -> Vec<Handle> {
        let mut rows: Vec<Handle> =
            self.stored.range((parent, 0)..=(parent, Handle::MAX)).map(|(_, handle)| *handle).collect();
        if let Some(birth) = table.birth() {
            let untouched = |handle: &Handle| table.stored(*handle).is_none();
            if let Some(ranges) = birth.near(parent) {
                let here = |handle: &Handle| self.born_parent(table, *handle) == Some(parent);
                rows.extend(ranges.into_iter().flatten().filter(untouched).filter(here));
            } else {
                let all = self.born.get_or_init(|| self.read(table));
                let from = all.partition_point(|(id, _)| *id < parent);
                let here = all[from..].iter().take_while(|(id, _)| *id == parent);
                rows.extend(here.map(|(_, handle)| *handle).filter(untouched));
            }
            rows.sort_unstable();
        }
        rows
    }

    /// What a row pointed to when it was born.
    fn born_parent(&self, table: &Table, handle: Handle) -> Option<SfId> {
        table.birth()?.value(handle, self.slot).as_id()
    }

    fn read(&self, table: &Table) -> Vec<(SfId, Handle)> {
        let Some(birth) = table.birth() else { return Vec::new() };
        let entry = |handle| birth.value(handle, self.slot).as_id().map(|parent| (parent, handle));
        let mut all: Vec<(SfId, Handle)> = (0..birth.count()).filter_map(entry).collect();
        all.sort_unstable();
        all
    }
}
