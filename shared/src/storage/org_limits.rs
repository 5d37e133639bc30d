//! The org's one row: locked, decided on in [`crate::limits`], written back.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Transaction};
use futures_util::future::try_join;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::error::StoreError;
use super::gates::GateSubject;
use super::pool::Database;
use crate::clock::Timestamp;
use crate::error::DeferReason;
use crate::ids::{JobId, SalesforceId};
use crate::job::lease::Lease;
use crate::limits::{Crowding, Grant, GrantRequest, Lane, OrgLimits, OrgSettings, OrgUsage, Refusal, Window};

/// What the org said of itself in the last answer that a caller had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Calls used in the org's rolling 24 hours.
    pub used: u64,
    /// The org's allowance.
    pub limit: u64,
    /// How long ago it said so.
    pub ago: Duration,
    /// [`Grant::made`] of the grant under which it was asked.
    pub made: u64,
}

impl Heard {
    fn at(self, now: Timestamp) -> OrgUsage {
        let at = now - chrono::Duration::from_std(self.ago).unwrap_or(chrono::Duration::hours(24));
        OrgUsage { used: self.used, limit: self.limit, at, made: self.made }
    }
}

/// What a job's caller wants.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Calls, those granted before included.
    pub calls: u64,
    /// How long the lane is wanted for, from now.
    pub lane_for: Duration,
    /// What the org said since the last asking.
    pub heard: Option<Heard>,
}

/// `grant(job, epoch)`: a lane and its calls, or neither. Time is the database's.
///
/// [`StoreError::FenceLost`] when the lease is not this one any more: a holder that was frozen past its lease gets
/// nothing beside the one that has the job now.
pub async fn org_grant(db: &Database, lease: &Lease, ask: Ask) -> Result<Result<Grant, Refusal>, StoreError> {
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    let (mut limits, now) = lock_for(&tx, lease).await?;
    if let Some(heard) = ask.heard {
        limits.note_usage(heard.at(now));
    }
    let until = now + chrono::Duration::from_std(ask.lane_for).unwrap_or(chrono::Duration::minutes(3));
    let connection = Some(lease.connection);
    let request = GrantRequest { job: lease.job, epoch: lease.epoch, connection, calls: ask.calls, until };
    let granted = limits.grant(request, now);
    if granted.is_ok() || ask.heard.is_some() {
        store(&tx, lease.org, &limits).await?;
    }
    tx.commit().await.map_err(StoreError::at("commit"))?;
    Ok(granted)
}

/// How a lane ends in good order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ended {
    /// Prepaid calls that nobody will make.
    pub unspent: u64,
    /// What the org said since the last asking.
    pub heard: Option<Heard>,
    /// Whether it refused a call because too many were under way.
    pub crowded: bool,
}

/// An orderly end: gives the lane and the unspent calls back and notes what the org said of itself. Calls that came back
/// open the gate that was closed when there were none.
pub async fn org_settle(
    db: &Database,
    org: SalesforceId,
    job: JobId,
    epoch: i64,
    ended: Ended,
) -> Result<(), StoreError> {
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    let (mut limits, now) = lock(&tx, org).await?;
    limits.settle(job, epoch, ended.unspent);
    if let Some(heard) = ended.heard {
        limits.note_usage(heard.at(now));
    }
    if ended.crowded {
        limits.note_crowding(now);
    }
    store(&tx, org, &limits).await?;
    reopen(&tx, org, &limits, now).await?;
    tx.commit().await.map_err(StoreError::at("commit"))
}

/// Makes the strictest of what the org's connections allow its settings; at once, where the reconciler would do it soon.
pub async fn org_settings_refresh(db: &Database, org: SalesforceId) -> Result<(), StoreError> {
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    settings_refresh(&tx, Some(org)).await?;
    let (limits, now) = lock(&tx, org).await?;
    reopen(&tx, org, &limits, now).await?;
    tx.commit().await.map_err(StoreError::at("commit"))
}

/// As [`org_settings_refresh`], of one org or of all that have several connections, or one with limits of its own. A share
/// binds its own connection; what all may use together is the least that one of them says, or else all shares.
pub(super) async fn settings_refresh(
    client: &impl GenericClient,
    org: Option<SalesforceId>,
) -> Result<u64, StoreError> {
    const SQL: &str = "-- org_settings_refresh
        WITH strictest AS (
            SELECT org_id, jsonb_build_object(
                       'lanes', min(coalesce((limits->>'lanes')::int, $2)) FILTER (WHERE binds),
                       'calls_per_second', min((limits->>'calls_per_second')::int) FILTER (WHERE binds),
                       'share_percent', coalesce(min((limits->>'cap_percent')::int) FILTER (WHERE binds),
                           least(sum(coalesce((limits->>'share_percent')::int, $3)) FILTER (WHERE binds), 100)),
                       'shares', CASE WHEN count(*) FILTER (WHERE binds) > 1 THEN
                           jsonb_object_agg('con_' || replace(connection_id::text, '-', ''),
                                            coalesce((limits->>'share_percent')::int, $3)) FILTER (WHERE binds) END,
                       'reserve_percent', max(coalesce((limits->>'reserve_percent')::int, $4)) FILTER (WHERE binds)) AS found
              FROM (SELECT org_id, connection_id, limits, state IN ('active', 'parked') AS binds FROM connections
                     WHERE org_id IS NOT NULL AND ($1::text IS NULL OR org_id = $1::text)) c
             GROUP BY org_id
            HAVING $1::text IS NOT NULL OR bool_or(limits <> '{}') OR count(*) FILTER (WHERE binds) > 1)
        UPDATE org_limits l SET settings = jsonb_strip_nulls(l.settings || found), updated_at = now()
          FROM strictest s
         WHERE l.org_id = s.org_id AND l.settings IS DISTINCT FROM jsonb_strip_nulls(l.settings || found)";
    let OrgSettings { lanes, share_percent, reserve_percent, .. } = OrgSettings::default();
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let org = org.as_ref().map(SalesforceId::as_str);
    client
        .execute(SQL, &[&org, &number(lanes), &number(share_percent), &number(reserve_percent)])
        .await
        .map_err(StoreError::at("org_settings_refresh"))
}

/// Opens the gates that were closed when there were no calls, of the org and of its connections, where there are some.
async fn reopen(
    tx: &Transaction<'_>,
    org: SalesforceId,
    limits: &OrgLimits,
    now: Timestamp,
) -> Result<(), StoreError> {
    const SQL: &str = "-- org_budget_gate_open
        DELETE FROM gates WHERE subject = ANY ($1) AND reason = $2";
    let mut open: Vec<String> = limits
        .settings
        .shares
        .keys()
        .filter(|connection| limits.has_calls(Some(**connection), now))
        .map(|connection| GateSubject::Connection(*connection).text())
        .collect();
    if limits.has_calls(None, now) {
        open.push(GateSubject::Org(org).text());
    }
    if !open.is_empty() {
        let statement = tx.prepare_cached(SQL).await.map_err(StoreError::at("org_budget_gate_open"))?;
        tx.execute(&statement, &[&open, &DeferReason::Budget.word()])
            .await
            .map_err(StoreError::at("org_budget_gate_open"))?;
    }
    Ok(())
}

/// Counts calls that were made outside of any job, for a person who waited for them.
pub async fn org_spend(db: &Database, org: SalesforceId, calls: u64) -> Result<(), StoreError> {
    let mut client = db.control().await?;
    let tx = client.transaction().await.map_err(StoreError::at("begin"))?;
    let (mut limits, now) = lock(&tx, org).await?;
    limits.spend(calls, now);
    store(&tx, org, &limits).await?;
    tx.commit().await.map_err(StoreError::at("commit"))
}

/// The org's row as it is, for people.
pub async fn org_limits_get(db: &Database, org: SalesforceId) -> Result<Option<OrgLimits>, StoreError> {
    const SQL: &str = "-- org_limits_get
        SELECT settings, lanes, buckets, usage, paid, crowding FROM org_limits WHERE org_id = $1";
    let client = db.control().await?;
    let row = client.query_opt(SQL, &[&org.as_str()]).await.map_err(StoreError::at("org_limits_get"))?;
    Ok(row.map(|row| from_row(&row)))
}

const LOCK: &str = "-- org_limits_lock
    SELECT settings, lanes, buckets, usage, paid, crowding, now() FROM org_limits WHERE org_id = $1 FOR UPDATE";

async fn lock(tx: &Transaction<'_>, org: SalesforceId) -> Result<(OrgLimits, Timestamp), StoreError> {
    let failed = StoreError::at("org_limits_lock");
    let statement = tx.prepare_cached(LOCK).await.map_err(&failed)?;
    if let Some(row) = tx.query_opt(&statement, &[&org.as_str()]).await.map_err(&failed)? {
        return Ok((from_row(&row), row.get(6)));
    }
    tx.execute(
        "-- org_limits_insert\nINSERT INTO org_limits (org_id) VALUES ($1) ON CONFLICT DO NOTHING",
        &[&org.as_str()],
    )
    .await
    .map_err(StoreError::at("org_limits_insert"))?;
    let row = tx.query_one(&statement, &[&org.as_str()]).await.map_err(&failed)?;
    Ok((from_row(&row), row.get(6)))
}

/// The locked row, if the lease still holds once the lock is there: waiting for it may outlast a lease.
async fn lock_for(tx: &Transaction<'_>, lease: &Lease) -> Result<(OrgLimits, Timestamp), StoreError> {
    const HOLDS: &str = "-- org_limits_lease
        SELECT EXISTS (SELECT FROM jobs WHERE job_id = $1 AND epoch = $2 AND fence = $3 AND state = 2)";
    let failed = StoreError::at("org_limits_lock");
    let held = StoreError::at("org_limits_lease");
    let locking = tx.prepare_cached(LOCK).await.map_err(&failed)?;
    let looking = tx.prepare_cached(HOLDS).await.map_err(&held)?;
    let org = lease.org.as_str();
    let key: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&lease.job.0, &lease.epoch, &lease.fence];
    // One round trip: sent together, done one after the other, so that the look comes after the lock.
    let (row, holds) = try_join(async { tx.query_opt(&locking, &[&org]).await.map_err(&failed) }, async {
        tx.query_one(&looking, &key).await.map_err(&held)
    })
    .await?;
    let (found, holds) = match row {
        Some(row) => ((from_row(&row), row.get(6)), holds),
        None => (lock(tx, lease.org).await?, tx.query_one(&looking, &key).await.map_err(&held)?),
    };
    if holds.get(0) { Ok(found) } else { Err(StoreError::FenceLost) }
}

fn from_row(row: &Row) -> OrgLimits {
    // Keys of a newer build are passed over during a rollout; where one is of another form, the defaults are careful.
    let settings = serde_json::from_value(row.get::<_, Json<serde_json::Value>>(0).0);
    OrgLimits {
        settings: settings.unwrap_or_else(|_| OrgSettings::default()),
        lanes: row.get::<_, Json<Vec<Lane>>>(1).0,
        window: row.get::<_, Json<Window>>(2).0,
        usage: row.get::<_, Option<Json<OrgUsage>>>(3).map(|usage| usage.0),
        paid: u64::try_from(row.get::<_, i64>(4)).unwrap_or(0),
        crowding: row.get::<_, Option<Json<Crowding>>>(5).map(|crowding| crowding.0),
    }
}

async fn store(tx: &Transaction<'_>, org: SalesforceId, limits: &OrgLimits) -> Result<(), StoreError> {
    const SQL: &str = "-- org_limits_store
        UPDATE org_limits SET lanes = $2, buckets = $3, usage = $4, paid = $5, crowding = $6, updated_at = now()
         WHERE org_id = $1";
    let statement = tx.prepare_cached(SQL).await.map_err(StoreError::at("org_limits_store"))?;
    let paid = i64::try_from(limits.paid).unwrap_or(i64::MAX);
    tx.execute(
        &statement,
        &[
            &org.as_str(),
            &Json(&limits.lanes),
            &Json(&limits.window),
            &limits.usage.as_ref().map(Json),
            &paid,
            &limits.crowding.as_ref().map(Json),
        ],
    )
    .await
    .map_err(StoreError::at("org_limits_store"))?;
    Ok(())
}
