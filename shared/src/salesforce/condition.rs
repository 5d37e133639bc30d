//! A filter as SOQL: the part of a `WHERE` that brings at least all that the filter keeps.
//!
//! Names were checked when the filter was made; texts are quoted and escaped here and cannot end their quotes. A field
//! without a value is named wherever it passes, so that nothing rests on how nulls compare, and there is no `NOT` but that of
//! a list.

use crate::catalog::filter::keep::{Asks, Keep, Literal, OrNull};
use crate::clock::format_instant;

/// A condition, complete in itself: whatever is added to it, it stays one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition(String);

impl Condition {
    /// What the query may be asked for.
    #[must_use]
    pub fn of(keep: &Keep) -> Self {
        Self(text(keep))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn text(keep: &Keep) -> String {
    let join = |parts: &[Keep], word: &str| {
        let parts: Vec<String> = parts.iter().map(text).collect();
        if let [one] = &parts[..] { one.clone() } else { format!("({})", parts.join(word)) }
    };
    match keep {
        Keep::All(parts) => join(parts, " AND "),
        Keep::Any(parts) => join(parts, " OR "),
        Keep::Test { field, asks } => test(field, asks),
    }
}

fn test(field: &str, asks: &Asks) -> String {
    let or_null = |text: String, or_null: OrNull| match or_null {
        OrNull::Passes => format!("({text} OR {field} = null)"),
        OrNull::Fails => text,
    };
    match asks {
        Asks::OneOf(values) => match &values[..] {
            [Literal::Flag(_), Literal::Flag(_), ..] => {
                let each: Vec<String> =
                    values.iter().map(|value| format!("{field} = {}", literal(value))).collect();
                format!("({})", each.join(" OR "))
            }
            [one] => format!("{field} = {}", literal(one)),
            _ => format!("{field} IN ({})", list(values)),
        },
        Asks::NoneOf(values) => match &values[..] {
            // A field that is true or false always has a value.
            [Literal::Flag(_), ..] => {
                let each: Vec<String> =
                    values.iter().map(|value| format!("{field} != {}", literal(value))).collect();
                format!("({})", each.join(" AND "))
            }
            _ => or_null(format!("{field} NOT IN ({})", list(values)), OrNull::Passes),
        },
        Asks::Below(than, null) => or_null(format!("{field} < {}", literal(than)), *null),
        Asks::AtLeast(than, null) => or_null(format!("{field} >= {}", literal(than)), *null),
        Asks::Null => format!("{field} = null"),
        Asks::NotNull => format!("{field} != null"),
    }
}

fn list(values: &[Literal]) -> String {
    values.iter().map(literal).collect::<Vec<_>>().join(",")
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::Text(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Literal::Number(number) => number.clone(),
        Literal::Flag(true) => "TRUE".to_owned(),
        Literal::Flag(false) => "FALSE".to_owned(),
        Literal::Day(day) => day.format("%Y-%m-%d").to_string(),
        Literal::Moment(moment) => format_instant(*moment),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::catalog::{Field, FieldSet, FieldType, Filter};
    use crate::ids::FieldSetId;
    use crate::salesforce::soql::{ObjectName, Soql};

    fn condition(value: Value) -> Condition {
        let field = |(path, kind): (&str, FieldType)| Field { path: path.to_owned(), kind };
        let fields = [
            ("Type", FieldType::Text),
            ("IsEscalated", FieldType::Boolean),
            ("Amount__c", FieldType::Decimal),
            ("Due__c", FieldType::Date),
            ("CreatedDate", FieldType::Datetime),
        ];
        let set = FieldSet::new(FieldSetId(1), fields.map(field).to_vec());
        let filter: Filter = serde_json::from_value(value).unwrap();
        Condition::of(&Keep::of(&filter, &set).unwrap())
    }

    #[test]
    fn each_test_names_what_passes_and_no_text_ends_its_quotes() {
        for (filter, soql) in [
            (json!({"field": "Type", "is": "Problem"}), "Type = 'Problem'"),
            (json!({"field": "Type", "is": "it's \\' OR Id != '"}), r"Type = 'it\'s \\\' OR Id != \''"),
            (json!({"field": "Type", "in": ["a", "b"]}), "Type IN ('a','b')"),
            (json!({"field": "Type", "not_in": ["a"]}), "(Type NOT IN ('a') OR Type = null)"),
            (json!({"not": {"field": "Type", "is": "a"}}), "(Type NOT IN ('a') OR Type = null)"),
            (json!({"field": "Type", "is_null": true}), "Type = null"),
            (json!({"not": {"field": "Type", "is_null": true}}), "Type != null"),
            (json!({"field": "IsEscalated", "is": true}), "IsEscalated = TRUE"),
            (
                json!({"field": "IsEscalated", "in": [true, false]}),
                "(IsEscalated = TRUE OR IsEscalated = FALSE)",
            ),
            (json!({"not": {"field": "IsEscalated", "is": true}}), "(IsEscalated != TRUE)"),
            (json!({"field": "Amount__c", "below": 1e3}), "Amount__c < 1000"),
            (
                json!({"not": {"field": "Amount__c", "at_least": -0.5}}),
                "(Amount__c < -0.5 OR Amount__c = null)",
            ),
            (json!({"field": "Due__c", "at_least": "2026-02-28"}), "Due__c >= 2026-02-28"),
            (
                json!({"field": "CreatedDate", "below": "2026-01-01T01:00:00+01:00"}),
                "CreatedDate < 2026-01-01T00:00:00.000Z",
            ),
            (
                json!({"any": [{"all": [{"field": "Type", "is": "a"}, {"field": "Amount__c", "is": 1}]}, {"field": "Type", "is": "b"}]}),
                "((Type = 'a' AND Amount__c = 1) OR Type = 'b')",
            ),
            (
                json!({"not": {"any": [{"field": "Type", "is": "a"}, {"field": "IsEscalated", "is": false}]}}),
                "((Type NOT IN ('a') OR Type = null) AND (IsEscalated != FALSE))",
            ),
            (json!({"all": [{"any": [{"field": "Type", "is": "a"}]}]}), "Type = 'a'"),
        ] {
            assert_eq!(condition(filter.clone()).as_str(), soql, "{filter}");
        }
    }

    #[test]
    fn a_query_takes_it_where_its_conditions_end() {
        let case = ObjectName::parse("Case").unwrap();
        let filter = condition(json!({"field": "Type", "is": "a"}));
        assert_eq!(
            Soql::count_all(&case).under(Some(&filter)).as_str(),
            "SELECT COUNT() FROM Case WHERE Type = 'a'"
        );
        assert_eq!(
            Soql::probe(&case).under(Some(&filter)).as_str(),
            "SELECT Id FROM Case WHERE Type = 'a' LIMIT 1"
        );
        assert_eq!(Soql::count_all(&case).under(None), Soql::count_all(&case));
    }
}
