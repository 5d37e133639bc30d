//! Fields and function calls.

use super::Parser;
use crate::soql::SoqlError;
use crate::soql::ast::{Argument, Call, Expr};
use crate::soql::lexer::Token;

impl Parser {
    /// A field or a call.
    pub(super) fn expr(&mut self) -> Result<Expr, SoqlError> {
        let path = self.path()?;
        if !matches!(self.peek(), Token::Sign("(")) {
            return Ok(Expr::Path(path));
        }
        let written = path.steps.join(".");
        let call = self.call(written, path.at)?;
        if call.name == "geolocation" {
            return Err(SoqlError::unexpected(&call.written));
        }
        Ok(Expr::Call(call))
    }

    /// The arguments of a function whose name has been read.
    pub(super) fn call(&mut self, written: String, at: usize) -> Result<Call, SoqlError> {
        self.deeper()?;
        self.expect_sign("(")?;
        let mut arguments = Vec::new();
        if !matches!(self.peek(), Token::Sign(")")) {
            arguments.push(self.argument()?);
            while self.take_sign(",") {
                arguments.push(self.argument()?);
            }
        }
        self.expect_sign(")")?;
        self.depth -= 1;
        let call = Call { name: written.to_lowercase(), written, arguments, at };
        if call.name == "distance" {
            check_distance(&call)?;
        }
        Ok(call)
    }

    fn argument(&mut self) -> Result<Argument, SoqlError> {
        match self.peek().clone() {
            Token::Text(text) => {
                self.next();
                Ok(Argument::Text(text))
            }
            #[expect(clippy::cast_precision_loss, reason = "coordinates are small")]
            Token::Int(number) => {
                self.next();
                Ok(Argument::Number(number as f64))
            }
            Token::Double(number) => {
                self.next();
                Ok(Argument::Number(number))
            }
            _ => {
                let path = self.path()?;
                if !matches!(self.peek(), Token::Sign("(")) {
                    return Ok(Argument::Expr(Expr::Path(path)));
                }
                let call = self.call(path.steps.join("."), path.at)?;
                Ok(Argument::Expr(Expr::Call(call)))
            }
        }
    }
}

/// `DISTANCE(place, GEOLOCATION(latitude, longitude), 'mi'|'km')` and nothing else.
fn check_distance(call: &Call) -> Result<(), SoqlError> {
    let [Argument::Expr(Expr::Path(_)), Argument::Expr(Expr::Call(point)), Argument::Text(unit)] =
        &call.arguments[..]
    else {
        return Err(SoqlError::unexpected(&call.written));
    };
    let numbers = point.arguments.iter().all(|argument| matches!(argument, Argument::Number(_)));
    if point.name != "geolocation" || point.arguments.len() != 2 || !numbers {
        return Err(SoqlError::unexpected(&point.written));
    }
    if !["mi", "km"].iter().any(|known| unit.eq_ignore_ascii_case(known)) {
        return Err(SoqlError::unexpected(unit));
    }
    Ok(())
}
