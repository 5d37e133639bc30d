//! What only this program does: the key ring that may be made at the first start.

use refrain_shared::config::Config;
use refrain_shared::crypto::{CryptoError, KeyRing};
use refrain_shared::start::{self, CannotStart};
use refrain_shared::storage::Database;
use refrain_shared::storage::keys::keys_exist;

/// The key ring: read, or made when it is missing and may be made. Never made when tenants have keys already: a fresh ring
/// could not open them.
pub async fn key_ring(config: &Config, db: &Database) -> Result<KeyRing, CannotStart> {
    let file = &config.keys.file;
    let ring = if file.exists() || !config.keys.create {
        start::key_ring(config)?
    } else {
        made(config, db).await?
    };
    start::key_ring_check(db, &ring, config).await?;
    Ok(ring)
}

async fn made(config: &Config, db: &Database) -> Result<KeyRing, CannotStart> {
    let file = &config.keys.file;
    // When they cannot be looked at, the check that follows says so.
    if keys_exist(db).await.unwrap_or(true) {
        let why = "it is missing, and tenants of this database have keys that only the ring of before opens";
        let error = CryptoError::KeyRing { path: file.display().to_string(), why: why.to_owned() };
        return Err(start::key_ring_unusable(config, &error));
    }
    match KeyRing::create(file, "kek-1") {
        Ok(ring) => {
            tracing::warn!(file = %file.display(), "made a new key ring; keep a copy of it apart from the database");
            Ok(ring)
        }
        // Another replica on the same disk was faster.
        Err(_) if file.exists() => start::key_ring(config),
        Err(error) => Err(start::key_ring_unusable(config, &error)),
    }
}
