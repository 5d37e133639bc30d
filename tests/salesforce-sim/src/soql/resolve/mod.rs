//! Checks a statement against the schema as one user sees it, and makes the plan.
//!
//! A hidden field or object is refused in exactly the words used for one that does not exist.

mod filter;
mod select;

use super::SoqlError;
use super::ast::{Item, OrderBy, Path, Query};
use super::plan::{End, FieldPath, Filter, Plan, Shape, SortKey};
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
    let found = asker.catalog.index(&query.from).filter(|object| asker.permissions.object_visible(*object));
    let object = found.ok_or_else(|| SoqlError::no_such_object(statement, query.from_at, &query.from))?;
    Scope { statement, asker, object, query }.plan()
}

/// One statement or sub-query being checked.
#[derive(Clone, Copy)]
struct Scope<'a> {
    statement: &'a str,
    asker: Asker<'a>,
    object: usize,
    query: &'a Query,
}

/// Where one step of a path leads.
struct Step<'a> {
    via: usize,
    reference: &'a Reference,
    targets: Vec<usize>,
}

impl<'a> Scope<'a> {
    fn plan(self) -> Result<Plan, SoqlError> {
        let shape = self.shape()?;
        let filter = self.filters()?;
        let order = self.query.order_by.iter().map(|key| self.sort_key(key)).collect::<Result<_, _>>()?;
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
        Ok(Plan {
            object: self.object,
            filter,
            order,
            limit: self.query.limit,
            offset,
            custom_long_texts: count(&|field| field.is_custom() && field.is_long_text()),
            huge_texts: count(&|field| field.kind == Kind::Textarea && field.length > 100_000),
            shape,
        })
    }

    fn schema(&self) -> &'a ObjectSchema {
        &self.asker.catalog.objects[self.object]
    }

    fn shape(&self) -> Result<Shape, SoqlError> {
        let items = &self.query.items;
        let counts_rows =
            |item: &Item| matches!(item, Item::Function { name, argument: None, .. } if name == "count");
        if items.len() == 1 && counts_rows(&items[0]) && self.query.group_by.is_empty() {
            return Ok(Shape::Count);
        }
        if items.iter().any(counts_rows) {
            return Err(SoqlError::new(
                "MALFORMED_QUERY",
                "COUNT() must be the only element of the SELECT list",
            ));
        }
        let aggregated =
            |item: &Item| matches!(item, Item::Function { name, .. } if select::aggregate(name).is_some());
        if !self.query.group_by.is_empty() || items.iter().any(aggregated) {
            return self.grouped();
        }
        self.rows().map(Shape::Rows)
    }

    fn filters(&self) -> Result<Option<Filter>, SoqlError> {
        let mut all = Vec::new();
        if let Some(condition) = &self.query.condition {
            match self.filter(condition)? {
                Filter::And(filters) => all.extend(filters),
                other => all.push(other),
            }
        }
        match self.query.scope.as_deref() {
            None | Some("everything") => {}
            Some("mine") => {
                let owner = self.schema().field_index("OwnerId");
                let field = owner.ok_or_else(|| SoqlError::unsupported("USING SCOPE mine on this object"))?;
                let path = FieldPath { hops: Vec::new(), end: End::Field(field) };
                all.push(Filter::InIds(path, std::iter::once(self.asker.user).collect()));
            }
            Some(other) => return Err(SoqlError::unsupported(&format!("USING SCOPE {other}"))),
        }
        Ok(match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(Filter::And(all)),
        })
    }

    fn sort_key(&self, key: &OrderBy) -> Result<SortKey, SoqlError> {
        let (path, field) = self.field_path(&key.path)?;
        if let Some(field) = field.filter(|field| !field.has(flag::SORT)) {
            let message = format!("field '{}' can not be sorted in a query call", field.name);
            return Err(SoqlError::pointing("MALFORMED_QUERY", self.statement, key.path.at, &message));
        }
        Ok(SortKey { path, descending: key.descending, nulls_last: key.nulls_last })
    }

    /// Drops a leading alias or object name.
    fn own_steps<'p>(&self, path: &'p Path) -> &'p [String] {
        let steps = &path.steps;
        let is_self = |step: &str| {
            let alias = self.query.alias.as_deref();
            alias.is_some_and(|alias| alias.eq_ignore_ascii_case(step))
                || (step.eq_ignore_ascii_case(&self.query.from) && self.step(self.object, step).is_none())
        };
        if steps.len() > 1 && is_self(&steps[0]) { &steps[1..] } else { steps }
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
        let known = reference.targets.iter().filter_map(|target| self.asker.catalog.index(&target.object));
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
