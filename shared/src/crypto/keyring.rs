//! The key ring: the key-encryption keys that wrap the tenants' keys. The first seals, any opens.
//!
//! A TOML file, readable by its owner only:
//! ```toml
//! [[key]]
//! id = "kek-1"
//! material = "<32 bytes in base64>"
//! ```
//! Losing it loses every tenant's data; it is backed up apart from the database.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::rand;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::envelope::{Place, SealingKey, open, seal};
use super::{CryptoError, KeyPurpose};
use crate::ids::{KeyId, TenantId};
use crate::secret::Secret;

/// The key-encryption keys of this installation.
pub struct KeyRing {
    keys: Vec<(String, SealingKey)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    key: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    material: Secret<String>,
}

/// Whether more may read a file, or change it, than should. One of root's may be read by its group: so clusters hand secrets
/// to programs that are not root, and PostgreSQL takes such a key as well.
fn is_open(mode: u32, owner: u32) -> bool {
    mode & if owner == 0 { 0o037 } else { 0o077 } != 0
}

impl KeyRing {
    /// Reads the ring; a file that others may read is refused.
    pub fn load(path: &Path) -> Result<Self, CryptoError> {
        let fail = |why: String| CryptoError::KeyRing { path: path.display().to_string(), why };
        let metadata = fs::metadata(path).map_err(|e| fail(e.to_string()))?;
        let mode = metadata.permissions().mode();
        if is_open(mode, metadata.uid()) {
            return Err(fail(format!("others may read it (mode {:o}); run chmod 600 on it", mode & 0o777)));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(|e| fail(e.to_string()))?);
        // The parser's own message would quote the line, and the line holds the key.
        let file: File =
            toml::from_str(&text).map_err(|_| fail("it is not a list of [[key]] entries".to_owned()))?;
        let mut keys = Vec::with_capacity(file.key.len());
        for entry in file.key {
            let material =
                Zeroizing::new(BASE64_STANDARD.decode(entry.material.expose()).unwrap_or_default());
            let material: &[u8; 32] = material
                .as_slice()
                .try_into()
                .map_err(|_| fail(format!("the material of key {} is not 32 bytes in base64", entry.id)))?;
            keys.push((entry.id, SealingKey::new(material)));
        }
        if keys.is_empty() {
            return Err(fail("it holds no key".to_owned()));
        }
        Ok(Self { keys })
    }

    /// Makes a ring with one new key; an existing file is never overwritten.
    pub fn create(path: &Path, id: &str) -> Result<Self, CryptoError> {
        let fail = |why: String| CryptoError::KeyRing { path: path.display().to_string(), why };
        let mut material = Zeroizing::new([0u8; 32]);
        rand::fill(material.as_mut_slice()).map_err(|_| CryptoError::NoRandom)?;
        let text = Zeroizing::new(format!(
            "[[key]]\nid = \"{id}\"\nmaterial = \"{}\"\n",
            BASE64_STANDARD.encode(material.as_slice())
        ));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| fail(e.to_string()))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| fail(e.to_string()))?;
        Self::load(path)
    }

    /// Wraps a tenant's key under the first key: the ring key's id and the sealed bytes.
    pub fn wrap(
        &self,
        tenant: TenantId,
        purpose: KeyPurpose,
        material: &[u8; 32],
    ) -> Result<(String, Vec<u8>), CryptoError> {
        let (id, key) = &self.keys[0];
        let mut wrapped = Vec::new();
        seal(key, KeyId(0), &place(tenant, purpose), material, &mut wrapped)?;
        Ok((id.clone(), wrapped))
    }

    /// Unwraps a tenant's key that was wrapped under the ring key `id`.
    pub fn unwrap(
        &self,
        id: &str,
        tenant: TenantId,
        purpose: KeyPurpose,
        wrapped: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let (_, key) = self
            .keys
            .iter()
            .find(|(known, _)| known == id)
            .ok_or_else(|| CryptoError::UnknownKey(id.to_owned()))?;
        let material = Zeroizing::new(open(key, &place(tenant, purpose), wrapped)?);
        let material: [u8; 32] = material.as_slice().try_into().map_err(|_| CryptoError::UnknownFormat)?;
        Ok(Zeroizing::new(material))
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

fn place(tenant: TenantId, purpose: KeyPurpose) -> Place<'static> {
    Place { tenant, column: "tenant_keys.wrapped", row: purpose.word().as_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_for_its_tenant_and_purpose_only() {
        let dir = std::env::temp_dir().join(format!("refrain-keyring-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("keys.toml");
        let ring = KeyRing::create(&path, "kek-1").unwrap();
        assert!(KeyRing::create(&path, "kek-2").is_err(), "an existing ring is never overwritten");

        let tenant = TenantId::generate();
        let (id, wrapped) = ring.wrap(tenant, KeyPurpose::Data, &[5; 32]).unwrap();
        let again = KeyRing::load(&path).unwrap();
        assert_eq!(*again.unwrap(&id, tenant, KeyPurpose::Data, &wrapped).unwrap(), [5; 32]);
        assert!(again.unwrap(&id, tenant, KeyPurpose::Index, &wrapped).is_err());
        assert!(again.unwrap(&id, TenantId::generate(), KeyPurpose::Data, &wrapped).is_err());
        assert!(again.unwrap("kek-9", tenant, KeyPurpose::Data, &wrapped).is_err());
        assert!(!format!("{again:?}").contains("material"));

        for (mode, owner, open) in
            [(0o600, 7, false), (0o440, 7, true), (0o440, 0, false), (0o460, 0, true), (0o444, 0, true)]
        {
            assert_eq!(is_open(mode, owner), open, "{mode:o} of {owner}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(KeyRing::load(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::remove_dir_all(&dir).unwrap();
    }
}
