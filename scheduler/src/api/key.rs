//! API keys as people hold them: `rfk_<id>_<secret>`.
//!
//! The id finds the key's row, the secret proves it. The secret has 256 random bits, so its SHA-256 can be
//! stored as it is: there is nothing to guess, and a slow hash would only slow every request.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{constant_time, digest, rand};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use refrain_shared::ids::ApiKeyId;
use refrain_shared::secret::Secret;

/// A key with its secret; neither printed nor logged.
pub struct ApiKey {
    id: ApiKeyId,
    secret: [u8; 32],
}

/// The text is no API key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no API key of the form rfk_…_…")]
pub struct InvalidKey;

/// The system gave no random bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandom;

impl ApiKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, NoRandom> {
        let mut secret = [0u8; 32];
        rand::fill(&mut secret).map_err(|_| NoRandom)?;
        Ok(Self { id: ApiKeyId::generate(), secret })
    }

    /// Its public id.
    #[must_use]
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The whole key, to be shown once.
    #[must_use]
    pub fn expose(&self) -> Secret<String> {
        Secret::new(format!("rfk_{}_{}", self.id.0.simple(), BASE64_URL_SAFE_NO_PAD.encode(self.secret)))
    }

    /// What is stored of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> [u8; 32] {
        let hash = digest::digest(&digest::SHA256, &self.secret);
        hash.as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }

    /// Whether this is the stored key, in time that does not depend on how much of it is right.
    #[must_use]
    pub fn matches(&self, stored_hash: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.secret_hash(), stored_hash).is_ok()
    }
}

impl FromStr for ApiKey {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let (id, secret) =
            text.strip_prefix("rfk_").and_then(|rest| rest.split_once('_')).ok_or(InvalidKey)?;
        let id = uuid::Uuid::try_parse(id).map_err(|_| InvalidKey)?;
        let secret = BASE64_URL_SAFE_NO_PAD.decode(secret).map_err(|_| InvalidKey)?;
        Ok(Self { id: ApiKeyId(id), secret: secret.try_into().map_err(|_| InvalidKey)? })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_matches_only_itself() {
        let key = ApiKey::generate().unwrap();
        let again: ApiKey = key.expose().expose().parse().unwrap();
        assert_eq!(again.id(), key.id());
        assert!(again.matches(&key.secret_hash()));
        assert!(!ApiKey::generate().unwrap().matches(&key.secret_hash()));
        for bad in ["", "rfk_", "rfk_x_y", "Bearer", "rfk_00000000000000000000000000000000_short"] {
            assert_eq!(bad.parse::<ApiKey>().unwrap_err(), InvalidKey, "{bad}");
        }
    }

    #[test]
    fn a_key_does_not_print() {
        let key = ApiKey::generate().unwrap();
        let secret = BASE64_URL_SAFE_NO_PAD.encode(key.secret);
        assert!(!format!("{key:?}").contains(&secret));
    }
}
