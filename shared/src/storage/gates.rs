//! Conditions shared by many jobs: one small row for a tenant, a connection, an org or an object.
//!
//! Pause, blackout, a parked connection and a tenant that leaves hold a job up whatever it does ([`HELD`]): it is not
//! dispatched, not begun, and a running one ends at its next commit. What asks Salesforce for nothing (letting tickets go,
//! which is a duty, and projecting anew) is stopped only by a tenant that leaves. A spent budget keeps jobs from
//! being dispatched; each call asks for its own grant anyway.

use serde_json::json;

use super::audit::audit_write;
use super::error::StoreError;
use super::pool::Database;
use crate::audit::{Action, Event};
use crate::error::UserMessage;
use crate::ids::{ConnectionId, ObjectId};
use crate::job::lease::Lease;
use crate::tenant::Actor;

/// Whom a gate blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateSubject {
    /// All jobs of a tenant.
    Tenant(crate::ids::TenantId),
    /// All jobs of a connection.
    Connection(ConnectionId),
    /// All jobs of an org, whichever tenant's.
    Org(crate::ids::SalesforceId),
    /// All jobs of an object sync.
    Object(ObjectId),
}

impl GateSubject {
    /// The text in `gates.subject`; the dispatcher's query compares it with a job's own columns as text.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Tenant(id) => id.0.to_string(),
            Self::Connection(id) => id.0.to_string(),
            Self::Org(id) => id.to_string(),
            Self::Object(id) => id.to_string(),
        }
    }
}

/// Reasons for which a job is held up whatever it does.
pub const HELD: [&str; 4] = ["paused", "parked", "blackout", "closing"];

/// Blocks for `seconds` from now; infinity without a number. A longer block is never shortened.
pub async fn gate_close(
    db: &Database,
    subject: GateSubject,
    reason: &str,
    seconds: Option<f64>,
) -> Result<(), StoreError> {
    const SQL: &str = "-- gate_close
        INSERT INTO gates (subject, reason, blocked_until)
        VALUES ($1, $2, coalesce(now() + $3::float8 * interval '1 second', 'infinity'))
        ON CONFLICT (subject, reason) DO UPDATE
            SET blocked_until = greatest(gates.blocked_until, excluded.blocked_until), set_at = now()";
    let client = db.control().await?;
    client.execute(SQL, &[&subject.text(), &reason, &seconds]).await.map_err(StoreError::at("gate_close"))?;
    Ok(())
}

/// Lifts a block.
pub async fn gate_open(db: &Database, subject: GateSubject, reason: &str) -> Result<(), StoreError> {
    let client = db.control().await?;
    client
        .execute(
            "-- gate_open\nDELETE FROM gates WHERE subject = $1 AND reason = $2",
            &[&subject.text(), &reason],
        )
        .await
        .map_err(StoreError::at("gate_open"))?;
    Ok(())
}

/// Notes that the org said now that it is the one to which the connection belongs.
pub async fn connection_org_seen(db: &Database, connection: ConnectionId) -> Result<(), StoreError> {
    const SQL: &str = "-- connection_org_seen
        UPDATE connections SET org_checked_at = now() WHERE connection_id = $1";
    let client = db.control().await?;
    client.execute(SQL, &[&connection.0]).await.map_err(StoreError::at("connection_org_seen"))?;
    Ok(())
}

/// Parks the connection behind this lease: its state says what a person must do, its gate stops its jobs. A page of it
/// that is under way commits nothing after this: the tenant's gate moves too.
pub async fn connection_park(db: &Database, lease: &Lease, ask: &UserMessage) -> Result<(), StoreError> {
    const SQL: &str = "-- connection_park
        WITH parked AS (
            UPDATE connections SET state = 'parked', ask = $2, state_since = now(), updated_at = now()
             WHERE connection_id = $1 AND state IN ('pending', 'active')
            RETURNING connection_id, tenant_id),
        moved AS (
            UPDATE tenant_gates g SET mapping_epoch = mapping_epoch + 1 FROM parked WHERE g.tenant_id = parked.tenant_id)
        INSERT INTO gates (subject, reason, blocked_until)
        SELECT connection_id::text, 'parked', 'infinity' FROM parked
        ON CONFLICT (subject, reason) DO UPDATE SET blocked_until = 'infinity', set_at = now()";
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    let parked = tx
        .execute(SQL, &[&lease.connection.0, &tokio_postgres::types::Json(ask)])
        .await
        .map_err(StoreError::at("connection_park"))?;
    if parked > 0 {
        let event = Event::by(Actor::System, Action::ConnectionPark).connection(lease.connection);
        audit_write(&tx, lease.tenant, &event.details(json!({ "code": ask.code }))).await?;
    }
    tx.commit().await.map_err(StoreError::at("commit"))
}
