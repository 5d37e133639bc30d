//! Restrictions of the platform that no grammar shows: bounds on a statement, and objects with ways of their own.

use std::collections::HashSet;

use super::Scope;
use crate::schema::Source;
use crate::soql::SoqlError;
use crate::soql::ast::Operator;
use crate::soql::plan::{End, FieldPath, Filter, Output, Plan, Term};
use crate::value::Value;

/// Most relationships to parents that a statement may use.
const MOST_PARENTS: usize = 55;
/// Most sub-queries.
const MOST_CHILDREN: usize = 20;
/// Deepest nesting of sub-queries, the root counted.
const MOST_LEVELS: usize = 5;

/// Objects that exist and refuse to be queried.
const UNQUERYABLE: [&str; 11] = [
    "ActivityHistory",
    "OpenActivity",
    "FeedLike",
    "FeedSignal",
    "AttachedContentDocument",
    "CombinedAttachment",
    "NoteAndAttachment",
    "ProcessInstanceHistory",
    "LookedUpFromActivity",
    "EmailStatus",
    "Name",
];

/// Refuses objects that cannot be queried at all.
pub(super) fn check_object(name: &str) -> Result<(), SoqlError> {
    let change_event = name.len() > 11 && name.to_lowercase().ends_with("changeevent");
    if change_event || UNQUERYABLE.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(unqueryable(name));
    }
    Ok(())
}

fn unqueryable(name: &str) -> SoqlError {
    SoqlError::new("INVALID_TYPE_FOR_OPERATION", format!("entity type {name} does not support query"))
}

impl Scope<'_> {
    /// Checks a plan as a whole.
    pub(super) fn check_rules(&self, plan: &Plan) -> Result<(), SoqlError> {
        if self.depth == 0 && self.schema().can("noquery") {
            return Err(unqueryable(&self.schema().name));
        }
        if self.depth >= MOST_LEVELS {
            let message = format!("Sub-queries may be nested {MOST_LEVELS} levels deep");
            return Err(SoqlError::new("MALFORMED_QUERY", message));
        }
        check_counts(plan)?;
        self.check_scan(plan)
    }

    /// Objects that must not be read without saying which rows.
    fn check_scan(&self, plan: &Plan) -> Result<(), SoqlError> {
        if self.depth > 0 {
            return Ok(());
        }
        let restricted: (&[&str], &str) = match self.schema().name.as_str() {
            "ContentDocumentLink" if !self.asker.permissions.queries_all_files => (
                &["Id", "ContentDocumentId", "LinkedEntityId"],
                "Implementation restriction: ContentDocumentLink requires a filter by a single Id on \
                 ContentDocumentId or LinkedEntityId using the equals operator or multiple Id's using the IN \
                 operator.",
            ),
            "FeedItem" if !self.asker.permissions.views_all_data => {
                (&["Id"], "Implementation restriction: FeedItem requires a filter by Id")
            }
            _ => return Ok(()),
        };
        let fields: Vec<usize> =
            restricted.0.iter().filter_map(|name| self.schema().field_index(name)).collect();
        let named = plan.filter.as_ref().is_some_and(|filter| names_rows(filter, &fields));
        if named { Ok(()) } else { Err(SoqlError::new("MALFORMED_QUERY", restricted.1)) }
    }

    /// Whether the statement reads few rows for certain: a small LIMIT, or few ids.
    pub(super) fn is_narrow(&self) -> bool {
        let few = |literals: &[crate::soql::ast::Literal]| literals.len() <= 200;
        let by_id = |condition: &crate::soql::ast::Condition| match condition {
            crate::soql::ast::Condition::Compare(expr, Operator::Equal, _) => {
                expr.shown().eq_ignore_ascii_case("Id")
            }
            crate::soql::ast::Condition::In(expr, ids, false) => {
                expr.shown().eq_ignore_ascii_case("Id") && few(ids)
            }
            _ => false,
        };
        let named = self.query.condition.as_ref().is_some_and(|condition| match condition {
            crate::soql::ast::Condition::And(all) => all.iter().any(by_id),
            one => by_id(one),
        });
        named || self.query.limit.is_some_and(|limit| limit <= 200)
    }

    /// The file field that a plan selects of its own object.
    pub(super) fn selected_blob(&self, fields: &[usize]) -> Option<usize> {
        let is_blob = |field: &&usize| matches!(self.schema().fields[**field].source, Source::Blob(_));
        fields.iter().find(is_blob).copied()
    }
}

fn check_counts(plan: &Plan) -> Result<(), SoqlError> {
    let mut parents = HashSet::new();
    let mut children = 0;
    if let crate::soql::plan::Shape::Rows(outputs) = &plan.shape {
        count_outputs(outputs, &mut Vec::new(), &mut parents, &mut children);
    }
    plan.filter.iter().for_each(|filter| count_filter(filter, &mut parents));
    for key in &plan.order {
        count_term(&key.term, &mut parents);
    }
    if parents.len() > MOST_PARENTS {
        let message = format!("A query can use at most {MOST_PARENTS} relationships to parents");
        return Err(SoqlError::new("MALFORMED_QUERY", message));
    }
    if children > MOST_CHILDREN {
        let message = format!("A query can have at most {MOST_CHILDREN} sub-queries");
        return Err(SoqlError::new("MALFORMED_QUERY", message));
    }
    Ok(())
}

/// Whether a filter says which rows by one of these fields.
fn names_rows(filter: &Filter, fields: &[usize]) -> bool {
    let own = |term: &Term| {
        matches!(term, Term::Path(FieldPath { hops, end: End::Field(field) })
        if hops.is_empty() && fields.contains(field))
    };
    match filter {
        Filter::And(filters) => filters.iter().any(|one| names_rows(one, fields)),
        Filter::Compare(term, Operator::Equal, Value::Id(_))
        | Filter::InIds(term, _)
        | Filter::InQuery(term, ..) => own(term),
        _ => false,
    }
}

fn count_outputs(
    outputs: &[Output],
    path: &mut Vec<usize>,
    parents: &mut HashSet<Vec<usize>>,
    children: &mut usize,
) {
    for output in outputs {
        match output {
            Output::Parent { via, branches, .. } => {
                path.push(*via);
                parents.insert(path.clone());
                for (_, inner) in branches {
                    count_outputs(inner, path, parents, children);
                }
                path.pop();
            }
            Output::Children { .. } => *children += 1,
            Output::Computed { term, .. } => count_term(term, parents),
            Output::Field { .. } | Output::TypeName { .. } | Output::Absent { .. } => {}
        }
    }
}

fn count_filter(filter: &Filter, parents: &mut HashSet<Vec<usize>>) {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            for one in filters {
                count_filter(one, parents);
            }
        }
        Filter::Not(inner) => count_filter(inner, parents),
        Filter::Compare(term, ..)
        | Filter::Range(term, ..)
        | Filter::In(term, _)
        | Filter::InIds(term, _)
        | Filter::InQuery(term, ..)
        | Filter::Like(term, _)
        | Filter::Includes(term, _) => count_term(term, parents),
        Filter::Constant(_) => {}
    }
}

fn count_term(term: &Term, parents: &mut HashSet<Vec<usize>>) {
    let hops = match term {
        Term::Path(path) | Term::Part(_, path) => &path.hops,
        Term::Distance(distance) => &distance.latitude.hops,
    };
    for depth in 1..=hops.len() {
        parents.insert(hops[..depth].to_vec());
    }
}
