//! The grammar, by recursive descent.

use super::ast::{Condition, Item, Literal, Operator, OrderBy, Path, Place, Query};
use super::errors::SoqlError;
use super::lexer::{Token, tokens};
use super::literal;

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
    let mut parser = Parser {
        tokens: tokens(statement)?,
        at: 0,
        depth: 0,
    };
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
        if self.take_word(wanted) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    fn take_sign(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(sign) if *sign == wanted);
        if found {
            self.next();
        }
        found
    }

    fn expect_sign(&mut self, wanted: &str) -> Result<(), SoqlError> {
        if self.take_sign(wanted) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    fn expect_end(&mut self) -> Result<(), SoqlError> {
        if matches!(self.peek(), Token::End) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    fn name(&mut self) -> Result<String, SoqlError> {
        match self.peek() {
            Token::Word(word)
                if !RESERVED
                    .iter()
                    .any(|reserved| word.eq_ignore_ascii_case(reserved)) =>
            {
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
            Token::Word(word)
                if !RESERVED
                    .iter()
                    .any(|reserved| word.eq_ignore_ascii_case(reserved)) =>
            {
                Some(self.name()?)
            }
            _ => None,
        };
        if matches!(self.peek(), Token::Sign(",")) {
            return Err(SoqlError::unsupported("a FROM clause with several objects"));
        }
        let scope = self.scope()?;
        let condition = if self.take_word("WHERE") {
            Some(self.condition()?)
        } else {
            None
        };
        if self.is_word("WITH") {
            return Err(SoqlError::unsupported("a WITH clause"));
        }
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
            scope,
            condition,
            group_by,
            order_by,
            limit,
            offset,
        })
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
            keys.push(OrderBy {
                path,
                descending,
                nulls_last,
            });
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
            let known = ["VIEW", "REFERENCE", "UPDATE"]
                .iter()
                .any(|word| self.take_word(word));
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

    fn item(&mut self) -> Result<Item, SoqlError> {
        if self.take_sign("(") {
            let inner = self.nested_query()?;
            return Ok(Item::Children(Box::new(inner)));
        }
        if self.is_word("TYPEOF") {
            return self.type_of();
        }
        let path = self.path()?;
        if !matches!(self.peek(), Token::Sign("(")) {
            let alias = self.alias()?;
            return Ok(Item::Field { path, alias });
        }
        self.function(&path)
    }

    /// An alias must be followed by the next item or by FROM; otherwise it is a misspelt keyword.
    fn alias(&mut self) -> Result<Option<String>, SoqlError> {
        let Token::Word(word) = self.peek().clone() else {
            return Ok(None);
        };
        if RESERVED
            .iter()
            .any(|reserved| word.eq_ignore_ascii_case(reserved))
        {
            return Ok(None);
        }
        self.next();
        if self.is_word("FROM") || matches!(self.peek(), Token::Sign(",")) {
            return Ok(Some(word));
        }
        Err(SoqlError::unexpected(&word))
    }

    fn nested_query(&mut self) -> Result<Query, SoqlError> {
        self.deeper()?;
        let query = self.query()?;
        self.depth -= 1;
        self.expect_sign(")")?;
        Ok(query)
    }

    /// Keeps hostile nesting from exhausting the stack.
    fn deeper(&mut self) -> Result<(), SoqlError> {
        self.depth += 1;
        if self.depth > 200 {
            return Err(SoqlError::new(
                "QUERY_TOO_COMPLICATED",
                "The query is nested too deeply.",
            ));
        }
        Ok(())
    }

    fn function(&mut self, path: &Path) -> Result<Item, SoqlError> {
        let name = path.steps.join(".").to_lowercase();
        self.expect_sign("(")?;
        if name == "fields" {
            let which = self.name_or_all()?.to_uppercase();
            self.expect_sign(")")?;
            if !["ALL", "STANDARD", "CUSTOM"].contains(&which.as_str()) {
                return Err(SoqlError::unexpected(&which));
            }
            return Ok(Item::AllFields(which, path.at));
        }
        let argument = if matches!(self.peek(), Token::Sign(")")) {
            None
        } else {
            Some(self.path()?)
        };
        if !matches!(self.peek(), Token::Sign(")")) {
            return Err(SoqlError::unsupported(&format!(
                "the function {name} in this form"
            )));
        }
        self.expect_sign(")")?;
        let alias = self.alias()?;
        Ok(Item::Function {
            name,
            argument,
            alias,
            at: path.at,
        })
    }

    fn name_or_all(&mut self) -> Result<String, SoqlError> {
        if self.take_word("ALL") {
            Ok("ALL".to_owned())
        } else {
            self.name()
        }
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
        let otherwise = if self.take_word("ELSE") {
            self.paths()?
        } else {
            Vec::new()
        };
        self.expect_word("END")?;
        if branches.is_empty() {
            return self.unexpected();
        }
        Ok(Item::TypeOf {
            path,
            branches,
            otherwise,
        })
    }

    fn paths(&mut self) -> Result<Vec<Path>, SoqlError> {
        let mut paths = vec![self.path()?];
        while self.take_sign(",") {
            paths.push(self.path()?);
        }
        Ok(paths)
    }

    /// AND and OR may not stand side by side without parentheses.
    fn condition(&mut self) -> Result<Condition, SoqlError> {
        let first = self.term()?;
        let (word, other) = if self.is_word("AND") {
            ("AND", "OR")
        } else {
            ("OR", "AND")
        };
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
        Ok(if word == "AND" {
            Condition::And(terms)
        } else {
            Condition::Or(terms)
        })
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
        let path = self.path()?;
        if matches!(self.peek(), Token::Sign("(")) {
            return Err(SoqlError::unsupported("a function in WHERE"));
        }
        self.comparison(path)
    }

    fn comparison(&mut self, path: Path) -> Result<Condition, SoqlError> {
        if self.take_word("NOT") {
            self.expect_word("IN")?;
            return self.members(path, true);
        }
        if self.take_word("IN") {
            return self.members(path, false);
        }
        if self.take_word("LIKE") {
            return match self.next() {
                Token::Text(pattern) => Ok(Condition::Like(path, pattern)),
                other => Err(SoqlError::unexpected(&other.shown())),
            };
        }
        for (word, includes) in [("INCLUDES", true), ("EXCLUDES", false)] {
            if self.take_word(word) {
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
        Ok(Condition::Compare(path, operator, self.literal()?))
    }

    fn members(&mut self, path: Path, negated: bool) -> Result<Condition, SoqlError> {
        self.expect_sign("(")?;
        if self.is_word("SELECT") {
            let query = self.nested_query()?;
            return Ok(Condition::InQuery(path, Box::new(query), negated));
        }
        let mut values = vec![self.literal()?];
        while self.take_sign(",") {
            values.push(self.literal()?);
        }
        self.expect_sign(")")?;
        Ok(Condition::In(path, values, negated))
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(
            error,
            SoqlError::new("MALFORMED_QUERY", "unexpected token: 'FORM'")
        );
    }

    #[test]
    fn hostile_nesting_is_refused() {
        let statement = format!(
            "SELECT Id FROM Case WHERE {}A = 1{}",
            "(".repeat(5_000),
            ")".repeat(5_000)
        );
        assert_eq!(parse(&statement).unwrap_err().code, "QUERY_TOO_COMPLICATED");
    }
}
