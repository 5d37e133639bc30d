//! A tenant's keys in use: data keys that seal values, and the index key behind every keyed hash.
//!
//! The index key never rotates and dies with the tenant: hashes and tokens stay comparable as long as the
//! tenant lives and mean nothing after.

use std::collections::HashMap;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::envelope::{self, Place, SealingKey};
use super::{CryptoError, KeyRing};
use crate::ids::{KeyId, TenantId};

/// What a tenant key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Seals values; rotates.
    Data,
    /// Keys hashes and tokens; never rotates.
    Index,
}

impl KeyPurpose {
    /// The closed word in SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Index => "index",
        }
    }
}

/// Keyed hash of a canonical record, 16 bytes: a plain hash would confirm guesses and survive shredding.
pub type ContentHash = [u8; 16];

/// Keyed token of a record id, an e-mail address or a phone number.
pub type IdentityToken = [u8; 16];

/// A row of `tenant_keys` that is not destroyed.
pub struct WrappedKey {
    /// Its id.
    pub key_id: KeyId,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// The ring key that wraps it.
    pub kek_id: String,
    /// The wrapped material.
    pub wrapped: Vec<u8>,
}

/// All keys of one tenant, ready for use.
pub struct TenantKeys {
    tenant: TenantId,
    active: KeyId,
    data: HashMap<KeyId, SealingKey>,
    hash_key: Zeroizing<[u8; 32]>,
    token_key: hmac::Key,
}

impl TenantKeys {
    /// Unwraps the tenant's keys; `active` seals, all open.
    pub fn unwrap(
        ring: &KeyRing,
        tenant: TenantId,
        active: KeyId,
        keys: &[WrappedKey],
    ) -> Result<Self, CryptoError> {
        let mut data = HashMap::new();
        let mut index = None;
        for key in keys {
            let material = ring.unwrap(&key.kek_id, tenant, key.purpose, &key.wrapped)?;
            match key.purpose {
                KeyPurpose::Data => {
                    data.insert(key.key_id, SealingKey::new(&material));
                }
                KeyPurpose::Index => index = Some(material),
            }
        }
        let index = index.ok_or_else(|| CryptoError::UnknownKey("index".to_owned()))?;
        if !data.contains_key(&active) {
            return Err(CryptoError::UnknownKey(active.to_string()));
        }
        let index = hmac::Key::new(hmac::HMAC_SHA256, index.as_slice());
        let derived = |label: &str| -> [u8; 32] {
            let tag = hmac::sign(&index, label.as_bytes());
            tag.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
        };
        Ok(Self {
            tenant,
            active,
            data,
            hash_key: Zeroizing::new(derived("content-hash")),
            token_key: hmac::Key::new(hmac::HMAC_SHA256, &derived("identity")),
        })
    }

    /// The key that seals now.
    #[must_use]
    pub fn active(&self) -> KeyId {
        self.active
    }

    /// Seals a value for a column and row of this tenant, appending to `out`.
    pub fn seal(&self, column: &str, row: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        let key =
            self.data.get(&self.active).ok_or_else(|| CryptoError::UnknownKey(self.active.to_string()))?;
        envelope::seal(key, self.active, &Place { tenant: self.tenant, column, row }, value, out)
    }

    /// Opens a value of this tenant, whichever of its keys sealed it.
    pub fn open(&self, column: &str, row: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let id = envelope::key_id(sealed)?;
        let key = self.data.get(&id).ok_or_else(|| CryptoError::UnknownKey(id.to_string()))?;
        envelope::open(key, &Place { tenant: self.tenant, column, row }, sealed)
    }

    /// The keyed hash of a canonical record.
    #[must_use]
    pub fn content_hash(&self, canonical: &[u8]) -> ContentHash {
        let hash = blake3::keyed_hash(&self.hash_key, canonical);
        let mut short = ContentHash::default();
        short.copy_from_slice(&hash.as_bytes()[..16]);
        short
    }

    /// The keyed token of a normalised identity (see [`crate::privacy`]).
    #[must_use]
    pub fn identity_token(&self, identity: &str) -> IdentityToken {
        let tag = hmac::sign(&self.token_key, identity.as_bytes());
        let mut token = IdentityToken::default();
        token.copy_from_slice(&tag.as_ref()[..16]);
        token
    }
}

impl std::fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantKeys({}, active {})", self.tenant, self.active)
    }
}
