//! Running plans over the store: which rows ([`rows`]), then what is written of them ([`render`] as
//! JSON, [`csv`] for bulk jobs).
//!
//! Rows are found once and remembered by handle; values are read when a page is written. So a page shows values
//! as they are then, of the rows that matched when the query began: exactly the platform's cursors.

mod access;
mod aggregate;
pub mod csv;
mod filter;
pub mod render;

use std::sync::Arc;

use crate::id::SfId;
use crate::org::permissions::Permissions;
use crate::soql::plan::{Plan, Shape};
use crate::store::{Handle, Reader, State};

/// What a running query may look at.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The records.
    pub reader: Reader<'a>,
    /// What the user may see.
    pub permissions: &'a Permissions,
    /// Whether deleted rows count (`queryAll`).
    pub with_deleted: bool,
}

impl Sight<'_> {
    /// Whether a row exists for this reader. Sharing rules would be asked here.
    pub fn sees(&self, object: usize, handle: Handle) -> bool {
        let table = &self.reader.store.tables[object];
        let alive = match table.state(handle) {
            Some(State::Live) => true,
            Some(State::Deleted) => self.with_deleted,
            Some(State::Purged) | None => false,
        };
        alive && (!self.permissions.hides_fields() || self.sees_history(object, handle))
    }

    /// History rows of a hidden field vanish.
    fn sees_history(&self, object: usize, handle: Handle) -> bool {
        let store = self.reader.store;
        let schema = &store.tables[object].schema;
        if schema.name != "CaseHistory" {
            return true;
        }
        let Some(field) = schema.field_index("Field") else {
            return true;
        };
        let crate::value::Cell::Text(changed) = self.reader.cell(object, handle, field) else {
            return true;
        };
        let changed = if changed == "Owner" { "OwnerId" } else { changed };
        let case = store.object("Case");
        let index = store.tables[case].schema.field_index(changed);
        index.is_none_or(|index| self.permissions.field_visible(case, index))
    }
}

/// Rows that a plan answers, in order; LIMIT and OFFSET are applied.
pub fn rows(plan: &Plan, sight: Sight<'_>) -> Arc<[Handle]> {
    access::select(plan, sight, None).into()
}

/// Rows of a sub-query below one parent.
pub fn child_rows(plan: &Plan, sight: Sight<'_>, field: usize, parent: SfId) -> Vec<Handle> {
    let candidates = sight.reader.store.children(plan.object, field, parent);
    access::select(plan, sight, Some(candidates))
}

/// The aggregate rows of a grouped plan, as JSON objects.
pub fn grouped_rows(plan: &Plan, sight: Sight<'_>) -> Vec<Vec<u8>> {
    match &plan.shape {
        Shape::Grouped { keys, columns } => aggregate::rows(plan, keys, columns, sight),
        Shape::Rows(_) | Shape::Count => Vec::new(),
    }
}
