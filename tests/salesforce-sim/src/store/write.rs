//! Changes to records, with the side effects the platform has: audit fields, numbering, derived fields,
//! history rows, cascades and re-parenting.
//!
//! Every change makes a new version; nothing is overwritten. Whether a change is visible at once is decided by
//! its [`When`], never here.

use super::{Handle, State, Store, Version, set_slot};
use crate::id::SfId;
use crate::value::{Cell, Value};

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
        let mut values = self.tables[object].blank();
        for (slot, value) in fields {
            set_slot(&mut values, *slot, value.clone());
        }
        let id = self.tables[object].reserve_id(0);
        self.fill_audit(object, &mut values, when);
        self.derive(object, id, &mut values, when.stamp);
        let version = Version::new(when.stamp, when.commit_at, State::Live, values);
        self.tables[object].append(id, version, when.now);
        if self.tables[object].schema.name == "Case" {
            self.history(id, "created", "Text", [Value::Null, Value::Null], when);
        }
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
        let Some(before) = self.tables[object].row(handle).latest().cloned() else {
            return;
        };
        let id = self.tables[object].row(handle).id;
        let mut values = before.values();
        for (slot, value) in fields {
            set_slot(&mut values, *slot, value.clone());
        }
        self.derive(object, id, &mut values, when.stamp);
        let stamp = if touch { when.stamp } else { before.stamp };
        if touch {
            self.fill_modified(object, &mut values, when);
        }
        let after = Version::new(stamp, when.commit_at, before.state, values);
        if touch && self.tables[object].schema.name == "Case" {
            self.track(id, &before, &after, when);
        }
        self.tables[object].put(handle, after, when.now);
    }

    /// Puts a record and its cascading children into the recycle bin, or (`State::Live`) takes them out again,
    /// or (`State::Purged`) removes them for good.
    pub fn set_state(&mut self, object: usize, handle: Handle, state: State, when: When) {
        let Some(before) = self.tables[object].row(handle).latest().cloned() else {
            return;
        };
        if before.state == state {
            return;
        }
        let id = self.tables[object].row(handle).id;
        for (child, field) in self.cascades(object) {
            for row in self.children(child, field, id) {
                let version = self.tables[child].row(row).latest();
                // Only what went into the bin together comes out together.
                let together = version.is_some_and(|version| match state {
                    State::Live => {
                        version.state == State::Deleted && version.committed_at == before.committed_at
                    }
                    State::Deleted => version.state == State::Live,
                    State::Purged => true,
                });
                if together {
                    self.set_state(child, row, state, when);
                }
            }
        }
        let schema = &self.tables[object].schema;
        let stamp = if schema.field("SystemModstamp").is_some() { when.stamp } else { before.stamp };
        let after = Version::new(stamp, when.commit_at, state, before.values());
        self.tables[object].put(handle, after, when.now);
    }

    /// Merges records: children of the losers move to the winner, the losers go to the recycle bin and name
    /// their master.
    pub fn merge(&mut self, object: usize, winner: Handle, losers: &[Handle], when: When) {
        let winner_id = self.tables[object].row(winner).id;
        let master = self.tables[object].schema.slot("MasterRecordId");
        let links = self.links(object);
        for loser in losers {
            let loser_id = self.tables[object].row(*loser).id;
            for (child, field) in &links {
                // History stays with the record it tells of, and is deleted with it.
                if self.tables[*child].schema.name == "CaseHistory" {
                    continue;
                }
                let Some(slot) = self.tables[*child].schema.fields[*field].slot() else {
                    continue;
                };
                for row in self.children(*child, *field, loser_id) {
                    self.update(*child, row, &[(slot, Value::Id(winner_id))], true, when);
                }
            }
            self.update(object, *loser, &[(master, Value::Id(winner_id))], true, when);
            self.set_state(object, *loser, State::Deleted, when);
        }
        self.update(object, winner, &[], true, when);
    }

    /// Child tables and reference fields that can be traversed from an object.
    fn links(&self, object: usize) -> Vec<(usize, usize)> {
        let catalog = &self.catalog;
        let links =
            catalog.children(&catalog.objects[object].name).filter(|link| link.target.children.is_some());
        links.map(|link| (link.object, link.field)).collect()
    }

    fn cascades(&self, object: usize) -> Vec<(usize, usize)> {
        let catalog = &self.catalog;
        let links = catalog.children(&catalog.objects[object].name).filter(|link| link.target.cascade);
        links.map(|link| (link.object, link.field)).collect()
    }

    fn fill_audit(&self, object: usize, values: &mut Vec<Value>, when: When) {
        let schema = &self.tables[object].schema;
        for (name, value) in
            [("CreatedDate", Value::Instant(when.stamp)), ("CreatedById", Value::Id(when.by))]
        {
            let Some(slot) = schema.field(name).and_then(crate::schema::Field::slot) else {
                continue;
            };
            if values.get(slot).is_none_or(|value| *value == Value::Null) {
                set_slot(values, slot, value);
            }
        }
        let owner = schema.field("OwnerId").and_then(crate::schema::Field::slot);
        if let Some(slot) = owner.filter(|slot| values.get(*slot).is_none_or(|value| *value == Value::Null)) {
            set_slot(values, slot, Value::Id(when.by));
        }
        self.fill_modified(object, values, when);
    }

    fn fill_modified(&self, object: usize, values: &mut Vec<Value>, when: When) {
        let schema = &self.tables[object].schema;
        let modified =
            [("LastModifiedDate", Value::Instant(when.stamp)), ("LastModifiedById", Value::Id(when.by))];
        for (name, value) in modified {
            if let Some(slot) = schema.field(name).and_then(crate::schema::Field::slot) {
                set_slot(values, slot, value);
            }
        }
    }

    /// Fields that follow from others: person names, numbers, the closed flag.
    fn derive(&self, object: usize, id: SfId, values: &mut Vec<Value>, stamp: i64) {
        let schema = &self.tables[object].schema;
        let text = |values: &[Value], name: &str| match values.get(schema.slot(name)).map(Value::cell) {
            Some(Cell::Text(text)) => Some(text.to_owned()),
            _ => None,
        };
        match schema.name.as_str() {
            "Contact" | "User" => {
                let parts = [text(values, "FirstName"), text(values, "LastName")];
                let name = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
                set_slot(values, schema.slot("Name"), Value::text(&name));
            }
            "Case" => {
                let closed = text(values, "Status").as_deref() == Some("Closed");
                let was = values.get(schema.slot("IsClosed")) == Some(&Value::Bool(true));
                set_slot(values, schema.slot("IsClosed"), Value::Bool(closed));
                if closed != was {
                    let at = if closed { Value::Instant(stamp) } else { Value::Null };
                    set_slot(values, schema.slot("ClosedDate"), at);
                }
                if text(values, "CaseNumber").is_none() {
                    set_slot(values, schema.slot("CaseNumber"), Value::text(&running_number(id, "")));
                }
            }
            "EmailMessage" if text(values, "Name").is_none() => {
                let subject = text(values, "Subject").unwrap_or_else(|| "(no subject)".to_owned());
                let name: String = subject.chars().take(255).collect();
                set_slot(values, schema.slot("Name"), Value::text(&name));
            }
            "Escalation__c" if text(values, "Name").is_none() => {
                set_slot(values, schema.slot("Name"), Value::text(&running_number(id, "ESC-")));
            }
            "Task" => {
                let closed = text(values, "Status").as_deref() == Some("Completed");
                set_slot(values, schema.slot("IsClosed"), Value::Bool(closed));
            }
            _ => {}
        }
    }

    fn track(&mut self, case: SfId, before: &Version, after: &Version, when: When) {
        let schema = std::sync::Arc::clone(&self.table("Case").schema);
        for (name, data_type) in TRACKED {
            let slot = schema.slot(name);
            let (old, new) = (before.cell(slot), after.cell(slot));
            if old != new {
                self.history(case, name, data_type, [old.to_value(), new.to_value()], when);
            }
        }
        let owner = schema.slot("OwnerId");
        if let (Some(old), Some(new)) = (before.id_at(owner), after.id_at(owner))
            && old != new
        {
            // The platform writes two rows for a reference: one with names, one with ids.
            let names = [self.name_of(old), self.name_of(new)];
            self.history(case, "Owner", "Text", names, when);
            self.history(case, "Owner", "EntityId", [Value::Id(old), Value::Id(new)], when);
        }
    }

    /// The name of a user or queue, as history rows show it.
    pub fn name_of(&self, id: SfId) -> Value {
        let Some((object, handle)) = self.find(id) else {
            return Value::Null;
        };
        let table = &self.tables[object];
        let slot = table.schema.slot("Name");
        table.row(handle).latest().map_or(Value::Null, |version| version.cell(slot).to_value())
    }

    /// Writes a history row of a case.
    pub fn history(&mut self, case: SfId, field: &str, data_type: &str, change: [Value; 2], when: When) {
        let object = self.object("CaseHistory");
        let schema = std::sync::Arc::clone(&self.tables[object].schema);
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

/// An auto-number derived from the id, so that it grows as ids do: `00001234` or `ESC-00001234`.
fn running_number(id: SfId, prefix: &str) -> String {
    let number = id.short().bytes().skip(6).fold(0_u64, |all, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => byte - b'a' + 36,
        };
        all * 62 + u64::from(digit)
    });
    format!("{prefix}{number:08}")
}
