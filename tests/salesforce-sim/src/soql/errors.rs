//! Refusals of a statement, in the platform's words.

use super::ast::Place;

/// Statements longer than this are shown in part.
const EXCERPT: usize = 80;

/// A refusal: always HTTP 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoqlError {
    /// `errorCode`.
    pub code: &'static str,
    /// `message`.
    pub message: String,
}

impl SoqlError {
    /// A refusal with this code and message.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A syntax error at a token.
    pub fn unexpected(token: &str) -> Self {
        Self::new("MALFORMED_QUERY", format!("unexpected token: '{token}'"))
    }

    /// A refusal that points at a place: excerpt, caret and position before the message.
    pub fn pointing(code: &'static str, statement: &str, at: Place, message: &str) -> Self {
        let (row, column, excerpt, caret) = locate(statement, at);
        let pad = " ".repeat(caret);
        Self::new(code, format!("\n{excerpt}\n{pad}^\nERROR at Row:{row}:Column:{column}\n{message}"))
    }

    /// A field that does not exist or is hidden.
    pub fn no_such_column(statement: &str, at: Place, column: &str, entity: &str) -> Self {
        let message = format!(
            "No such column '{column}' on entity '{entity}'. If you are attempting to use a custom field, be sure \
             to append the '__c' after the custom field name. Please reference your WSDL or the describe call for \
             the appropriate names."
        );
        Self::pointing("INVALID_FIELD", statement, at, &message)
    }

    /// A relationship that does not exist or is hidden.
    pub fn no_such_relationship(statement: &str, at: Place, name: &str) -> Self {
        let message = format!(
            "Didn't understand relationship '{name}' in field path. If you are attempting to use a custom \
             relationship, be sure to append the '__r' after the custom relationship name. Please reference your \
             WSDL or the describe call for the appropriate names."
        );
        Self::pointing("INVALID_FIELD", statement, at, &message)
    }

    /// An object that does not exist or is hidden.
    pub fn no_such_object(statement: &str, at: Place, name: &str) -> Self {
        let message = format!(
            "sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to \
             append the '__c' after the entity name. Please reference your WSDL or the describe call for the \
             appropriate names."
        );
        Self::pointing("INVALID_TYPE", statement, at, &message)
    }
}

/// Row and column from 1, the excerpt around the place, and the caret's offset in the excerpt.
fn locate(statement: &str, at: Place) -> (usize, usize, String, usize) {
    let characters: Vec<char> = statement.chars().collect();
    let at = at.min(characters.len());
    let row = characters[..at].iter().filter(|character| **character == '\n').count() + 1;
    let line_start =
        characters[..at].iter().rposition(|character| *character == '\n').map_or(0, |place| place + 1);
    let line_end =
        characters[at..].iter().position(|c| *c == '\n').map_or(characters.len(), |place| at + place);
    let line = &characters[line_start..line_end];
    let column = at - line_start;
    let (from, to) = if line.len() <= EXCERPT {
        (0, line.len())
    } else {
        let back = column.saturating_sub(EXCERPT / 2);
        let from = line[back..column].iter().position(|c| *c == ' ').map_or(back, |place| back + place + 1);
        (if back == 0 { 0 } else { from }, (column + EXCERPT / 2).min(line.len()))
    };
    (row, column + 1, line[from..to].iter().collect(), column - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_points_as_recorded() {
        let error = SoqlError::no_such_object("SELECT Xyzzy FROM Xyzzy", 18, "Xyzzy");
        assert_eq!(
            error.message,
            "\nSELECT Xyzzy FROM Xyzzy\n                  ^\nERROR at Row:1:Column:19\nsObject type 'Xyzzy' is \
             not supported. If you are attempting to use a custom object, be sure to append the '__c' after the \
             entity name. Please reference your WSDL or the describe call for the appropriate names."
        );
    }
}
