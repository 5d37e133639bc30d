//! The grammar, by recursive descent. SELECT lists are in [`select`], conditions in [`condition`].

mod condition;
mod select;

use super::ast::{OrderBy, Path, Place, Query};
use super::errors::SoqlError;
use super::lexer::{Token, tokens};

/// Words that end a list of names, so that `FROM Case WHERE` does not take WHERE for an alias.
const RESERVED: [&str; 14] = [
    "WHERE", "ORDER", "LIMIT", "OFFSET", "GROUP", "USING", "WITH", "FOR", "HAVING", "UPDATE", "FROM", "ALL",
    "AND", "OR",
];

/// Reads a statement.
///
/// # Errors
/// `MALFORMED_QUERY`.
pub fn parse(statement: &str) -> Result<Query, SoqlError> {
    if statement.chars().count() > super::MAX_LENGTH {
        let message = "SOQL statements can not be longer than 100000 characters";
        return Err(SoqlError::new("MALFORMED_QUERY", message));
    }
    let mut parser = Parser { tokens: tokens(statement)?, at: 0, depth: 0 };
    let query = parser.query()?;
    parser.expect_end()?;
    Ok(query)
}

struct Parser {
    tokens: Vec<(Token, Place)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn place(&self) -> Place {
        self.tokens[self.at].1
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn unexpected<T>(&self) -> Result<T, SoqlError> {
        Err(SoqlError::unexpected(&self.peek().shown()))
    }

    fn is_word(&self, wanted: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(wanted))
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found = self.is_word(wanted);
        if found {
            self.next();
        }
        found
    }

    fn expect_word(&mut self, wanted: &str) -> Result<(), SoqlError> {
        if self.take_word(wanted) { Ok(()) } else { self.unexpected() }
    }

    fn take_sign(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(sign) if *sign == wanted);
        if found {
            self.next();
        }
        found
    }

    fn expect_sign(&mut self, wanted: &str) -> Result<(), SoqlError> {
        if self.take_sign(wanted) { Ok(()) } else { self.unexpected() }
    }

    fn expect_end(&mut self) -> Result<(), SoqlError> {
        if matches!(self.peek(), Token::End) { Ok(()) } else { self.unexpected() }
    }

    fn name(&mut self) -> Result<String, SoqlError> {
        match self.peek() {
            Token::Word(word) if !RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) => {
                let word = word.clone();
                self.next();
                Ok(word)
            }
            _ => self.unexpected(),
        }
    }

    fn path(&mut self) -> Result<Path, SoqlError> {
        let at = self.place();
        let mut steps = vec![self.name()?];
        while self.take_sign(".") {
            steps.push(self.name()?);
        }
        Ok(Path { steps, at })
    }

    fn query(&mut self) -> Result<Query, SoqlError> {
        self.expect_word("SELECT")?;
        let mut items = vec![self.item()?];
        while self.take_sign(",") {
            items.push(self.item()?);
        }
        self.expect_word("FROM")?;
        let from_at = self.place();
        let from = self.object_name()?;
        let alias = match self.peek() {
            Token::Word(word) if !RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) => {
                Some(self.name()?)
            }
            _ => None,
        };
        if matches!(self.peek(), Token::Sign(",")) {
            return Err(SoqlError::unsupported("a FROM clause with several objects"));
        }
        let scope = self.scope()?;
        let condition = if self.take_word("WHERE") { Some(self.condition()?) } else { None };
        if self.is_word("WITH") {
            return Err(SoqlError::unsupported("a WITH clause"));
        }
        let group_by = self.group_by()?;
        let order_by = self.order_by()?;
        let limit = self.count_after("LIMIT")?;
        let offset = self.count_after("OFFSET")?;
        self.trailer()?;
        Ok(Query { items, from, from_at, alias, scope, condition, group_by, order_by, limit, offset })
    }

    /// An object may be called like a keyword: `FROM Order`.
    fn object_name(&mut self) -> Result<String, SoqlError> {
        let Token::Word(mut name) = self.peek().clone() else {
            return self.unexpected();
        };
        self.next();
        while self.take_sign(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name)
    }

    fn scope(&mut self) -> Result<Option<String>, SoqlError> {
        if !self.take_word("USING") {
            return Ok(None);
        }
        self.expect_word("SCOPE")?;
        Ok(Some(self.name()?.to_lowercase()))
    }

    fn group_by(&mut self) -> Result<Vec<Path>, SoqlError> {
        let mut paths = Vec::new();
        if self.take_word("GROUP") {
            self.expect_word("BY")?;
            loop {
                paths.push(self.path()?);
                if matches!(self.peek(), Token::Sign("(")) {
                    return Err(SoqlError::unsupported("a function in GROUP BY"));
                }
                if !self.take_sign(",") {
                    break;
                }
            }
        }
        if self.is_word("HAVING") {
            return Err(SoqlError::unsupported("HAVING"));
        }
        Ok(paths)
    }

    fn order_by(&mut self) -> Result<Vec<OrderBy>, SoqlError> {
        let mut keys = Vec::new();
        if !self.take_word("ORDER") {
            return Ok(keys);
        }
        self.expect_word("BY")?;
        loop {
            let path = self.path()?;
            if matches!(self.peek(), Token::Sign("(")) {
                return Err(SoqlError::unsupported("a function in ORDER BY"));
            }
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
            keys.push(OrderBy { path, descending, nulls_last });
            if !self.take_sign(",") {
                return Ok(keys);
            }
        }
    }

    fn count_after(&mut self, word: &str) -> Result<Option<usize>, SoqlError> {
        if !self.take_word(word) {
            return Ok(None);
        }
        match self.next() {
            Token::Int(number) if number >= 0 => Ok(Some(usize::try_from(number).unwrap_or(usize::MAX))),
            other => Err(SoqlError::unexpected(&other.shown())),
        }
    }

    /// `FOR VIEW` and its like change nothing that a reader sees here; `ALL ROWS` is Apex only.
    fn trailer(&mut self) -> Result<(), SoqlError> {
        if self.take_word("FOR") {
            let known = ["VIEW", "REFERENCE", "UPDATE"].iter().any(|word| self.take_word(word));
            if !known {
                return self.unexpected();
            }
        }
        if self.take_word("UPDATE") {
            let known = ["TRACKING", "VIEWSTAT"].iter().any(|word| self.take_word(word));
            if !known {
                return self.unexpected();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soql::ast::Condition;

    #[test]
    fn a_keyset_page_is_read() {
        let query = parse(
            "SELECT Id, Contact.Name FROM Case WHERE SystemModstamp >= 2024-01-01T00:00:00Z AND (SystemModstamp > \
             2024-01-01T00:00:00Z OR Id > '500000000000001AAA') ORDER BY SystemModstamp, Id LIMIT 2000",
        )
        .unwrap();
        assert_eq!(query.items.len(), 2);
        assert_eq!(query.order_by.len(), 2);
        assert_eq!(query.limit, Some(2_000));
        assert!(matches!(query.condition, Some(Condition::And(terms)) if terms.len() == 2));
    }

    #[test]
    fn and_beside_or_needs_parentheses() {
        let error = parse("SELECT Id FROM Case WHERE A = 1 AND B = 2 OR C = 3").unwrap_err();
        assert_eq!(error, SoqlError::new("MALFORMED_QUERY", "unexpected token: 'OR'"));
    }

    #[test]
    fn a_misspelt_keyword_is_named() {
        let error = parse("SELECT Id FORM Case").unwrap_err();
        assert_eq!(error, SoqlError::new("MALFORMED_QUERY", "unexpected token: 'FORM'"));
    }

    #[test]
    fn hostile_nesting_is_refused() {
        let statement = format!("SELECT Id FROM Case WHERE {}A = 1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert_eq!(parse(&statement).unwrap_err().code, "QUERY_TOO_COMPLICATED");
    }
}
