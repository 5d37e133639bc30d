//! When two spellings are one value.
//!
//! Written without a look at how the workers write: what this module calls equal, a person reading Salesforce
//! and Refrain side by side would call equal.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// Whether the org's value and ours mean the same, for a field kept as `kind`. Both are JSON scalars as text.
#[must_use]
pub fn same(kind: &str, org: &str, here: &str) -> bool {
    if org == here {
        return true;
    }
    let (org, here) = (Scalar::read(org), Scalar::read(here));
    let (org, here) = match (org, here) {
        (Scalar::Nothing, Scalar::Nothing) => return true,
        (Scalar::Nothing, _) | (_, Scalar::Nothing) => return false,
        both => both,
    };
    match kind {
        "integer" | "decimal" => both(org.number(), here.number()),
        "datetime" => both(org.moment(), here.moment()),
        "date" => both(org.day(), here.day()),
        "time" => both(org.time_of_day(), here.time_of_day()),
        // Kept as text whatever the type of the value was; a moment may be spelt in two ways.
        "any_type" => org.plain() == here.plain() || both(org.moment(), here.moment()),
        _ => org == here,
    }
}

/// Whether a JSON scalar holds nothing; the platform does not tell an empty text from none.
#[must_use]
pub fn is_nothing(json: &str) -> bool {
    Scalar::read(json) == Scalar::Nothing
}

/// The text behind a JSON string; `None` for everything else.
#[must_use]
pub fn text(json: &str) -> Option<Cow<'_, str>> {
    match Scalar::read(json) {
        Scalar::Text(text) => Some(text),
        Scalar::Nothing | Scalar::Other(_) => None,
    }
}

/// Two values that could not be read are not the same value.
fn both<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one == other)
}

#[derive(Debug, PartialEq)]
enum Scalar<'a> {
    Nothing,
    Text(Cow<'a, str>),
    /// A number, true or false, as it is spelt.
    Other(&'a str),
}

impl<'a> Scalar<'a> {
    fn read(json: &'a str) -> Self {
        let json = json.trim();
        let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return if json == "null" || json.is_empty() { Self::Nothing } else { Self::Other(json) };
        };
        if inner.is_empty() {
            return Self::Nothing;
        }
        if !inner.contains('\\') {
            return Self::Text(Cow::Borrowed(inner));
        }
        match serde_json::from_str(json) {
            Ok(text) => Self::Text(Cow::Owned(text)),
            Err(_) => Self::Other(json),
        }
    }

    fn plain(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Text(text) => text,
            Self::Other(spelling) => spelling,
        }
    }

    /// Sign, digits without zeros at either end, and the power of ten of the last digit.
    fn number(&self) -> Option<(bool, String, i64)> {
        let Self::Other(spelling) = self else { return None };
        let (negative, rest) = match spelling.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, *spelling),
        };
        let (mantissa, power) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let point = mantissa.find('.').unwrap_or(mantissa.len());
        let decimals = i64::try_from(mantissa.len().saturating_sub(point + 1)).ok()?;
        let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let leading = digits.trim_start_matches('0');
        let kept = leading.trim_end_matches('0');
        if kept.is_empty() {
            return Some((false, String::new(), 0));
        }
        let dropped = i64::try_from(leading.len() - kept.len()).ok()?;
        Some((negative, kept.to_owned(), power - decimals + dropped))
    }

    fn moment(&self) -> Option<DateTime<Utc>> {
        let Self::Text(text) = self else { return None };
        moment(text)
    }

    fn day(&self) -> Option<NaiveDate> {
        let Self::Text(text) = self else { return None };
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
    }

    fn time_of_day(&self) -> Option<NaiveTime> {
        let Self::Text(text) = self else { return None };
        NaiveTime::parse_from_str(text.trim_end_matches('Z'), "%H:%M:%S%.f").ok()
    }
}

/// A moment in any of the platform's spellings.
#[must_use]
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    parsed.ok().map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::{is_nothing, same};

    #[test]
    fn one_number_has_many_spellings() {
        for (org, here) in [("47.0", "47"), ("4.7E1", "47"), ("-0.0", "0"), ("0.50", "0.5"), ("1e3", "1000")]
        {
            assert!(same("decimal", org, here), "{org} and {here}");
        }
        for (org, here) in [("47.1", "47"), ("-1", "1"), ("1234567890123456.78", "1234567890123456.79")] {
            assert!(!same("decimal", org, here), "{org} and {here}");
        }
        assert!(!same("decimal", "1", "\"1\""), "a text is no number");
    }

    #[test]
    fn one_moment_has_many_spellings() {
        let rest = "\"2026-11-23T22:17:04.000+0000\"";
        assert!(same("datetime", rest, "\"2026-11-23T22:17:04.000Z\""));
        assert!(same("datetime", rest, "\"2026-11-23T23:17:04.000+0100\""));
        assert!(!same("datetime", rest, "\"2026-11-23T22:17:04.001Z\""));
        assert!(!same("datetime", rest, "\"yesterday\""));
        assert!(same("time", "\"10:00:00.000Z\"", "\"10:00:00Z\""));
        assert!(!same("date", "\"2026-11-23\"", "\"2026-11-24\""));
    }

    #[test]
    fn nothing_is_null_and_the_empty_text_and_nothing_else() {
        assert!(same("text", "null", "\"\""));
        assert!(same("decimal", "\"\"", "null"));
        assert!(!same("text", "null", "\" \""));
        assert!(!same("boolean", "false", "null"));
        assert!(is_nothing("\"\"") && !is_nothing("0"));
    }

    #[test]
    fn a_text_is_compared_by_what_it_says_not_by_its_escapes() {
        assert!(same("text", r#""caf\u00e9 \/ \ud83d\ude00""#, "\"café / 😀\""));
        assert!(!same("text", "\"Zürich\"", "\"Zurich\""));
        assert!(!same("text", "\"007\"", "\"7\""));
        assert!(!same("text", "\"true\"", "true"), "a text field holds texts");
    }

    #[test]
    fn an_any_type_is_kept_as_the_text_of_its_value() {
        assert!(same("any_type", "true", "\"true\""));
        assert!(same("any_type", "47.0", "\"47.0\""));
        assert!(!same("any_type", "true", "\"false\""));
    }
}
