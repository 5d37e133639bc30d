//! The changes feed: dense, in commit order, without a log table. A ticket stands at its newest change only.

use super::RecordKey;
use super::opened::record_key;
use super::reprojecting::{Reprojecting, reprojecting_in};
use super::tickets::reason_word;
use crate::clock::Timestamp;
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// One ticket that changed.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// Place in the feed.
    pub seq: i64,
    /// The ticket.
    pub key: RecordKey,
    /// Whether it is gone.
    pub deleted: bool,
    /// Why it is gone.
    pub reason: Option<&'static str>,
    /// Whether its own record has not come yet.
    pub awaiting_parent: bool,
    /// Its last activity.
    pub last_activity_at: Timestamp,
    /// The mapping version of all of it.
    pub mapping_version: i64,
}

/// A page of the feed.
#[derive(Debug, Clone)]
pub struct Changes {
    /// Raised by a restore: a cursor of an older epoch means nothing now.
    pub epoch: i32,
    /// In commit order.
    pub changes: Vec<Change>,
    /// Objects of which more changes come by themselves: they are being projected anew.
    pub reprojecting: Vec<Reprojecting>,
}

/// Changes after a sequence number; 0 is the beginning.
pub async fn changes_list(
    db: &Database,
    scope: &TenantScope,
    after: i64,
    limit: u16,
) -> Result<Changes, StoreError> {
    const EPOCH: &str = "-- feed_epoch\nSELECT epoch FROM tenant_feed WHERE tenant_id = $1";
    const SQL: &str = "-- changes_list
        SELECT connection_id, object_id, record_id, feed_seq, state, last_activity_at, reason, mapping_epoch FROM tickets
         WHERE tenant_id = $1 AND feed_seq > $2 ORDER BY feed_seq LIMIT $3";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let tenant = scope.tenant().0;
    let epoch = tx
        .sql()
        .query_opt(EPOCH, &[&tenant])
        .await
        .map_err(StoreError::at("feed_epoch"))?
        .ok_or(StoreError::Missing("the tenant's feed"))?;
    let rows = tx
        .sql()
        .query(SQL, &[&tenant, &after, &i64::from(limit)])
        .await
        .map_err(StoreError::at("changes_list"))?;
    let reprojecting = reprojecting_in(&tx).await?;
    tx.commit().await?;
    let changes = rows.iter().map(|row| {
        let state: i16 = row.get(4);
        Ok(Change {
            key: record_key(row, 0)?,
            seq: row.get(3),
            deleted: state == 2,
            reason: row.get::<_, Option<i16>>(6).and_then(reason_word),
            awaiting_parent: state == 1,
            last_activity_at: row.get(5),
            mapping_version: row.get(7),
        })
    });
    Ok(Changes { epoch: epoch.get(0), changes: changes.collect::<Result<_, StoreError>>()?, reprojecting })
}
