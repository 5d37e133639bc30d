//! Fields and functions of a row: what they read and of which type they are.

use super::Scope;
use crate::schema::{Field, Kind, Source};
use crate::soql::SoqlError;
use crate::soql::ast::{Argument, Call, Expr, Path};
use crate::soql::functions;
use crate::soql::plan::{DatePart, Distance, End, FieldPath, Term};

/// A term, and what is known of its value.
pub(super) struct Typed<'a> {
    pub(super) term: Term,
    pub(super) kind: Kind,
    /// The field, when it is one of a known object.
    pub(super) field: Option<&'a Field>,
    /// How the answer and messages call it.
    pub(super) name: String,
}

impl<'a> Scope<'a> {
    /// A field or a function that has a value for each row.
    pub(super) fn term(&self, expr: &Expr) -> Result<Typed<'a>, SoqlError> {
        match expr {
            Expr::Path(path) => self.path_term(path),
            Expr::Call(call) => self.call_term(call),
        }
    }

    pub(super) fn path_term(&self, path: &Path) -> Result<Typed<'a>, SoqlError> {
        let (resolved, field) = self.field_path(path)?;
        let kind = match (field, &resolved.end) {
            (Some(field), _) => field.kind,
            (None, End::Named(name)) if name == "Id" || name.ends_with("Id") => Kind::Reference,
            (None, End::Named(name)) if name == "IsActive" => Kind::Boolean,
            (None, _) => Kind::String,
        };
        let name = field.map_or_else(|| path.steps.join("."), |field| field.name.clone());
        Ok(Typed { term: Term::Path(resolved), kind, field, name })
    }

    fn call_term(&self, call: &Call) -> Result<Typed<'a>, SoqlError> {
        if let Some(part) = functions::date_part(&call.name) {
            return self.date_term(call, part);
        }
        let [argument, rest @ ..] = &call.arguments[..] else {
            return Err(SoqlError::unexpected(&call.written));
        };
        match (call.name.as_str(), argument) {
            ("distance", Argument::Expr(Expr::Path(place))) => self.distance(call, place),
            // Picklists have the same labels in every language here, and there is one currency.
            ("tolabel" | "convertcurrency", Argument::Expr(Expr::Path(path))) if rest.is_empty() => {
                let typed = self.path_term(path)?;
                let fits = match call.name.as_str() {
                    "tolabel" => typed.kind.is_text(),
                    _ => typed.kind == Kind::Currency,
                };
                if fits { Ok(typed) } else { Err(self.wrong_argument(call, &typed.name)) }
            }
            _ => Err(SoqlError::unexpected(&call.written)),
        }
    }

    fn wrong_argument(&self, call: &Call, name: &str) -> SoqlError {
        let message = format!("field {name} does not support the function {}", call.written);
        SoqlError::pointing("INVALID_FIELD", self.statement, call.at, &message)
    }

    fn date_term(&self, call: &Call, part: DatePart) -> Result<Typed<'a>, SoqlError> {
        let path = match &call.arguments[..] {
            [Argument::Expr(Expr::Path(path))] => path,
            // The user's time zone is UTC here.
            [Argument::Expr(Expr::Call(inner))] if inner.name == "converttimezone" => {
                match &inner.arguments[..] {
                    [Argument::Expr(Expr::Path(path))] => path,
                    _ => return Err(SoqlError::unexpected(&inner.written)),
                }
            }
            _ => return Err(SoqlError::unexpected(&call.written)),
        };
        let typed = self.path_term(path)?;
        let dated = match typed.kind {
            Kind::Datetime => true,
            Kind::Date => part != DatePart::HourInDay,
            _ => false,
        };
        let Term::Path(resolved) = typed.term else {
            return Err(SoqlError::unexpected(&call.written));
        };
        if !dated {
            return Err(self.wrong_argument(call, &typed.name));
        }
        let kind = if part == DatePart::DayOnly { Kind::Date } else { Kind::Int };
        let name = Expr::Call(call.clone()).shown();
        Ok(Typed { term: Term::Part(part, resolved), kind, field: typed.field, name })
    }

    fn distance(&self, call: &Call, place: &Path) -> Result<Typed<'a>, SoqlError> {
        let typed = self.path_term(place)?;
        let parts = typed.field.and_then(|field| match &field.source {
            Source::Compound(parts) => Some(parts),
            _ => None,
        });
        let (Some(parts), Term::Path(path)) = (parts, typed.term) else {
            return Err(self.wrong_argument(call, &typed.name));
        };
        let owner = path.hops.iter().fold(self.object, |object, hop| self.target_of(object, *hop));
        let fields = &self.asker.catalog.objects[owner].fields;
        let component = |wanted: &str| {
            let slot = parts.iter().find(|(key, _)| *key == wanted).map(|(_, slot)| *slot)?;
            let field = fields.iter().position(|field| field.slot() == Some(slot))?;
            Some(FieldPath { hops: path.hops.clone(), end: End::Field(field) })
        };
        let (Some(latitude), Some(longitude)) = (component("latitude"), component("longitude")) else {
            return Err(self.wrong_argument(call, &typed.name));
        };
        let [_, Argument::Expr(Expr::Call(point)), Argument::Text(unit)] = &call.arguments[..] else {
            return Err(SoqlError::unexpected(&call.written));
        };
        let [Argument::Number(north), Argument::Number(east)] = point.arguments[..] else {
            return Err(SoqlError::unexpected(&point.written));
        };
        let in_kilometres = unit.eq_ignore_ascii_case("km");
        let term = Term::Distance(Distance { latitude, longitude, from: (north, east), in_kilometres });
        let name = Expr::Call(call.clone()).shown();
        Ok(Typed { term, kind: Kind::Double, field: None, name })
    }

    /// The object that a reference of one target leads to.
    fn target_of(&self, object: usize, via: usize) -> usize {
        let reference = self.asker.catalog.objects[object].fields[via].reference.as_ref();
        let mut names = reference.into_iter().flat_map(crate::schema::Reference::objects);
        names.find_map(|name| self.asker.catalog.index(name)).unwrap_or(object)
    }
}
