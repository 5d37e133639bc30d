//! GROUP BY, aggregates, HAVING and the order of groups.

use super::Scope;
use crate::schema::{Kind, flag};
use crate::soql::SoqlError;
use crate::soql::ast::{Argument, Call, Condition, Expr, GroupBy, Item, Totals};
use crate::soql::functions;
use crate::soql::plan::{Aggregate, Column, Grouping, Having, Shape, Term};

/// Most keys that subtotals may be asked over.
const MOST_TOTALS: usize = 3;

/// The keys of a grouped statement, while its columns are resolved.
struct Groups<'s, 'a> {
    scope: &'s Scope<'a>,
    keys: Vec<Term>,
    names: Vec<String>,
    has_totals: bool,
}

impl Scope<'_> {
    pub(super) fn grouped(&self) -> Result<Shape, SoqlError> {
        let empty = GroupBy { totals: Totals::Plain, keys: Vec::new(), having: None };
        let group_by = self.query.group_by.as_ref().unwrap_or(&empty);
        let mut groups = Groups {
            scope: self,
            keys: Vec::new(),
            names: Vec::new(),
            has_totals: group_by.totals != Totals::Plain,
        };
        for key in &group_by.keys {
            groups.add_key(key)?;
        }
        if groups.has_totals && groups.keys.len() > MOST_TOTALS {
            let message = format!("GROUP BY with subtotals takes at most {MOST_TOTALS} fields");
            return Err(SoqlError::new("MALFORMED_QUERY", message));
        }
        let mut columns = Vec::new();
        let mut unnamed = 0;
        for item in &self.query.items {
            let Item::Value { expr, alias } = item else {
                let message = "Only fields and aggregates can be selected in a grouped query";
                return Err(SoqlError::new("MALFORMED_QUERY", message));
            };
            let column = groups.column(expr)?;
            let name = match (alias, &column) {
                (Some(alias), _) => alias.clone(),
                (None, Column::Key(place)) if matches!(expr, Expr::Path(_)) => groups.names[*place].clone(),
                (None, _) => {
                    unnamed += 1;
                    format!("expr{}", unnamed - 1)
                }
            };
            if columns.iter().any(|(taken, _): &(String, Column)| taken.eq_ignore_ascii_case(&name)) {
                return Err(SoqlError::new("MALFORMED_QUERY", format!("duplicate alias: {name}")));
            }
            columns.push((name, column));
        }
        let having = group_by.having.as_ref().map(|condition| groups.having(condition)).transpose()?;
        let order = self.query.order_by.iter().map(|key| {
            let column = groups.column(&key.expr).map_err(|error| groups.unordered(&key.expr, error))?;
            Ok((column, key.descending, key.nulls_last))
        });
        let order = order.collect::<Result<_, SoqlError>>()?;
        let sets = sets(group_by.totals, groups.keys.len());
        Ok(Shape::Grouped(Box::new(Grouping { keys: groups.keys, sets, columns, having, order })))
    }
}

/// Which keys each kind of group has.
fn sets(totals: Totals, keys: usize) -> Vec<Vec<bool>> {
    match totals {
        Totals::Plain => vec![vec![true; keys]],
        Totals::Rollup => {
            (0..=keys).rev().map(|kept| (0..keys).map(|place| place < kept).collect()).collect()
        }
        Totals::Cube => {
            let all = 1_usize << keys;
            (0..all).rev().map(|bits| (0..keys).map(|place| bits & (1 << place) != 0).collect()).collect()
        }
    }
}

impl Groups<'_, '_> {
    fn add_key(&mut self, expr: &Expr) -> Result<(), SoqlError> {
        let typed = self.scope.term(expr)?;
        let ungroupable =
            matches!(typed.term, Term::Path(_)) && typed.field.is_some_and(|field| !field.has(flag::GROUP));
        if ungroupable || matches!(typed.term, Term::Distance(_)) {
            let message = format!("field '{}' can not be grouped in a query call", typed.name);
            return Err(self.pointing(expr, &message));
        }
        self.names.push(typed.name);
        self.keys.push(typed.term);
        Ok(())
    }

    fn pointing(&self, expr: &Expr, message: &str) -> SoqlError {
        SoqlError::pointing("MALFORMED_QUERY", self.scope.statement, expr.at(), message)
    }

    /// A name for ordering that is neither grouped nor aggregated.
    fn unordered(&self, expr: &Expr, error: SoqlError) -> SoqlError {
        let plain = error.message.contains("Field must be grouped or aggregated");
        let message = format!("Ordered field must be grouped or aggregated: {}", expr.shown());
        if plain { self.pointing(expr, &message) } else { error }
    }

    /// A grouped value or an aggregate.
    fn column(&self, expr: &Expr) -> Result<Column, SoqlError> {
        if let Expr::Call(call) = expr {
            match call.name.as_str() {
                "grouping" => return self.grouping(call),
                "format" => {
                    let [Argument::Expr(inner)] = &call.arguments[..] else {
                        return Err(SoqlError::unexpected(&call.written));
                    };
                    return self.column(inner).map(|column| Column::Formatted(Box::new(column)));
                }
                name => {
                    if let Some(function) = functions::aggregate(name) {
                        return self.aggregate(call, function);
                    }
                }
            }
        }
        let typed = self.scope.term(expr)?;
        let place = self.keys.iter().position(|key| *key == typed.term).ok_or_else(|| {
            self.pointing(expr, &format!("Field must be grouped or aggregated: {}", expr.shown()))
        })?;
        Ok(Column::Key(place))
    }

    fn grouping(&self, call: &Call) -> Result<Column, SoqlError> {
        let [Argument::Expr(expr)] = &call.arguments[..] else {
            return Err(SoqlError::unexpected(&call.written));
        };
        if !self.has_totals {
            let message = "GROUPING can only be used with GROUP BY ROLLUP or CUBE";
            return Err(self.pointing(&Expr::Call(call.clone()), message));
        }
        match self.column(expr)? {
            Column::Key(place) => Ok(Column::Grouping(place)),
            _ => Err(SoqlError::unexpected(&call.written)),
        }
    }

    fn aggregate(&self, call: &Call, function: Aggregate) -> Result<Column, SoqlError> {
        let expr = match &call.arguments[..] {
            [] if function == Aggregate::Count => return Ok(Column::Aggregate(function, None)),
            [Argument::Expr(expr)] => expr,
            _ => return Err(SoqlError::unexpected(&call.written)),
        };
        let typed = self.scope.term(expr)?;
        let counts = matches!(function, Aggregate::Count | Aggregate::CountDistinct);
        let sums = matches!(function, Aggregate::Sum | Aggregate::Avg);
        let kind = typed.kind;
        let fits = match () {
            () if kind.is_compound() || kind == Kind::Base64 || kind == Kind::AnyType => false,
            () if typed.field.is_some_and(crate::schema::Field::is_long_text) => false,
            () if sums => kind.is_number(),
            () => counts || kind != Kind::Boolean,
        };
        if !fits {
            let name = functions::aggregate_name(function);
            let message = format!("field {} does not support aggregate operator {name}", typed.name);
            return Err(self.pointing(&Expr::Call(call.clone()), &message));
        }
        Ok(Column::Aggregate(function, Some(typed.term)))
    }

    fn having(&self, condition: &Condition) -> Result<Having, SoqlError> {
        let all = |conditions: &[Condition]| {
            conditions.iter().map(|one| self.having(one)).collect::<Result<Vec<_>, _>>()
        };
        let (expr, negated) = match condition {
            Condition::And(conditions) => return all(conditions).map(Having::And),
            Condition::Or(conditions) => return all(conditions).map(Having::Or),
            Condition::Not(inner) => return self.having(inner).map(|inner| Having::Not(Box::new(inner))),
            Condition::Compare(expr, ..) | Condition::Like(expr, _) => (expr, false),
            Condition::In(expr, _, negated) => (expr, *negated),
            Condition::InQuery(path, ..) | Condition::Includes(path, ..) => {
                let message = "This operator can not be used in HAVING";
                return Err(SoqlError::pointing("MALFORMED_QUERY", self.scope.statement, path.at, message));
            }
        };
        let column = self.column(expr)?;
        let (kind, term) = self.kind_of(&column, expr)?;
        let name = expr.shown();
        let filter = self.scope.leaf(condition, expr.at(), &name, kind, &term)?;
        let test = Having::Test(column, Box::new(filter));
        Ok(if negated { Having::Not(Box::new(test)) } else { test })
    }

    /// The type of a column's values.
    fn kind_of(&self, column: &Column, expr: &Expr) -> Result<(Kind, Term), SoqlError> {
        let argument = match expr {
            Expr::Call(call) => match &call.arguments[..] {
                [Argument::Expr(inner)] => Some(inner),
                _ => None,
            },
            Expr::Path(_) => None,
        };
        let nothing = Term::Path(crate::soql::plan::FieldPath {
            hops: Vec::new(),
            end: crate::soql::plan::End::Named(String::new()),
        });
        Ok(match column {
            Column::Key(place) => (self.scope.term(expr)?.kind, self.keys[*place].clone()),
            Column::Aggregate(Aggregate::Min | Aggregate::Max, Some(term)) => {
                let kind = argument.map(|inner| self.scope.term(inner)).transpose()?;
                (kind.map_or(Kind::String, |typed| typed.kind), term.clone())
            }
            Column::Aggregate(Aggregate::Sum | Aggregate::Avg, Some(term)) => (Kind::Double, term.clone()),
            _ => (Kind::Int, nothing),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtotals_leave_out_keys() {
        assert_eq!(sets(Totals::Plain, 2), [[true, true]]);
        assert_eq!(sets(Totals::Rollup, 2), [[true, true], [true, false], [false, false]]);
        assert_eq!(sets(Totals::Cube, 2).len(), 4);
    }
}
