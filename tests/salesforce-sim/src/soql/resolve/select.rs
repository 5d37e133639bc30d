//! SELECT lists: the tree of outputs, and grouped answers.

use std::sync::Arc;

use super::{MAX_HOPS, Scope};
use crate::schema::{Kind, flag};
use crate::soql::SoqlError;
use crate::soql::ast::{Item, Path, Query};
use crate::soql::plan::{Aggregate, Column, Output, Shape};

/// The aggregate function of this (lower-case) name.
pub(super) fn aggregate(name: &str) -> Option<Aggregate> {
    Some(match name {
        "count" => Aggregate::Count,
        "count_distinct" => Aggregate::CountDistinct,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        "sum" => Aggregate::Sum,
        "avg" => Aggregate::Avg,
        _ => return None,
    })
}

/// Fields of the row itself among the outputs.
pub(super) fn own_fields(outputs: &[Output]) -> Vec<usize> {
    let field = |output: &Output| {
        if let Output::Field { field, .. } = output { Some(*field) } else { None }
    };
    outputs.iter().filter_map(field).collect()
}

fn key(name: &str) -> Vec<u8> {
    format!("\"{name}\":").into_bytes()
}

fn has_key(outputs: &[Output], wanted: &[u8]) -> bool {
    outputs.iter().any(|output| output_key(output) == wanted)
}

fn output_key(output: &Output) -> &[u8] {
    match output {
        Output::Field { key, .. }
        | Output::Parent { key, .. }
        | Output::TypeName { key }
        | Output::Absent { key }
        | Output::Children { key, .. } => key,
    }
}

impl Scope<'_> {
    pub(super) fn rows(&self) -> Result<Vec<Output>, SoqlError> {
        let mut outputs = Vec::new();
        for item in &self.query.items {
            match item {
                Item::Field { path, alias: None } => self.add(&mut outputs, path)?,
                Item::Field { alias: Some(_), .. } => {
                    let message = "only aggregate expressions use field aliasing";
                    return Err(SoqlError::new("MALFORMED_QUERY", message));
                }
                Item::Function { name, argument: Some(path), alias: None, .. } if name == "tolabel" => {
                    self.add(&mut outputs, path)?;
                }
                Item::Function { name, .. } => {
                    return Err(SoqlError::unsupported(&format!("the function {name} in a SELECT list")));
                }
                Item::Children(query) => self.add_children(&mut outputs, query)?,
                Item::TypeOf { path, branches, otherwise } => {
                    self.add_type_of(&mut outputs, path, branches, otherwise)?;
                }
                Item::AllFields(which, _) => self.add_all(&mut outputs, which)?,
            }
        }
        Ok(outputs)
    }

    fn add(&self, outputs: &mut Vec<Output>, path: &Path) -> Result<(), SoqlError> {
        let steps = self.own_steps(path);
        if steps.len() > MAX_HOPS + 1 {
            return Err(SoqlError::new("MALFORMED_QUERY", "Relationship paths may have at most 5 levels."));
        }
        self.add_steps(outputs, self.object, steps, path.at)
    }

    fn add_steps(
        &self,
        outputs: &mut Vec<Output>,
        object: usize,
        steps: &[String],
        at: usize,
    ) -> Result<(), SoqlError> {
        let (first, rest) = steps.split_first().expect("a path has a step");
        if rest.is_empty() {
            let field = self.expect_field(object, first, at)?;
            return push_field(outputs, &self.asker.catalog.objects[object].fields[field].name, field);
        }
        let step = self.expect_step(object, first, at)?;
        let relationship = step.reference.relationship.as_deref().unwrap_or_default();
        let wanted = key(relationship);
        if !has_key(outputs, &wanted) {
            let branches = step.targets.iter().map(|target| (*target, Vec::new())).collect();
            let virtual_name = step.reference.polymorphic;
            outputs.push(Output::Parent { key: wanted.clone(), via: step.via, virtual_name, branches });
        }
        let found = outputs.iter_mut().find(|output| output_key(output) == wanted);
        let Some(Output::Parent { branches, .. }) = found else {
            return Err(SoqlError::new("INVALID_FIELD", format!("duplicate field selected: {relationship}")));
        };
        if !step.reference.polymorphic {
            let (target, inner) = &mut branches[0];
            return self.add_steps(inner, *target, rest, at);
        }
        if rest.len() > 1 {
            return Err(SoqlError::no_such_relationship(self.statement, at, &rest[0]));
        }
        let name = self.virtual_field(&rest[0], at)?;
        for (target, inner) in branches {
            match self.visible_named(*target, name) {
                _ if name == "Type" => inner.push(Output::TypeName { key: key(name) }),
                Some(field) => push_field(inner, name, field)?,
                None => inner.push(Output::Absent { key: key(name) }),
            }
        }
        Ok(())
    }

    fn add_all(&self, outputs: &mut Vec<Output>, which: &str) -> Result<(), SoqlError> {
        if which != "STANDARD" && self.query.limit.is_none_or(|limit| limit > 200) {
            let message = "The SOQL FIELDS function must have a LIMIT of at most 200";
            return Err(SoqlError::new("MALFORMED_QUERY", message));
        }
        for (index, field) in self.schema().fields.iter().enumerate() {
            let wanted = which == "ALL" || (which == "CUSTOM") == field.is_custom();
            if wanted && self.asker.permissions.field_visible(self.object, index) {
                push_field(outputs, &field.name, index)?;
            }
        }
        Ok(())
    }

    fn add_type_of(
        &self,
        outputs: &mut Vec<Output>,
        path: &Path,
        branches: &[(String, Vec<Path>)],
        otherwise: &[Path],
    ) -> Result<(), SoqlError> {
        let [relationship] = self.own_steps(path) else {
            return Err(SoqlError::unsupported("TYPEOF on a longer path"));
        };
        let step = self.expect_step(self.object, relationship, path.at)?;
        let mut written = Vec::new();
        for target in &step.targets {
            let name = &self.asker.catalog.objects[*target].name;
            let branch = branches.iter().find(|(object, _)| object.eq_ignore_ascii_case(name));
            let paths = branch.map_or(otherwise, |(_, paths)| paths);
            if paths.is_empty() {
                continue;
            }
            let mut inner = Vec::new();
            for path in paths {
                self.add_steps(&mut inner, *target, &path.steps, path.at)?;
            }
            written.push((*target, inner));
        }
        let key = key(step.reference.relationship.as_deref().unwrap_or_default());
        outputs.push(Output::Parent { key, via: step.via, virtual_name: false, branches: written });
        Ok(())
    }

    fn add_children(&self, outputs: &mut Vec<Output>, query: &Query) -> Result<(), SoqlError> {
        let visible = |link: &&crate::schema::ChildLink| {
            link.target.children.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&query.from))
                && self.asker.permissions.object_visible(link.object)
                && self.asker.permissions.field_visible(link.object, link.field)
        };
        let Some(link) = self.asker.catalog.children(&self.schema().name).find(visible) else {
            let message = format!(
                "Didn't understand relationship '{}' in FROM part of query call. If you are attempting to use a \
                 custom relationship, be sure to append the '__r' after the custom relationship name. Please \
                 reference your WSDL or the describe call for the appropriate names.",
                query.from
            );
            return Err(SoqlError::pointing("INVALID_TYPE", self.statement, query.from_at, &message));
        };
        let inner = Scope { object: link.object, query, ..*self };
        let plan = Arc::new(inner.plan()?);
        if !matches!(plan.shape, Shape::Rows(_)) {
            return Err(SoqlError::unsupported("an aggregate in a sub-query"));
        }
        let key = key(link.target.children.as_deref().unwrap_or_default());
        outputs.push(Output::Children { key, field: link.field, plan });
        Ok(())
    }

    pub(super) fn grouped(&self) -> Result<Shape, SoqlError> {
        let mut keys = Vec::new();
        let mut names = Vec::new();
        for path in &self.query.group_by {
            let (resolved, field) = self.field_path(path)?;
            if let Some(field) = field.filter(|field| !field.has(flag::GROUP)) {
                let message = format!("field '{}' can not be grouped in a query call", field.name);
                return Err(SoqlError::pointing("MALFORMED_QUERY", self.statement, path.at, &message));
            }
            names.push(field.map_or_else(|| path.steps.join("."), |field| field.name.clone()));
            keys.push(resolved);
        }
        let mut columns = Vec::new();
        let mut unnamed = 0;
        for item in &self.query.items {
            match item {
                Item::Field { path, alias } => {
                    let (resolved, _) = self.field_path(path)?;
                    let place = keys.iter().position(|key| *key == resolved).ok_or_else(|| {
                        let message =
                            format!("Field must be grouped or aggregated: {}", path.steps.join("."));
                        SoqlError::pointing("MALFORMED_QUERY", self.statement, path.at, &message)
                    })?;
                    let name = alias.clone().unwrap_or_else(|| names[place].clone());
                    columns.push((name, Column::Key(place)));
                }
                Item::Function { name, argument: Some(path), alias, .. } => {
                    let function = aggregate(name).ok_or_else(|| {
                        SoqlError::unsupported(&format!("the function {name} in a grouped query"))
                    })?;
                    let resolved = self.aggregated_path(function, path)?;
                    let name = alias.clone().unwrap_or_else(|| {
                        unnamed += 1;
                        format!("expr{}", unnamed - 1)
                    });
                    columns.push((name, Column::Aggregate(function, Some(resolved))));
                }
                _ => return Err(SoqlError::unsupported("this element of a grouped query")),
            }
        }
        Ok(Shape::Grouped { keys, columns })
    }

    fn aggregated_path(
        &self,
        function: Aggregate,
        path: &Path,
    ) -> Result<crate::soql::plan::FieldPath, SoqlError> {
        let (resolved, field) = self.field_path(path)?;
        let numeric =
            field.is_some_and(|field| matches!(field.kind, Kind::Int | Kind::Double | Kind::Currency));
        if matches!(function, Aggregate::Sum | Aggregate::Avg) && !numeric {
            let name = path.steps.join(".");
            let message =
                format!("field {name} does not support aggregate operator {function:?}").to_uppercase();
            return Err(SoqlError::pointing("MALFORMED_QUERY", self.statement, path.at, &message));
        }
        Ok(resolved)
    }
}

fn push_field(outputs: &mut Vec<Output>, name: &str, field: usize) -> Result<(), SoqlError> {
    let key = key(name);
    if has_key(outputs, &key) {
        return Err(SoqlError::new("INVALID_FIELD", format!("duplicate field selected: {name}")));
    }
    outputs.push(Output::Field { key, field });
    Ok(())
}
