//! WHERE: conditions and literals.

use super::Parser;
use crate::soql::SoqlError;
use crate::soql::ast::{Condition, Expr, Literal, Operator};
use crate::soql::lexer::Token;
use crate::soql::literal;

impl Parser {
    /// AND and OR may not stand side by side without parentheses.
    pub(super) fn condition(&mut self) -> Result<Condition, SoqlError> {
        let first = self.term()?;
        let (word, other) = if self.is_word("AND") { ("AND", "OR") } else { ("OR", "AND") };
        if !self.is_word(word) {
            return Ok(first);
        }
        let mut terms = vec![first];
        while self.take_word(word) {
            terms.push(self.term()?);
        }
        if self.is_word(other) {
            return self.unexpected();
        }
        Ok(if word == "AND" { Condition::And(terms) } else { Condition::Or(terms) })
    }

    fn term(&mut self) -> Result<Condition, SoqlError> {
        if self.take_word("NOT") {
            self.deeper()?;
            let inner = self.term()?;
            self.depth -= 1;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.take_sign("(") {
            self.deeper()?;
            let inner = self.condition()?;
            self.depth -= 1;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        let expr = self.expr()?;
        self.comparison(expr)
    }

    fn comparison(&mut self, expr: Expr) -> Result<Condition, SoqlError> {
        if self.take_word("NOT") {
            self.expect_word("IN")?;
            return self.members(expr, true);
        }
        if self.take_word("IN") {
            return self.members(expr, false);
        }
        if self.take_word("LIKE") {
            return match self.next() {
                Token::Text(pattern) => Ok(Condition::Like(expr, pattern)),
                other => Err(SoqlError::unexpected(&other.shown())),
            };
        }
        for (word, includes) in [("INCLUDES", true), ("EXCLUDES", false)] {
            if self.take_word(word) {
                let Expr::Path(path) = expr else { return self.unexpected() };
                return Ok(Condition::Includes(path, self.texts()?, includes));
            }
        }
        let operator = match self.next() {
            Token::Sign("=") => Operator::Equal,
            Token::Sign("!=") => Operator::NotEqual,
            Token::Sign("<") => Operator::Less,
            Token::Sign("<=") => Operator::LessOrEqual,
            Token::Sign(">") => Operator::Greater,
            Token::Sign(">=") => Operator::GreaterOrEqual,
            other => return Err(SoqlError::unexpected(&other.shown())),
        };
        Ok(Condition::Compare(expr, operator, self.literal()?))
    }

    fn members(&mut self, expr: Expr, negated: bool) -> Result<Condition, SoqlError> {
        self.expect_sign("(")?;
        if self.is_word("SELECT") {
            let Expr::Path(path) = expr else { return self.unexpected() };
            let query = self.nested_query()?;
            return Ok(Condition::InQuery(path, Box::new(query), negated));
        }
        let mut values = vec![self.literal()?];
        while self.take_sign(",") {
            values.push(self.literal()?);
        }
        self.expect_sign(")")?;
        Ok(Condition::In(expr, values, negated))
    }

    fn texts(&mut self) -> Result<Vec<String>, SoqlError> {
        self.expect_sign("(")?;
        let mut texts = Vec::new();
        loop {
            match self.next() {
                Token::Text(text) => texts.push(text),
                other => return Err(SoqlError::unexpected(&other.shown())),
            }
            if !self.take_sign(",") {
                self.expect_sign(")")?;
                return Ok(texts);
            }
        }
    }

    fn literal(&mut self) -> Result<Literal, SoqlError> {
        match self.next() {
            Token::Text(text) => Ok(Literal::Text(text)),
            Token::Int(number) => Ok(Literal::Int(number)),
            Token::Double(number) => Ok(Literal::Double(number)),
            Token::Date(day) => Ok(Literal::Date(day)),
            Token::Instant(at) => Ok(Literal::Instant(at)),
            Token::Word(word) => self.named_literal(&word),
            other => Err(SoqlError::unexpected(&other.shown())),
        }
    }

    fn named_literal(&mut self, word: &str) -> Result<Literal, SoqlError> {
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "TRUE" => return Ok(Literal::Bool(true)),
            "FALSE" => return Ok(Literal::Bool(false)),
            "NULL" => return Ok(Literal::Null),
            _ => {}
        }
        if let Some(amount) = literal::currency(&upper) {
            return Ok(Literal::Double(amount));
        }
        if upper.len() == 3
            && let Token::Int(amount) = *self.peek()
        {
            // A negative amount is a token of its own: USD-500.
            self.next();
            let amount = i32::try_from(amount).map_err(|_| SoqlError::unexpected(word))?;
            return Ok(Literal::Double(f64::from(amount)));
        }
        let count = if self.take_sign(":") {
            match self.next() {
                Token::Int(number) => Some(number),
                other => return Err(SoqlError::unexpected(&other.shown())),
            }
        } else {
            None
        };
        if literal::is_relative(&upper, count.is_some()) {
            Ok(Literal::Relative(upper, count))
        } else {
            Err(SoqlError::unexpected(word))
        }
    }
}
