//! One object's records.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::index::{Index, IndexKey};
use super::{Handle, set_slot};
use crate::id::SfId;
use crate::schema::{Kind, ObjectSchema, Source};
use crate::value::{Cell, Value};

/// Whether a version exists for readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// An ordinary record.
    Live,
    /// In the recycle bin: `queryAll` sees it.
    Deleted,
    /// Gone: nobody sees it.
    Purged,
}

/// One version of a record.
#[derive(Clone, Debug)]
pub struct Version {
    /// `SystemModstamp`, milliseconds since 1970, always whole seconds.
    pub stamp: i64,
    /// When it becomes visible, milliseconds since 1970.
    pub committed_at: i64,
    /// Live, deleted or purged.
    pub state: State,
    values: Box<[Value]>,
}

impl Version {
    /// A version from its values in slot order; trailing nulls are dropped.
    pub fn new(stamp: i64, committed_at: i64, state: State, mut values: Vec<Value>) -> Self {
        while values.last() == Some(&Value::Null) {
            values.pop();
        }
        Self { stamp, committed_at, state, values: values.into_boxed_slice() }
    }

    /// The value of a slot.
    pub fn cell(&self, slot: usize) -> Cell<'_> {
        self.values.get(slot).map_or(Cell::Null, Value::cell)
    }

    /// The id in a slot.
    pub fn id_at(&self, slot: usize) -> Option<SfId> {
        self.values.get(slot).and_then(Value::as_id)
    }

    /// A copy of the values, to build the next version from.
    pub fn values(&self) -> Vec<Value> {
        self.values.to_vec()
    }
}

/// A record: its visible version, those before it and those to come.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its id.
    pub id: SfId,
    /// What readers see now; `None` before the first commit.
    pub current: Option<Version>,
    past: Vec<Version>,
    coming: Vec<Version>,
}

impl Row {
    /// The newest version, visible or not: what the next change builds on.
    pub fn latest(&self) -> Option<&Version> {
        self.coming.last().or(self.current.as_ref())
    }

    /// The version that was visible at a moment. Versions of a row commit in order.
    pub fn at(&self, at: i64) -> Option<&Version> {
        let newest_first = self.coming.iter().rev().chain(&self.current).chain(self.past.iter().rev());
        newest_first.into_iter().find(|version| version.committed_at <= at)
    }
}

/// All records of an object.
#[derive(Debug)]
pub struct Table {
    /// The object.
    pub schema: Arc<ObjectSchema>,
    rows: Vec<Row>,
    states: Vec<Option<State>>,
    indexes: Vec<Index>,
    due: BinaryHeap<Reverse<(i64, Handle)>>,
    pod: [u8; 2],
    next_number: u64,
}

impl Table {
    pub(super) fn new(schema: Arc<ObjectSchema>, pod: [u8; 2]) -> Self {
        let indexes =
            schema.fields.iter().enumerate().filter_map(|(at, field)| index_of(at, field)).collect();
        Self {
            schema,
            rows: Vec::new(),
            states: Vec::new(),
            indexes,
            due: BinaryHeap::new(),
            pod,
            next_number: 1,
        }
    }

    /// The id the next row will get, leaving a gap of `gap` unused numbers before it.
    pub fn reserve_id(&mut self, gap: u64) -> SfId {
        self.next_number += gap;
        let id = SfId::new(self.schema.prefix, self.pod, self.next_number);
        self.next_number += 1;
        id
    }

    /// Number of rows in any state.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows at all.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All handles, in order of id.
    pub fn handles(&self) -> std::ops::Range<Handle> {
        0..Handle::try_from(self.rows.len()).expect("a table has fewer than 2^32 rows")
    }

    /// A row by its handle.
    pub fn row(&self, handle: Handle) -> &Row {
        &self.rows[handle as usize]
    }

    /// State of the visible version, `None` before the first commit. Kept apart so that scans stay in cache.
    pub fn state(&self, handle: Handle) -> Option<State> {
        self.states[handle as usize]
    }

    /// The handle of an id.
    pub fn find(&self, id: SfId) -> Option<Handle> {
        let at = self.rows.binary_search_by(|row| row.id.cmp(&id)).ok()?;
        Handle::try_from(at).ok()
    }

    /// The first handle whose id is greater than `id`.
    pub fn first_after(&self, id: SfId) -> Handle {
        let at = self.rows.partition_point(|row| row.id <= id);
        Handle::try_from(at).expect("a table has fewer than 2^32 rows")
    }

    /// The index over times of a field.
    pub fn time_index(&self, field: usize) -> Option<&Index> {
        self.indexes.iter().find(|index| index.field == field && index.key == IndexKey::Time)
    }

    /// The index over parents of a reference field.
    pub fn reference_index(&self, field: usize) -> Option<&Index> {
        self.indexes.iter().find(|index| index.field == field && index.key == IndexKey::Parent)
    }

    /// Appends a record. Its id must come from [`Table::reserve_id`], after those of all rows before it.
    pub fn append(&mut self, id: SfId, version: Version, now: i64) -> Handle {
        let handle = Handle::try_from(self.rows.len()).expect("a table has fewer than 2^32 rows");
        self.rows.push(Row { id, current: None, past: Vec::new(), coming: Vec::new() });
        self.states.push(None);
        self.put(handle, version, now);
        handle
    }

    /// Adds a version. It commits no earlier than the versions before it: a second writer waits for the
    /// first one's row lock.
    pub fn put(&mut self, handle: Handle, mut version: Version, now: i64) {
        let row = &mut self.rows[handle as usize];
        if let Some(before) = row.coming.last() {
            version.committed_at = version.committed_at.max(before.committed_at);
        }
        if version.committed_at <= now && row.coming.is_empty() {
            self.show(handle, version);
        } else {
            self.due.push(Reverse((version.committed_at, handle)));
            row.coming.push(version);
        }
    }

    pub(super) fn next_commit(&self) -> Option<i64> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn catch_up(&mut self, now: i64) {
        while self.next_commit().is_some_and(|at| at <= now) {
            let Some(Reverse((_, handle))) = self.due.pop() else {
                return;
            };
            if !self.rows[handle as usize].coming.is_empty() {
                let version = self.rows[handle as usize].coming.remove(0);
                self.show(handle, version);
            }
        }
    }

    fn show(&mut self, handle: Handle, version: Version) {
        let row = &mut self.rows[handle as usize];
        for index in &mut self.indexes {
            let source = &self.schema.fields[index.field].source;
            index.replace(source, handle, row.current.as_ref(), &version);
        }
        self.states[handle as usize] = Some(version.state);
        if let Some(before) = row.current.replace(version) {
            row.past.push(before);
        }
    }

    /// Values for a new record: false for each checkbox, the default for each picklist.
    pub fn blank(&self) -> Vec<Value> {
        let mut values = Vec::with_capacity(self.schema.slots);
        for field in &self.schema.fields {
            let Some(slot) = field.slot() else { continue };
            match (field.kind, &field.default) {
                (Kind::Boolean, _) => set_slot(&mut values, slot, Value::Bool(false)),
                (_, Some(default)) => set_slot(&mut values, slot, Value::text(default)),
                _ => {}
            }
        }
        values
    }
}

fn index_of(at: usize, field: &crate::schema::Field) -> Option<Index> {
    let targets = field.reference.iter().flat_map(|reference| &reference.targets);
    let key = match &field.source {
        Source::Stamp => IndexKey::Time,
        Source::Slot(_) if field.name == "CreatedDate" => IndexKey::Time,
        Source::Slot(_) if targets.into_iter().any(|target| target.children.is_some()) => IndexKey::Parent,
        _ => return None,
    };
    Some(Index::new(at, key))
}
