//! From the configuration to the options of each edge: the one place that knows both, for the two binaries.

use crate::config::{Config, DatabaseTls};
use crate::queue::BrokerOptions;
use crate::salesforce::HttpSettings;
use crate::salesforce::identity::{ApiVersion, InvalidVersion};
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

/// The pinned API version.
pub fn api_version(config: &Config) -> Result<ApiVersion, InvalidVersion> {
    config.salesforce.api_version.parse()
}
