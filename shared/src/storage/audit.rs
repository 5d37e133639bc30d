//! The audit log's rows: appended by the database's own function in the transaction of the change, and read by its tenant.
//!
//! Statements of the control plane name the function themselves, `audit_write($tenant, $event)`, in what they select last:
//! its row is the last lock of a change, so that whoever waits for it holds everything else already.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use crate::audit::{Anchor, Break, Chain, Entry, Event, Hash};
use crate::clock::Timestamp;
use crate::ids::{ApiKeyId, ConnectionId, ObjectId, TenantId};
use crate::tenant::TenantScope;

/// Appends an event in the caller's transaction.
pub async fn audit_write(
    client: &impl GenericClient,
    tenant: TenantId,
    event: &Event,
) -> Result<(), StoreError> {
    const SQL: &str = "-- audit_write\nSELECT audit_write($1, $2)";
    client.query_one(SQL, &[&tenant.0, &Json(event.json())]).await.map_err(StoreError::at("audit_write"))?;
    Ok(())
}

/// An event as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// `operator`, `key` or `system`.
    pub actor: String,
    /// The key that was used.
    pub key: Option<ApiKeyId>,
    /// Its name then.
    pub key_name: Option<String>,
    /// What was done.
    pub action: String,
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// The object sync.
    pub object: Option<ObjectId>,
    /// The facts.
    pub details: serde_json::Value,
    /// The hash of the event before.
    pub previous: Vec<u8>,
    /// Its own hash.
    pub hash: Vec<u8>,
}

/// The tenant's events, the newest first, from before the one of that number on.
pub async fn audit_list(
    db: &Database,
    scope: &TenantScope,
    before: Option<i64>,
    limit: u16,
) -> Result<Vec<AuditEvent>, StoreError> {
    const SQL: &str = "-- audit_list
        SELECT seq, at, actor, key_id, key_name, action, connection_id, object_id, details, previous, hash
          FROM audit_events WHERE tenant_id = $1 AND ($2::bigint IS NULL OR seq < $2) ORDER BY seq DESC LIMIT $3";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(SQL, &[&scope.tenant().0, &before, &i64::from(limit)])
        .await
        .map_err(StoreError::at("audit_list"))?;
    tx.commit().await?;
    Ok(rows.iter().map(event).collect())
}

fn event(row: &Row) -> AuditEvent {
    AuditEvent {
        seq: row.get(0),
        at: row.get(1),
        actor: row.get(2),
        key: row.get::<_, Option<_>>(3).map(ApiKeyId),
        key_name: row.get(4),
        action: row.get(5),
        connection: row.get::<_, Option<_>>(6).map(ConnectionId),
        object: row.get::<_, Option<_>>(7).map(ObjectId),
        details: row.get::<_, Json<_>>(8).0,
        previous: row.get(9),
        hash: row.get(10),
    }
}

/// What came of following a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Events up to the chain's end, or up to where it breaks.
    pub events: i64,
    /// The hash of the last of them.
    pub head: Hash,
    /// Where it breaks.
    pub broken: Option<Break>,
}

/// Follows the tenant's chain from its first event to its end, in one snapshot, and holds it against an anchor.
pub async fn audit_verify(
    db: &Database,
    scope: &TenantScope,
    anchor: Option<&Anchor>,
) -> Result<Verified, StoreError> {
    const EACH: i64 = 1000;
    const SNAPSHOT: &str = "-- audit_snapshot\nSET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
    const HEAD: &str = "-- audit_head\nSELECT seq, hash FROM audit_heads WHERE tenant_id = $1";
    const EVENTS: &str = "-- audit_chain
        SELECT tenant_id::text, seq, at, actor, key_id::text, key_name, action, connection_id::text, object_id::text,
               details::text, previous, hash
          FROM audit_events WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin_with(&mut client, scope, SNAPSHOT).await?;
    let tenant = scope.tenant().0;
    let head = tx.sql().query_opt(HEAD, &[&tenant]).await.map_err(StoreError::at("audit_head"))?;
    let (mut chain, mut last) = (Chain::default(), 0);
    let broken = 'followed: loop {
        let rows =
            tx.sql().query(EVENTS, &[&tenant, &last, &EACH]).await.map_err(StoreError::at("audit_chain"))?;
        for entry in rows.iter().map(entry) {
            last = entry.seq;
            if let Err(broken) = chain.follow(&entry, anchor) {
                break 'followed Some(broken);
            }
        }
        if rows.is_empty() {
            let head = head.as_ref().map(|head| (head.get(0), head.get::<_, &[u8]>(1)));
            break chain.end(head, anchor).err();
        }
    };
    tx.commit().await?;
    Ok(Verified { events: chain.events(), head: chain.head(), broken })
}

fn entry(row: &Row) -> Entry {
    Entry {
        tenant: row.get(0),
        seq: row.get(1),
        at: row.get(2),
        actor: row.get(3),
        key: row.get(4),
        key_name: row.get(5),
        action: row.get(6),
        connection: row.get(7),
        object: row.get(8),
        details: row.get(9),
        previous: row.get(10),
        hash: row.get(11),
    }
}
