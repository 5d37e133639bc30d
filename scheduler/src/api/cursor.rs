//! Opaque places in a list. What they hold is nobody's business but ours, and each list refuses another's.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::problem::ApiError;

#[derive(Serialize, Deserialize)]
struct Wire<T> {
    /// Which list, with a version.
    l: String,
    /// The place.
    p: T,
}

/// The text of a place in the list of that name.
pub fn encode<T: Serialize>(list: &str, place: &T) -> String {
    let wire = Wire { l: list.to_owned(), p: place };
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).expect("places are plain values"))
}

/// Reads a place in the list of that name.
pub fn decode<T: DeserializeOwned>(list: &str, text: Option<&str>) -> Result<Option<T>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Wire<T>>(&bytes).ok())
        .filter(|wire| wire.l == list)
        .map(|wire| Some(wire.p))
        .ok_or_else(|| {
            ApiError::invalid(
                "The cursor is none of this list.",
                "Pass `next` of the page before, unchanged.",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_in_its_own_list_only() {
        let text = encode("jobs.1", &42i64);
        assert_eq!(decode::<i64>("jobs.1", Some(&text)).unwrap(), Some(42));
        assert_eq!(decode::<i64>("jobs.1", None).unwrap(), None);
        assert!(decode::<i64>("tickets.1", Some(&text)).is_err());
        assert!(decode::<i64>("jobs.1", Some("nonsense")).is_err());
    }
}
