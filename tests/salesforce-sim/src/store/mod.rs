//! The records of one org, with the full history of each.
//!
//! A record is a list of versions. A version has a *stamp* (its `SystemModstamp`) and a *commit time*, and it is
//! visible once the simulated clock has reached the commit time: a late commit is simply a version whose two
//! times differ. [`Store::catch_up`] makes due versions visible; readers call it first and then see one state.
//!
//! Most records exist from [`birth`]: they are derived from the org's seed when they are read, and only what changes
//! later is stored, as differences. This module knows nothing of users, SOQL or HTTP.

mod ageing;
mod birth;
pub(crate) mod derive;
mod effects;
mod index;
mod record;
mod table;
mod tables;
mod version;
pub mod write;

use std::sync::Arc;

use crate::id::SfId;
use crate::schema::{Catalog, Kind, Source};
use crate::value::{Cell, Value, owned};

pub use birth::{Birth, Slots, Spoken};
pub use index::{ParentIndex, Span, TimeIndex};
pub use record::Record;
pub use table::{Numbers, Table};
pub use tables::Tables;
pub use version::{State, Version, set_slot};

/// Number of a row in its table. Rows are appended with growing ids, so handles sort as ids do.
pub type Handle = u32;

/// All tables of an org.
#[derive(Debug)]
pub struct Store {
    /// The objects.
    pub catalog: Arc<Catalog>,
    /// One table an object, in catalogue order.
    pub tables: Tables,
    pod: [u8; 2],
}

impl Store {
    /// Empty tables whose new ids carry this pod.
    pub fn new(catalog: Arc<Catalog>, pod: [u8; 2]) -> Self {
        let mut tables = Tables::default();
        tables.grow(&catalog, pod);
        Self { catalog, tables, pod }
    }

    /// Takes a catalogue that has grown: no object or field may have another place than before.
    pub fn set_catalog(&mut self, catalog: Arc<Catalog>) {
        self.tables.grow(&catalog, self.pod);
        self.catalog = catalog;
    }

    /// The two characters that ids made here carry.
    pub fn pod(&self) -> [u8; 2] {
        self.pod
    }

    /// Whether some version has become due since the last [`Store::catch_up`].
    pub fn is_behind(&self, now: i64) -> bool {
        self.tables.iter().any(|(_, table)| table.next_commit().is_some_and(|at| at <= now))
    }

    /// Makes every version visible whose commit time has come.
    pub fn catch_up(&mut self, now: i64) {
        for table in self.tables.iter_mut() {
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

    /// Whether rows of a table are found by a reference field without looking at all of them.
    pub fn is_indexed(&self, object: usize, field: usize) -> bool {
        let slot = self.catalog.objects[object].fields[field].slot();
        let schema = &self.tables[object].schema;
        let own = schema.fields.iter().position(|own| own.slot().is_some() && own.slot() == slot);
        own.is_some_and(|own| self.tables[object].parent_index(own).is_some())
    }

    /// Children of a record: handles in table `object` whose reference `field` points to `parent`.
    pub fn children(&self, object: usize, field: usize, parent: SfId) -> Vec<Handle> {
        let table = &self.tables[object];
        let source = &self.catalog.objects[object].fields[field].source;
        let Source::Slot(slot) = source else { return Vec::new() };
        let index = table.schema.fields.iter().position(|field| field.slot() == Some(*slot));
        if let Some(index) = index.and_then(|field| table.parent_index(field)) {
            return index.of_parent(table, parent);
        }
        let points =
            |handle: &Handle| table.record(*handle).is_some_and(|row| row.id_at(*slot) == Some(parent));
        table.handles().filter(points).collect()
    }
}

/// What a query will read of each object; records are derived no further.
#[derive(Clone, Debug, Default)]
pub struct Wanted(Vec<Option<Slots>>);

impl Wanted {
    /// Notes that a slot of an object will be read.
    pub fn insert(&mut self, object: usize, slot: usize) {
        if object >= self.0.len() {
            self.0.resize(object + 1, None);
        }
        self.0[object].get_or_insert_default().insert(slot);
    }

    fn of(&self, object: usize) -> Option<&Slots> {
        self.0.get(object).and_then(Option::as_ref)
    }
}

/// Decides which records exist for a reader who is not to see them all.
pub trait Gate: std::fmt::Debug + Send + Sync {
    /// Whether a row that is there is shown.
    fn shows(&self, reader: Reader<'_>, object: usize, handle: Handle) -> bool;
}

/// Reads records as of now or of a past moment.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The records.
    pub store: &'a Store,
    at: Option<i64>,
    wanted: Option<&'a Wanted>,
    gate: Option<&'a dyn Gate>,
}

impl<'a> Reader<'a> {
    /// Reads what is visible now (after [`Store::catch_up`]).
    pub fn now(store: &'a Store) -> Self {
        Self { store, at: None, wanted: None, gate: None }
    }

    /// Reads what was visible at `at` (milliseconds since 1970).
    pub fn as_of(store: &'a Store, at: i64) -> Self {
        Self { store, at: Some(at), wanted: None, gate: None }
    }

    /// The same, deriving only what is wanted. Other values stay readable, at a price.
    #[must_use]
    pub fn wanting(self, wanted: &'a Wanted) -> Self {
        Self { wanted: Some(wanted), ..self }
    }

    /// The same, following references only to what the gate shows.
    #[must_use]
    pub fn gated(self, gate: Option<&'a dyn Gate>) -> Self {
        Self { gate, ..self }
    }

    /// The visible version of a row; `None` before its first commit.
    pub fn record(&self, object: usize, handle: Handle) -> Option<Record<'a>> {
        let wanted = self.wanted.and_then(|wanted| wanted.of(self.store.catalog.storage(object)));
        let table = &self.store.tables[object];
        match self.at {
            None => table.wanted(handle, wanted),
            Some(at) => table.as_of(handle, at, wanted),
        }
    }

    /// The state of the visible version of a row.
    pub fn state(&self, object: usize, handle: Handle) -> Option<State> {
        let table = &self.store.tables[object];
        match self.at {
            None => table.state(handle),
            Some(at) => table.as_of(handle, at, None).map(|record| record.state()),
        }
    }

    /// Hands the value of a field to `use_it`.
    pub fn with<R>(
        &self,
        object: usize,
        record: &Record<'a>,
        field: usize,
        use_it: impl FnOnce(Cell<'_>) -> R,
    ) -> R {
        let definition = &self.store.catalog.objects[object].fields[field];
        match &definition.source {
            Source::Id => use_it(Cell::Id(record.id)),
            Source::Stamp => use_it(Cell::Instant(record.stamp())),
            Source::Deleted => use_it(Cell::Bool(record.state() != State::Live)),
            Source::Slot(slot) => match record.cell(*slot) {
                // A checkbox that was added later is unticked in older records.
                Cell::Null if definition.kind == Kind::Boolean => use_it(Cell::Bool(false)),
                cell => use_it(cell),
            },
            Source::Compound(_) | Source::Blob(_) => use_it(Cell::Null),
            Source::Mirror { via, object: parent, field: mirrored } => {
                let via = self.store.catalog.objects[object].fields[*via].slot();
                let id = via.and_then(|slot| record.id_at(slot));
                let row = id.and_then(|id| self.store.tables[*parent].find(id));
                match row.and_then(|row| self.record(*parent, row)) {
                    Some(above) => self.with(*parent, &above, *mirrored, use_it),
                    None => use_it(Cell::Null),
                }
            }
        }
    }

    /// The value of a field; null when the row is not visible.
    pub fn value(&self, object: usize, handle: Handle, field: usize) -> Value {
        let record = self.record(object, handle);
        record.map_or(Value::Null, |record| self.with(object, &record, field, owned))
    }

    /// The live record that a reference points to.
    pub fn parent(&self, object: usize, record: &Record<'a>, field: usize) -> Option<(usize, Record<'a>)> {
        let id =
            self.with(object, record, field, |cell| if let Cell::Id(id) = cell { Some(id) } else { None })?;
        let (parent, row) = self.store.find(id)?;
        if self.at.is_none() && self.store.tables[parent].state(row) != Some(State::Live) {
            return None;
        }
        if self.gate.is_some_and(|gate| !gate.shows(*self, parent, row)) {
            return None;
        }
        let above = self.record(parent, row)?;
        (above.state() == State::Live).then_some((parent, above))
    }
}
