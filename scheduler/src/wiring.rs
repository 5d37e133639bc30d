//! What only this program joins: the key ring that may be made at the first start, and the way to Salesforce.

use anyhow::Context as _;
use refrain_shared::config::Config;
use refrain_shared::crypto::KeyRing;
use refrain_shared::salesforce::{ClientSettings, Http};
use refrain_shared::wiring::{api_version, http_settings};

/// How to reach Salesforce.
pub fn salesforce(config: &Config) -> anyhow::Result<(Http, ClientSettings)> {
    let http = Http::new(&http_settings(config).context("read salesforce.ca_file")?)?;
    let api_version = api_version(config).context("read salesforce.api_version")?;
    Ok((http, ClientSettings { api_version, ..ClientSettings::default() }))
}

/// The key ring: read, or made when it is missing and may be made.
pub fn key_ring(config: &Config) -> anyhow::Result<KeyRing> {
    let file = &config.keys.file;
    if file.exists() || !config.keys.create {
        return KeyRing::load(file).with_context(|| {
            format!("load the key ring {}; without it no tenant's data can be read", file.display())
        });
    }
    match KeyRing::create(file, "kek-1") {
        Ok(ring) => {
            tracing::warn!(file = %file.display(), "made a new key ring; keep a copy of it apart from the database");
            Ok(ring)
        }
        // Another replica on the same disk was faster.
        Err(_) if file.exists() => KeyRing::load(file).context("load the key ring"),
        Err(error) => Err(error).with_context(|| format!("make the key ring {}", file.display())),
    }
}
