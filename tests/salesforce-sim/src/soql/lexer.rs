//! Words of a statement.

use super::ast::Place;
use super::errors::SoqlError;
use crate::time;

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or keyword, as written.
    Word(String),
    /// A quoted text, unescaped.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A decimal number.
    Double(f64),
    /// A date as a day number.
    Date(i64),
    /// An instant in milliseconds.
    Instant(i64),
    /// Punctuation or an operator.
    Sign(&'static str),
    /// The end.
    End,
}

impl Token {
    /// The token as an error message shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Double(number) => number.to_string(),
            Self::Date(_) | Self::Instant(_) => "date".to_owned(),
            Self::Sign(sign) => (*sign).to_owned(),
            Self::End => "<EOF>".to_owned(),
        }
    }
}

const SIGNS: [&str; 13] = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ",", ".", ":", "-"];

/// Splits a statement into tokens with their places (in characters).
///
/// # Errors
/// `MALFORMED_QUERY` for what cannot be a token.
pub(super) fn tokens(statement: &str) -> Result<Vec<(Token, Place)>, SoqlError> {
    let characters: Vec<char> = statement.chars().collect();
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(character) = characters.get(at) {
        if character.is_whitespace() {
            at += 1;
            continue;
        }
        let (token, next) = match character {
            '\'' => quoted(&characters, at)?,
            '0'..='9' => number(&characters, at)?,
            '-' | '+' if characters.get(at + 1).is_some_and(char::is_ascii_digit) => number(&characters, at)?,
            letter if letter.is_alphabetic() || *letter == '_' => word(&characters, at),
            _ => sign(&characters, at)?,
        };
        all.push((token, at));
        at = next;
    }
    all.push((Token::End, characters.len()));
    Ok(all)
}

fn word(characters: &[char], at: usize) -> (Token, usize) {
    let length = characters[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
    (Token::Word(characters[at..at + length].iter().collect()), at + length)
}

fn sign(characters: &[char], at: usize) -> Result<(Token, usize), SoqlError> {
    let starts =
        |sign: &&&str| sign.chars().enumerate().all(|(offset, c)| characters.get(at + offset) == Some(&c));
    match SIGNS.iter().find(starts) {
        Some(sign) => Ok((Token::Sign(if *sign == "<>" { "!=" } else { sign }), at + sign.len())),
        None => Err(SoqlError::unexpected(&characters[at].to_string())),
    }
}

fn quoted(characters: &[char], start: usize) -> Result<(Token, usize), SoqlError> {
    let mut text = String::new();
    let mut at = start + 1;
    let unterminated = || SoqlError::new("MALFORMED_QUERY", "unexpected end of string literal");
    loop {
        match characters.get(at).ok_or_else(unterminated)? {
            '\'' => return Ok((Token::Text(text), at + 1)),
            '\\' => {
                let escaped = characters.get(at + 1).ok_or_else(unterminated)?;
                at += 2;
                let character = match escaped {
                    'n' | 'N' => '\n',
                    'r' | 'R' => '\r',
                    't' | 'T' => '\t',
                    'b' | 'B' => '\u{8}',
                    'f' | 'F' => '\u{c}',
                    '"' | '\'' | '\\' => *escaped,
                    // LIKE patterns keep these for the matcher.
                    '%' | '_' => {
                        text.push('\\');
                        *escaped
                    }
                    'u' | 'U' => {
                        let hex: String =
                            characters.get(at..at + 4).ok_or_else(unterminated)?.iter().collect();
                        at += 4;
                        let code = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                        code.ok_or_else(|| SoqlError::new("MALFORMED_QUERY", "invalid unicode escape"))?
                    }
                    other => {
                        let message = format!("invalid escape sequence '\\{other}' in string literal");
                        return Err(SoqlError::new("MALFORMED_QUERY", message));
                    }
                };
                text.push(character);
            }
            other => {
                text.push(*other);
                at += 1;
            }
        }
    }
}

/// Numbers, dates and instants all start with a digit.
fn number(characters: &[char], start: usize) -> Result<(Token, usize), SoqlError> {
    let belongs = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '+');
    let length = characters[start..].iter().take_while(|c| belongs(c)).count();
    let text: String = characters[start..start + length].iter().collect();
    let end = start + length;
    let bad = || SoqlError::new("MALFORMED_QUERY", format!("unexpected token: '{text}'"));
    let dated = text.len() >= 10 && text.as_bytes()[4] == b'-';
    if dated && text.len() == 10 {
        let day = time::parse_date(&text).ok_or_else(bad)?;
        return Ok((Token::Date(day), end));
    }
    if dated {
        // A '+' that a careless client left unescaped in a URL arrives as a blank, and fails as it does there.
        let at = time::parse_instant(&text).ok_or_else(bad)?;
        return Ok((Token::Instant(at), end));
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok((Token::Int(number), end));
    }
    text.parse::<f64>().map(|number| (Token::Double(number), end)).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(statement: &str) -> Vec<Token> {
        tokens(statement).unwrap().into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn literals_are_read() {
        assert_eq!(
            kinds(r"x='a\'b\n\u0041' 12 -1.5 2015-06-26 2015-06-26T20:00:29.000+0000"),
            vec![
                Token::Word("x".to_owned()),
                Token::Sign("="),
                Token::Text("a'b\nA".to_owned()),
                Token::Int(12),
                Token::Double(-1.5),
                Token::Date(16_612),
                Token::Instant(1_435_348_829_000),
                Token::End
            ]
        );
    }

    #[test]
    fn unknown_escapes_are_refused() {
        assert_eq!(tokens(r"'a\x'").unwrap_err().code, "MALFORMED_QUERY");
    }
}
