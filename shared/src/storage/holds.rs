//! Holds: a ticket that somebody works with is kept for longer. A hold belongs to the ticket's row and outlives whatever
//! is read of it; a ticket that left comes back when its hold reaches that far.

use serde_json::json;

use super::audit::audit_write;
use super::content::RecordKey;
use super::error::StoreError;
use super::keys::gate_share;
use super::pool::{Database, TenantTx};
use super::related::feed_lock;
use crate::audit::{Action, Event};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, ObjectId, SalesforceId};
use crate::retention::{Class, Policy};
use crate::tenant::TenantScope;

/// The longest reason, in characters; the schema's own bound.
pub const LONGEST_REASON: usize = 200;

/// How a ticket stands after its hold was put or released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The ticket.
    pub key: RecordKey,
    /// Its class now.
    pub class: Class,
    /// Why it is held.
    pub reason: Option<String>,
    /// Since when.
    pub held_at: Option<Timestamp>,
    /// Its last activity.
    pub last_activity_at: Timestamp,
    /// Whether it is here; else it left, and comes back if its time is not over now.
    pub is_here: bool,
    /// The policy in force.
    pub policy: Policy,
}

/// Puts a ticket under a hold, with a reason for people; releases it without one. `None` when there is no such ticket.
///
/// The reason is kept as it is. A second hold keeps the moment of the first.
pub async fn hold_set(
    db: &Database,
    scope: &TenantScope,
    object: ObjectId,
    record: SalesforceId,
    reason: Option<&str>,
) -> Result<Option<Hold>, StoreError> {
    // The object belongs to one connection; naming it lets the primary key answer.
    const SQL: &str = "-- hold_set
        UPDATE tickets t
           SET held = $4::text IS NOT NULL, hold_reason = $4,
               held_at = CASE WHEN $4::text IS NOT NULL THEN coalesce(t.held_at, now()) END
         WHERE t.tenant_id = $1 AND t.object_id = $2 AND t.record_id = $3
           AND t.connection_id = (SELECT connection_id FROM object_syncs WHERE object_id = $2)
        RETURNING t.connection_id, t.held, t.hold_reason, t.held_at, t.last_activity_at, t.state < 2";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let policy = gate_share(&tx).await?.retention;
    // Whoever lets tickets go holds this lock: the ticket is either gone by now, or held.
    feed_lock(&tx).await?;
    let row = tx
        .sql()
        .query_opt(SQL, &[&scope.tenant().0, &object.0, &record.as_str(), &reason])
        .await
        .map_err(StoreError::at("hold_set"))?;
    let Some(row) = row else { return Ok(None) };
    let connection = ConnectionId(row.get(0));
    let action = if reason.is_some() { Action::HoldSet } else { Action::HoldRelease };
    let event = Event::of(scope, action).connection(connection).object(object);
    audit_write(tx.sql(), scope.tenant(), &event.details(json!({ "record": record }))).await?;
    tx.commit().await?;
    Ok(Some(Hold {
        key: RecordKey { connection, object, record },
        class: Class::of(row.get(1)),
        reason: row.get(2),
        held_at: row.get(3),
        last_activity_at: row.get(4),
        is_here: row.get(5),
        policy,
    }))
}
