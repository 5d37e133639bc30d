//! Records that an org is born with. They are derived when asked and never stored: a million of them cost nothing until
//! somebody looks, and only what is changed later takes memory.

use std::fmt::Debug;
use std::ops::Range;

use super::Handle;
use crate::id::SfId;
use crate::value::Value;

/// Values that a reader will ask for; others may be left out.
#[derive(Clone, Debug, Default)]
pub struct Slots(Vec<u64>);

impl Slots {
    /// Adds a slot.
    pub fn insert(&mut self, slot: usize) {
        let word = slot / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (slot % 64);
    }

    /// Greater than every slot in it.
    pub fn end(&self) -> usize {
        self.0.last().map_or(0, |word| self.0.len() * 64 - word.leading_zeros() as usize)
    }

    /// Whether a slot is wanted.
    pub fn contains(&self, slot: usize) -> bool {
        self.0.get(slot / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    /// Just this one.
    pub fn only(slot: usize) -> Self {
        let mut slots = Self::default();
        slots.insert(slot);
        slots
    }

    /// The wanted slots below `end`, in order.
    pub fn iter(&self, end: usize) -> impl Iterator<Item = usize> + '_ {
        (0..end.min(self.0.len() * 64)).filter(|slot| self.contains(*slot))
    }
}

/// The records of one object at birth. Handles count from 0.
pub trait Birth: Debug + Send + Sync {
    /// How many there are.
    fn count(&self) -> Handle;

    /// Writes the values of a record by slot, at least the wanted ones (all, when nothing says which), and returns its
    /// stamp.
    fn fill(&self, handle: Handle, wanted: Option<&Slots>, values: &mut Vec<Value>) -> i64;

    /// One value of a record.
    fn value(&self, handle: Handle, slot: usize) -> Value;

    /// The stamp of a record.
    fn stamp(&self, handle: Handle) -> i64;

    /// Where all records lie that point to this one, in order, when that is known without looking.
    fn near(&self, parent: SfId) -> Option<Vec<Range<Handle>>>;

    /// Bytes of a file field.
    fn blob(&self, handle: Handle) -> Option<Vec<u8>>;

    /// What was said in a conversation, in order.
    fn spoken(&self, handle: Handle) -> Vec<Spoken>;
}

/// One thing said in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// A UUID.
    pub identifier: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// By the agent, not the customer.
    pub by_agent: bool,
    /// The words.
    pub text: String,
    /// The session or call.
    pub related: SfId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_a_set() {
        let mut slots = Slots::only(3);
        slots.insert(200);
        assert!(slots.contains(3) && slots.contains(200));
        assert!(!slots.contains(4) && !slots.contains(10_000));
        assert_eq!((slots.end(), Slots::default().end()), (201, 0));
        assert_eq!(slots.iter(150).collect::<Vec<_>>(), [3]);
        assert_eq!(slots.iter(1_000).collect::<Vec<_>>(), [3, 200]);
    }
}
