//! WHERE: literals get the type of the field they are compared with.

use std::collections::HashSet;

use super::Scope;
use crate::id::SfId;
use crate::schema::{Field, Kind, flag};
use crate::soql::SoqlError;
use crate::soql::ast::{Condition, Literal, Operator, Path, Query};
use crate::soql::literal;
use crate::soql::plan::{End, FieldPath, Filter, Output, Shape, Wild};
use crate::value::Value;

impl Scope<'_> {
    pub(super) fn filter(&self, condition: &Condition) -> Result<Filter, SoqlError> {
        let all = |conditions: &[Condition]| {
            conditions.iter().map(|one| self.filter(one)).collect::<Result<_, _>>()
        };
        match condition {
            Condition::And(conditions) => all(conditions).map(Filter::And),
            Condition::Or(conditions) => all(conditions).map(Filter::Or),
            Condition::Not(inner) => Ok(Filter::Not(Box::new(self.filter(inner)?))),
            Condition::Compare(path, operator, literal) => self.compare(path, *operator, literal),
            Condition::In(path, literals, negated) => Ok(negate(self.members(path, literals)?, *negated)),
            Condition::InQuery(path, query, negated) => Ok(negate(self.semi_join(path, query)?, *negated)),
            Condition::Like(path, pattern) => {
                let (resolved, field) = self.filterable(path)?;
                if let Some(field) = field.filter(|field| !is_text(field.kind)) {
                    let message = format!("invalid operator on {} field", type_name(field));
                    return Err(SoqlError::pointing("INVALID_FIELD", self.statement, path.at, &message));
                }
                Ok(Filter::Like(resolved, wildcards(pattern)))
            }
            Condition::Includes(path, sets, includes) => {
                let (resolved, field) = self.filterable(path)?;
                if field.is_none_or(|field| field.kind != Kind::MultiPicklist) {
                    let message = "INCLUDES and EXCLUDES need a multipicklist field";
                    return Err(SoqlError::pointing("INVALID_FIELD", self.statement, path.at, message));
                }
                let split = |set: &String| set.split(';').map(str::to_lowercase).collect();
                let filter = Filter::Includes(resolved, sets.iter().map(split).collect());
                Ok(negate(filter, !*includes))
            }
        }
    }

    fn filterable(&self, path: &Path) -> Result<(FieldPath, Option<&Field>), SoqlError> {
        let (resolved, field) = self.field_path(path)?;
        if let Some(field) = field.filter(|field| !field.has(flag::FILTER) || field.kind == Kind::Address) {
            let message = format!("field '{}' can not be filtered in a query call", field.name);
            return Err(SoqlError::pointing("INVALID_FIELD", self.statement, path.at, &message));
        }
        Ok((resolved, field))
    }

    fn compare(&self, path: &Path, operator: Operator, literal: &Literal) -> Result<Filter, SoqlError> {
        let (resolved, field) = self.filterable(path)?;
        if let Literal::Relative(word, count) = literal {
            let range = literal::range(word, *count, self.asker.now);
            let (from, to) = range.ok_or_else(|| SoqlError::unexpected(word))?;
            return Ok(Filter::Range(resolved, operator, from, to));
        }
        // Seen in recordings: an empty id is allowed and matches nothing.
        let empty_id = |field: &Field| {
            matches!(field.kind, Kind::Id | Kind::Reference) && *literal == Literal::Text(String::new())
        };
        if field.is_some_and(empty_id) {
            return Ok(Filter::Constant(operator == Operator::NotEqual));
        }
        let value = self.value(path, field, &resolved, literal)?;
        if value == Value::Null && !matches!(operator, Operator::Equal | Operator::NotEqual) {
            return Ok(Filter::Constant(false));
        }
        Ok(Filter::Compare(resolved, operator, value))
    }

    fn members(&self, path: &Path, literals: &[Literal]) -> Result<Filter, SoqlError> {
        let (resolved, field) = self.filterable(path)?;
        let mut values = Vec::with_capacity(literals.len());
        let mut ranges = Vec::new();
        for literal in literals {
            if let Literal::Relative(word, count) = literal {
                let range = literal::range(word, *count, self.asker.now);
                let (from, to) = range.ok_or_else(|| SoqlError::unexpected(word))?;
                ranges.push(Filter::Range(resolved.clone(), Operator::Equal, from, to));
            } else {
                values.push(self.value(path, field, &resolved, literal)?);
            }
        }
        let ids: Option<HashSet<SfId>> = values.iter().map(Value::as_id).collect();
        let plain = match ids {
            Some(ids) if !values.is_empty() => Filter::InIds(resolved, ids),
            _ => Filter::In(resolved, values),
        };
        if ranges.is_empty() {
            return Ok(plain);
        }
        ranges.push(plain);
        Ok(Filter::Or(ranges))
    }

    fn semi_join(&self, path: &Path, query: &Query) -> Result<Filter, SoqlError> {
        let (resolved, field) = self.filterable(path)?;
        let is_id = |field: &Field| matches!(field.kind, Kind::Id | Kind::Reference);
        let plan = super::resolve(self.statement, query, self.asker)?;
        let selected = match &plan.shape {
            Shape::Rows(outputs) if outputs.len() == 1 => match outputs[0] {
                Output::Field { field, .. } => Some(field),
                _ => None,
            },
            _ => None,
        };
        let inner_is_id = |index: &usize| is_id(&self.asker.catalog.objects[plan.object].fields[*index]);
        match selected.filter(inner_is_id) {
            Some(selected) if field.is_none_or(is_id) => {
                Ok(Filter::InQuery(resolved, Box::new(plan), selected))
            }
            _ => {
                let message = "Semi join sub-selects must select one id or reference field";
                Err(SoqlError::new("MALFORMED_QUERY", message))
            }
        }
    }

    fn value(
        &self,
        path: &Path,
        field: Option<&Field>,
        resolved: &FieldPath,
        literal: &Literal,
    ) -> Result<Value, SoqlError> {
        let kind = match (field, &resolved.end) {
            (Some(field), _) => field.kind,
            (None, End::Named(name)) if name == "Id" || name.ends_with("Id") => Kind::Reference,
            (None, End::Named(name)) if name == "IsActive" => Kind::Boolean,
            (None, _) => Kind::String,
        };
        let name = field.map_or_else(|| path.steps.join("."), |field| field.name.clone());
        let value = match (kind, literal) {
            (_, Literal::Null) => Value::Null,
            (Kind::Id | Kind::Reference, Literal::Text(text)) => {
                let id = SfId::parse(text).ok_or_else(|| {
                    SoqlError::new("INVALID_QUERY_FILTER_OPERATOR", format!("invalid ID field: {text}"))
                })?;
                Value::Id(id)
            }
            (Kind::Boolean, Literal::Bool(value)) => Value::Bool(*value),
            (Kind::Int | Kind::Double | Kind::Currency, Literal::Int(value)) => Value::Int(*value),
            (Kind::Int | Kind::Double | Kind::Currency, Literal::Double(value)) => Value::Double(*value),
            (Kind::Date, Literal::Date(day)) => Value::Date(*day),
            (Kind::Datetime, Literal::Instant(at)) => Value::Instant(*at),
            (kind, Literal::Text(text)) if is_text(kind) => Value::Text(text.as_str().into()),
            (kind, _) => return Err(self.wrong_type(path, &name, kind)),
        };
        Ok(value)
    }

    fn wrong_type(&self, path: &Path, name: &str, kind: Kind) -> SoqlError {
        let (wanted, quotes) = match kind {
            Kind::Boolean => ("boolean", "should not"),
            Kind::Int => ("int", "should not"),
            Kind::Double | Kind::Currency => ("double", "should not"),
            Kind::Date => ("date", "should not"),
            Kind::Datetime => ("dateTime", "should not"),
            _ => ("string", "should"),
        };
        let message = format!(
            "value of filter criterion for field '{name}' must be of type {wanted} and {quotes} be enclosed in quotes"
        );
        SoqlError::pointing("INVALID_FIELD", self.statement, path.at, &message)
    }
}

fn negate(filter: Filter, negated: bool) -> Filter {
    if negated { Filter::Not(Box::new(filter)) } else { filter }
}

fn is_text(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::String
            | Kind::Textarea
            | Kind::Email
            | Kind::Phone
            | Kind::Url
            | Kind::Picklist
            | Kind::MultiPicklist
            | Kind::Combobox
    )
}

fn type_name(field: &Field) -> &'static str {
    crate::schema::describe::type_name(field.kind)
}

fn wildcards(pattern: &str) -> Vec<Wild> {
    let mut pieces = Vec::new();
    let mut characters = pattern.chars().flat_map(char::to_lowercase);
    while let Some(character) = characters.next() {
        pieces.push(match character {
            '%' => Wild::Run,
            '_' => Wild::Any,
            '\\' => match characters.next() {
                Some(escaped) => Wild::One(escaped),
                None => Wild::One('\\'),
            },
            other => Wild::One(other),
        });
    }
    pieces
}
