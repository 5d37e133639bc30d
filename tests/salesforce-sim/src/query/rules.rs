//! Refusals that depend on what a query finds.

use std::collections::HashSet;

use super::{RowSet, Sight};
use crate::soql::SoqlError;
use crate::soql::plan::Plan;

/// Most different parents of activities that a user without View All Data may have in one result.
const MOST_PARENTS: usize = 100_000;

/// Refuses a result that the platform would not give.
///
/// # Errors
/// The platform's refusal.
pub fn check(plan: &Plan, rows: &RowSet, sight: Sight<'_>) -> Result<(), SoqlError> {
    let schema = &sight.reader.store.catalog.objects[plan.object];
    if let Some(field) = plan.blob.filter(|_| schema.name == "Attachment" && rows.len() > 1) {
        let message = format!(
            "Implementation restriction: {}.{} can be selected for one row only",
            schema.name, schema.fields[field].name
        );
        return Err(SoqlError::new("MALFORMED_QUERY", message));
    }
    if schema.name == "Task" && !sight.permissions.views_all_data && rows.len() > MOST_PARENTS {
        let fields: Vec<usize> =
            ["WhoId", "WhatId"].iter().filter_map(|name| schema.field_index(name)).collect();
        let mut parents = HashSet::new();
        for row in rows.iter() {
            let ids = fields.iter().map(|field| sight.reader.value(plan.object, row, *field));
            parents.extend(ids.filter_map(|value| value.as_id()));
            if parents.len() > MOST_PARENTS {
                let message = format!("exceeded {MOST_PARENTS} distinct who/what's");
                return Err(SoqlError::new("OPERATION_TOO_LARGE", message));
            }
        }
    }
    Ok(())
}
