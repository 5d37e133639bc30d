//! The org's one row: locked, decided on in [`crate::limits`], written back.

use deadpool_postgres::Transaction;
use tokio_postgres::types::Json;

use super::error::StoreError;
use super::pool::Database;
use crate::clock::Timestamp;
use crate::error::DeferReason;
use crate::ids::{JobId, SalesforceId};
use crate::limits::{Bucket, Grant, GrantRequest, Lane, OrgLimits, OrgSettings, OrgUsage, Refusal};

/// `grant(job, epoch)`: a lane and its calls, or neither. Time is the database's.
pub async fn org_grant(
    db: &Database,
    org: SalesforceId,
    job: JobId,
    epoch: i64,
    calls: u64,
    lane_for: std::time::Duration,
) -> Result<Result<Grant, Refusal>, StoreError> {
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    let (mut limits, now) = lock(&tx, org).await?;
    let until = now + chrono::Duration::from_std(lane_for).unwrap_or(chrono::Duration::minutes(3));
    let granted = limits.grant(GrantRequest { job, epoch, calls, until }, now);
    if granted.is_ok() {
        store(&tx, org, &limits).await?;
    }
    tx.commit().await.map_err(StoreError::at("commit"))?;
    Ok(granted)
}

/// An orderly end: gives the lane and the unspent calls back and notes what the org said of itself. Calls that came back
/// open the gate that was closed when there were none.
pub async fn org_settle(
    db: &Database,
    org: SalesforceId,
    job: JobId,
    epoch: i64,
    unspent: u64,
    usage: Option<(u64, u64)>,
) -> Result<(), StoreError> {
    const OPEN: &str = "-- org_budget_gate_open
        DELETE FROM gates WHERE subject = $1 AND reason = $2";
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    let (mut limits, now) = lock(&tx, org).await?;
    limits.settle(job, epoch, unspent);
    if let Some((used, limit)) = usage {
        limits.note_usage(OrgUsage { used, limit, at: now });
    }
    store(&tx, org, &limits).await?;
    if limits.has_calls(now) {
        let statement = tx.prepare_cached(OPEN).await.map_err(StoreError::at("org_budget_gate_open"))?;
        tx.execute(&statement, &[&org.as_str(), &DeferReason::Budget.word()])
            .await
            .map_err(StoreError::at("org_budget_gate_open"))?;
    }
    tx.commit().await.map_err(StoreError::at("commit"))
}

/// The org's row as it is, for people.
pub async fn org_limits_get(db: &Database, org: SalesforceId) -> Result<Option<OrgLimits>, StoreError> {
    let client = db.control().await?;
    let row = client
        .query_opt(
            "-- org_limits_get\nSELECT settings, lanes, buckets, usage FROM org_limits WHERE org_id = $1",
            &[&org.as_str()],
        )
        .await
        .map_err(StoreError::at("org_limits_get"))?;
    Ok(row.map(|row| from_row(&row)))
}

async fn lock(tx: &Transaction<'_>, org: SalesforceId) -> Result<(OrgLimits, Timestamp), StoreError> {
    const SQL: &str = "-- org_limits_lock
        SELECT settings, lanes, buckets, usage, now() FROM org_limits WHERE org_id = $1 FOR UPDATE";
    let statement = tx.prepare_cached(SQL).await.map_err(StoreError::at("org_limits_lock"))?;
    if let Some(row) =
        tx.query_opt(&statement, &[&org.as_str()]).await.map_err(StoreError::at("org_limits_lock"))?
    {
        return Ok((from_row(&row), row.get(4)));
    }
    tx.execute(
        "-- org_limits_insert\nINSERT INTO org_limits (org_id) VALUES ($1) ON CONFLICT DO NOTHING",
        &[&org.as_str()],
    )
    .await
    .map_err(StoreError::at("org_limits_insert"))?;
    let row = tx.query_one(&statement, &[&org.as_str()]).await.map_err(StoreError::at("org_limits_lock"))?;
    Ok((from_row(&row), row.get(4)))
}

fn from_row(row: &tokio_postgres::Row) -> OrgLimits {
    // `settings` may hold keys of a newer build during a rollout; the defaults are the careful choice then.
    let settings = serde_json::from_value(row.get::<_, Json<serde_json::Value>>(0).0);
    OrgLimits {
        settings: settings.unwrap_or_else(|_| OrgSettings::default()),
        lanes: row.get::<_, Json<Vec<Lane>>>(1).0,
        buckets: row.get::<_, Json<Vec<Bucket>>>(2).0,
        usage: row.get::<_, Option<Json<OrgUsage>>>(3).map(|usage| usage.0),
    }
}

async fn store(tx: &Transaction<'_>, org: SalesforceId, limits: &OrgLimits) -> Result<(), StoreError> {
    const SQL: &str = "-- org_limits_store
        UPDATE org_limits SET lanes = $2, buckets = $3, usage = $4, updated_at = now() WHERE org_id = $1";
    let statement = tx.prepare_cached(SQL).await.map_err(StoreError::at("org_limits_store"))?;
    tx.execute(
        &statement,
        &[&org.as_str(), &Json(&limits.lanes), &Json(&limits.buckets), &limits.usage.as_ref().map(Json)],
    )
    .await
    .map_err(StoreError::at("org_limits_store"))?;
    Ok(())
}
