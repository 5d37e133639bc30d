//! Believable further life of an org: new cases, replies, status changes, reopenings, deletions.

use std::collections::BTreeMap;

use serde::Serialize;

use super::random::Random;
use super::texts;
use crate::id::SfId;
use crate::store::write::When;
use crate::store::{Handle, State, Store};
use crate::value::{Cell, Value};

/// How many records of each object were changed in which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Edited {
    /// New records.
    pub created: BTreeMap<String, usize>,
    /// Changed records.
    pub updated: BTreeMap<String, usize>,
    /// Records put into the recycle bin by name; their children are not counted.
    pub deleted: BTreeMap<String, usize>,
}

struct Editor<'a> {
    store: &'a mut Store,
    random: Random,
    when: When,
    edited: Edited,
}

/// Makes `count` edits.
pub fn edit(store: &mut Store, count: usize, seed: u64, when: When) -> Edited {
    let mut editor = Editor { store, random: Random::new(seed), when, edited: Edited::default() };
    for _ in 0..count {
        editor.one();
    }
    editor.edited
}

impl Editor<'_> {
    fn one(&mut self) {
        match self.random.below(100) {
            0..20 => self.new_case(),
            20..50 => self.status(),
            50..68 => self.reply_to_any("CaseComment"),
            68..84 => self.reply_to_any("EmailMessage"),
            84..88 => self.field("Case", "Priority", &["High", "Medium", "Low"]),
            88..93 => self.field("Contact", "Title", &["Head of Purchasing", "Student", "CFO", "Owner"]),
            93..96 => self.delete("Case"),
            96..98 => self.delete("CaseComment"),
            _ => self.field("Escalation__c", "Severity__c", &["S1", "S2", "S3"]),
        }
    }

    fn live(&mut self, object: usize) -> Option<Handle> {
        let table = &self.store.tables[object];
        if table.is_empty() {
            return None;
        }
        for _ in 0..20 {
            let handle = Handle::try_from(self.random.below(table.len())).ok()?;
            if table.state(handle) == Some(State::Live) {
                return Some(handle);
            }
        }
        None
    }

    fn insert(&mut self, object: &str, fields: &[(&str, Value)]) -> SfId {
        let index = self.store.object(object);
        let schema = &self.store.catalog.objects[index];
        let slots: Vec<(usize, Value)> =
            fields.iter().map(|(name, value)| (schema.slot(name), value.clone())).collect();
        *self.edited.created.entry(object.to_owned()).or_default() += 1;
        self.store.insert(index, &slots, self.when)
    }

    fn update(&mut self, object: &str, handle: Handle, field: &str, value: Value) {
        let index = self.store.object(object);
        let slot = self.store.tables[index].schema.slot(field);
        self.store.update(index, handle, &[(slot, value)], true, self.when);
        *self.edited.updated.entry(object.to_owned()).or_default() += 1;
    }

    fn new_case(&mut self) {
        let contacts = self.store.object("Contact");
        let contact = self.live(contacts).map(|handle| self.store.tables[contacts].id(handle));
        let language = texts::language(&mut self.random);
        let subject = texts::subject(&mut self.random, language);
        let description = texts::message(&mut self.random, language, false);
        let mut fields = vec![
            ("Subject", Value::text(&subject)),
            ("Description", Value::text(&description.chars().take(32_000).collect::<String>())),
            ("Origin", Value::text("Email")),
        ];
        if let Some(contact) = contact {
            fields.push(("ContactId", Value::Id(contact)));
        }
        let case = self.insert("Case", &fields);
        for _ in 0..self.random.below(3) {
            let object = if self.random.chance(0.5) { "CaseComment" } else { "EmailMessage" };
            self.reply(object, case);
        }
    }

    fn reply_to_any(&mut self, object: &str) {
        let cases = self.store.object("Case");
        if let Some(handle) = self.live(cases) {
            let case = self.store.tables[cases].id(handle);
            self.reply(object, case);
        }
    }

    fn reply(&mut self, object: &str, case: SfId) {
        let language = texts::language(&mut self.random);
        let text = texts::message(&mut self.random, language, true);
        if object == "CaseComment" {
            let body: String = text.chars().take(1_000).collect();
            self.insert(object, &[("ParentId", Value::Id(case)), ("CommentBody", Value::text(&body))]);
            return;
        }
        let html = texts::html(&mut self.random, &text);
        let subject = texts::subject(&mut self.random, language);
        let incoming = self.random.chance(0.5);
        self.insert(
            object,
            &[
                ("ParentId", Value::Id(case)),
                ("RelatedToId", Value::Id(case)),
                ("Subject", Value::text(&subject)),
                ("FromAddress", Value::text("customer@mail1.example.com")),
                ("ToAddress", Value::text("support@support.example.com")),
                ("TextBody", Value::text(&text)),
                ("HtmlBody", Value::text(&html)),
                ("Incoming", Value::Bool(incoming)),
                ("MessageDate", Value::Instant(self.when.stamp)),
            ],
        );
    }

    /// The next status; a closed case opens again.
    fn status(&mut self) {
        let cases = self.store.object("Case");
        let Some(handle) = self.live(cases) else { return };
        let next = match self.store.latest_value(cases, handle, "Status").cell() {
            Cell::Text("Closed" | "New") => "Working",
            Cell::Text("Working") => *self.random.pick(&["Closed", "Escalated", "Waiting on Customer"]),
            _ => "Closed",
        };
        self.update("Case", handle, "Status", Value::text(next));
    }

    fn field(&mut self, object: &str, field: &str, values: &[&str]) {
        let index = self.store.object(object);
        if let Some(handle) = self.live(index) {
            let value = Value::text(self.random.pick::<&str>(values));
            self.update(object, handle, field, value);
        }
    }

    fn delete(&mut self, object: &str) {
        let index = self.store.object(object);
        if let Some(handle) = self.live(index) {
            self.store.set_state(index, handle, State::Deleted, self.when);
            *self.edited.deleted.entry(object.to_owned()).or_default() += 1;
        }
    }
}
