//! From the configuration to what the edges take: edges do not know the configuration.

use anyhow::Context as _;
use refrain_shared::config::{Config, DatabaseTls};
use refrain_shared::crypto::KeyRing;
use refrain_shared::queue::BrokerOptions;
use refrain_shared::salesforce::{ClientSettings, Http, HttpSettings};
use refrain_shared::storage::{ConnectOptions, TlsMode};

/// How to reach PostgreSQL.
#[must_use]
pub fn database(config: &Config) -> ConnectOptions {
    ConnectOptions {
        url: config.database.url.clone(),
        tls: match config.database.tls {
            DatabaseTls::Require => TlsMode::Require,
            DatabaseTls::Disable => TlsMode::Disable,
        },
        ca_file: config.database.ca_file.clone(),
        pool_size: config.database.pool_size,
    }
}

/// How to reach RabbitMQ.
#[must_use]
pub fn broker(config: &Config) -> BrokerOptions {
    BrokerOptions { url: config.broker.url.clone(), ca_file: config.broker.ca_file.clone() }
}

/// How to reach Salesforce.
pub fn salesforce(config: &Config) -> anyhow::Result<(Http, ClientSettings)> {
    let settings = &config.salesforce;
    let extra_root_ca_pem = match &settings.ca_file {
        Some(file) => Some(std::fs::read(file).with_context(|| format!("read {}", file.display()))?),
        None => None,
    };
    let http = Http::new(&HttpSettings {
        extra_hosts: settings.allow_hosts.clone(),
        allow_loopback: settings.allow_loopback,
        extra_root_ca_pem,
        total_timeout: settings.timeout,
        ..HttpSettings::default()
    })?;
    let api_version = settings.api_version.parse().context("read salesforce.api_version")?;
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
