//! One object's records: those it was born with, derived when read, and what was changed or made since.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use super::birth::Birth;
use super::index::{ParentIndex, TimeIndex};
use super::record::Record;
use super::version::{Row, State, Version, set_slot};
use super::{Handle, Slots, Spoken};
use crate::id::SfId;
use crate::schema::{Field, Kind, ObjectSchema, Source};
use crate::value::{Cell, Value};

/// References that nearly every object has and nobody looks rows up by.
const UNINDEXED: [&str; 3] = ["CreatedById", "LastModifiedById", "OwnerId"];

/// All records of an object.
#[derive(Debug)]
pub struct Table {
    /// The object.
    pub schema: Arc<ObjectSchema>,
    numbers: Numbers,
    birth: Option<Arc<dyn Birth>>,
    born: Handle,
    touched: HashMap<Handle, Row>,
    made: Vec<Row>,
    times: Vec<TimeIndex>,
    parents: Vec<ParentIndex>,
    due: BinaryHeap<Reverse<(i64, Handle)>>,
    next_number: u64,
}

/// How rows get their ids.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    prefix: [u8; 3],
    pod: [u8; 2],
}

impl Numbers {
    /// Ids of an object in an org.
    pub fn new(prefix: [u8; 3], pod: [u8; 2]) -> Self {
        Self { prefix, pod }
    }

    /// The id of a row that exists from birth. Ids have gaps, as in orgs where other things happen too.
    pub fn born(self, handle: Handle) -> SfId {
        let mixed = u64::from(handle).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        SfId::new(self.prefix, self.pod, 3 * u64::from(handle) + 1 + mixed % 3)
    }

    /// The row that exists from birth and has this id.
    pub fn handle(self, id: SfId) -> Option<Handle> {
        if id.prefix() != self.prefix || id.pod() != self.pod {
            return None;
        }
        let handle = Handle::try_from(id.number()?.checked_sub(1)? / 3).ok()?;
        (self.born(handle) == id).then_some(handle)
    }
}

impl Table {
    pub(super) fn new(schema: &Arc<ObjectSchema>, pod: [u8; 2]) -> Self {
        let mut table = Self {
            numbers: Numbers::new(schema.prefix, pod),
            schema: Arc::clone(schema),
            birth: None,
            born: 0,
            touched: HashMap::new(),
            made: Vec::new(),
            times: Vec::new(),
            parents: Vec::new(),
            due: BinaryHeap::new(),
            next_number: 1,
        };
        for (at, field) in schema.fields.iter().enumerate() {
            table.index(at, field);
        }
        table
    }

    /// Adds the index of a field that is looked up by.
    fn index(&mut self, at: usize, field: &Field) {
        match &field.source {
            Source::Stamp => self.times.push(TimeIndex::new(at)),
            Source::Slot(_) if field.name == "CreatedDate" => self.times.push(TimeIndex::new(at)),
            Source::Slot(slot)
                if field.kind == Kind::Reference && !UNINDEXED.contains(&field.name.as_str()) =>
            {
                self.parents.push(ParentIndex::new(at, *slot));
            }
            _ => {}
        }
    }

    /// Gives an empty table the records that it exists with from birth.
    ///
    /// # Panics
    /// When it has records already.
    pub fn set_birth(&mut self, birth: Arc<dyn Birth>) {
        assert!(self.is_empty(), "{} has records already", self.schema.name);
        self.born = birth.count();
        self.next_number = 3 * u64::from(self.born) + 4;
        self.birth = Some(birth);
    }

    /// Takes a schema that has grown.
    pub(super) fn set_schema(&mut self, schema: Arc<ObjectSchema>) {
        for (at, field) in schema.fields.iter().enumerate().skip(self.schema.fields.len()) {
            self.index(at, field);
        }
        self.schema = schema;
    }

    pub(super) fn birth(&self) -> Option<&dyn Birth> {
        self.birth.as_deref()
    }

    /// The id the next row will get.
    pub fn reserve_id(&mut self) -> SfId {
        let id = SfId::new(self.schema.prefix, self.numbers.pod, self.next_number);
        self.next_number += 1;
        id
    }

    /// Number of rows in any state.
    pub fn len(&self) -> usize {
        self.born as usize + self.made.len()
    }

    /// Whether there are no rows at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All handles, in order of id.
    pub fn handles(&self) -> std::ops::Range<Handle> {
        0..Handle::try_from(self.len()).expect("a table has fewer than 2^32 rows")
    }

    /// How many rows are in these states.
    pub fn count(&self, wanted: impl Fn(State) -> bool) -> usize {
        let untouched = self.born as usize - self.touched.len();
        let stored = self.touched.values().chain(&self.made);
        let states = stored.filter_map(|row| row.current.as_ref()).map(|version| version.state);
        states.filter(|state| wanted(*state)).count() + if wanted(State::Live) { untouched } else { 0 }
    }

    /// The id of a row.
    pub fn id(&self, handle: Handle) -> SfId {
        if handle < self.born {
            self.numbers.born(handle)
        } else {
            self.made[(handle - self.born) as usize].id
        }
    }

    /// What is stored of a row, if anything.
    pub(super) fn stored(&self, handle: Handle) -> Option<&Row> {
        if handle < self.born {
            if self.touched.is_empty() { None } else { self.touched.get(&handle) }
        } else {
            Some(&self.made[(handle - self.born) as usize])
        }
    }

    /// Whether a row is as it was born.
    pub fn is_untouched(&self, handle: Handle) -> bool {
        self.stored(handle).is_none()
    }

    /// State of the visible version, `None` before the first commit.
    pub fn state(&self, handle: Handle) -> Option<State> {
        match self.stored(handle) {
            None => Some(State::Live),
            Some(row) => row.current.as_ref().map(|version| version.state),
        }
    }

    /// The visible version of a row; `None` before the first commit.
    pub fn record(&self, handle: Handle) -> Option<Record<'_>> {
        self.wanted(handle, None)
    }

    /// The same, of which only some values will be read.
    pub fn wanted<'a>(&'a self, handle: Handle, wanted: Option<&'a Slots>) -> Option<Record<'a>> {
        match self.stored(handle) {
            None => Some(Record::born(self, handle, wanted)),
            Some(row) => Some(Record::stored(self, handle, row.current.as_ref()?, wanted)),
        }
    }

    /// The version of a row that was visible at a moment.
    pub(super) fn as_of<'a>(
        &'a self,
        handle: Handle,
        at: i64,
        wanted: Option<&'a Slots>,
    ) -> Option<Record<'a>> {
        match self.stored(handle) {
            None => Some(Record::born(self, handle, wanted)).filter(|record| record.stamp() <= at),
            Some(row) => Some(Record::stored(self, handle, row.at(at)?, wanted)),
        }
    }

    /// The newest version of a row, visible or not: what the next change builds on.
    pub fn latest(&self, handle: Handle) -> Option<Record<'_>> {
        match self.stored(handle) {
            None => Some(Record::born(self, handle, None)),
            Some(row) => Some(Record::stored(self, handle, row.latest()?, None)),
        }
    }

    /// The handle of an id.
    pub fn find(&self, id: SfId) -> Option<Handle> {
        if let Some(handle) = self.numbers.handle(id).filter(|handle| *handle < self.born) {
            return Some(handle);
        }
        let at = self.made.binary_search_by(|row| row.id.cmp(&id)).ok()?;
        Handle::try_from(at).ok().map(|at| self.born + at)
    }

    /// The first handle whose id is greater than `id`.
    pub fn first_after(&self, id: SfId) -> Handle {
        let (mut low, mut high) = (0, self.handles().end);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.id(middle) <= id { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// What was said in a conversation from birth.
    pub fn spoken(&self, handle: Handle) -> Vec<Spoken> {
        let birth = self.birth().filter(|birth| handle < birth.count());
        birth.map_or_else(Vec::new, |birth| birth.spoken(handle))
    }

    /// The index over times of a field.
    pub fn time_index(&self, field: usize) -> Option<&TimeIndex> {
        self.times.iter().find(|index| index.field == field)
    }

    /// The index over parents of a reference field.
    pub fn parent_index(&self, field: usize) -> Option<&ParentIndex> {
        self.parents.iter().find(|index| index.field == field)
    }

    /// Appends a record. Its id must come from [`Table::reserve_id`], after those of all rows before it.
    pub fn append(&mut self, id: SfId, version: Version, now: i64) -> Handle {
        let handle = self.handles().end;
        self.made.push(Row::new(id, None));
        self.put(handle, version, now);
        handle
    }

    /// The stored row to change; a row that was as it was born gets one that says just that.
    fn row_mut(&mut self, handle: Handle) -> &mut Row {
        if handle >= self.born {
            return &mut self.made[(handle - self.born) as usize];
        }
        let (id, birth) = (self.numbers.born(handle), self.birth.as_ref());
        if !self.touched.contains_key(&handle) {
            for index in &mut self.parents {
                let value = birth.map(|birth| birth.value(handle, index.slot()));
                index.replace(handle, None, value.as_ref().and_then(Value::as_id));
            }
        }
        self.touched.entry(handle).or_insert_with(|| {
            let stamp = birth.map_or(0, |birth| birth.stamp(handle));
            Row::new(id, Some(Version::patch(stamp, stamp, State::Live, Vec::new())))
        })
    }

    /// Adds a version that differs from the latest by these values.
    pub fn change(
        &mut self,
        handle: Handle,
        times: (i64, i64),
        state: State,
        changes: Vec<(usize, Value)>,
        now: i64,
    ) {
        let row = self.row_mut(handle);
        if let Some(latest) = row.latest() {
            let version = latest.changed(times.0, times.1, state, changes);
            self.put(handle, version, now);
        }
    }

    /// Adds a version. It commits no earlier than the versions before it: a second writer waits for the
    /// first one's row lock.
    fn put(&mut self, handle: Handle, mut version: Version, now: i64) {
        let row = self.row_mut(handle);
        if let Some(before) = row.coming.last() {
            version.committed_at = version.committed_at.max(before.committed_at);
        }
        if version.committed_at <= now && row.coming.is_empty() {
            self.show(handle, version);
        } else {
            let at = version.committed_at;
            row.coming.push(version);
            self.due.push(Reverse((at, handle)));
        }
    }

    pub(super) fn next_commit(&self) -> Option<i64> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// The stamp of the oldest version that is written and not yet committed: since when a transaction runs.
    pub fn oldest_pending(&self) -> Option<i64> {
        let rows = self.due.iter().filter_map(|Reverse((_, handle))| self.stored(*handle));
        rows.flat_map(|row| row.coming.iter().map(|version| version.stamp)).min()
    }

    pub(super) fn catch_up(&mut self, now: i64) {
        while self.next_commit().is_some_and(|at| at <= now) {
            let Some(Reverse((_, handle))) = self.due.pop() else {
                return;
            };
            let row = self.row_mut(handle);
            if !row.coming.is_empty() {
                let version = row.coming.remove(0);
                self.show(handle, version);
            }
        }
    }

    fn show(&mut self, handle: Handle, version: Version) {
        let before = self.row_mut(handle).current.take();
        let time_moves: Vec<_> = (self.times.iter())
            .map(|index| {
                let entry = |version: &Version| Some((index.entry_of(self, handle, version)?, version.state));
                (before.as_ref().and_then(entry), entry(&version))
            })
            .collect();
        let parent_moves: Vec<_> = (self.parents.iter())
            .map(|index| {
                let of = |version: &Version| self.parent_of(handle, version, index.slot());
                (before.as_ref().and_then(of), of(&version))
            })
            .collect();
        for (index, (before, after)) in self.times.iter_mut().zip(time_moves) {
            index.replace(before, after);
        }
        for (index, (before, after)) in self.parents.iter_mut().zip(parent_moves) {
            index.replace(handle, before, after);
        }
        let row = self.row_mut(handle);
        row.past.extend(before);
        row.current = Some(version);
    }

    fn parent_of(&self, handle: Handle, version: &Version, slot: usize) -> Option<SfId> {
        if version.state == State::Purged {
            return None;
        }
        match version.stored(slot) {
            Some(Cell::Id(id)) => Some(id),
            Some(_) => None,
            None => self.birth()?.value(handle, slot).as_id(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_birth_are_sorted_and_found_again() {
        let numbers = Numbers::new(*b"500", *b"Rf");
        let ids: Vec<SfId> = (0..10_000).map(|handle| numbers.born(handle)).collect();
        assert!(ids.is_sorted());
        for (handle, id) in (0..).zip(&ids) {
            assert_eq!(numbers.handle(*id), Some(handle));
        }
        let between = (0..30_000).filter(|n| numbers.handle(SfId::new(*b"500", *b"Rf", *n)).is_some());
        assert_eq!(between.count(), 10_000);
        assert_eq!(numbers.handle(SfId::new(*b"500", *b"Xx", 1)), None);
    }
}
