//! Checks a statement against the schema as one user sees it, and makes the plan.
//!
//! A hidden field or object is refused in exactly the words used for one that does not exist.

mod filter;
mod grouped;
mod rules;
mod select;
mod semi_join;
mod term;

use super::SoqlError;
use super::ast::{Argument, Expr, Item, OrderBy, Path, Query};
use super::functions;
use super::plan::{End, FieldPath, Filter, Plan, Shape, SortKey, Term};
use crate::id::SfId;
use crate::org::permissions::Permissions;
use crate::schema::{Catalog, Field, Kind, ObjectSchema, Reference, flag};

/// Fields of the virtual object `Name` behind a polymorphic reference.
pub(super) const NAME_FIELDS: [&str; 14] = [
    "Name",
    "Type",
    "Id",
    "FirstName",
    "LastName",
    "Username",
    "Email",
    "Phone",
    "Title",
    "Alias",
    "IsActive",
    "ProfileId",
    "UserRoleId",
    "RecordTypeId",
];

/// Deepest path a statement may use.
const MAX_HOPS: usize = 5;

/// Rows of a batch.
const BATCH: usize = 2_000;

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The org's objects.
    pub catalog: &'a Catalog,
    /// What the user may see.
    pub permissions: &'a Permissions,
    /// The user, for `USING SCOPE mine`.
    pub user: SfId,
    /// Simulated time, for relative dates.
    pub now: i64,
}

/// Makes a plan of a statement.
///
/// # Errors
/// The platform's refusal.
pub fn resolve(statement: &str, query: &Query, asker: Asker<'_>) -> Result<Plan, SoqlError> {
    scope(statement, query, asker)?.plan()
}

/// Makes the plan of a sub-select.
fn resolve_inner(statement: &str, query: &Query, asker: Asker<'_>) -> Result<Plan, SoqlError> {
    Scope { in_semi_join: true, ..scope(statement, query, asker)? }.plan()
}

fn scope<'a>(statement: &'a str, query: &'a Query, asker: Asker<'a>) -> Result<Scope<'a>, SoqlError> {
    rules::check_object(&query.from)?;
    let found = asker.catalog.index(&query.from).filter(|object| asker.permissions.object_visible(*object));
    let object = found.ok_or_else(|| SoqlError::no_such_object(statement, query.from_at, &query.from))?;
    Ok(Scope { statement, asker, object, query, depth: 0, in_semi_join: false })
}

/// One statement or sub-query being checked.
#[derive(Clone, Copy)]
struct Scope<'a> {
    statement: &'a str,
    asker: Asker<'a>,
    object: usize,
    query: &'a Query,
    /// How many queries this one is inside of.
    depth: usize,
    in_semi_join: bool,
}

/// Where one step of a path leads.
struct Step<'a> {
    via: usize,
    reference: &'a Reference,
    targets: Vec<usize>,
}

impl<'a> Scope<'a> {
    fn plan(self) -> Result<Plan, SoqlError> {
        if let Some(at) = self.query.data_category {
            let message =
                format!("entity type {} does not support data category filtering", self.schema().name);
            return Err(SoqlError::pointing("INVALID_TYPE_FOR_OPERATION", self.statement, at, &message));
        }
        let shape = self.shape()?;
        let filter = self.filters()?;
        let order = match shape {
            Shape::Grouped(_) => Vec::new(),
            _ => self.query.order_by.iter().map(|key| self.sort_key(key)).collect::<Result<_, _>>()?,
        };
        let offset = self.query.offset.unwrap_or(0);
        if offset > 2_000 {
            return Err(SoqlError::new("NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"));
        }
        let selected = match &shape {
            Shape::Rows(outputs) => select::own_fields(outputs),
            _ => Vec::new(),
        };
        let count = |wanted: &dyn Fn(&Field) -> bool| {
            selected.iter().filter(|index| wanted(&self.schema().fields[**index])).count()
        };
        let plan = Plan {
            object: self.object,
            filter,
            order,
            // With an offset there is no cursor: the first batch is all.
            limit: if offset > 0 {
                Some(self.query.limit.unwrap_or(BATCH).min(BATCH))
            } else {
                self.query.limit
            },
            offset,
            custom_long_texts: count(&|field| field.is_custom() && field.is_long_text()),
            huge_texts: count(&|field| field.kind == Kind::Textarea && field.length > 100_000),
            blob: self.selected_blob(&selected),
            shape,
        };
        self.check_rules(&plan)?;
        Ok(plan)
    }

    fn schema(&self) -> &'a ObjectSchema {
        &self.asker.catalog.objects[self.object]
    }

    fn shape(&self) -> Result<Shape, SoqlError> {
        let items = &self.query.items;
        let call = |item: &Item| match item {
            Item::Value { expr: Expr::Call(call), .. } => Some(call.clone()),
            _ => None,
        };
        let counts_rows =
            |item: &Item| call(item).is_some_and(|call| call.name == "count" && call.arguments.is_empty());
        if items.len() == 1 && counts_rows(&items[0]) && self.query.group_by.is_none() {
            return Ok(Shape::Count);
        }
        if items.iter().any(counts_rows) {
            let message = "COUNT() must be the only element of the SELECT list";
            return Err(SoqlError::new("MALFORMED_QUERY", message));
        }
        let aggregated = |item: &Item| call(item).is_some_and(|call| is_aggregated(&Expr::Call(call)));
        if self.query.group_by.is_some() || items.iter().any(aggregated) {
            return self.grouped();
        }
        self.rows().map(Shape::Rows)
    }

    fn filters(&self) -> Result<Option<Filter>, SoqlError> {
        let mut all = Vec::new();
        if let Some(condition) = &self.query.condition {
            semi_join::check(condition)?;
            match self.filter(condition)? {
                Filter::And(filters) => all.extend(filters),
                other => all.push(other),
            }
        }
        match self.query.scope.as_deref() {
            None | Some("everything") => {}
            Some("mine") => {
                let owner = self.schema().field_index("OwnerId");
                let field = owner.ok_or_else(|| self.no_scope("mine"))?;
                let path = FieldPath { hops: Vec::new(), end: End::Field(field) };
                all.push(Filter::InIds(Term::Path(path), std::iter::once(self.asker.user).collect()));
            }
            Some(other) => return Err(self.no_scope(other)),
        }
        Ok(match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(Filter::And(all)),
        })
    }

    fn no_scope(&self, name: &str) -> SoqlError {
        let message = format!("The filter scope '{name}' is not supported for {}", self.schema().name);
        SoqlError::new("MALFORMED_QUERY", message)
    }

    fn sort_key(&self, key: &OrderBy) -> Result<SortKey, SoqlError> {
        let typed = self.term(&key.expr)?;
        let refused = match &typed.term {
            Term::Path(_) => typed.field.is_some_and(|field| !field.has(flag::SORT)),
            Term::Part(..) => true,
            Term::Distance(_) => false,
        };
        if refused {
            let message = format!("field '{}' can not be sorted in a query call", typed.name);
            return Err(SoqlError::pointing("MALFORMED_QUERY", self.statement, key.expr.at(), &message));
        }
        Ok(SortKey { term: typed.term, descending: key.descending, nulls_last: key.nulls_last })
    }

    /// The steps of a path without a leading alias or object name, and with further aliases spelt out.
    fn own_steps(&self, path: &Path) -> Vec<String> {
        let steps = &path.steps;
        let first = steps[0].as_str();
        let same = |name: &str| name.eq_ignore_ascii_case(first);
        let is_object = same(&self.query.from) || same(&self.schema().name);
        let is_self = self.query.alias.as_deref().is_some_and(same)
            || (is_object && self.step(self.object, first).is_none());
        if steps.len() > 1 && is_self {
            return steps[1..].to_vec();
        }
        match self.query.aliases.iter().find(|(_, alias)| same(alias)).filter(|_| steps.len() > 1) {
            Some((whole, _)) => whole.iter().chain(&steps[1..]).cloned().collect(),
            None => steps.clone(),
        }
    }

    fn visible_field(&self, object: usize, name: &str) -> Option<usize> {
        let index = self.asker.catalog.objects[object].field_index(name)?;
        self.asker.permissions.field_visible(object, index).then_some(index)
    }

    /// As [`Self::visible_field`], for a field of the virtual object `Name`.
    fn visible_named(&self, object: usize, name: &str) -> Option<usize> {
        let index = self.asker.catalog.objects[object].named_field(name)?;
        self.asker.permissions.field_visible(object, index).then_some(index)
    }

    /// Follows a relationship name.
    fn step(&self, object: usize, name: &str) -> Option<Step<'a>> {
        let schema: &'a ObjectSchema = &self.asker.catalog.objects[object];
        let matches = |field: &&Field| {
            let relationship =
                field.reference.as_ref().and_then(|reference| reference.relationship.as_deref());
            relationship.is_some_and(|relationship| relationship.eq_ignore_ascii_case(name))
        };
        let via = schema.fields.iter().position(|field| matches(&field))?;
        if !self.asker.permissions.field_visible(object, via) {
            return None;
        }
        let reference = schema.fields[via].reference.as_ref()?;
        let known = reference.objects().filter_map(|name| self.asker.catalog.index(name));
        let targets: Vec<usize> =
            known.filter(|object| self.asker.permissions.object_visible(*object)).collect();
        // A polymorphic reference ends in the virtual object `Name`, which is there whatever else is hidden.
        (reference.polymorphic || !targets.is_empty()).then_some(Step { via, reference, targets })
    }

    fn expect_step(&self, object: usize, name: &str, at: usize) -> Result<Step<'a>, SoqlError> {
        self.step(object, name).ok_or_else(|| SoqlError::no_such_relationship(self.statement, at, name))
    }

    fn expect_field(&self, object: usize, name: &str, at: usize) -> Result<usize, SoqlError> {
        let entity = &self.asker.catalog.objects[object].name;
        self.visible_field(object, name)
            .ok_or_else(|| SoqlError::no_such_column(self.statement, at, name, entity))
    }

    /// A path for filtering or sorting, and the field at its end when that is one field.
    fn field_path(&self, path: &Path) -> Result<(FieldPath, Option<&'a Field>), SoqlError> {
        let steps = self.own_steps(path);
        let (last, before) = steps.split_last().expect("a path has a step");
        if before.len() > MAX_HOPS {
            return Err(SoqlError::new("MALFORMED_QUERY", "Relationship paths may have at most 5 levels."));
        }
        let mut object = self.object;
        let mut hops = Vec::new();
        for (depth, name) in before.iter().enumerate() {
            let step = self.expect_step(object, name, path.at)?;
            hops.push(step.via);
            if step.reference.polymorphic {
                if depth + 1 < before.len() {
                    return Err(SoqlError::no_such_relationship(self.statement, path.at, &before[depth + 1]));
                }
                let name = self.virtual_field(last, path.at)?;
                return Ok((FieldPath { hops, end: End::Named(name.to_owned()) }, None));
            }
            object = step.targets[0];
        }
        let field = self.expect_field(object, last, path.at)?;
        let definition = &self.asker.catalog.objects[object].fields[field];
        Ok((FieldPath { hops, end: End::Field(field) }, Some(definition)))
    }

    fn virtual_field(&self, name: &str, at: usize) -> Result<&'static str, SoqlError> {
        let known = NAME_FIELDS.iter().find(|field| field.eq_ignore_ascii_case(name));
        known.copied().ok_or_else(|| SoqlError::no_such_column(self.statement, at, name, "Name"))
    }
}

/// Whether an expression is or holds an aggregate.
fn is_aggregated(expr: &Expr) -> bool {
    let Expr::Call(call) = expr else { return false };
    let inner = |argument: &Argument| matches!(argument, Argument::Expr(inner) if is_aggregated(inner));
    functions::aggregate(&call.name).is_some() || call.name == "grouping" || call.arguments.iter().any(inner)
}
