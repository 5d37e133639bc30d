//! Files: where a record's body is, and which bodies are kept. All pure.

use serde::{Deserialize, Serialize};

use crate::record::CanonicalRecord;

/// Which paths of a record tell of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFields {
    /// API name of the object whose record has the body.
    pub object: String,
    /// The path that names that record: `Id` where it is this one.
    pub id: String,
    /// Its field with the body.
    pub body: String,
    /// The file's name.
    pub name: Option<String>,
    /// How many bytes the body has.
    pub bytes: Option<String>,
    /// Its media type, like `application/pdf`.
    pub media_type: Option<String>,
    /// What its name ends with, without the dot.
    pub extension: Option<String>,
}

impl FileFields {
    /// The paths that are read for a file.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        let Self { object: _, id, body: _, name, bytes, media_type, extension } = self;
        [name, bytes, media_type, extension].into_iter().flatten().chain([id])
    }

    /// Whether the body belongs to the record itself, and so may change with it; the body of a version never does.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.id == "Id"
    }

    /// What the record tells of its file.
    #[must_use]
    pub fn facts(&self, record: &CanonicalRecord<'_>) -> FileFacts {
        let text = |path: &Option<String>| {
            path.as_deref().and_then(|path| record.text(path)).map(std::borrow::Cow::into_owned)
        };
        let name = text(&self.name);
        let after_dot = |name: &String| name.rsplit_once('.').map(|(_, end)| end.to_owned());
        FileFacts {
            bytes: text(&self.bytes).and_then(|bytes| bytes.parse().ok()),
            media_type: text(&self.media_type),
            extension: text(&self.extension).or_else(|| name.as_ref().and_then(after_dot)),
            name,
        }
    }
}

/// What a record tells of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Its name.
    pub name: Option<String>,
    /// How many bytes its body has.
    pub bytes: Option<u64>,
    /// Its media type.
    pub media_type: Option<String>,
    /// What its name ends with.
    pub extension: Option<String>,
}

/// Which bodies are kept; what a record says of its file is kept in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilePolicy {
    /// Whether bodies are fetched at all; each costs a call.
    pub bodies: bool,
    /// The largest body, in megabytes (of 1,048,576 bytes).
    pub most_mb: u32,
    /// Media types (`application/pdf`, `image/*`) and endings (`.pdf`) that are kept; all of them unless given.
    pub only: Vec<String>,
    /// Media types and endings that are not kept.
    pub never: Vec<String>,
}

impl Default for FilePolicy {
    /// An attachment of Salesforce has 25 MB at most.
    fn default() -> Self {
        Self { bodies: true, most_mb: 25, only: Vec::new(), never: Vec::new() }
    }
}

/// The most that a policy may allow: one call must bring the body.
pub const MOST_MB: u32 = 500;

/// Why a body is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// No bodies are fetched of this object's files.
    Bodies,
    /// It is larger than the policy allows.
    Size,
    /// The policy does not take its type.
    Type,
    /// It was kept as long as bodies are.
    Expired,
}

impl LeftOut {
    /// The closed word in SQL and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Bodies => "no_bodies",
            Self::Size => "too_large",
            Self::Type => "type_not_kept",
            Self::Expired => "expired",
        }
    }
}

impl FilePolicy {
    /// Whether a body is left out, and why.
    #[must_use]
    pub fn verdict(&self, facts: &FileFacts) -> Option<LeftOut> {
        let is = |pattern: &String| is_of(pattern, facts);
        if !self.bodies {
            Some(LeftOut::Bodies)
        } else if facts.bytes.is_some_and(|bytes| bytes > self.most_bytes()) {
            Some(LeftOut::Size)
        } else if self.never.iter().any(is) || !(self.only.is_empty() || self.only.iter().any(is)) {
            Some(LeftOut::Type)
        } else {
            None
        }
    }

    /// The largest body in bytes.
    #[must_use]
    pub fn most_bytes(&self) -> u64 {
        u64::from(self.most_mb) << 20
    }

    /// The first pattern that is neither a media type nor an ending.
    #[must_use]
    pub fn mistaken(&self) -> Option<&str> {
        let is_right = |pattern: &&String| match pattern.strip_prefix('.') {
            Some(ending) => !ending.is_empty() && ending.chars().all(char::is_alphanumeric),
            None => pattern.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty()),
        };
        self.only.iter().chain(&self.never).find(|pattern| !is_right(pattern)).map(String::as_str)
    }
}

/// Types are compared without regard to case and parameters.
fn is_of(pattern: &str, facts: &FileFacts) -> bool {
    if let Some(ending) = pattern.strip_prefix('.') {
        return facts.extension.as_deref().is_some_and(|extension| extension.eq_ignore_ascii_case(ending));
    }
    let Some(media_type) = &facts.media_type else { return false };
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    match pattern.strip_suffix("/*") {
        Some(kind) => media_type.split_once('/').is_some_and(|(of, _)| of.eq_ignore_ascii_case(kind)),
        None => media_type.eq_ignore_ascii_case(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(bytes: u64, media_type: &str, extension: &str) -> FileFacts {
        FileFacts {
            name: None,
            bytes: Some(bytes),
            media_type: Some(media_type.to_owned()),
            extension: Some(extension.to_owned()),
        }
    }

    #[test]
    fn size_and_type_decide_and_what_is_unknown_is_fetched() {
        let policy = FilePolicy {
            most_mb: 1,
            only: vec!["image/*".to_owned(), ".pdf".to_owned()],
            never: vec!["image/svg+xml".to_owned()],
            ..FilePolicy::default()
        };
        let kept = |bytes, media_type, extension| policy.verdict(&facts(bytes, media_type, extension));
        assert_eq!(kept(1 << 20, "IMAGE/PNG; q=1", "png"), None);
        assert_eq!(kept((1 << 20) + 1, "image/png", "png"), Some(LeftOut::Size));
        assert_eq!(kept(1, "image/svg+xml", "svg"), Some(LeftOut::Type));
        assert_eq!(kept(1, "application/octet-stream", "PDF"), None);
        assert_eq!(kept(1, "text/plain", "txt"), Some(LeftOut::Type));
        assert_eq!(FilePolicy::default().verdict(&FileFacts::default()), None);
        let none = FilePolicy { bodies: false, ..FilePolicy::default() };
        assert_eq!(none.verdict(&facts(1, "image/png", "png")), Some(LeftOut::Bodies));
    }

    #[test]
    fn a_pattern_that_is_no_type_is_named() {
        let only = |pattern: &str| FilePolicy { only: vec![pattern.to_owned()], ..FilePolicy::default() };
        for right in [".pdf", "image/*", "application/pdf"] {
            assert_eq!(only(right).mistaken(), None, "{right}");
        }
        for wrong in ["pdf", ".", "image/", "*.pdf", ""] {
            assert_eq!(only(wrong).mistaken(), Some(wrong));
        }
    }
}
