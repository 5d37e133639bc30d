//! A tenant's retention policy. It stands on the tenant's gate: a page commit under way is waited for, and one that was
//! planned under another policy is planned again.

use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::error::ControlError;
use crate::audit::{Action, Event};
use crate::retention::Policy;
use crate::tenant::TenantScope;

/// The policy in force; `None` when there is no such tenant.
pub async fn retention_get(pool: &PgPool, scope: &TenantScope) -> Result<Option<Policy>, ControlError> {
    const SQL: &str = "-- retention_get
        SELECT ticket_days, held_days, attachment_days FROM tenant_gates WHERE tenant_id = $1";
    let row = sqlx::query(SQL)
        .bind(scope.tenant().0)
        .fetch_optional(pool)
        .await
        .map_err(ControlError::at("retention_get"))?;
    row.as_ref().map(from_row).transpose()
}

/// Puts another policy in force.
pub async fn retention_set(pool: &PgPool, scope: &TenantScope, policy: &Policy) -> Result<(), ControlError> {
    const SQL: &str = "-- retention_set
        WITH before AS (
            SELECT jsonb_build_object('ticket_days', ticket_days, 'held_days', held_days,
                                      'attachment_days', attachment_days) AS policy
              FROM tenant_gates WHERE tenant_id = $1 FOR UPDATE),
        changed AS (
            UPDATE tenant_gates SET ticket_days = $2, held_days = $3, attachment_days = $4 FROM before
             WHERE tenant_id = $1 RETURNING policy)
        SELECT audit_write($1, jsonb_set($5::jsonb, '{details,before}', policy)) FROM changed";
    let event = Event::of(scope, Action::RetentionSet).details(json!(policy));
    sqlx::query(SQL)
        .bind(scope.tenant().0)
        .bind(i32::from(policy.ticket_days))
        .bind(i32::from(policy.held_days))
        .bind(i32::from(policy.attachment_days))
        .bind(event.json())
        .execute(pool)
        .await
        .map_err(ControlError::at("retention_set"))?;
    Ok(())
}

fn from_row(row: &PgRow) -> Result<Policy, ControlError> {
    let days = |column: usize| {
        u16::try_from(row.get::<i32, _>(column)).map_err(|_| ControlError::Unreadable("tenant_gates"))
    };
    Ok(Policy { ticket_days: days(0)?, held_days: days(1)?, attachment_days: days(2)? })
}
