//! Every typed id in one registry, and the Salesforce id.
//!
//! Public ids are UUIDv7 with a printed prefix (`ten_…`), so that an id pasted from a log says what it is.
//! Hot rows (jobs, object syncs) have surrogate integers: they never leave our own database as anything
//! else than an opaque printed id. Salesforce ids are kept as 18 characters and never compared for order
//! by us: the order of ids is Salesforce's own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// An id that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not a {expected}")]
pub struct InvalidId {
    /// What was given, cut to 40 characters.
    pub given: String,
    /// What was expected, in words.
    pub expected: &'static str,
}

impl InvalidId {
    fn new(given: &str, expected: &'static str) -> Self {
        Self { given: given.chars().take(40).collect(), expected }
    }
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $words:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh id, ordered by its time of making.
            #[must_use]
            pub fn generate() -> Self { Self(Uuid::now_v7()) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or_else(|| InvalidId::new(text, $words))
            }
        }

        text_serde!($name);
    )*};
}

macro_rules! integer_ids {
    ($($(#[$doc:meta])* $name:ident($int:ty) = $prefix:literal, $words:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|rest| rest.parse().ok())
                    .map(Self)
                    .ok_or_else(|| InvalidId::new(text, $words))
            }
        }

        text_serde!($name);
    )*};
}

macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_ids! {
    /// A customer of ours; the isolation boundary.
    TenantId = "ten", "tenant id (ten_…)";
    /// A tenant's authorised link to one Salesforce org.
    ConnectionId = "con", "connection id (con_…)";
    /// An API key's public part.
    ApiKeyId = "key", "API key id (key_…)";
    /// One run of a worker process; new at every start, so that a reused host name never looks alive.
    WorkerId = "wrk", "worker id (wrk_…)";
}

integer_ids! {
    /// One object of one connection: the surrogate that content tables carry, since API names change.
    ObjectId(i32) = "obj", "object sync id (obj_…)";
    /// One durable unit of work.
    JobId(i64) = "job", "job id (job_…)";
    /// A version of the list of fields that an object is read with; later versions have larger ids.
    FieldSetId(i32) = "fst", "field set id (fst_…)";
    /// A key of a tenant (data key or index key).
    KeyId(i32) = "tky", "tenant key id (tky_…)";
}

/// A Salesforce record or org id in its 18-character, case-safe form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SalesforceId([u8; 18]);

impl SalesforceId {
    /// Reads a 15- or 18-character id; the check characters of the long form must be right.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        const WORDS: &str = "Salesforce id (15 or 18 letters and digits)";
        let bytes = text.as_bytes();
        if !(bytes.len() == 15 || bytes.len() == 18) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return Err(InvalidId::new(text, WORDS));
        }
        let mut id = [0u8; 18];
        id[..15].copy_from_slice(&bytes[..15]);
        id[15..].copy_from_slice(&check_characters(&bytes[..15]));
        // Some tools lower-case ids; the suffix exists to repair that, but a wrong repair would be worse
        // than a refusal, so a mismatch is refused.
        if bytes.len() == 18 && !id[15..].eq_ignore_ascii_case(&bytes[15..]) {
            return Err(InvalidId::new(text, WORDS));
        }
        Ok(Self(id))
    }

    /// The 18 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII letters and digits are ever stored")
    }

    /// The first three characters, which tell the object.
    #[must_use]
    pub fn key_prefix(&self) -> &str {
        &self.as_str()[..3]
    }
}

/// The three check characters: one per five characters, bit i set when the i-th is a capital.
fn check_characters(first15: &[u8]) -> [u8; 3] {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let mut suffix = [0u8; 3];
    for (place, chunk) in suffix.iter_mut().zip(first15.chunks(5)) {
        let bits = chunk
            .iter()
            .enumerate()
            .fold(0usize, |bits, (i, byte)| if byte.is_ascii_uppercase() { bits | 1 << i } else { bits });
        *place = ALPHABET[bits];
    }
    suffix
}

impl fmt::Display for SalesforceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SalesforceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SalesforceId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

text_serde!(SalesforceId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_id_reads_back_and_says_what_it_is() {
        let id = TenantId::generate();
        assert!(id.to_string().starts_with("ten_"));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("con_1".parse::<TenantId>().is_err());
        assert_eq!("job_42".parse(), Ok(JobId(42)));
        assert!("42".parse::<JobId>().is_err());
    }

    #[test]
    fn fifteen_characters_get_their_check_characters() {
        // A pair from Salesforce's public documentation of the 18-character form.
        let id = SalesforceId::parse("001x000000abcDE").unwrap();
        assert_eq!(id.as_str().len(), 18);
        assert_eq!(SalesforceId::parse(id.as_str()), Ok(id));
        assert_eq!(id.key_prefix(), "001");
    }

    #[test]
    fn a_wrong_check_character_is_refused() {
        let good = SalesforceId::parse("5003000000D8cuI").unwrap();
        assert_eq!(good.as_str(), "5003000000D8cuIAAR");
        assert!(SalesforceId::parse("5003000000D8cuIAAB").is_err());
        for bad in ["", "5003000000D8cu", "5003000000D8cuI'--", "5003000000D8cuIAARX"] {
            assert!(SalesforceId::parse(bad).is_err(), "{bad}");
        }
    }
}
