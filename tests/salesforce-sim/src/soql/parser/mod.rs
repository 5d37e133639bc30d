//! The grammar, by recursive descent. SELECT lists are in [`select`], conditions in [`condition`], what follows them in
//! [`clauses`], fields and calls in [`expr`].

mod clauses;
mod condition;
mod expr;
mod select;

use super::ast::{Path, Place, Query};
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

    fn after(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].0
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
        let alias = self.alias_of_object()?;
        let aliases = self.more_aliases(&from, alias.as_deref())?;
        let scope = self.scope()?;
        let condition = if self.take_word("WHERE") { Some(self.condition()?) } else { None };
        let data_category = self.data_category()?;
        let group_by = self.group_by()?;
        let order_by = self.order_by()?;
        let limit = self.count_after("LIMIT")?;
        let offset = self.count_after("OFFSET")?;
        self.trailer()?;
        Ok(Query {
            items,
            from,
            from_at,
            alias,
            aliases,
            scope,
            condition,
            data_category,
            group_by,
            order_by,
            limit,
            offset,
        })
    }

    /// `c` or `AS c`. A lone OFFSET at the end is an alias too.
    fn alias_of_object(&mut self) -> Result<Option<String>, SoqlError> {
        let Token::Word(word) = self.peek().clone() else {
            return Ok(None);
        };
        let lone_offset = word.eq_ignore_ascii_case("OFFSET") && matches!(self.after(), Token::End);
        if lone_offset {
            self.next();
            return Ok(Some(word));
        }
        if self.take_word("AS") {
            return self.name().map(Some);
        }
        if RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) {
            return Ok(None);
        }
        self.name().map(Some)
    }

    /// `, c.Account a, a.Owner u`
    fn more_aliases(
        &mut self,
        from: &str,
        alias: Option<&str>,
    ) -> Result<Vec<(Vec<String>, String)>, SoqlError> {
        let mut aliases: Vec<(Vec<String>, String)> = Vec::new();
        while self.take_sign(",") {
            let mut steps = self.path()?.steps;
            let first = steps.remove(0);
            let is_self = first.eq_ignore_ascii_case(from)
                || alias.is_some_and(|alias| first.eq_ignore_ascii_case(alias));
            let before = aliases.iter().find(|(_, name)| name.eq_ignore_ascii_case(&first));
            let whole: Vec<String> = match (is_self, before) {
                (true, _) => steps,
                (false, Some((path, _))) => path.iter().cloned().chain(steps).collect(),
                (false, None) => return Err(SoqlError::unexpected(&first)),
            };
            let Some(name) = self.alias_of_object()?.filter(|_| !whole.is_empty()) else {
                return self.unexpected();
            };
            aliases.push((whole, name));
        }
        Ok(aliases)
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
