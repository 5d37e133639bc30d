//! Changes to records, with the side effects the platform has: audit fields, numbering, derived fields,
//! history rows, cascades and re-parenting. What one write brings about elsewhere is in `effects`.
//!
//! Every change makes a new version; nothing is overwritten. Whether a change is visible at once is decided by
//! its [`When`], never here.

use std::sync::Arc;

use super::derive::Pending;
use super::version::Row;
use super::{Handle, State, Store, Table, Version, set_slot};
use crate::id::SfId;
use crate::value::Value;

/// The two times of a change, and who makes it.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// Simulated time of the write, milliseconds since 1970.
    pub now: i64,
    /// `SystemModstamp` of the new version; whole seconds.
    pub stamp: i64,
    /// When the change commits.
    pub commit_at: i64,
    /// The user who writes.
    pub by: SfId,
}

impl When {
    /// A change that is stamped and committed at `now`.
    pub fn at(now: i64, by: SfId) -> Self {
        Self { now, stamp: whole_second(now), commit_at: now, by }
    }
}

/// Rounds down to a whole second: stamps have no finer grain on the platform.
pub fn whole_second(millis: i64) -> i64 {
    millis - millis.rem_euclid(1_000)
}

/// Fields whose changes the org tracks, and the data type of their history rows.
const TRACKED: [(&str, &str); 5] = [
    ("Status", "DynamicEnum"),
    ("Priority", "DynamicEnum"),
    ("Type", "DynamicEnum"),
    ("Reason", "DynamicEnum"),
    ("Subject", "Text"),
];

impl Store {
    /// Inserts a record with these values by slot over the object's defaults.
    pub fn insert(&mut self, object: usize, fields: &[(usize, Value)], when: When) -> SfId {
        let object = self.catalog.storage(object);
        let schema = Arc::clone(&self.catalog.objects[object]);
        let id = self.tables[object].reserve_id();
        let blank = self.tables[object].blank();
        let before = |slot: usize| blank.get(slot).cloned().unwrap_or(Value::Null);
        let changes = fields.to_vec();
        let mut pending =
            Pending { schema: &schema, id, stamp: when.stamp, before: &before, changes, is_new: true };
        pending.tick();
        pending.set_missing("CreatedDate", Value::Instant(when.stamp));
        pending.set_missing("CreatedById", when.by);
        pending.set_missing("OwnerId", when.by);
        pending.set("LastModifiedDate", Value::Instant(when.stamp));
        pending.set("LastModifiedById", when.by);
        pending.derive();
        let mut values = blank.clone();
        for (slot, value) in pending.changes {
            set_slot(&mut values, slot, value);
        }
        let version = Version::new(when.stamp, when.commit_at, State::Live, values);
        let handle = self.tables[object].append(id, version, when.now);
        self.after_insert(object, handle, when);
        id
    }

    /// Changes fields of a record. Without `touch` the values change and no stamp moves, as formulas do.
    pub fn update(
        &mut self,
        object: usize,
        handle: Handle,
        fields: &[(usize, Value)],
        touch: bool,
        when: When,
    ) {
        let object = self.catalog.storage(object);
        let schema = Arc::clone(&self.catalog.objects[object]);
        let Some(latest) = self.tables[object].latest(handle) else { return };
        let (id, state, stamp) = (latest.id, latest.state(), latest.stamp());
        let before = |slot: usize| latest.cell(slot).to_value();
        let changes = fields.to_vec();
        let mut pending =
            Pending { schema: &schema, id, stamp: when.stamp, before: &before, changes, is_new: false };
        pending.tick();
        pending.derive();
        if touch {
            pending.set("LastModifiedDate", Value::Instant(when.stamp));
            pending.set("LastModifiedById", when.by);
        }
        let mut changes: Vec<(usize, Value)> = Vec::new();
        for (slot, value) in pending.changes {
            changes.retain(|(earlier, _)| *earlier != slot);
            changes.push((slot, value));
        }
        let tracked: Vec<Change> =
            if touch && schema.name == "Case" { tracked(&schema, &before, &changes) } else { Vec::new() };
        drop(latest);
        let stamp = if touch { when.stamp } else { stamp };
        self.tables[object].change(handle, (stamp, when.commit_at), state, changes, when.now);
        self.track(id, &tracked, when);
    }

    /// Puts a record and its cascading children into the recycle bin, or (`State::Live`) takes them out again,
    /// or (`State::Purged`) removes them for good.
    pub fn set_state(&mut self, object: usize, handle: Handle, state: State, when: When) {
        let object = self.catalog.storage(object);
        let Some(latest) = self.tables[object].latest(handle) else { return };
        if latest.state() == state {
            return;
        }
        let (id, stamp) = (latest.id, latest.stamp());
        let binned_at = |table: &Table, row| table.stored(row).and_then(Row::binned_at);
        let since = binned_at(&self.tables[object], handle);
        for (child, field) in self.cascades(object) {
            for row in self.children(child, field, id) {
                let version = self.tables[child].latest(row);
                // Only what went into the bin together comes out together.
                let together = version.is_some_and(|version| match state {
                    State::Live => {
                        version.state() == State::Deleted && binned_at(&self.tables[child], row) == since
                    }
                    State::Deleted => version.state() == State::Live,
                    State::Purged => true,
                });
                if together {
                    self.set_state(child, row, state, when);
                }
            }
        }
        let stamped = self.catalog.objects[object].field("SystemModstamp").is_some();
        let stamp = if stamped { when.stamp } else { stamp };
        self.tables[object].change(handle, (stamp, when.commit_at), state, Vec::new(), when.now);
    }

    /// Merges records: children of the losers move to the winner, the losers go to the recycle bin and name
    /// their master.
    pub fn merge(&mut self, object: usize, winner: Handle, losers: &[Handle], when: When) {
        let winner_id = self.tables[object].id(winner);
        let master = self.catalog.objects[object].slot("MasterRecordId");
        let links = self.links(object);
        for loser in losers {
            let loser_id = self.tables[object].id(*loser);
            for (child, field) in &links {
                let Some(slot) = self.catalog.objects[*child].fields[*field].slot() else { continue };
                for row in self.children(*child, *field, loser_id) {
                    self.update(*child, row, &[(slot, Value::Id(winner_id))], true, when);
                }
            }
            self.update(object, *loser, &[(master, Value::Id(winner_id))], true, when);
            self.set_state(object, *loser, State::Deleted, when);
        }
        self.update(object, winner, &[], true, when);
    }

    /// Child tables and reference fields that can be traversed from an object and move in a merge. History and feed
    /// stay with the record they tell of, and are deleted with it.
    fn links(&self, object: usize) -> Vec<(usize, usize)> {
        let tells = |child: usize| {
            let schema = &self.catalog.objects[child];
            schema.trait_value("history").is_some() || schema.trait_value("feed").is_some()
        };
        let links = self.catalog.children(&self.catalog.objects[object].name);
        let traversed = links.filter(|link| link.target.children.is_some() && !tells(link.object));
        traversed.map(|link| (link.object, link.field)).collect()
    }

    fn cascades(&self, object: usize) -> Vec<(usize, usize)> {
        let catalog = &self.catalog;
        let links = catalog.children(&catalog.objects[object].name);
        let own = links.filter(|link| link.target.cascade && catalog.storage(link.object) == link.object);
        own.map(|link| (link.object, link.field)).collect()
    }

    fn track(&mut self, case: SfId, changes: &[Change], when: When) {
        for change in changes {
            let (old, new) = (change.old.clone(), change.new.clone());
            if let (Value::Id(before), Value::Id(after)) = (&old, &new) {
                // The platform writes two rows for a reference: one with names, one with ids.
                let names = [self.name_of(*before), self.name_of(*after)];
                self.history(case, change.field, "Text", names, when);
            }
            self.history(case, change.field, change.data_type, [old, new], when);
        }
        self.tell(case, changes, when);
    }

    /// Writes a history row of a case.
    pub fn history(&mut self, case: SfId, field: &str, data_type: &str, change: [Value; 2], when: When) {
        let object = self.object("CaseHistory");
        let schema = Arc::clone(&self.catalog.objects[object]);
        let [old, new] = change;
        let fields = [
            (schema.slot("CaseId"), Value::Id(case)),
            (schema.slot("Field"), Value::text(field)),
            (schema.slot("DataType"), Value::text(data_type)),
            (schema.slot("OldValue"), old),
            (schema.slot("NewValue"), new),
        ];
        self.insert(object, &fields, when);
    }
}

/// A tracked field that changed.
pub(super) struct Change {
    pub(super) field: &'static str,
    pub(super) data_type: &'static str,
    pub(super) old: Value,
    pub(super) new: Value,
}

fn tracked(
    schema: &crate::schema::ObjectSchema,
    before: &dyn Fn(usize) -> Value,
    changes: &[(usize, Value)],
) -> Vec<Change> {
    let owner = [("OwnerId", "Owner", "EntityId")];
    let plain = TRACKED.map(|(field, data_type)| (field, field, data_type));
    let all = plain.into_iter().chain(owner);
    let change = |(name, field, data_type)| {
        let slot = schema.slot(name);
        let new = changes.iter().find(|(changed, _)| *changed == slot)?.1.clone();
        let old = before(slot);
        (old != new).then_some(Change { field, data_type, old, new })
    };
    all.filter_map(change).collect()
}
