//! Pools, TLS to PostgreSQL, and the tenant's transaction.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts, Transaction,
};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::StoreError;
use crate::job::lease::LEASE;
use crate::secret::Secret;
use crate::tenant::TenantScope;

/// Whether the link to PostgreSQL is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// TLS 1.2 or newer, certificate checked.
    Require,
    /// No TLS: for a server on the same machine only.
    Disable,
}

/// How to reach PostgreSQL.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// `postgres://…`; its password never reaches a log.
    pub url: Secret<String>,
    /// Encrypted or not.
    pub tls: TlsMode,
    /// A private CA, PEM; public ones are always known.
    pub ca_file: Option<PathBuf>,
    /// Connections in each pool.
    pub pool_size: usize,
}

/// The two deadpool pools. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    control: Pool,
    tenant: Pool,
}

/// How long a caller waits for a connection before it is a hiccup.
const WAIT: Duration = Duration::from_secs(10);

impl Database {
    /// Builds the pools; connections are opened when first needed.
    pub fn open(options: &ConnectOptions) -> Result<Self, StoreError> {
        Ok(Self { control: pool(options, "refrain_control")?, tenant: pool(options, "refrain_tenant")? })
    }

    /// A connection in the control role.
    pub async fn control(&self) -> Result<Object, StoreError> {
        Ok(self.control.get().await?)
    }

    /// A connection in the tenant role; good for nothing until [`TenantTx::begin`].
    pub async fn tenant(&self) -> Result<Object, StoreError> {
        Ok(self.tenant.get().await?)
    }

    /// One round trip, for readiness.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let client = self.control().await?;
        client.simple_query("SELECT 1").await.map_err(StoreError::at("ping"))?;
        Ok(())
    }
}

fn pool(options: &ConnectOptions, role: &str) -> Result<Pool, StoreError> {
    let mut config = Config::from_str(options.url.expose()).map_err(|e| StoreError::Connect(Box::new(e)))?;
    config.options(session_options(role).as_str());
    config.application_name("refrain");
    config.connect_timeout(Duration::from_secs(5));
    config.keepalives_idle(Duration::from_secs(30));
    // What a frozen server costs a caller: without it a half-open connection hangs for minutes.
    config.tcp_user_timeout(Duration::from_secs(30));
    // `Fast` sends nothing: transactions are only ever begun through `transaction()`, whose drop rolls back.
    let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match options.tls {
        TlsMode::Disable => {
            config.ssl_mode(SslMode::Disable);
            Manager::from_config(config, NoTls, manager_config)
        }
        TlsMode::Require => {
            config.ssl_mode(SslMode::Require);
            Manager::from_config(config, MakeRustlsConnect::new(tls_config(options)?), manager_config)
        }
    };
    Pool::builder(manager)
        .max_size(options.pool_size)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) })
        .build()
        .map_err(|e| StoreError::Connect(Box::new(e)))
}

/// What every session of ours starts with. The time-outs end what a frozen process would hold for ever. One that
/// idles in a transaction keeps others from the rows it has locked (an org's limits, a tenant's feed) and could not
/// commit any more: its lease is over by then.
#[must_use]
pub fn session_options(role: &str) -> String {
    format!(
        "-c role={role} -c statement_timeout=60s -c lock_timeout=20s \
         -c idle_in_transaction_session_timeout={}s -c timezone=UTC",
        LEASE.as_secs()
    )
}

fn tls_config(options: &ConnectOptions) -> Result<rustls::ClientConfig, StoreError> {
    let fail = |why: String| StoreError::Connect(why.into());
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = &options.ca_file {
        use rustls_pki_types::pem::PemObject;
        let certificates = rustls_pki_types::CertificateDer::pem_file_iter(path)
            .map_err(|e| fail(format!("read the CA file {}: {e}", path.display())))?;
        for certificate in certificates {
            let certificate =
                certificate.map_err(|e| fail(format!("read the CA file {}: {e}", path.display())))?;
            roots.add(certificate).map_err(|e| fail(format!("use the CA file {}: {e}", path.display())))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| fail(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// A transaction that sees one tenant's rows and no others. Dropped without [`commit`](Self::commit) it rolls back.
pub struct TenantTx<'c> {
    tx: Transaction<'c>,
    scope: TenantScope,
}

impl<'c> TenantTx<'c> {
    /// Begins on a connection of the tenant pool.
    pub async fn begin(client: &'c mut Object, scope: &TenantScope) -> Result<Self, StoreError> {
        let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
        Self::of(tx, scope).await
    }

    /// Begins with a statement that must come before every other, like the transaction's isolation level.
    pub async fn begin_with(
        client: &'c mut Object,
        scope: &TenantScope,
        first: &str,
    ) -> Result<Self, StoreError> {
        let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
        tx.batch_execute(first).await.map_err(StoreError::at("begin"))?;
        Self::of(tx, scope).await
    }

    async fn of(tx: Transaction<'c>, scope: &TenantScope) -> Result<Self, StoreError> {
        let statement = tx
            .prepare_cached("SELECT set_config('app.tenant', $1, true)")
            .await
            .map_err(StoreError::at("set_tenant"))?;
        tx.execute(&statement, &[&scope.tenant().0.to_string()])
            .await
            .map_err(StoreError::at("set_tenant"))?;
        Ok(Self { tx, scope: *scope })
    }

    /// The statements run here.
    #[must_use]
    pub fn sql(&self) -> &Transaction<'c> {
        &self.tx
    }

    /// Whose rows it sees.
    #[must_use]
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }

    /// Makes it last. An error leaves the outcome unknown; what was to be committed is fenced and idempotent.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(StoreError::at("commit"))
    }
}
