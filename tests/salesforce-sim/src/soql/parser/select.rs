//! SELECT lists, with sub-queries, functions and TYPEOF.

use super::{Parser, RESERVED};
use crate::soql::SoqlError;
use crate::soql::ast::{Item, Path, Query};
use crate::soql::lexer::Token;

impl Parser {
    pub(super) fn item(&mut self) -> Result<Item, SoqlError> {
        if self.take_sign("(") {
            let inner = self.nested_query()?;
            return Ok(Item::Children(Box::new(inner)));
        }
        if self.is_word("TYPEOF") {
            return self.type_of();
        }
        if self.is_word("FIELDS") && matches!(self.after(), Token::Sign("(")) {
            return self.all_fields();
        }
        let expr = self.expr()?;
        let alias = self.alias()?;
        Ok(Item::Value { expr, alias })
    }

    /// An alias must be followed by the next item or by FROM; otherwise it is a misspelt keyword.
    fn alias(&mut self) -> Result<Option<String>, SoqlError> {
        let Token::Word(word) = self.peek().clone() else {
            return Ok(None);
        };
        if RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) {
            return Ok(None);
        }
        self.next();
        if self.is_word("FROM") || matches!(self.peek(), Token::Sign(",")) {
            return Ok(Some(word));
        }
        Err(SoqlError::unexpected(&word))
    }

    pub(super) fn nested_query(&mut self) -> Result<Query, SoqlError> {
        self.deeper()?;
        let query = self.query()?;
        self.depth -= 1;
        self.expect_sign(")")?;
        Ok(query)
    }

    /// Keeps hostile nesting from exhausting the stack.
    pub(super) fn deeper(&mut self) -> Result<(), SoqlError> {
        self.depth += 1;
        if self.depth > 200 {
            return Err(SoqlError::new("QUERY_TOO_COMPLICATED", "The query is nested too deeply."));
        }
        Ok(())
    }

    fn all_fields(&mut self) -> Result<Item, SoqlError> {
        let at = self.place();
        self.next();
        self.expect_sign("(")?;
        let which = self.name_or_all()?.to_uppercase();
        self.expect_sign(")")?;
        if !["ALL", "STANDARD", "CUSTOM"].contains(&which.as_str()) {
            return Err(SoqlError::unexpected(&which));
        }
        Ok(Item::AllFields(which, at))
    }

    fn name_or_all(&mut self) -> Result<String, SoqlError> {
        if self.take_word("ALL") { Ok("ALL".to_owned()) } else { self.name() }
    }

    fn type_of(&mut self) -> Result<Item, SoqlError> {
        self.expect_word("TYPEOF")?;
        let path = self.path()?;
        let mut branches = Vec::new();
        while self.take_word("WHEN") {
            let object = self.object_name()?;
            self.expect_word("THEN")?;
            branches.push((object, self.paths()?));
        }
        let otherwise = if self.take_word("ELSE") { self.paths()? } else { Vec::new() };
        self.expect_word("END")?;
        if branches.is_empty() {
            return self.unexpected();
        }
        Ok(Item::TypeOf { path, branches, otherwise })
    }

    fn paths(&mut self) -> Result<Vec<Path>, SoqlError> {
        let mut paths = vec![self.path()?];
        while self.take_sign(",") {
            paths.push(self.path()?);
        }
        Ok(paths)
    }
}
