//! Whether a filter can be asked of an object, by its describe: every problem at once, each with why and how to mend it.

use serde_json::Value;

use super::keep::Literal;
use super::{Filter, Leaf, Test};
use crate::catalog::derived::follows_others;
use crate::catalog::{FieldDescribe, FieldType, ObjectDescribe, StandardObject};
use crate::error::UserMessage;
use crate::ids::SalesforceId;

/// A test that cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field.
    pub field: String,
    /// Why not, as a sentence.
    pub why: String,
    /// How to mend it, as a sentence.
    pub fix: String,
}

/// What a person is told of a filter's problems.
#[must_use]
pub fn ask(object: &str, problems: &[Problem]) -> UserMessage {
    let all = |part: fn(&Problem) -> &str| problems.iter().map(part).collect::<Vec<_>>().join(" ");
    UserMessage::new(
        "FILTER_NOT_USABLE",
        format!("The filter of {object} cannot be used, so nothing more of it is read."),
        all(|problem| &problem.why),
        all(|problem| &problem.fix),
    )
}

/// The tests of the filter that cannot be asked of this object, in their order.
#[must_use]
pub fn problems(filter: &Filter, describe: &ObjectDescribe) -> Vec<Problem> {
    let found = StandardObject::find(&describe.name).map(|object| object.found);
    if found.is_some_and(super::super::Found::is_by_parents) {
        let why =
            format!("Records of {} are found by what they belong to, and by nothing else.", describe.name);
        let fix = "Filter the objects that they belong to, and leave this filter out.".to_owned();
        return vec![Problem { field: String::new(), why, fix }];
    }
    filter.tests().into_iter().filter_map(|test| problem(test, describe)).collect()
}

fn problem(test: &Leaf, describe: &ObjectDescribe) -> Option<Problem> {
    let name = test.field.as_str();
    let no = |why: String, fix: String| Some(Problem { field: name.to_owned(), why, fix });
    let instead = || format!("Leave {name} out of the filter, or use another field.");
    let Some(field) = describe.field(name) else {
        return no(
            format!("{} has no field {name}, or the integration user may not see it.", describe.name),
            format!(
                "Write the field's API name, or give the user read access to {name} and press Check again."
            ),
        );
    };
    if field.name != name {
        return no(
            format!("The field's name is {}, not {name}.", field.name),
            format!("Write {}.", field.name),
        );
    }
    let excluded = StandardObject::find(&describe.name).is_some_and(|object| object.excluded.contains(&name));
    let kind = FieldType::from_describe(&field.kind).filter(|_| !excluded);
    let Some(kind) = kind else { return no(format!("{name} is not read."), instead()) };
    if name == "IsDeleted" {
        return no("What is deleted leaves by itself.".to_owned(), instead());
    }
    if follows_others(&describe.name, field) {
        return no(
            format!("{name} changes without a change of its record, so nobody would notice."),
            instead(),
        );
    }
    if !field.filterable {
        return no(format!("Salesforce cannot filter by {name}, a field of type {}.", field.kind), instead());
    }
    fits(test, field, kind).err().map(|(why, fix)| Problem { field: name.to_owned(), why, fix })
}

/// Whether the test means something for values of the field's type.
fn fits(test: &Leaf, field: &FieldDescribe, kind: FieldType) -> Result<(), (String, String)> {
    let name = &test.field;
    if let Test::IsNull(_) = test.test {
        let always =
            || (format!("{name} is always true or false."), "Ask whether it is true or false.".to_owned());
        return if kind == FieldType::Boolean { Err(always()) } else { Ok(()) };
    }
    let is_ordered = matches!(test.test, Test::Below(_) | Test::AtLeast(_));
    let only_null = || {
        (
            format!("Values of {name}, of type {}, are not compared.", field.kind),
            "Ask for is_null only, or use another field.".to_owned(),
        )
    };
    if matches!(field.kind.as_str(), "multipicklist" | "encryptedstring") {
        return Err(only_null());
    }
    let example = match kind {
        FieldType::Text if is_ordered => {
            return Err((
                format!("{name} is a text, and Salesforce's order of texts depends on the org's language."),
                "Use is, in, not_in or is_null.".to_owned(),
            ));
        }
        FieldType::Text if field.case_sensitive => {
            return Err((
                format!("{name} is a text whose case counts for Salesforce."),
                "Ask for is_null only, or use another field.".to_owned(),
            ));
        }
        FieldType::Text if is_id(field) => "an id of 15 or 18 characters",
        FieldType::Text => "a text",
        FieldType::Boolean => "true or false",
        FieldType::Integer | FieldType::Decimal => "a number",
        FieldType::Date => "a day like \"2026-01-31\"",
        FieldType::Datetime => "a moment in whole seconds like \"2026-01-31T00:00:00Z\"",
        FieldType::Time | FieldType::AnyType => return Err(only_null()),
    };
    let is_of = |value: &&Value| match Literal::of(value, kind) {
        Some(Literal::Text(text)) if is_id(field) => SalesforceId::parse(&text).is_ok(),
        Some(_) => true,
        None => false,
    };
    match test.test.values().iter().find(|value| !is_of(value)) {
        None => Ok(()),
        Some(value) => Err((
            format!("{value} is no value of {name}, a field of type {}.", field.kind),
            format!("Give {example}."),
        )),
    }
}

fn is_id(field: &FieldDescribe) -> bool {
    matches!(field.kind.as_str(), "id" | "reference")
}
