//! Sealing: AES-256-GCM under keys of the tenant, which are themselves sealed under a key-encryption key.
//!
//! Algorithms come from aws-lc; this module decides only what is bound to what. It never logs, and no type
//! here that holds key material can be printed.

pub mod envelope;
pub mod keyring;
pub mod tenant_keys;

pub use envelope::{Place, open, seal};
pub use keyring::KeyRing;
pub use tenant_keys::{ContentHash, IdentityToken, KeyPurpose, TenantKeys};

use crate::clock::Timestamp;
use crate::error::{Classify, Disposition};

/// SHA-256 of a body that comes piece by piece.
pub struct BodyDigest(aws_lc_rs::digest::Context);

impl Default for BodyDigest {
    fn default() -> Self {
        Self(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }
}

impl BodyDigest {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// A failure to seal or open.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// The sealed bytes do not open: damaged, moved to another row, or sealed under another key.
    #[error("a sealed value does not open: it is damaged, or belongs to another row or key")]
    DoesNotOpen,
    /// The bytes are no envelope of a known format.
    #[error("a sealed value has no known format")]
    UnknownFormat,
    /// The envelope names a key that is not there.
    #[error("key {0} is not there")]
    UnknownKey(String),
    /// The key ring cannot be used.
    #[error("the key ring {path} cannot be used: {why}")]
    KeyRing {
        /// Its path.
        path: String,
        /// What is wrong; never key material.
        why: String,
    },
    /// The system's random source failed.
    #[error("the system gave no random bytes")]
    NoRandom,
}

impl Classify for CryptoError {
    fn disposition(&self, _now: Timestamp) -> Disposition {
        match self {
            Self::DoesNotOpen | Self::UnknownFormat | Self::UnknownKey(_) | Self::KeyRing { .. } => {
                Disposition::Bug
            }
            Self::NoRandom => Disposition::Retry { backoff: crate::error::Backoff::Hiccup },
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::DoesNotOpen => "does_not_open",
            Self::UnknownFormat => "unknown_format",
            Self::UnknownKey(_) => "unknown_key",
            Self::KeyRing { .. } => "key_ring",
            Self::NoRandom => "no_random",
        }
    }
}
