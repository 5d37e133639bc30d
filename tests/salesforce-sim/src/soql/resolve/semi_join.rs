//! Sub-selects in WHERE, and what the platform does not allow in them.

use super::Scope;
use crate::soql::SoqlError;
use crate::soql::ast::{Condition, Expr, Item, Path, Query};
use crate::soql::plan::{Filter, Output, Shape};

/// Objects that a sub-select may not read.
const FORBIDDEN: [&str; 6] = ["Attachment", "Task", "Event", "Note", "ActivityHistory", "OpenActivity"];
/// Most sub-selects of one WHERE.
const MOST: usize = 2;

impl Scope<'_> {
    pub(super) fn semi_join(&self, path: &Path, query: &Query) -> Result<Filter, SoqlError> {
        let refused = |why: &str| Err(SoqlError::new("MALFORMED_QUERY", why));
        let typed = self.filterable_path(path)?;
        if self.in_semi_join {
            return refused("Nesting of semi join sub-selects is not supported");
        }
        if query.group_by.is_some() || !query.order_by.is_empty() || query.limit.is_some() {
            return refused("Semi join sub-selects do not support GROUP BY, ORDER BY or LIMIT");
        }
        if FORBIDDEN.iter().any(|name| query.from.eq_ignore_ascii_case(name)) {
            return refused(&format!("Entity '{}' is not supported for semi join inner selects", query.from));
        }
        let plain = matches!(&query.items[..], [Item::Value { expr: Expr::Path(path), alias: None }]
            if path.steps.len() == 1 || (path.steps.len() == 2 && query.alias.is_some()));
        if !plain {
            return refused("Semi join sub-selects must select exactly one field without a relationship");
        }
        let plan = super::resolve_inner(self.statement, query, self.asker)?;
        if plan.object == self.object {
            return refused("The inner and outer selects should not be on the same object type");
        }
        let selected = match &plan.shape {
            Shape::Rows(outputs) => match outputs[..] {
                [Output::Field { field, .. }] => Some(field),
                _ => None,
            },
            _ => None,
        };
        let is_id = |field: &usize| self.asker.catalog.objects[plan.object].fields[*field].kind.is_id();
        match selected.filter(is_id) {
            Some(field) if typed.kind.is_id() => Ok(Filter::InQuery(typed.term, Box::new(plan), field)),
            _ => refused("Semi join sub-selects must select one id or reference field"),
        }
    }
}

/// Refuses too many sub-selects, and such under OR.
pub(super) fn check(condition: &Condition) -> Result<(), SoqlError> {
    if count(condition, false)? > MOST {
        let message = format!("At most {MOST} semi join sub-selects are allowed in a query");
        return Err(SoqlError::new("MALFORMED_QUERY", message));
    }
    Ok(())
}

fn count(condition: &Condition, under_or: bool) -> Result<usize, SoqlError> {
    let all = |conditions: &[Condition], under_or: bool| {
        conditions.iter().map(|one| count(one, under_or)).sum::<Result<usize, SoqlError>>()
    };
    match condition {
        Condition::And(conditions) => all(conditions, under_or),
        Condition::Or(conditions) => all(conditions, true),
        Condition::Not(inner) => count(inner, under_or),
        Condition::InQuery(..) if under_or => {
            let message = "Semi join sub-selects are not allowed with the 'OR' operator";
            Err(SoqlError::new("MALFORMED_QUERY", message))
        }
        Condition::InQuery(..) => Ok(1),
        _ => Ok(0),
    }
}
