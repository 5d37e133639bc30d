//! Sorted indexes: by time (stamp, then row) and by parent.
//!
//! Rows of one time are in order of id, for handles are. A purged row leaves its indexes.

use std::collections::BTreeSet;

use super::Handle;
use super::table::{State, Version};
use crate::id::SfId;
use crate::schema::Source;
use crate::value::Cell;

/// What an index sorts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKey {
    /// A time in milliseconds.
    Time,
    /// The id of a parent.
    Parent,
}

/// An index over the visible versions of one table.
#[derive(Debug)]
pub struct Index {
    /// The field it sorts by.
    pub field: usize,
    /// What it sorts by.
    pub key: IndexKey,
    times: BTreeSet<(i64, Handle)>,
    parents: BTreeSet<(SfId, Handle)>,
}

impl Index {
    pub(super) fn new(field: usize, key: IndexKey) -> Self {
        Self { field, key, times: BTreeSet::new(), parents: BTreeSet::new() }
    }

    pub(super) fn replace(
        &mut self,
        source: &Source,
        handle: Handle,
        before: Option<&Version>,
        after: &Version,
    ) {
        let before = before.and_then(|version| Entry::of(source, version));
        let after = Entry::of(source, after);
        if before == after {
            return;
        }
        match before {
            Some(Entry::Time(at)) => _ = self.times.remove(&(at, handle)),
            Some(Entry::Parent(id)) => _ = self.parents.remove(&(id, handle)),
            None => {}
        }
        match after {
            Some(Entry::Time(at)) => _ = self.times.insert((at, handle)),
            Some(Entry::Parent(id)) => _ = self.parents.insert((id, handle)),
            None => {}
        }
    }

    /// Rows from one place (inclusive) to another (exclusive), in order of (time, id).
    pub fn between(
        &self,
        low: (i64, Handle),
        high: (i64, Handle),
    ) -> impl DoubleEndedIterator<Item = Handle> + '_ {
        self.times.range(low.min(high)..high).map(|(_, handle)| *handle)
    }

    /// Rows of a parent, in order of id.
    pub fn of_parent(&self, parent: SfId) -> impl Iterator<Item = Handle> + '_ {
        self.parents.range((parent, 0)..=(parent, Handle::MAX)).map(|(_, handle)| *handle)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Time(i64),
    Parent(SfId),
}

impl Entry {
    fn of(source: &Source, version: &Version) -> Option<Self> {
        if version.state == State::Purged {
            return None;
        }
        match source {
            Source::Stamp => Some(Self::Time(version.stamp)),
            Source::Slot(slot) => match version.cell(*slot) {
                Cell::Instant(at) => Some(Self::Time(at)),
                Cell::Id(id) => Some(Self::Parent(id)),
                _ => None,
            },
            _ => None,
        }
    }
}
