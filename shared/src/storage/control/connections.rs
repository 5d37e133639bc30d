//! Connections: all but their secrets, which the control role cannot see.

use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgPool, Row};

use super::error::ControlError;
use crate::audit::{Action, Event};
use crate::clock::Timestamp;
use crate::error::UserMessage;
use crate::ids::{ConnectionId, SalesforceId, TenantId};
use crate::tenant::TenantScope;

/// A connection as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name, for people.
    pub name: String,
    /// Where tokens are asked for.
    pub login_url: String,
    /// `client_credentials`, `jwt_bearer` or `refresh_token`.
    pub auth_method: String,
    /// The app's client id.
    pub client_id: String,
    /// JWT bearer's subject.
    pub username: Option<String>,
    /// The org, once a token was given.
    pub org_id: Option<SalesforceId>,
    /// The integration user.
    pub user_id: Option<SalesforceId>,
    /// `pending`, `active`, `parked` or `revoked`.
    pub state: String,
    /// What a person must do, when parked.
    pub ask: Option<UserMessage>,
    /// Since when it is in that state.
    pub state_since: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A connection's facts as its credentials were proved with them.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// Its id; its secrets are stored under it already.
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// Where tokens are asked for.
    pub login_url: String,
    /// How it signs in.
    pub auth_method: &'static str,
    /// The app's client id.
    pub client_id: String,
    /// JWT bearer's subject.
    pub username: Option<String>,
    /// The org that answered.
    pub org_id: SalesforceId,
    /// The user who answered.
    pub user_id: SalesforceId,
}

const COLUMNS: &str = "connection_id, tenant_id, name, login_url, auth_method, client_id, username, org_id, user_id, \
                       state, ask, state_since, created_at";

fn from_row(row: &PgRow) -> Result<Connection, ControlError> {
    let id = |text: Option<String>, column| {
        text.map(|text| SalesforceId::parse(&text).map_err(|_| ControlError::Unreadable(column))).transpose()
    };
    Ok(Connection {
        id: ConnectionId(row.get(0)),
        tenant: TenantId(row.get(1)),
        name: row.get(2),
        login_url: row.get(3),
        auth_method: row.get(4),
        client_id: row.get(5),
        username: row.get(6),
        org_id: id(row.get(7), "connections.org_id")?,
        user_id: id(row.get(8), "connections.user_id")?,
        state: row.get(9),
        ask: row.get::<Option<Json<UserMessage>>, _>(10).map(|ask| ask.0),
        state_since: row.get(11),
        created_at: row.get(12),
    })
}

/// Makes an active connection. There is no half-made one: the secrets are stored before, this comes last.
pub async fn connection_create(
    pool: &PgPool,
    scope: &TenantScope,
    new: &NewConnection,
) -> Result<Connection, ControlError> {
    let sql = format!(
        "-- connection_create
        WITH made AS (
            INSERT INTO connections (connection_id, tenant_id, name, login_url, auth_method, client_id, username, org_id,
                                     user_id, state, org_checked_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active', now()) RETURNING {COLUMNS})
        SELECT {COLUMNS}, audit_write($2, $10) FROM made"
    );
    let event = Event::of(scope, Action::ConnectionCreate).connection(new.id).details(facts(new));
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(new.id.0)
        .bind(scope.tenant().0)
        .bind(&new.name)
        .bind(&new.login_url)
        .bind(new.auth_method)
        .bind(&new.client_id)
        .bind(&new.username)
        .bind(new.org_id.as_str())
        .bind(new.user_id.as_str())
        .bind(event.json())
        .fetch_one(pool)
        .await
        .map_err(ControlError::at_unique("connection_create", "the connection"))?;
    from_row(&row)
}

/// One connection of the tenant.
pub async fn connection_get(
    pool: &PgPool,
    scope: &TenantScope,
    id: ConnectionId,
) -> Result<Option<Connection>, ControlError> {
    let sql = format!(
        "-- connection_get\nSELECT {COLUMNS} FROM connections WHERE tenant_id = $1 AND connection_id = $2"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .bind(id.0)
        .fetch_optional(pool)
        .await
        .map_err(ControlError::at("connection_get"))?;
    row.as_ref().map(from_row).transpose()
}

/// All connections of the tenant, oldest first.
pub async fn connections_list(pool: &PgPool, scope: &TenantScope) -> Result<Vec<Connection>, ControlError> {
    let sql = format!(
        "-- connections_list\nSELECT {COLUMNS} FROM connections WHERE tenant_id = $1 ORDER BY connection_id"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .fetch_all(pool)
        .await
        .map_err(ControlError::at("connections_list"))?;
    rows.iter().map(from_row).collect()
}

/// Points a connection at other credentials, which were proved and stored already: it is active, its gate open. Gives
/// none for one that is revoked or not there. The org stays: records of two orgs are never mixed.
pub async fn connection_credentials(
    pool: &PgPool,
    scope: &TenantScope,
    proved: &NewConnection,
) -> Result<Option<Connection>, ControlError> {
    let sql = format!(
        "-- connection_credentials
        WITH changed AS (
            UPDATE connections SET login_url = $4, auth_method = $5, client_id = $6, username = $7, user_id = $8,
                   state_since = CASE WHEN state = 'active' THEN state_since ELSE now() END,
                   state = 'active', ask = NULL, org_checked_at = now(), updated_at = now()
             WHERE tenant_id = $1 AND connection_id = $2 AND org_id = $3 AND state <> 'revoked' RETURNING {COLUMNS}),
        opened AS (
            DELETE FROM gates USING changed
             WHERE gates.subject = changed.connection_id::text AND gates.reason = 'parked' RETURNING subject)
        SELECT {COLUMNS}, audit_write($1, $9) FROM changed CROSS JOIN (SELECT count(*) FROM opened) AS locked"
    );
    let event = Event::of(scope, Action::ConnectionCredentials).connection(proved.id).details(facts(proved));
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .bind(proved.id.0)
        .bind(proved.org_id.as_str())
        .bind(&proved.login_url)
        .bind(proved.auth_method)
        .bind(&proved.client_id)
        .bind(&proved.username)
        .bind(proved.user_id.as_str())
        .bind(event.json())
        .fetch_optional(pool)
        .await
        .map_err(ControlError::at("connection_credentials"))?;
    row.as_ref().map(from_row).transpose()
}

/// What the audit log tells of a connection: no secret, no name of a person.
fn facts(connection: &NewConnection) -> serde_json::Value {
    json!({ "auth_method": connection.auth_method, "org_id": connection.org_id, "user_id": connection.user_id })
}

/// What a check found out.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The credentials work.
    Works {
        /// The user who answered.
        user_id: SalesforceId,
    },
    /// A person must act.
    Parked {
        /// What to do.
        ask: UserMessage,
    },
}

/// Stores the verdict and opens or closes the connection's gate, in one statement. A revoked connection stays so.
pub async fn connection_judge(
    pool: &PgPool,
    scope: &TenantScope,
    id: ConnectionId,
    verdict: &Verdict,
) -> Result<Option<Connection>, ControlError> {
    let (state, user, ask) = match verdict {
        Verdict::Works { user_id } => ("active", Some(user_id.as_str()), None),
        Verdict::Parked { ask } => ("parked", None, Some(Json(ask))),
    };
    let sql = format!(
        "-- connection_judge
        WITH judged AS (
            UPDATE connections SET state = $3, ask = $4, user_id = coalesce($5, user_id), updated_at = now(),
                   org_checked_at = CASE WHEN $3 = 'active' THEN now() ELSE org_checked_at END,
                   state_since = CASE WHEN state = $3 THEN state_since ELSE now() END
             WHERE tenant_id = $1 AND connection_id = $2 AND state <> 'revoked' RETURNING {COLUMNS}),
        closed AS (
            INSERT INTO gates (subject, reason, blocked_until)
            SELECT connection_id::text, 'parked', 'infinity' FROM judged WHERE state = 'parked'
            ON CONFLICT (subject, reason) DO UPDATE SET blocked_until = 'infinity', set_at = now() RETURNING subject),
        opened AS (
            DELETE FROM gates USING judged
             WHERE gates.subject = judged.connection_id::text AND gates.reason = 'parked' AND judged.state = 'active'
            RETURNING subject)
        SELECT {COLUMNS}, audit_write($1, $6)
          FROM judged CROSS JOIN (SELECT count(*) FROM (TABLE closed UNION ALL TABLE opened) AS both_ways) AS locked"
    );
    let code = if let Verdict::Parked { ask } = verdict { Some(&ask.code) } else { None };
    let facts = json!({ "state": state, "code": code });
    let event = Event::of(scope, Action::ConnectionCheck).connection(id).details(facts);
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(scope.tenant().0)
        .bind(id.0)
        .bind(state)
        .bind(ask)
        .bind(user)
        .bind(event.json())
        .fetch_optional(pool)
        .await
        .map_err(ControlError::at("connection_judge"))?;
    row.as_ref().map(from_row).transpose()
}
