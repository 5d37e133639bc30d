//! Records under construction.

use std::collections::HashMap;

use super::Generator;
use crate::id::SfId;
use crate::store::{State, Version, set_slot};
use crate::value::Value;

/// Shares one copy of each often repeated text.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: HashMap<String, Value>,
}

impl Words {
    /// The shared value of a text.
    pub(super) fn get(&mut self, text: &str) -> Value {
        if let Some(value) = self.words.get(text) {
            return value.clone();
        }
        let value = Value::text(text);
        self.words.insert(text.to_owned(), value.clone());
        value
    }
}

/// A record under construction.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    object: usize,
    values: Vec<Value>,
}

impl Generator<'_> {
    /// A record with the object's defaults.
    pub(super) fn draft(&self, object: &str) -> Draft {
        let object = self.store.object(object);
        Draft { object, values: self.store.tables[object].blank() }
    }

    /// Sets a field.
    pub(super) fn set(&self, draft: &mut Draft, field: &str, value: impl Into<Value>) {
        let slot = self.store.tables[draft.object].schema.slot(field);
        set_slot(&mut draft.values, slot, value.into());
    }

    /// Sets a field to one of a few repeated texts.
    pub(super) fn set_word(&mut self, draft: &mut Draft, field: &str, word: &str) {
        let value = self.words.get(word);
        self.set(draft, field, value);
    }

    /// Sets who made and last changed the record, and when.
    pub(super) fn audit(&self, draft: &mut Draft, created: i64, modified: i64, by: SfId) {
        self.set(draft, "CreatedDate", Value::Instant(created));
        self.set(draft, "CreatedById", by);
        self.set(draft, "LastModifiedDate", Value::Instant(modified));
        self.set(draft, "LastModifiedById", by);
    }

    /// Stores the record with this stamp. Ids have gaps, as in orgs where other things happen too.
    pub(super) fn keep(&mut self, draft: Draft, stamp: i64) -> SfId {
        let gap = u64::try_from(self.random.below(5)).unwrap_or(0);
        let id = self.store.tables[draft.object].reserve_id(gap);
        let version = Version::new(stamp, stamp, State::Live, draft.values);
        let now = self.recipe.now;
        self.store.tables[draft.object].append(id, version, now);
        id
    }
}

impl Draft {
    /// The values in slot order.
    pub(super) fn into_values(self) -> Vec<Value> {
        self.values
    }
}
