//! WHERE: literals get the type of the value they are compared with.

use std::collections::HashSet;

use super::Scope;
use super::term::Typed;
use crate::id::SfId;
use crate::schema::{Kind, flag};
use crate::soql::SoqlError;
use crate::soql::ast::{Condition, Expr, Literal, Operator, Path, Place};
use crate::soql::literal;
use crate::soql::plan::{Filter, Term, Wild};
use crate::value::Value;

/// Longest text that a value may be compared with, in characters.
const LONGEST_TEXT: usize = 4_000;

impl<'a> Scope<'a> {
    pub(super) fn filter(&self, condition: &Condition) -> Result<Filter, SoqlError> {
        let all = |conditions: &[Condition]| {
            conditions.iter().map(|one| self.filter(one)).collect::<Result<_, _>>()
        };
        match condition {
            Condition::And(conditions) => all(conditions).map(Filter::And),
            Condition::Or(conditions) => all(conditions).map(Filter::Or),
            Condition::Not(inner) => Ok(Filter::Not(Box::new(self.filter(inner)?))),
            Condition::Compare(expr, ..) | Condition::Like(expr, _) => self.leaf_of(condition, expr),
            Condition::In(expr, _, negated) => Ok(negate(self.leaf_of(condition, expr)?, *negated)),
            Condition::InQuery(path, query, negated) => Ok(negate(self.semi_join(path, query)?, *negated)),
            Condition::Includes(path, sets, includes) => {
                let typed = self.filterable(&Expr::Path(path.clone()))?;
                if typed.kind != Kind::MultiPicklist {
                    let message = "INCLUDES and EXCLUDES need a multipicklist field";
                    return Err(SoqlError::pointing("INVALID_FIELD", self.statement, path.at, message));
                }
                let split = |set: &String| set.split(';').map(str::to_lowercase).collect();
                let filter = Filter::Includes(typed.term, sets.iter().map(split).collect());
                Ok(negate(filter, !*includes))
            }
        }
    }

    /// A condition on one value of a row.
    fn leaf_of(&self, condition: &Condition, expr: &Expr) -> Result<Filter, SoqlError> {
        let typed = self.filterable(expr)?;
        if let (Term::Distance(_), Condition::Compare(_, operator, _)) = (&typed.term, condition)
            && !matches!(operator, Operator::Less | Operator::Greater)
        {
            let message = "DISTANCE can only be compared with < or >";
            return Err(SoqlError::pointing("MALFORMED_QUERY", self.statement, expr.at(), message));
        }
        self.leaf(condition, expr.at(), &typed.name, typed.kind, &typed.term)
    }

    /// A comparison of a value whose type is known. Negation of IN is left to the caller.
    pub(super) fn leaf(
        &self,
        condition: &Condition,
        at: Place,
        name: &str,
        kind: Kind,
        term: &Term,
    ) -> Result<Filter, SoqlError> {
        let checked = Checked { scope: self, at, name, kind };
        match condition {
            Condition::Compare(_, operator, literal) => checked.compare(term, *operator, literal),
            Condition::In(_, literals, _) => checked.members(term, literals),
            Condition::Like(_, pattern) => {
                if !kind.is_text() {
                    let message = format!("invalid operator on {} field", type_name(kind));
                    return Err(SoqlError::pointing("INVALID_FIELD", self.statement, at, &message));
                }
                Ok(Filter::Like(term.clone(), wildcards(pattern)))
            }
            _ => Err(SoqlError::new("MALFORMED_QUERY", "This operator can not be used here")),
        }
    }

    pub(super) fn filterable(&self, expr: &Expr) -> Result<Typed<'a>, SoqlError> {
        let typed = self.term(expr)?;
        let own = matches!(typed.term, Term::Path(_) | Term::Part(..));
        let refused = |field: &crate::schema::Field| !field.has(flag::FILTER) || field.kind.is_compound();
        if let Some(field) = typed.field.filter(|field| own && refused(field)) {
            let message = format!("field '{}' can not be filtered in a query call", field.name);
            return Err(SoqlError::pointing("INVALID_FIELD", self.statement, expr.at(), &message));
        }
        Ok(typed)
    }

    pub(super) fn filterable_path(&self, path: &Path) -> Result<Typed<'a>, SoqlError> {
        self.filterable(&Expr::Path(path.clone()))
    }
}

/// A value that literals are compared with.
struct Checked<'s, 'a> {
    scope: &'s Scope<'a>,
    at: Place,
    name: &'s str,
    kind: Kind,
}

impl Checked<'_, '_> {
    fn compare(&self, term: &Term, operator: Operator, literal: &Literal) -> Result<Filter, SoqlError> {
        if let Literal::Relative(word, count) = literal {
            let (from, to) = self.range(word, *count)?;
            return Ok(Filter::Range(term.clone(), operator, from, to));
        }
        // Seen in recordings: an empty id is allowed and matches nothing.
        if self.kind.is_id() && *literal == Literal::Text(String::new()) {
            return Ok(Filter::Constant(operator == Operator::NotEqual));
        }
        let value = self.value(literal)?;
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if ordered && (self.kind == Kind::Boolean || self.kind == Kind::MultiPicklist) {
            let message = format!("invalid operator on {} field", type_name(self.kind));
            return Err(SoqlError::pointing("INVALID_FIELD", self.scope.statement, self.at, &message));
        }
        if value == Value::Null && ordered {
            return Ok(Filter::Constant(false));
        }
        Ok(Filter::Compare(term.clone(), operator, value))
    }

    fn range(&self, word: &str, count: Option<i64>) -> Result<(i64, i64), SoqlError> {
        if !matches!(self.kind, Kind::Date | Kind::Datetime) {
            return Err(self.wrong_type());
        }
        let range = literal::range(word, count, self.scope.asker.now);
        range.ok_or_else(|| SoqlError::unexpected(word))
    }

    fn members(&self, term: &Term, literals: &[Literal]) -> Result<Filter, SoqlError> {
        let mut values = Vec::with_capacity(literals.len());
        let mut ranges = Vec::new();
        for literal in literals {
            match literal {
                Literal::Relative(word, count) => {
                    let (from, to) = self.range(word, *count)?;
                    ranges.push(Filter::Range(term.clone(), Operator::Equal, from, to));
                }
                Literal::Text(text) if self.kind.is_id() && text.is_empty() => {}
                literal => values.push(self.value(literal)?),
            }
        }
        let ids: Option<HashSet<SfId>> = values.iter().map(Value::as_id).collect();
        let plain = match ids {
            Some(ids) if self.kind.is_id() => Filter::InIds(term.clone(), ids),
            _ => Filter::In(term.clone(), values),
        };
        if ranges.is_empty() {
            return Ok(plain);
        }
        ranges.push(plain);
        Ok(Filter::Or(ranges))
    }

    fn value(&self, literal: &Literal) -> Result<Value, SoqlError> {
        let value = match (self.kind, literal) {
            (_, Literal::Null) => Value::Null,
            (_, Literal::Text(text)) if text.chars().count() > LONGEST_TEXT => {
                let message = format!("A text in a filter can have at most {LONGEST_TEXT} characters");
                return Err(SoqlError::new("MALFORMED_QUERY", message));
            }
            (Kind::Id | Kind::Reference, Literal::Text(text)) => {
                let id = SfId::parse(text).ok_or_else(|| {
                    SoqlError::new("INVALID_QUERY_FILTER_OPERATOR", format!("invalid ID field: {text}"))
                })?;
                Value::Id(id)
            }
            (Kind::Boolean, Literal::Bool(value)) => Value::Bool(*value),
            (kind, Literal::Int(value)) if kind.is_number() => Value::Int(*value),
            (kind, Literal::Double(value)) if kind.is_number() => Value::Double(*value),
            (Kind::Date, Literal::Date(day)) => Value::Date(*day),
            (Kind::Datetime, Literal::Instant(at)) => Value::Instant(*at),
            (kind, Literal::Text(text)) if kind.is_text() => Value::Text(text.as_str().into()),
            _ => return Err(self.wrong_type()),
        };
        Ok(value)
    }

    fn wrong_type(&self) -> SoqlError {
        let (wanted, quotes) = match self.kind {
            Kind::Boolean => ("boolean", "should not"),
            Kind::Int => ("int", "should not"),
            Kind::Long => ("long", "should not"),
            Kind::Double | Kind::Percent | Kind::Currency => ("double", "should not"),
            Kind::Date => ("date", "should not"),
            Kind::Datetime => ("dateTime", "should not"),
            Kind::Time => ("time", "should not"),
            _ => ("string", "should"),
        };
        let message = format!(
            "value of filter criterion for field '{}' must be of type {wanted} and {quotes} be enclosed in quotes",
            self.name
        );
        SoqlError::pointing("INVALID_FIELD", self.scope.statement, self.at, &message)
    }
}

fn negate(filter: Filter, negated: bool) -> Filter {
    if negated { Filter::Not(Box::new(filter)) } else { filter }
}

fn type_name(kind: Kind) -> &'static str {
    crate::schema::describe::type_name(kind)
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
