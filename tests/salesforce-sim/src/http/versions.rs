//! API versions: the list, and what becomes of a request that names one.

use serde_json::{Value, json};

use super::Answer;

/// The oldest version that is still answered.
const OLDEST: u32 = 31;
/// The newest of those that are answered with a warning.
const NEWEST_DEPRECATED: u32 = 40;
/// The oldest version that ever was.
const FIRST: u32 = 7;

/// The `Warning` header of a deprecated version.
pub(super) const WARNING: &str = "299 - \"This API is deprecated and will be removed by Summer '28. Please see https://help.salesforce.com/\"";

/// What becomes of a request that names a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is answered.
    Served(u32),
    /// It is answered with a warning.
    Deprecated(u32),
    /// It was answered once.
    Retired,
    /// It is too new, or no version.
    Unknown,
}

/// Judges `v66.0`.
pub(super) fn judge(version: &str, newest: u32) -> Judgement {
    let number = version.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0"));
    match number.and_then(|number| number.parse().ok()) {
        Some(number) if number > newest || number < FIRST => Judgement::Unknown,
        Some(number) if number < OLDEST => Judgement::Retired,
        Some(number) if number <= NEWEST_DEPRECATED => Judgement::Deprecated(number),
        Some(number) => Judgement::Served(number),
        None => Judgement::Unknown,
    }
}

/// The list of versions: no session needed, not counted.
pub(super) fn list(newest: u32) -> Answer {
    const SEASONS: [&str; 3] = ["Spring", "Summer", "Winter"];
    let entry = |version: u32| {
        let season = SEASONS[(version as usize) % 3];
        // Version 62 is Winter '25, and each winter release begins a year.
        let year = (version + 1) / 3 + 4;
        // One label has a typographic apostrophe, as the platform's has.
        let apostrophe = if version == 42 { '’' } else { '\'' };
        let url = format!("/services/data/v{version}.0");
        json!({"label": format!("{season} {apostrophe}{year}"), "url": url, "version": format!("{version}.0")})
    };
    Answer::json(200, &Value::Array((OLDEST..=newest).map(entry).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_carry_their_release() {
        let body: Value = serde_json::from_slice(&list(67).body).unwrap();
        let label = |version: &str| {
            let all = body.as_array().unwrap();
            all.iter().find(|entry| entry["version"] == version).unwrap()["label"].clone()
        };
        for (version, expected) in [
            ("31.0", "Summer '14"),
            ("42.0", "Spring ’18"),
            ("60.0", "Spring '24"),
            ("62.0", "Winter '25"),
            ("65.0", "Winter '26"),
            ("66.0", "Spring '26"),
            ("67.0", "Summer '26"),
        ] {
            assert_eq!(label(version), expected);
        }
    }

    #[test]
    fn old_versions_retire_and_new_ones_are_unknown() {
        for (version, expected) in [
            ("v66.0", Judgement::Served(66)),
            ("v40.0", Judgement::Deprecated(40)),
            ("v30.0", Judgement::Retired),
            ("v67.0", Judgement::Unknown),
            ("v6.0", Judgement::Unknown),
            ("v66", Judgement::Unknown),
            ("66.0", Judgement::Unknown),
        ] {
            assert_eq!(judge(version, 66), expected, "{version}");
        }
    }
}
