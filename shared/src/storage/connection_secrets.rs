//! A connection's secrets, sealed under its tenant's data key, and the session that the whole fleet shares.
//!
//! The sealed credentials are complete (where, how and with what to sign in), so that a change of them is one
//! write and no reader ever pairs a new secret with an old client id. One exchange at a time over the whole
//! fleet: whoever renews holds the row's lock from reading the refresh token to committing its successor.
//!
//! Must never: log or print a secret, store another org's session, return a session that is not committed.

mod sealed;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use super::checkpoints::ConnectionFacts;
use super::error::StoreError;
use super::pool::{Database, TenantTx};
use crate::clock::Clock;
use crate::crypto::TenantKeys;
use crate::error::{Backoff, Classify, Disposition, UserMessage};
use crate::ids::{ConnectionId, SalesforceId};
use crate::ports::{Credentials, Exchange, PortError, Session, TokenAnswer, TokenStore};
use crate::salesforce::SalesforceError;
use crate::secret::Secret;
use crate::tenant::TenantScope;

const CREDENTIALS: &str = "connection_secrets.credentials";
const PREVIOUS: &str = "connection_secrets.previous";
const ACCESS_TOKEN: &str = "connection_secrets.access_token";

/// Longest exchange under the row's lock.
pub const EXCHANGE_LIMIT: Duration = Duration::from_secs(40);

/// Stores proven credentials with the session that they just brought, replacing what was there.
pub async fn secrets_put(
    db: &Database,
    scope: &TenantScope,
    keys: &TenantKeys,
    connection: ConnectionId,
    credentials: &Credentials,
    answer: &TokenAnswer,
) -> Result<(), StoreError> {
    const SQL: &str = "-- secrets_put
        INSERT INTO connection_secrets AS s (tenant_id, connection_id, credentials, access_token, instance_url,
                                             generation, obtained_at)
        VALUES ($1, $2, $3, $4, $5, 1, now())
        ON CONFLICT (tenant_id, connection_id) DO UPDATE
           SET credentials = excluded.credentials, previous = NULL, access_token = excluded.access_token,
               instance_url = excluded.instance_url, generation = s.generation + 1, obtained_at = now()";
    let rotated = answer.refresh_token.as_ref().map(|token| sealed::with_refresh_token(credentials, token));
    let seal = Sealer { keys, connection };
    let credentials = seal.credentials(rotated.as_ref().unwrap_or(credentials))?;
    let access_token = seal.text(ACCESS_TOKEN, &answer.access_token)?;
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    tx.sql()
        .execute(SQL, &[&scope.tenant().0, &connection.0, &credentials, &access_token, &answer.instance_url])
        .await
        .map_err(StoreError::at("secrets_put"))?;
    tx.commit().await
}

/// Removes a connection's secrets.
pub async fn secrets_delete(
    db: &Database,
    scope: &TenantScope,
    connection: ConnectionId,
) -> Result<(), StoreError> {
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    tx.sql()
        .execute(
            "-- secrets_delete\nDELETE FROM connection_secrets WHERE tenant_id = $1 AND connection_id = $2",
            &[&scope.tenant().0, &connection.0],
        )
        .await
        .map_err(StoreError::at("secrets_delete"))?;
    tx.commit().await
}

/// The token store of one connection.
pub struct SecretStore {
    db: Database,
    scope: TenantScope,
    connection: ConnectionId,
    keys: Arc<TenantKeys>,
    org: Option<SalesforceId>,
    clock: Clock,
}

impl SecretStore {
    /// The store of that connection; `org` is the one it belongs to, and no other is accepted.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the facts are one plan's; nobody else needs them")]
    pub fn new(
        db: Database,
        scope: TenantScope,
        connection: ConnectionFacts,
        keys: Arc<TenantKeys>,
        org: Option<SalesforceId>,
    ) -> Self {
        Self::of(db, scope, connection.id, keys, org)
    }

    /// As [`Self::new`], for who knows the connection by its id only.
    #[must_use]
    pub fn of(
        db: Database,
        scope: TenantScope,
        connection: ConnectionId,
        keys: Arc<TenantKeys>,
        org: Option<SalesforceId>,
    ) -> Self {
        Self { db, scope, connection, keys, org, clock: Clock::system() }
    }

    async fn session_load(&self) -> Result<Option<Session>, StoreError> {
        const SQL: &str = "-- session_load
            SELECT access_token, instance_url, generation FROM connection_secrets
             WHERE tenant_id = $1 AND connection_id = $2";
        let mut client = self.db.tenant().await?;
        let tx = TenantTx::begin(&mut client, &self.scope).await?;
        let row = tx
            .sql()
            .query_opt(SQL, &[&self.scope.tenant().0, &self.connection.0])
            .await
            .map_err(StoreError::at("session_load"))?;
        tx.commit().await?;
        let row = row.ok_or(StoreError::Missing("the connection's secrets"))?;
        self.sealer().session(row.get(0), row.get(1), row.get(2))
    }

    /// This one transaction idles for as long as Salesforce takes; an answer that comes after PostgreSQL has ended it
    /// could not be stored any more.
    async fn outwait_exchange(&self, tx: &TenantTx<'_>) -> Result<(), StoreError> {
        const MARGIN: Duration = Duration::from_secs(20);
        let seconds = (EXCHANGE_LIMIT + MARGIN).as_secs();
        let sql =
            format!("-- session_renew_wait\nSET LOCAL idle_in_transaction_session_timeout = '{seconds}s'");
        tx.sql().batch_execute(&sql).await.map_err(StoreError::at("session_renew_wait"))
    }

    async fn session_renew(&self, stale: i64, exchange: Exchange) -> Result<Session, SalesforceError> {
        let fail = |error: StoreError| SalesforceError::from(self.port("renew the session", error));
        let mut client = self.db.tenant().await.map_err(fail)?;
        let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(fail)?;
        let row = self.lock(&tx).await.map_err(fail)?;
        let generation: i64 = row.get("generation");
        if generation > stale {
            let stored = self.sealer().session(row.get("access_token"), row.get("instance_url"), generation);
            if let Some(session) = stored.map_err(fail)? {
                return Ok(session);
            }
        }
        self.outwait_exchange(&tx).await.map_err(fail)?;
        let credentials = self.sealer().open(&row).map_err(fail)?;
        let answer = tokio::time::timeout(EXCHANGE_LIMIT, exchange(credentials.clone()))
            .await
            .map_err(|elapsed| SalesforceError::from(too_slow(elapsed)))??;
        self.refuse_other_org(&answer)?;
        let session = Session {
            access_token: answer.access_token.clone(),
            instance_url: answer.instance_url.clone(),
            generation: generation + 1,
        };
        self.answer_store(&tx, &credentials, &answer, session.generation).await.map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        Ok(session)
    }

    async fn lock(&self, tx: &TenantTx<'_>) -> Result<Row, StoreError> {
        const SQL: &str = "-- secrets_lock
            SELECT credentials, previous, access_token, instance_url, generation FROM connection_secrets
             WHERE tenant_id = $1 AND connection_id = $2 FOR UPDATE";
        tx.sql()
            .query_opt(SQL, &[&self.scope.tenant().0, &self.connection.0])
            .await
            .map_err(StoreError::at("secrets_lock"))?
            .ok_or(StoreError::Missing("the connection's secrets"))
    }

    /// A sandbox refresh or a re-used login may answer as another org: stop before anything is mixed.
    fn refuse_other_org(&self, answer: &TokenAnswer) -> Result<(), SalesforceError> {
        match self.org {
            Some(known) if known != answer.org_id => Err(PortError {
                what: "accept the session of another org",
                disposition: Disposition::ParkConnection { ask: org_changed(known, answer.org_id) },
                source: "the token answer names another org".into(),
            }
            .into()),
            Some(_) | None => Ok(()),
        }
    }

    async fn answer_store(
        &self,
        tx: &TenantTx<'_>,
        credentials: &Credentials,
        answer: &TokenAnswer,
        generation: i64,
    ) -> Result<(), StoreError> {
        const SQL: &str = "-- session_store
            UPDATE connection_secrets
               SET access_token = $3, instance_url = $4, generation = $5, obtained_at = now(),
                   credentials = coalesce($6, credentials), previous = coalesce($7, previous)
             WHERE tenant_id = $1 AND connection_id = $2";
        let seal = self.sealer();
        let access_token = seal.text(ACCESS_TOKEN, &answer.access_token)?;
        let (current, previous) = match (&answer.refresh_token, credentials) {
            (Some(new), Credentials::Refresh { refresh_token: old, .. }) => (
                Some(seal.credentials(&sealed::with_refresh_token(credentials, new))?),
                Some(seal.text(PREVIOUS, old)?),
            ),
            (None | Some(_), _) => (None, None),
        };
        tx.sql()
            .execute(
                SQL,
                &[
                    &self.scope.tenant().0,
                    &self.connection.0,
                    &access_token,
                    &answer.instance_url,
                    &generation,
                    &current,
                    &previous,
                ],
            )
            .await
            .map_err(StoreError::at("session_store"))?;
        Ok(())
    }

    fn sealer(&self) -> Sealer<'_> {
        Sealer { keys: &self.keys, connection: self.connection }
    }

    fn port(&self, what: &'static str, error: StoreError) -> PortError {
        PortError { what, disposition: error.disposition(self.clock.now()), source: Box::new(error) }
    }
}

impl TokenStore for SecretStore {
    fn session(&self) -> BoxFuture<'_, Result<Option<Session>, PortError>> {
        Box::pin(async {
            self.session_load().await.map_err(|error| self.port("read the shared session", error))
        })
    }

    fn renew(
        &self,
        stale_generation: i64,
        exchange: Exchange,
    ) -> BoxFuture<'_, Result<Session, SalesforceError>> {
        Box::pin(self.session_renew(stale_generation, exchange))
    }
}

/// Seals and opens the columns of one connection's row.
struct Sealer<'a> {
    keys: &'a TenantKeys,
    connection: ConnectionId,
}

impl Sealer<'_> {
    fn credentials(&self, credentials: &Credentials) -> Result<Vec<u8>, StoreError> {
        let plain = sealed::write(credentials);
        let mut out = Vec::new();
        self.keys.seal(CREDENTIALS, self.connection.0.as_bytes(), &plain, &mut out)?;
        Ok(out)
    }

    fn text(&self, column: &str, value: &Secret) -> Result<Vec<u8>, StoreError> {
        let mut out = Vec::new();
        self.keys.seal(column, self.connection.0.as_bytes(), value.expose().as_bytes(), &mut out)?;
        Ok(out)
    }

    fn open_text(&self, column: &'static str, value: &[u8]) -> Result<Secret, StoreError> {
        let plain = self.keys.open(column, self.connection.0.as_bytes(), value)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| StoreError::Unreadable(column))
    }

    /// The credentials of a locked row, with the refresh token before the last rotation.
    fn open(&self, row: &Row) -> Result<Credentials, StoreError> {
        let plain = zeroize::Zeroizing::new(self.keys.open(
            CREDENTIALS,
            self.connection.0.as_bytes(),
            row.get("credentials"),
        )?);
        let previous = row
            .get::<_, Option<&[u8]>>("previous")
            .map(|value| self.open_text(PREVIOUS, value))
            .transpose()?;
        sealed::read(&plain, previous).ok_or(StoreError::Unreadable(CREDENTIALS))
    }

    fn session(
        &self,
        access_token: Option<&[u8]>,
        instance_url: Option<String>,
        generation: i64,
    ) -> Result<Option<Session>, StoreError> {
        let (Some(sealed), Some(instance_url)) = (access_token, instance_url) else { return Ok(None) };
        let access_token = self.open_text(ACCESS_TOKEN, sealed)?;
        Ok(Some(Session { access_token, instance_url, generation }))
    }
}

fn too_slow(elapsed: tokio::time::error::Elapsed) -> PortError {
    PortError {
        what: "exchange the credentials in time",
        disposition: Disposition::Retry { backoff: Backoff::Hiccup },
        source: Box::new(elapsed),
    }
}

/// What a person is told when another org answers than the one this connection belongs to.
#[must_use]
pub fn org_changed(known: SalesforceId, answered: SalesforceId) -> UserMessage {
    UserMessage::new(
        "ORG_ID_CHANGED",
        "Another Salesforce org answered than the one this connection belongs to.",
        format!(
            "The connection belongs to org {known}, but the sign-in now leads to org {answered}. A refreshed \
             sandbox gets a new org id; a changed login URL or app can lead to another org as well."
        ),
        "If the org was replaced on purpose, make a new connection for it: the records of two orgs are never \
         mixed. Otherwise correct the login URL and the credentials, and press Check again.",
    )
}
