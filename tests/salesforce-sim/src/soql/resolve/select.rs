//! SELECT lists: the tree of outputs.

use std::sync::Arc;

use super::{MAX_HOPS, Scope};
use crate::soql::SoqlError;
use crate::soql::ast::{Argument, Call, Expr, Item, Path, Query};
use crate::soql::functions;
use crate::soql::plan::{Output, Shape, Term};

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
        | Output::Computed { key, .. }
        | Output::Children { key, .. } => key,
    }
}

impl Scope<'_> {
    pub(super) fn rows(&self) -> Result<Vec<Output>, SoqlError> {
        let mut outputs = Vec::new();
        for item in &self.query.items {
            match item {
                Item::Value { expr: Expr::Path(path), alias: None } => self.add(&mut outputs, path)?,
                Item::Value { expr: Expr::Path(_), alias: Some(_) } => {
                    let message = "only aggregate expressions use field aliasing";
                    return Err(SoqlError::new("MALFORMED_QUERY", message));
                }
                Item::Value { expr: Expr::Call(call), alias } => {
                    self.add_call(&mut outputs, call, alias.as_deref())?;
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

    /// `toLabel(Status)`, `FORMAT(Amount) shown`, `DISTANCE(…) far`.
    fn add_call(&self, outputs: &mut Vec<Output>, call: &Call, alias: Option<&str>) -> Result<(), SoqlError> {
        if let ("tolabel" | "convertcurrency", [Argument::Expr(Expr::Path(path))], None) =
            (call.name.as_str(), &call.arguments[..], alias)
        {
            self.term(&Expr::Call(call.clone()))?;
            return self.add(outputs, path);
        }
        let whole = Expr::Call(call.clone());
        if functions::date_part(&call.name).is_some() {
            let message = format!("Field must be grouped or aggregated: {}", whole.shown());
            return Err(SoqlError::pointing("MALFORMED_QUERY", self.statement, call.at, &message));
        }
        let formatted = call.name == "format";
        let typed = match (&call.arguments[..], formatted) {
            ([Argument::Expr(inner)], true) => self.term(inner)?,
            (_, true) => return Err(SoqlError::unexpected(&call.written)),
            (_, false) => self.term(&whole)?,
        };
        let name = match (alias, &typed.term) {
            (Some(alias), _) => alias.to_owned(),
            (None, Term::Path(_)) => typed.name,
            (None, _) => {
                let unnamed = outputs.iter().filter(|output| output_key(output).starts_with(b"\"expr"));
                format!("expr{}", unnamed.count())
            }
        };
        let key = key(&name);
        if has_key(outputs, &key) {
            return Err(SoqlError::new("MALFORMED_QUERY", format!("duplicate alias: {name}")));
        }
        outputs.push(Output::Computed { key, term: typed.term, formatted });
        Ok(())
    }

    fn add(&self, outputs: &mut Vec<Output>, path: &Path) -> Result<(), SoqlError> {
        let steps = &self.own_steps(path)[..];
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
        // TYPEOF has the parent for itself.
        let Some(Output::Parent { branches, virtual_name, .. }) = found else {
            return Err(SoqlError::new("INVALID_FIELD", format!("duplicate field selected: {relationship}")));
        };
        if step.reference.polymorphic != *virtual_name {
            return Err(SoqlError::new("INVALID_FIELD", format!("duplicate field selected: {relationship}")));
        }
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
        if which != "STANDARD" && !self.is_narrow() {
            let message = "The SOQL FIELDS function must have a LIMIT of at most 200";
            return Err(SoqlError::new("MALFORMED_QUERY", message));
        }
        let before = outputs.len();
        for (index, field) in self.schema().fields.iter().enumerate() {
            let wanted = which == "ALL" || (which == "CUSTOM") == field.is_custom();
            let visible = field.exists() && self.asker.permissions.field_visible(self.object, index);
            if wanted && visible {
                push_field(outputs, &field.name, index)?;
            }
        }
        if outputs.len() == before {
            let message = format!("The object {} has no fields for FIELDS({which})", self.schema().name);
            return Err(SoqlError::new("INVALID_FIELD", message));
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
        let steps = self.own_steps(path);
        let [relationship] = &steps[..] else {
            let message = "TYPEOF takes a relationship of the queried object";
            return Err(SoqlError::pointing("MALFORMED_QUERY", self.statement, path.at, message));
        };
        let step = self.expect_step(self.object, relationship, path.at)?;
        if !step.reference.polymorphic {
            let message = format!("{relationship} is no polymorphic relationship: TYPEOF can not be used");
            return Err(SoqlError::pointing("MALFORMED_QUERY", self.statement, path.at, &message));
        }
        for (object, _) in branches {
            let name = step.targets.iter().map(|target| &self.asker.catalog.objects[*target].name);
            if !name.into_iter().any(|name| name.eq_ignore_ascii_case(object)) {
                return Err(SoqlError::no_such_object(self.statement, path.at, object));
            }
        }
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
        if has_key(outputs, &key) {
            return Err(SoqlError::new("INVALID_FIELD", format!("duplicate field selected: {relationship}")));
        }
        outputs.push(Output::Parent { key, via: step.via, virtual_name: false, branches: written });
        Ok(())
    }

    fn add_children(&self, outputs: &mut Vec<Output>, query: &Query) -> Result<(), SoqlError> {
        // `FROM Account.Contacts` names the same list as `FROM Contacts`.
        let own = format!("{}.", self.schema().name).to_lowercase();
        let wanted = query.from.to_lowercase();
        let wanted = wanted.strip_prefix(&own).unwrap_or(&wanted);
        let visible = |link: &&crate::schema::ChildLink| {
            link.target.children.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(wanted))
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
        let inner = Scope { object: link.object, query, depth: self.depth + 1, ..*self };
        let plan = Arc::new(inner.plan()?);
        if !matches!(plan.shape, Shape::Rows(_)) {
            let message = "Only root queries support aggregate expressions";
            return Err(SoqlError::pointing("MALFORMED_QUERY", self.statement, query.from_at, message));
        }
        let key = key(link.target.children.as_deref().unwrap_or_default());
        if has_key(outputs, &key) {
            let message = format!("duplicate relationship selected: {}", query.from);
            return Err(SoqlError::new("MALFORMED_QUERY", message));
        }
        outputs.push(Output::Children { key, field: link.field, plan });
        Ok(())
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
