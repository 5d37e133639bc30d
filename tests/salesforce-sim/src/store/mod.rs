//! The records of one org, with the full history of each.
//!
//! A record is a list of versions. A version has a *stamp* (its `SystemModstamp`) and a *commit time*, and it is
//! visible once the simulated clock has reached the commit time: a late commit is simply a version whose two
//! times differ. [`Store::catch_up`] makes due versions visible; readers call it first and then see one state.
//! This module knows nothing of users, SOQL or HTTP.

mod index;
mod table;
pub mod write;

use std::sync::Arc;

use crate::id::SfId;
use crate::schema::{Catalog, ObjectSchema, Source};
use crate::value::{Cell, Value};

pub use index::{Index, IndexKey};
pub use table::{Row, State, Table, Version};

/// Number of a row in its table. Rows are appended with growing ids, so handles sort as ids do.
pub type Handle = u32;

/// All tables of an org.
#[derive(Debug)]
pub struct Store {
    /// The objects.
    pub catalog: Arc<Catalog>,
    /// One table an object, in catalogue order.
    pub tables: Vec<Table>,
}

impl Store {
    /// Empty tables whose new ids carry this pod.
    pub fn new(catalog: Arc<Catalog>, pod: [u8; 2]) -> Self {
        let tables = catalog.objects.iter().map(|schema| Table::new(Arc::clone(schema), pod)).collect();
        Self { catalog, tables }
    }

    /// Whether some version has become due since the last [`Store::catch_up`].
    pub fn is_behind(&self, now: i64) -> bool {
        self.tables.iter().any(|table| table.next_commit().is_some_and(|at| at <= now))
    }

    /// Makes every version visible whose commit time has come.
    pub fn catch_up(&mut self, now: i64) {
        for table in &mut self.tables {
            table.catch_up(now);
        }
    }

    /// Finds a record by id, in whatever state.
    pub fn find(&self, id: SfId) -> Option<(usize, Handle)> {
        let object = self.catalog.by_prefix(id.prefix())?;
        Some((object, self.tables[object].find(id)?))
    }

    /// The table of an object that the caller knows to exist.
    pub fn table(&self, name: &str) -> &Table {
        &self.tables[self.object(name)]
    }

    /// Index of an object that the caller knows to exist.
    pub fn object(&self, name: &str) -> usize {
        self.catalog.index(name).unwrap_or_else(|| panic!("the catalogue has no {name}"))
    }

    /// Children of a record: handles in table `object` whose reference `field` points to `parent`.
    pub fn children(&self, object: usize, field: usize, parent: SfId) -> Vec<Handle> {
        let table = &self.tables[object];
        if let Some(index) = table.reference_index(field) {
            return index.of_parent(parent).collect();
        }
        let Some(slot) = table.schema.fields[field].slot() else {
            return Vec::new();
        };
        let points =
            |row: &Row| row.current.as_ref().is_some_and(|version| version.id_at(slot) == Some(parent));
        table.handles().filter(|handle| points(table.row(*handle))).collect()
    }
}

/// Reads cells as of now or of a past moment.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The records.
    pub store: &'a Store,
    at: Option<i64>,
}

impl<'a> Reader<'a> {
    /// Reads what is visible now (after [`Store::catch_up`]).
    pub fn now(store: &'a Store) -> Self {
        Self { store, at: None }
    }

    /// Reads what was visible at `at` (milliseconds since 1970).
    pub fn as_of(store: &'a Store, at: i64) -> Self {
        Self { store, at: Some(at) }
    }

    /// The visible version of a row; `None` before its first commit.
    pub fn version(&self, object: usize, handle: Handle) -> Option<&'a Version> {
        let row = self.store.tables[object].row(handle);
        match self.at {
            None => row.current.as_ref(),
            Some(at) => row.at(at),
        }
    }

    /// The value of a field; null when the row is not visible.
    pub fn cell(&self, object: usize, handle: Handle, field: usize) -> Cell<'a> {
        let schema: &'a ObjectSchema = &self.store.tables[object].schema;
        let Some(version) = self.version(object, handle) else {
            return Cell::Null;
        };
        match &schema.fields[field].source {
            Source::Id => Cell::Id(self.store.tables[object].row(handle).id),
            Source::Stamp => Cell::Instant(version.stamp),
            Source::Deleted => Cell::Bool(version.state != State::Live),
            Source::Slot(slot) => version.cell(*slot),
            Source::Address(_) => Cell::Null,
            Source::Mirror { via, object: parent, field: mirrored } => {
                let Some(id) = schema.fields[*via].slot().and_then(|slot| version.id_at(slot)) else {
                    return Cell::Null;
                };
                let found = self.store.tables[*parent].find(id);
                found.map_or(Cell::Null, |row| self.cell(*parent, row, *mirrored))
            }
        }
    }

    /// The live record that a reference points to.
    pub fn parent(&self, object: usize, handle: Handle, field: usize) -> Option<(usize, Handle)> {
        let Cell::Id(id) = self.cell(object, handle, field) else {
            return None;
        };
        let (parent, row) = self.store.find(id)?;
        let version = self.version(parent, row)?;
        (version.state == State::Live).then_some((parent, row))
    }
}

/// The stored value at a slot of a version under construction, growing it as needed.
pub fn set_slot(values: &mut Vec<Value>, slot: usize, value: Value) {
    if slot >= values.len() {
        values.resize(slot + 1, Value::Null);
    }
    values[slot] = value;
}
