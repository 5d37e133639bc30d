//! What a sweep walks over, what it did not find, and how it and the log of deletions ask for one another.

use deadpool_postgres::GenericClient as _;
use serde_json::Value;
use tokio_postgres::types::Json;

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use super::records::ObjectKey;
use crate::clock::Timestamp;
use crate::ids::{ObjectId, SalesforceId};
use crate::job::deleted::Following;
use crate::job::lease::Kind;
use crate::record::{RecordState, StateReason};
use crate::tenant::TenantScope;

/// A stored record as a sweep sees it.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    /// Its id.
    pub id: SalesforceId,
    /// Its stamp.
    pub stamp: Timestamp,
    /// Its state.
    pub state: RecordState,
}

/// A record that was live here and not answered when it was last looked for.
#[derive(Debug, Clone, Copy)]
pub struct Missing {
    /// Its id.
    pub id: SalesforceId,
    /// Its stamp.
    pub stamp: Timestamp,
    /// Date of the response that lacked it.
    pub missed_at: Timestamp,
}

/// The next records of an object in the order of their keys. What was erased is not asked for ever again, nor is what
/// left with its ticket or is outside of a filter: whatever happens to that is in a window.
pub async fn sweep_next(
    db: &Database,
    scope: &TenantScope,
    key: ObjectKey,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<Stored>, StoreError> {
    const SQL: &str = "-- sweep_next
        SELECT record_id, modstamp, state, reason FROM records
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id > $4
           AND reason IS DISTINCT FROM $6 AND reason IS DISTINCT FROM $7 AND reason IS DISTINCT FROM $8
         ORDER BY record_id LIMIT $5";
    let (erased, expired, filtered) =
        (StateReason::Erased as i16, StateReason::Expired as i16, StateReason::Filtered as i16);
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(
            SQL,
            &[
                &scope.tenant().0,
                &key.connection.0,
                &key.object.0,
                &after.unwrap_or_default(),
                &i64::try_from(most).unwrap_or(i64::MAX),
                &erased,
                &expired,
                &filtered,
            ],
        )
        .await
        .map_err(StoreError::at("sweep_next"))?;
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            let state = RecordState::from_columns(row.get(2), row.get(3));
            Ok(Stored {
                id: id_of(row.get(0))?,
                stamp: row.get(1),
                state: state.ok_or(StoreError::Unreadable("records.state"))?,
            })
        })
        .collect()
}

/// How many records of an object left with their ticket: the org still counts them.
pub async fn let_go_count(db: &Database, scope: &TenantScope, key: ObjectKey) -> Result<u64, StoreError> {
    const SQL: &str = "-- let_go_count
        SELECT count(*) FROM records WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND reason = ANY ($4)";
    let reasons = [StateReason::Expired as i16, StateReason::Filtered as i16];
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let row = tx
        .sql()
        .query_one(SQL, &[&scope.tenant().0, &key.connection.0, &key.object.0, &reasons.as_slice()])
        .await
        .map_err(StoreError::at("let_go_count"))?;
    tx.commit().await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}

/// Notes that these were not answered.
pub async fn missing_add(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    ids: &[&str],
    missed_at: Timestamp,
) -> Result<(), StoreError> {
    const SQL: &str = "-- missing_add
        INSERT INTO missing_records (tenant_id, connection_id, object_id, record_id, missed_at)
        SELECT $1, $2, $3, id, $5 FROM unnest($4::text[]) AS m (id) ORDER BY id COLLATE \"C\"
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE SET missed_at = excluded.missed_at";
    if ids.is_empty() {
        return Ok(());
    }
    tx.sql()
        .execute(SQL, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids, &missed_at])
        .await
        .map_err(StoreError::at("missing_add"))?;
    Ok(())
}

/// The next of those that are missing and still live here.
pub async fn missing_next(
    db: &Database,
    scope: &TenantScope,
    key: ObjectKey,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<Missing>, StoreError> {
    const SQL: &str = "-- missing_next
        SELECT m.record_id, r.modstamp, m.missed_at FROM missing_records m
         CROSS JOIN LATERAL (
               SELECT modstamp, state FROM records r
                WHERE r.connection_id = $2 AND r.object_id = $3 AND r.record_id = m.record_id OFFSET 0) r
         WHERE m.tenant_id = $1 AND m.connection_id = $2 AND m.object_id = $3 AND m.record_id > $4 AND r.state = 0
         ORDER BY m.record_id LIMIT $5";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(
            SQL,
            &[
                &scope.tenant().0,
                &key.connection.0,
                &key.object.0,
                &after.unwrap_or_default(),
                &i64::try_from(most).unwrap_or(i64::MAX),
            ],
        )
        .await
        .map_err(StoreError::at("missing_next"))?;
    tx.commit().await?;
    rows.iter()
        .map(|row| Ok(Missing { id: id_of(row.get(0))?, stamp: row.get(1), missed_at: row.get(2) }))
        .collect()
}

/// How many are missing and still live here.
pub async fn missing_count(db: &Database, scope: &TenantScope, key: ObjectKey) -> Result<u64, StoreError> {
    const SQL: &str = "-- missing_count
        SELECT count(*) FROM missing_records m
         CROSS JOIN LATERAL (
               SELECT state FROM records r
                WHERE r.connection_id = $2 AND r.object_id = $3 AND r.record_id = m.record_id OFFSET 0) r
         WHERE m.tenant_id = $1 AND m.connection_id = $2 AND m.object_id = $3 AND r.state = 0";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let row = tx
        .sql()
        .query_one(SQL, &[&scope.tenant().0, &key.connection.0, &key.object.0])
        .await
        .map_err(StoreError::at("missing_count"))?;
    tx.commit().await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}

/// Forgets that these were missing; with no list, that any was.
pub async fn missing_forget(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    ids: Option<&[&str]>,
) -> Result<(), StoreError> {
    const SQL: &str = "-- missing_forget
        DELETE FROM missing_records
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND ($4::text[] IS NULL OR record_id = ANY($4))";
    tx.sql()
        .execute(SQL, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids])
        .await
        .map_err(StoreError::at("missing_forget"))?;
    Ok(())
}

/// Makes an object's standing job of this kind due, or run once more; one that waits for a person stays.
pub async fn standing_ask(db: &Database, kind: Kind, object: ObjectId) -> Result<(), StoreError> {
    const SQL: &str = "-- standing_ask
        UPDATE jobs SET rerun_requested = rerun_requested OR state = 2,
               available_at = CASE WHEN state = 0 THEN least(available_at, now()) ELSE available_at END,
               updated_at = now()
         WHERE unique_key = $1";
    let client = db.control().await?;
    let key = format!("{}/{}", kind.word(), object.0);
    client.execute(SQL, &[&key]).await.map_err(StoreError::at("standing_ask"))?;
    Ok(())
}

/// How far the log of an object's deletions was followed.
pub async fn following_get(db: &Database, object: ObjectId) -> Result<Following, StoreError> {
    const SQL: &str = "-- following_get\nSELECT progress FROM jobs WHERE unique_key = $1";
    let client = db.control().await?;
    let key = format!("{}/{}", Kind::Deleted.word(), object.0);
    let row = client.query_opt(SQL, &[&key]).await.map_err(StoreError::at("following_get"))?;
    let Some(row) = row else { return Ok(Following::default()) };
    serde_json::from_value(row.get::<_, Json<Value>>(0).0)
        .map_err(|_| StoreError::Unreadable("a job's progress"))
}

fn id_of(text: &str) -> Result<SalesforceId, StoreError> {
    SalesforceId::parse(text).map_err(|_| StoreError::Unreadable("records.record_id"))
}
