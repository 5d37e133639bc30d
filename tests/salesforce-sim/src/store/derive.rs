//! Values that follow from others: person names, running numbers, closed flags.

use super::{Handle, Store};
use crate::id::SfId;
use crate::schema::{Kind, ObjectSchema, flag};
use crate::value::{Cell, Value};

/// A record being written: what it will hold, slot by slot.
pub(super) struct Pending<'a> {
    pub(super) schema: &'a ObjectSchema,
    pub(super) id: SfId,
    /// The stamp of the write.
    pub(super) stamp: i64,
    /// Values before the write, by slot.
    pub(super) before: &'a dyn Fn(usize) -> Value,
    /// Values that the write sets.
    pub(super) changes: Vec<(usize, Value)>,
    /// Whether the record is new.
    pub(super) is_new: bool,
}

impl Pending<'_> {
    fn get(&self, name: &str) -> Value {
        let Some(slot) = self.schema.stored(name) else { return Value::Null };
        let set = self.changes.iter().rev().find(|(changed, _)| *changed == slot);
        set.map_or_else(|| (self.before)(slot), |(_, value)| value.clone())
    }

    fn text(&self, name: &str) -> Option<String> {
        if let Cell::Text(text) = self.get(name).cell() { Some(text.to_owned()) } else { None }
    }

    /// Sets a field that the object may lack.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(slot) = self.schema.stored(name) {
            self.changes.push((slot, value.into()));
        }
    }

    pub(super) fn set_missing(&mut self, name: &str, value: impl Into<Value>) {
        if self.get(name) == Value::Null {
            self.set(name, value);
        }
    }

    /// Adds what follows from the values so far.
    pub(super) fn derive(&mut self) {
        self.number();
        match self.schema.name.as_str() {
            "Contact" | "User" => self.person(),
            "Case" => self.case(),
            "Task" => self.task(),
            "EmailMessage" => {
                let subject = self.text("Subject").unwrap_or_else(|| "(no subject)".to_owned());
                self.set_missing("Name", subject.chars().take(255).collect::<String>());
            }
            "Attachment" => self.size_of("Body", &["BodyLength"]),
            "ContentVersion" => self.size_of("VersionData", &["ContentSize", "ContentSizeLong"]),
            "Conversation" => {
                let identifier = uuid(self.id);
                self.set_missing("ConversationIdentifier", identifier);
            }
            _ => {}
        }
    }

    /// An auto-number derived from the id, so that it grows as ids do.
    fn number(&mut self) {
        let Some(field) = self.schema.fields.iter().find(|field| field.has(flag::AUTO)) else { return };
        let name = field.name.clone();
        let prefix = match self.schema.name.as_str() {
            "Escalation__c" => "ESC-",
            "MessagingSession" => "MS-",
            "VoiceCall" => "VC-",
            _ => "",
        };
        let number = self.id.number().unwrap_or(0);
        self.set_missing(&name, format!("{prefix}{number:08}"));
    }

    fn person(&mut self) {
        let parts = ["FirstName", "MiddleName", "LastName", "Suffix"].map(|name| self.text(name));
        let name = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        self.set("Name", name);
    }

    fn case(&mut self) {
        let closed = self.text("Status").as_deref() == Some("Closed");
        let was = !self.is_new && self.get("IsClosed") == Value::Bool(true);
        self.set("IsClosed", closed);
        if closed != was {
            self.set("ClosedDate", if closed { Value::Instant(self.stamp) } else { Value::Null });
        }
        if self.is_new && closed {
            self.set("IsClosedOnCreate", true);
        }
    }

    fn task(&mut self) {
        let closed = self.text("Status").as_deref() == Some("Completed");
        let was = !self.is_new && self.get("IsClosed") == Value::Bool(true);
        self.set("IsClosed", closed);
        if closed != was {
            self.set("CompletedDateTime", if closed { Value::Instant(self.stamp) } else { Value::Null });
        }
        let high = self.text("Priority").as_deref() == Some("High");
        self.set("IsHighPriority", high);
        for (count, of) in [("WhoCount", "WhoId"), ("WhatCount", "WhatId")] {
            let number = i64::from(self.get(of) != Value::Null);
            self.set(count, Value::Int(number));
        }
    }

    fn size_of(&mut self, blob: &str, sizes: &[&str]) {
        let slot = self.schema.field(blob).and_then(|field| match field.source {
            crate::schema::Source::Blob(slot) => Some(slot),
            _ => None,
        });
        let set = self.changes.iter().find(|(changed, _)| Some(*changed) == slot);
        let Some((_, Value::Blob(bytes))) = set.cloned() else { return };
        for name in sizes {
            self.set(name, Value::Int(i64::try_from(bytes.len()).unwrap_or(i64::MAX)));
        }
        self.set("Checksum", crate::generate::checksum(&bytes));
    }

    /// Checkboxes are never null.
    pub(super) fn tick(&mut self) {
        for (slot, value) in &mut self.changes {
            let boolean = |field: &&crate::schema::Field| field.slot() == Some(*slot);
            let field = self.schema.fields.iter().find(boolean);
            if *value == Value::Null && field.is_some_and(|field| field.kind == Kind::Boolean) {
                *value = Value::Bool(false);
            }
        }
    }
}

/// An identifier in the form of a UUID that belongs to an id.
pub(crate) fn uuid(id: SfId) -> String {
    let number = id.number().unwrap_or(0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let [a, b] = [number, number.rotate_left(29) ^ 0x5bd1_e995_7b7d_159d];
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        (b >> 48) & 0xfff,
        b & 0xffff_ffff_ffff
    )
}

impl Store {
    /// The name of a user or queue, as history rows show it.
    pub fn name_of(&self, id: SfId) -> Value {
        let Some((object, handle)) = self.find(id) else {
            return Value::Null;
        };
        let slot = self.catalog.objects[object].stored("Name");
        let latest = self.tables[object].latest(handle);
        latest.zip(slot).map_or(Value::Null, |(record, slot)| record.cell(slot).to_value())
    }

    /// The newest value of a field that the object may lack.
    pub fn latest_value(&self, object: usize, handle: Handle, name: &str) -> Value {
        let slot = self.catalog.objects[object].stored(name);
        let latest = self.tables[object].latest(handle);
        latest.zip(slot).map_or(Value::Null, |(record, slot)| record.cell(slot).to_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_looks_like_one() {
        let text = uuid(SfId::new(*b"0dv", *b"Rf", 77));
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{text}");
    }
}
