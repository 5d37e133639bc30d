//! Pauses: a person holds up all reading of a tenant, a connection or an object until somebody lets it go on. They stand as
//! gates, apart from what people want of an object.

use std::collections::HashMap;

use serde_json::json;
use sqlx::Row;
use sqlx::postgres::PgPool;

use super::error::ControlError;
use crate::audit::{Action, Event};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, ObjectId};
use crate::storage::gates::GateSubject;
use crate::tenant::{Actor, TenantScope};

/// What is held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// All of the tenant.
    Tenant,
    /// A connection.
    Connection(ConnectionId),
    /// An object sync.
    Object(ObjectId),
}

impl Level {
    /// The closed word in the audit log and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Connection(_) => "connection",
            Self::Object(_) => "object",
        }
    }

    fn subject(self, scope: &TenantScope) -> String {
        match self {
            Self::Tenant => GateSubject::Tenant(scope.tenant()),
            Self::Connection(id) => GateSubject::Connection(id),
            Self::Object(id) => GateSubject::Object(id),
        }
        .text()
    }

    /// The connection, or the object, that a statement is bound to; neither for all of the tenant.
    pub(in crate::storage) fn columns(self) -> (Option<String>, Option<i32>) {
        match self {
            Self::Tenant => (None, None),
            Self::Connection(id) => (Some(id.0.to_string()), None),
            Self::Object(id) => (None, Some(id.0)),
        }
    }

    /// The event of something done at this level.
    #[must_use]
    pub fn event(self, scope: &TenantScope, action: Action) -> Event {
        let event = Event::of(scope, action).details(json!({ "level": self.word() }));
        match self {
            Self::Tenant => event,
            Self::Connection(id) => event.connection(id),
            Self::Object(id) => event.object(id),
        }
    }
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// Since when.
    pub since: Timestamp,
    /// The name of the API key by which it was asked for.
    pub by: String,
}

/// Holds up all reading at this level, which the caller knows to be the tenant's. A second pause changes nothing.
pub async fn pause(pool: &PgPool, scope: &TenantScope, level: Level) -> Result<(), ControlError> {
    const SQL: &str = "-- pause
        WITH closed AS (
            INSERT INTO gates (subject, reason, blocked_until, set_by)
            SELECT $2, 'paused', 'infinity', coalesce((SELECT name FROM api_keys WHERE key_id = $3), 'Refrain')
            ON CONFLICT (subject, reason) DO NOTHING RETURNING subject)
        SELECT audit_write($1, $4) FROM closed";
    let key = match scope.actor() {
        Actor::Key(key) => Some(key.0),
        Actor::System => None,
    };
    sqlx::query(SQL)
        .bind(scope.tenant().0)
        .bind(level.subject(scope))
        .bind(key)
        .bind(level.event(scope, Action::ControlPause).json())
        .execute(pool)
        .await
        .map_err(ControlError::at("pause"))?;
    Ok(())
}

/// Lets reading go on at this level. What is paused at another one stays so.
pub async fn resume(pool: &PgPool, scope: &TenantScope, level: Level) -> Result<(), ControlError> {
    const SQL: &str = "-- resume
        WITH opened AS (DELETE FROM gates WHERE subject = $2 AND reason = 'paused' RETURNING subject)
        SELECT audit_write($1, $3) FROM opened";
    sqlx::query(SQL)
        .bind(scope.tenant().0)
        .bind(level.subject(scope))
        .bind(level.event(scope, Action::ControlResume).json())
        .execute(pool)
        .await
        .map_err(ControlError::at("resume"))?;
    Ok(())
}

/// All pauses of a tenant.
#[derive(Debug, Clone, Default)]
pub struct Pauses(HashMap<String, Paused>);

impl Pauses {
    /// The pause at this very level.
    #[must_use]
    pub fn at(&self, scope: &TenantScope, level: Level) -> Option<Paused> {
        self.0.get(&level.subject(scope)).cloned()
    }
}

/// Reads them.
pub async fn pauses_get(pool: &PgPool, scope: &TenantScope) -> Result<Pauses, ControlError> {
    const SQL: &str = "-- pauses_get
        SELECT subject, set_at, coalesce(set_by, 'Refrain') FROM gates
         WHERE reason = 'paused' AND blocked_until > now() AND subject IN (
                   SELECT $1::text UNION ALL SELECT connection_id::text FROM connections WHERE tenant_id = $1
                   UNION ALL SELECT 'obj_' || object_id FROM object_syncs WHERE tenant_id = $1)";
    let rows = sqlx::query(SQL)
        .bind(scope.tenant().0)
        .fetch_all(pool)
        .await
        .map_err(ControlError::at("pauses_get"))?;
    Ok(Pauses(rows.iter().map(|row| (row.get(0), Paused { since: row.get(1), by: row.get(2) })).collect()))
}
