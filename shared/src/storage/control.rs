//! What people want: tenants, connections, object syncs and API keys, through sqlx in the intent role.
//!
//! Every change is one statement. A transaction would begin on the pool, and a request that is dropped at that
//! very moment (its client went away) would leave a connection in the pool with the transaction open
//! (sqlx 0.9.0); one statement with CTEs is atomic without that.

pub mod api_keys;
pub mod connections;
pub mod error;
pub mod limits;
pub mod object_syncs;
pub mod pauses;
pub mod retention;
pub mod tenants;

use std::str::FromStr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};

use super::pool::{ConnectOptions, TlsMode};
pub use error::ControlError;

/// The control plane's pool. Cheap to clone.
pub type ControlPool = PgPool;

/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(10);

/// The login's own options, without a role: for migrations.
pub fn login_options(options: &ConnectOptions) -> Result<PgConnectOptions, ControlError> {
    let login =
        PgConnectOptions::from_str(options.url.expose()).map_err(ControlError::at("read the address"))?;
    let login = match options.tls {
        TlsMode::Disable => login.ssl_mode(PgSslMode::Disable),
        TlsMode::Require => login.ssl_mode(PgSslMode::VerifyFull),
    };
    Ok(match &options.ca_file {
        Some(file) => login.ssl_root_cert(file),
        None => login,
    })
}

/// The control plane's pool; connections are opened when first needed.
pub fn control_pool(options: &ConnectOptions) -> Result<ControlPool, ControlError> {
    let login = login_options(options)?.application_name("refrain-control").options([
        ("role", "refrain_intent"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("timezone", "UTC"),
    ]);
    let size = u32::try_from(options.pool_size).unwrap_or(u32::MAX);
    Ok(PgPoolOptions::new().max_connections(size).acquire_timeout(WAIT).connect_lazy_with(login))
}
