//! Versions of a record, and the history they make.

use crate::id::SfId;
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
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// All values, in slot order.
    Whole(Box<[Value]>),
    /// What differs from the values that the record was born with, in slot order.
    Patch(Box<[(usize, Value)]>),
}

impl Version {
    /// A version from its values in slot order; trailing nulls are dropped.
    pub fn new(stamp: i64, committed_at: i64, state: State, mut values: Vec<Value>) -> Self {
        while values.last() == Some(&Value::Null) {
            values.pop();
        }
        Self { stamp, committed_at, state, content: Content::Whole(values.into_boxed_slice()) }
    }

    /// A version of a record that is derived but for these values.
    pub(super) fn patch(stamp: i64, committed_at: i64, state: State, changes: Vec<(usize, Value)>) -> Self {
        Self { stamp, committed_at, state, content: Content::Patch(changes.into_boxed_slice()) }
    }

    /// The version that follows this one by changes.
    pub(super) fn changed(
        &self,
        stamp: i64,
        committed_at: i64,
        state: State,
        changes: Vec<(usize, Value)>,
    ) -> Self {
        match &self.content {
            Content::Whole(values) => {
                let mut values = values.to_vec();
                for (slot, value) in changes {
                    set_slot(&mut values, slot, value);
                }
                Self::new(stamp, committed_at, state, values)
            }
            Content::Patch(before) => {
                let mut all = before.to_vec();
                for (slot, value) in changes {
                    match all.binary_search_by_key(&slot, |(slot, _)| *slot) {
                        Ok(place) => all[place].1 = value,
                        Err(place) => all.insert(place, (slot, value)),
                    }
                }
                Self::patch(stamp, committed_at, state, all)
            }
        }
    }

    /// The value of a slot, or `None` when it is still the one that the record was born with.
    pub(super) fn stored(&self, slot: usize) -> Option<Cell<'_>> {
        match &self.content {
            Content::Whole(values) => Some(values.get(slot).map_or(Cell::Null, Value::cell)),
            Content::Patch(changes) => {
                let place = changes.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
                Some(changes[place].1.cell())
            }
        }
    }
}

/// The stored value at a slot of a version under construction, growing it as needed.
pub fn set_slot(values: &mut Vec<Value>, slot: usize, value: Value) {
    if slot >= values.len() {
        values.resize(slot + 1, Value::Null);
    }
    values[slot] = value;
}

/// What is stored of a record: its visible version, those before it and those to come.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: SfId,
    pub(super) current: Option<Version>,
    pub(super) past: Vec<Version>,
    pub(super) coming: Vec<Version>,
}

impl Row {
    pub(super) fn new(id: SfId, current: Option<Version>) -> Self {
        Self { id, current, past: Vec::new(), coming: Vec::new() }
    }

    /// The newest version, visible or not: what the next change builds on.
    pub(super) fn latest(&self) -> Option<&Version> {
        self.coming.last().or(self.current.as_ref())
    }

    /// When it went into the recycle bin, if its newest version is there; what changed since in the bin does not count.
    pub(super) fn binned_at(&self) -> Option<i64> {
        let newest_first = self.coming.iter().rev().chain(&self.current).chain(self.past.iter().rev());
        let binned = newest_first.take_while(|version| version.state == State::Deleted);
        binned.last().map(|version| version.committed_at)
    }

    /// The version that was visible at a moment. Versions of a row commit in order.
    pub(super) fn at(&self, at: i64) -> Option<&Version> {
        let newest_first = self.coming.iter().rev().chain(&self.current).chain(self.past.iter().rev());
        newest_first.into_iter().find(|version| version.committed_at <= at)
    }
}
