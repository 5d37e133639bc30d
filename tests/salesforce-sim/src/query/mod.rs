//! Running plans over the store: which rows ([`rows`]), then what is written of them ([`render`] as
//! JSON, [`csv`] for bulk jobs).
//!
//! Rows are found once and remembered by handle; values are read when a page is written. So a page shows values
//! as they are then, of the rows that matched when the query began: exactly the platform's cursors.

mod access;
mod aggregate;
pub mod csv;
mod filter;
mod formatted;
mod range;
pub mod render;
pub mod rules;
mod sight;
mod term;
mod wanted;

use crate::id::SfId;
use crate::soql::plan::{Plan, Shape};
use crate::store::Handle;

pub use access::RowSet;
pub use sight::Sight;

/// Rows that a plan answers, in order; LIMIT and OFFSET are applied.
pub fn rows(plan: &Plan, sight: Sight<'_>) -> RowSet {
    let wanted = wanted::by_filter(plan, sight);
    access::select(plan, sight.wanting(&wanted), None)
}

/// How many rows a plan answers.
pub fn count(plan: &Plan, sight: Sight<'_>) -> usize {
    let wanted = wanted::by_filter(plan, sight);
    access::count(plan, sight.wanting(&wanted))
}

/// Rows of a sub-query below one parent.
pub fn child_rows(plan: &Plan, sight: Sight<'_>, field: usize, parent: SfId) -> Vec<Handle> {
    let candidates = sight.reader.store.children(plan.object, field, parent);
    access::select(plan, sight, Some(candidates)).to_vec()
}

/// The aggregate rows of a grouped plan, as JSON objects.
pub fn grouped_rows(plan: &Plan, sight: Sight<'_>) -> Vec<Vec<u8>> {
    match &plan.shape {
        Shape::Grouped(grouping) => {
            let wanted = wanted::by_groups(plan, grouping, sight);
            aggregate::rows(plan, grouping, sight.wanting(&wanted))
        }
        Shape::Rows(_) | Shape::Count => Vec::new(),
    }
}
