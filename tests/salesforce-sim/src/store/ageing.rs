//! What time does to records: activities are archived, the recycle bin is emptied.

use super::write::When;
use super::{Handle, State, Store};
use crate::time::DAY_MS;
use crate::value::Value;

impl Store {
    /// Archives closed tasks that were due, or without a date made, so many days ago. It happens in the database: no
    /// stamp moves. Returns how many there were.
    pub fn archive(&mut self, days: i64, when: When) -> usize {
        let Some(object) = self.catalog.index("Task") else { return 0 };
        let schema = std::sync::Arc::clone(&self.catalog.objects[object]);
        let slots = ["IsClosed", "IsArchived", "ActivityDate", "CreatedDate"].map(|name| schema.slot(name));
        let [closed, archived, due, created] = slots;
        let oldest = when.now - days * DAY_MS;
        let table = &self.tables[object];
        let is_due = |row: &Handle| {
            let Some(record) = table.record(*row).filter(|record| record.state() == State::Live) else {
                return false;
            };
            let is = |slot| record.cell(slot).to_value() == Value::Bool(true);
            let old = match (record.cell(due).to_value(), record.cell(created).to_value()) {
                (Value::Date(day), _) => day * DAY_MS <= oldest,
                (_, Value::Instant(at)) => at <= oldest,
                _ => false,
            };
            is(closed) && !is(archived) && old
        };
        let rows: Vec<Handle> = table.handles().filter(is_due).collect();
        for row in &rows {
            self.update(object, *row, &[(archived, Value::Bool(true))], false, when);
        }
        rows.len()
    }

    /// Removes for good what has been in the recycle bin for so many days. Returns how many records that were.
    pub fn empty_bin(&mut self, only: Option<usize>, days: i64, when: When) -> usize {
        let oldest = when.now - days * DAY_MS;
        let mut count = 0;
        let objects: Vec<usize> = self.tables.iter().map(|(object, _)| object).collect();
        for object in objects.into_iter().filter(|object| only.is_none_or(|only| only == *object)) {
            let table = &self.tables[object];
            let is_due = |row: &Handle| {
                let record = table.record(*row);
                record
                    .is_some_and(|record| record.state() == State::Deleted && record.committed_at() <= oldest)
            };
            let deleted = |row: &Handle| table.state(*row) == Some(State::Deleted);
            let rows: Vec<Handle> = table.handles().filter(deleted).filter(is_due).collect();
            count += rows.len();
            for row in rows {
                self.set_state(object, row, State::Purged, when);
            }
        }
        count
    }
}
