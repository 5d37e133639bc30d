//! The shape of a value that cannot be kept, for people: what it is, how long, of which kinds of characters. Never what it
//! says, for it may be anybody's.

use serde_json::Value;

/// The shape of the value at a path of a record as it came; `None` where there is no such value.
#[must_use]
pub fn shape_at(raw: &str, path: &str) -> Option<String> {
    let record: Value = serde_json::from_str(raw).ok()?;
    // Rows of results name their paths whole.
    let value =
        record.get(path).or_else(|| path.split('.').try_fold(&record, |value, step| value.get(step)))?;
    Some(shape(value))
}

fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(number) => format!("number of {} characters", number.to_string().chars().count()),
        Value::String(text) => text_shape(text),
        Value::Array(values) => format!("list of {}", values.len()),
        Value::Object(members) => format!("object of {}", members.len()),
    }
}

/// Whether a character is of a kind.
type Is = fn(char) -> bool;

fn text_shape(text: &str) -> String {
    let kinds: [(&str, Is); 5] = [
        ("letters", char::is_alphabetic),
        ("digits", char::is_numeric),
        ("spaces", |c| c.is_whitespace()),
        ("control characters", |c| c.is_control() && !c.is_whitespace()),
        ("signs", |c| !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control()),
    ];
    let found: Vec<&str> =
        kinds.iter().filter(|(_, is)| text.chars().any(is)).map(|(name, _)| *name).collect();
    match text.chars().count() {
        0 => "empty text".to_owned(),
        length => format!("text of {length} characters: {}", found.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_tells_length_and_kinds_and_nothing_of_the_value() {
        let raw = r#"{"Phone": "+49 30 Anna\u0000", "Amount": 12.5, "Owner": {"Name": "", "Ids": [1, 2]},
            "Owner.Email": "a@b", "None": null, "Flag": true}"#;
        for (path, told) in [
            ("Phone", Some("text of 12 characters: letters, digits, spaces, control characters, signs")),
            ("Amount", Some("number of 4 characters")),
            ("Owner.Name", Some("empty text")),
            ("Owner.Ids", Some("list of 2")),
            ("Owner.Email", Some("text of 3 characters: letters, signs")),
            ("Owner", Some("object of 2")),
            ("None", Some("null")),
            ("Flag", Some("boolean")),
            ("Missing", None),
            ("None.Name", None),
        ] {
            assert_eq!(shape_at(raw, path).as_deref(), told, "{path}");
        }
        assert_eq!(shape_at("no JSON", "Phone"), None);
    }
}
