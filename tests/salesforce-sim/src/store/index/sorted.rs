//! A large sorted set that rarely changes: one shared slice, and the few changes since it was made.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::iter::Peekable;
use std::sync::Arc;

use crate::store::Handle;

/// A time in whole seconds since 1970, and a row.
pub(super) type Entry = (u32, Handle);

/// Changes that are kept apart at least; beyond a share of the set they are merged in.
const LEAST_CHANGES: usize = 256;
/// The share of the set that changes may make up: one in so many.
const SHARE: usize = 512;

/// A sorted set of entries.
#[derive(Debug, Default)]
pub(super) struct SortedSet {
    main: Arc<[Entry]>,
    added: BTreeSet<Entry>,
    removed: BTreeSet<Entry>,
}

/// A part of a set that stays as it was: what a cursor holds.
#[derive(Clone, Debug)]
pub struct Span {
    entries: Arc<[Entry]>,
    from: usize,
    to: usize,
    descending: bool,
}

impl Span {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// The row at a place, which must be below the length.
    pub fn get(&self, place: usize) -> Handle {
        let at = if self.descending { self.to - 1 - place } else { self.from + place };
        self.entries[at].1
    }
}

impl SortedSet {
    /// A set of these entries, in any order, each once.
    pub(super) fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable();
        Self { main: entries.into(), added: BTreeSet::new(), removed: BTreeSet::new() }
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        if !self.removed.remove(&entry) {
            self.added.insert(entry);
            self.settle();
        }
    }

    pub(super) fn remove(&mut self, entry: Entry) {
        if !self.added.remove(&entry) {
            self.removed.insert(entry);
            self.settle();
        }
    }

    fn settle(&mut self) {
        if self.added.len() + self.removed.len() > LEAST_CHANGES.max(self.main.len() / SHARE) {
            let merged: Vec<Entry> = self.iter((0, 0), LAST, false).collect();
            self.main = merged.into();
            self.added.clear();
            self.removed.clear();
        }
    }

    fn places(&self, low: Entry, high: Entry) -> (usize, usize) {
        let place = |bound: Entry| self.main.partition_point(|entry| *entry < bound);
        let from = place(low);
        (from, place(high).max(from))
    }

    /// How many entries from `low` (inclusive) to `high` (exclusive).
    pub(super) fn count(&self, low: Entry, high: Entry) -> usize {
        if low >= high {
            return 0;
        }
        let (from, to) = self.places(low, high);
        to - from + self.added.range(low..high).count() - self.removed.range(low..high).count()
    }

    /// Entries from `low` (inclusive) to `high` (exclusive), upwards or downwards.
    pub(super) fn iter(
        &self,
        low: Entry,
        high: Entry,
        descending: bool,
    ) -> Box<dyn Iterator<Item = Entry> + '_> {
        if low >= high {
            return Box::new(std::iter::empty());
        }
        let (from, to) = self.places(low, high);
        let main = &self.main[from..to];
        if self.added.is_empty() && self.removed.is_empty() {
            return if descending {
                Box::new(main.iter().rev().copied())
            } else {
                Box::new(main.iter().copied())
            };
        }
        let kept = |entry: &Entry| !self.removed.contains(entry);
        let added = self.added.range(low..high).copied();
        if descending {
            Box::new(Merge::new(main.iter().rev().copied().filter(kept), added.rev(), Ordering::Greater))
        } else {
            Box::new(Merge::new(main.iter().copied().filter(kept), added, Ordering::Less))
        }
    }

    /// The entries of a range as they are now, when they lie side by side.
    pub(super) fn span(&self, low: Entry, high: Entry, descending: bool) -> Option<Span> {
        if low >= high {
            return Some(Span { entries: Arc::clone(&self.main), from: 0, to: 0, descending });
        }
        let untouched =
            self.added.range(low..high).next().is_none() && self.removed.range(low..high).next().is_none();
        let (from, to) = self.places(low, high);
        untouched.then(|| Span { entries: Arc::clone(&self.main), from, to, descending })
    }
}

/// Greater than every entry that a table can make.
pub(super) const LAST: Entry = (u32::MAX, Handle::MAX);

/// Two sorted iterators as one.
struct Merge<A: Iterator<Item = Entry>, B: Iterator<Item = Entry>> {
    a: Peekable<A>,
    b: Peekable<B>,
    first: Ordering,
}

impl<A: Iterator<Item = Entry>, B: Iterator<Item = Entry>> Merge<A, B> {
    fn new(a: A, b: B, first: Ordering) -> Self {
        Self { a: a.peekable(), b: b.peekable(), first }
    }
}

impl<A: Iterator<Item = Entry>, B: Iterator<Item = Entry>> Iterator for Merge<A, B> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        match (self.a.peek(), self.b.peek()) {
            (Some(a), Some(b)) if a.cmp(b) == self.first => self.a.next(),
            (_, Some(_)) => self.b.next(),
            _ => self.a.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_like_a_plain_set(
            first in prop::collection::btree_set((0_u32..40, 0_u32..40), 0..80),
            changes in prop::collection::vec((any::<bool>(), 0_u32..40, 0_u32..40), 0..400),
            low in (0_u32..45, 0_u32..45),
            high in (0_u32..45, 0_u32..45),
        ) {
            let mut model = first.clone();
            let mut set = SortedSet::new(first.into_iter().collect());
            for (insert, time, handle) in changes {
                let entry = (time, handle);
                if insert && model.insert(entry) {
                    set.insert(entry);
                } else if !insert && model.remove(&entry) {
                    set.remove(entry);
                }
            }
            let expected: Vec<Entry> = model.into_iter().filter(|entry| low <= *entry && *entry < high).collect();
            prop_assert_eq!(set.count(low, high), expected.len());
            prop_assert_eq!(set.iter(low, high, false).collect::<Vec<_>>(), expected.clone());
            let backwards: Vec<Entry> = expected.iter().rev().copied().collect();
            prop_assert_eq!(set.iter(low, high, true).collect::<Vec<_>>(), backwards);
            if let Some(span) = set.span(low, high, true) {
                prop_assert_eq!(span.len(), expected.len());
                let rows: Vec<Handle> = (0..span.len()).map(|place| span.get(place)).collect();
                prop_assert_eq!(rows, expected.iter().rev().map(|entry| entry.1).collect::<Vec<_>>());
            }
        }
    }
}
