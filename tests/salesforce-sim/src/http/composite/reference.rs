//! `@{q1.records[0].Id}`: what a later part takes from the answer of an earlier one.

use std::collections::HashMap;

use serde_json::Value;

/// Answers of earlier parts.
#[derive(Debug, Default)]
pub(super) struct Earlier(HashMap<String, Value>);

impl Earlier {
    /// Keeps the answer of a part.
    pub(super) fn note(&mut self, reference: &str, body: &[u8]) {
        self.0.insert(reference.to_owned(), serde_json::from_slice(body).unwrap_or(Value::Null));
    }

    /// Puts values in the place of references.
    pub(super) fn fill(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("@{") {
            let (path, behind) = after.split_once('}').ok_or("Invalid reference specified. It has no end")?;
            out.push_str(before);
            out.push_str(&self.value(path)?);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, path: &str) -> Result<String, String> {
        let reference = path.split(['.', '[']).next().unwrap_or_default();
        let nothing = || format!("Invalid reference specified. No value for {path} found in {reference}");
        let mut value = self.0.get(reference).ok_or_else(nothing)?;
        let steps = path[reference.len()..].split(['.', '[']).map(|step| step.trim_end_matches(']'));
        for step in steps.filter(|step| !step.is_empty()) {
            let found = match step.parse::<usize>() {
                Ok(place) => value.get(place),
                Err(_) => value.get(step),
            };
            value = found.ok_or_else(nothing)?;
        }
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(value) => Ok(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(nothing()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_reach_into_earlier_answers() {
        let mut earlier = Earlier::default();
        earlier.note("q1", br#"{"totalSize":2,"records":[{"Id":"a"},{"Id":"b","Owner":{"Name":"c"}}]}"#);
        assert_eq!(earlier.fill("x/@{q1.records[1].Id}?n=@{q1.totalSize}").unwrap(), "x/b?n=2");
        assert_eq!(earlier.fill("@{q1.records[1].Owner.Name}").unwrap(), "c");
        assert_eq!(earlier.fill("nothing to fill").unwrap(), "nothing to fill");
        for wrong in ["@{q2.id}", "@{q1.records[9].Id}", "@{q1.records}", "@{q1"] {
            assert!(earlier.fill(wrong).is_err(), "{wrong}");
        }
    }
}
