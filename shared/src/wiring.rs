//! From the configuration to the options of each edge: the one place that knows both, for the two binaries.

use crate::config::{Config, DatabaseTls, FilesPlace};
use crate::queue::BrokerOptions;
use crate::salesforce::HttpSettings;
use crate::salesforce::identity::{ApiVersion, InvalidVersion};
use crate::storage::chunks::{ChunkStore, S3Options};
use crate::storage::files::ChunkPlace;
use crate::storage::{ConnectOptions, TlsMode};

/// How to reach PostgreSQL.
#[must_use]
pub fn database_options(config: &Config) -> ConnectOptions {
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
pub fn broker_options(config: &Config) -> BrokerOptions {
    BrokerOptions { url: config.broker.url.clone(), ca_file: config.broker.ca_file.clone() }
}

/// How calls to Salesforce are made. Fails when the CA file cannot be read.
pub fn http_settings(config: &Config) -> std::io::Result<HttpSettings> {
    let settings = &config.salesforce;
    Ok(HttpSettings {
        extra_hosts: settings.allow_hosts.clone(),
        allow_loopback: settings.allow_loopback,
        extra_root_ca_pem: settings.ca_file.as_deref().map(std::fs::read).transpose()?,
        read_timeout: HttpSettings::default().read_timeout.min(settings.timeout),
        total_timeout: settings.timeout,
        ..HttpSettings::default()
    })
}

/// Where bodies of files are kept. Fails when the CA file cannot be read or the store's settings fit no store.
pub fn chunk_store(config: &Config) -> Result<ChunkStore, Box<dyn std::error::Error + Send + Sync>> {
    let Some(s3) = &config.files.s3 else { return Ok(ChunkStore::default()) };
    let ca_pem = s3.ca_file.as_deref().map(std::fs::read).transpose()?;
    let place = match config.files.place {
        FilesPlace::Database => ChunkPlace::Database,
        FilesPlace::Objects => ChunkPlace::Objects,
    };
    let options = S3Options {
        bucket: s3.bucket.clone(),
        region: s3.region.clone(),
        endpoint: s3.endpoint.clone(),
        prefix: s3.prefix.clone(),
        access_key_id: s3.access_key_id.clone(),
        secret_access_key: s3.secret_access_key.clone(),
        allow_http: s3.allow_http,
        ca_pem,
    };
    Ok(ChunkStore::with_s3(place, &options)?)
}

/// The pinned API version.
pub fn api_version(config: &Config) -> Result<ApiVersion, InvalidVersion> {
    config.salesforce.api_version.parse()
}
