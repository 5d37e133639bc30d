//! What comes after FROM: scope, WITH, GROUP BY, ORDER BY, LIMIT and what may follow.

use super::Parser;
use crate::soql::SoqlError;
use crate::soql::ast::{GroupBy, OrderBy, Place, Totals};
use crate::soql::lexer::Token;

/// How a data category may be chosen.
const CATEGORY_WORDS: [&str; 4] = ["AT", "ABOVE", "BELOW", "ABOVE_OR_BELOW"];

impl Parser {
    pub(super) fn scope(&mut self) -> Result<Option<String>, SoqlError> {
        if !self.take_word("USING") {
            return Ok(None);
        }
        self.expect_word("SCOPE")?;
        Ok(Some(self.name()?.to_lowercase()))
    }

    /// `WITH DATA CATEGORY Geography__c AT asia__c AND …`
    pub(super) fn data_category(&mut self) -> Result<Option<Place>, SoqlError> {
        let at = self.place();
        if !self.take_word("WITH") {
            return Ok(None);
        }
        // SECURITY_ENFORCED, USER_MODE and their like are for Apex.
        self.expect_word("DATA")?;
        self.expect_word("CATEGORY")?;
        loop {
            self.name()?;
            if !CATEGORY_WORDS.iter().any(|word| self.take_word(word)) {
                return self.unexpected();
            }
            if self.take_sign("(") {
                self.name()?;
                while self.take_sign(",") {
                    self.name()?;
                }
                self.expect_sign(")")?;
            } else {
                self.name()?;
            }
            if !self.take_word("AND") {
                return Ok(Some(at));
            }
        }
    }

    pub(super) fn group_by(&mut self) -> Result<Option<GroupBy>, SoqlError> {
        if !self.take_word("GROUP") {
            return Ok(None);
        }
        self.expect_word("BY")?;
        let totals = match () {
            () if self.take_word("ROLLUP") => Totals::Rollup,
            () if self.take_word("CUBE") => Totals::Cube,
            () => Totals::Plain,
        };
        if totals != Totals::Plain {
            self.expect_sign("(")?;
        }
        let mut keys = vec![self.expr()?];
        while self.take_sign(",") {
            keys.push(self.expr()?);
        }
        if totals != Totals::Plain {
            self.expect_sign(")")?;
        }
        let having = if self.take_word("HAVING") { Some(self.condition()?) } else { None };
        Ok(Some(GroupBy { totals, keys, having }))
    }

    pub(super) fn order_by(&mut self) -> Result<Vec<OrderBy>, SoqlError> {
        let mut keys = Vec::new();
        if !self.take_word("ORDER") {
            return Ok(keys);
        }
        self.expect_word("BY")?;
        loop {
            let expr = self.expr()?;
            let descending = self.take_word("DESC");
            if !descending {
                self.take_word("ASC");
            }
            let mut nulls_last = false;
            if self.take_word("NULLS") {
                nulls_last = self.take_word("LAST");
                if !nulls_last {
                    self.expect_word("FIRST")?;
                }
            }
            keys.push(OrderBy { expr, descending, nulls_last });
            if !self.take_sign(",") {
                return Ok(keys);
            }
        }
    }

    pub(super) fn count_after(&mut self, word: &str) -> Result<Option<usize>, SoqlError> {
        if !self.take_word(word) {
            return Ok(None);
        }
        match self.next() {
            Token::Int(number) if number >= 0 => Ok(Some(usize::try_from(number).unwrap_or(usize::MAX))),
            other => Err(SoqlError::unexpected(&other.shown())),
        }
    }

    /// `FOR VIEW` and its like change nothing that a reader sees here; `ALL ROWS` is Apex only.
    pub(super) fn trailer(&mut self) -> Result<(), SoqlError> {
        if self.take_word("FOR") {
            let known = ["VIEW", "REFERENCE", "UPDATE"].iter().any(|word| self.take_word(word));
            if !known {
                return self.unexpected();
            }
        }
        if self.take_word("UPDATE") {
            loop {
                let known = ["TRACKING", "VIEWSTAT"].iter().any(|word| self.take_word(word));
                if !known {
                    return self.unexpected();
                }
                if !self.take_sign(",") {
                    break;
                }
            }
        }
        Ok(())
    }
}
