//! Columns: each field of a record at birth is a function of its row.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::blueprint::Blueprint;
use super::invent;
use crate::id::SfId;
use crate::schema::{Field, Kind as FieldKind, ObjectSchema, custom};
use crate::store::{Birth, Handle, Slots, Spoken};
use crate::value::Value;

/// How a value follows from a row.
pub(super) type Column<K> = for<'a, 'b> fn(&'a <K as Kind>::Row<'b>) -> Value;

/// An object whose records are derived.
pub(super) trait Kind: Sized + 'static {
    /// What all fields of a record follow from.
    type Row<'b>;

    /// API name.
    const OBJECT: &'static str;

    /// How many records there are.
    fn count(blueprint: &Blueprint) -> Handle;

    /// One record.
    fn row(blueprint: &Blueprint, handle: Handle) -> Self::Row<'_>;

    /// Its stamp.
    fn stamp(row: &Self::Row<'_>) -> i64;

    /// Its fields.
    const COLUMNS: &'static [(&'static str, Column<Self>)];

    /// Where all records lie that point to this one, when that is known without looking.
    fn near(_: &Blueprint, _: SfId) -> Option<Vec<Range<Handle>>> {
        None
    }

    /// Bytes of its file field.
    fn blob(_: &Self::Row<'_>) -> Option<Vec<u8>> {
        None
    }

    /// What was said, in a conversation.
    fn spoken(_: &Self::Row<'_>) -> Vec<Spoken> {
        Vec::new()
    }
}

/// How a slot gets its value.
#[derive(Clone)]
enum Source {
    /// From the kind's column of this number.
    Column(usize),
    /// Always the same.
    Constant(Value),
    /// Made up, for custom fields.
    Invented(FieldKind, Vec<String>, u32),
}

/// The records of one kind.
pub(super) struct Born<K: Kind> {
    blueprint: Arc<Blueprint>,
    slots: Vec<Source>,
    kind: std::marker::PhantomData<fn() -> K>,
}

impl<K: Kind> fmt::Debug for Born<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(K::OBJECT).field("records", &K::count(&self.blueprint)).finish_non_exhaustive()
    }
}

impl<K: Kind> Born<K> {
    /// # Panics
    /// When a column names no stored field.
    pub(super) fn new(blueprint: Arc<Blueprint>, schema: &ObjectSchema) -> Self {
        let mut slots = vec![Source::Constant(Value::Null); schema.slots];
        for field in &schema.fields {
            let Some(slot) = field.slot() else { continue };
            slots[slot] = match (&field.default, field.kind) {
                (_, FieldKind::Boolean) => Source::Constant(Value::Bool(false)),
                (Some(default), _) => Source::Constant(Value::text(default)),
                (None, kind) if custom::is_invented(field) => {
                    Source::Invented(kind, field.picklist.clone(), field.length)
                }
                (None, _) => Source::Constant(Value::Null),
            };
        }
        for (number, (name, _)) in K::COLUMNS.iter().enumerate() {
            // A field that this org lacks still has its place.
            let slot = schema.fields.iter().find(|field| field.name == *name).and_then(Field::slot);
            let slot = slot.unwrap_or_else(|| panic!("{}.{name} is not a stored field", schema.name));
            slots[slot] = Source::Column(number);
        }
        Self { blueprint, slots, kind: std::marker::PhantomData }
    }

    fn derive(&self, row: &K::Row<'_>, handle: Handle, slot: usize) -> Value {
        match &self.slots[slot] {
            Source::Column(number) => (K::COLUMNS[*number].1)(row),
            Source::Constant(value) => value.clone(),
            Source::Invented(kind, words, length) => {
                let salt = u64::from(handle) ^ name_salt(K::OBJECT);
                let mut random = self.blueprint.stream(0x1000 + slot as u64, salt);
                invent::value(&mut random, *kind, words, *length, self.blueprint.now)
            }
        }
    }
}

impl<K: Kind> Birth for Born<K> {
    fn count(&self) -> Handle {
        K::count(&self.blueprint)
    }

    fn fill(&self, handle: Handle, wanted: Option<&Slots>, values: &mut Vec<Value>) -> i64 {
        let row = K::row(&self.blueprint, handle);
        let end = wanted.map_or(self.slots.len(), |wanted| wanted.end().min(self.slots.len()));
        values.resize(end, Value::Null);
        let mut fill = |slot: usize| values[slot] = self.derive(&row, handle, slot);
        match wanted {
            Some(wanted) => wanted.iter(end).for_each(&mut fill),
            None => (0..end).for_each(&mut fill),
        }
        K::stamp(&row)
    }

    fn value(&self, handle: Handle, slot: usize) -> Value {
        if slot < self.slots.len() {
            self.derive(&K::row(&self.blueprint, handle), handle, slot)
        } else {
            Value::Null
        }
    }

    fn stamp(&self, handle: Handle) -> i64 {
        K::stamp(&K::row(&self.blueprint, handle))
    }

    fn near(&self, parent: SfId) -> Option<Vec<Range<Handle>>> {
        K::near(&self.blueprint, parent)
    }

    fn blob(&self, handle: Handle) -> Option<Vec<u8>> {
        K::blob(&K::row(&self.blueprint, handle))
    }

    fn spoken(&self, handle: Handle) -> Vec<Spoken> {
        K::spoken(&K::row(&self.blueprint, handle))
    }
}

fn name_salt(object: &str) -> u64 {
    object.bytes().fold(0, |all, byte| (all << 5) ^ (all >> 59) ^ u64::from(byte))
}
