//! What a scan of a whole object set down, how it differs from what is here, and what came of it.
//!
//! What is set down is rubble after the comparison, so its table is not logged: a crash of the server empties it, which
//! shows by its number of rows, and the scan begins anew.

use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use super::records::ObjectKey;
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, ObjectId, SalesforceId};
use crate::job::checkpoint::Slice;
use crate::job::lease::{Class, Kind};
use crate::job::price::Way;
use crate::job::sweep::Answered;
use crate::job::verify::{Balance, Here};
use crate::record::RecordState;
use crate::tenant::TenantScope;

/// Results are kept for so many days.
const KEPT_DAYS: i32 = 90;

/// What a scan is planned and judged by.
#[derive(Debug, Clone)]
pub struct ScanBasis {
    /// Live records here.
    pub live: u64,
    /// Slices of history that are still being read.
    pub open: Vec<Slice>,
}

/// Reads it.
pub async fn scan_basis(db: &Database, object: ObjectId) -> Result<ScanBasis, StoreError> {
    const SQL: &str = "-- scan_basis\nSELECT live, open_slices FROM checkpoints WHERE object_id = $1";
    let client = db.control().await?;
    let row = client.query_opt(SQL, &[&object.0]).await.map_err(StoreError::at("scan_basis"))?;
    let row = row.ok_or(StoreError::Missing("the checkpoint"))?;
    let open: Json<Vec<Slice>> =
        row.try_get(1).map_err(|_| StoreError::Unreadable("checkpoints.open_slices"))?;
    Ok(ScanBasis { live: u64::try_from(row.get::<_, i64>(0)).unwrap_or_default(), open: open.0 })
}

/// Sets down what a scan brought, the later stamp of each; gives how many were new. No id twice in one call.
pub async fn scanned_upsert(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    scanned: &[(SalesforceId, Answered)],
) -> Result<u64, StoreError> {
    const SQL: &str = "-- scanned_upsert
        WITH set_down AS (
            INSERT INTO scanned_records AS s (tenant_id, connection_id, object_id, record_id, modstamp, deleted)
            SELECT $1, $2, $3, i.id, i.stamp, i.deleted
              FROM unnest($4::text[], $5::timestamptz[], $6::bool[]) AS i (id, stamp, deleted)
             ORDER BY i.id COLLATE \"C\"
            ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
               SET modstamp = excluded.modstamp, deleted = excluded.deleted WHERE excluded.modstamp >= s.modstamp
            RETURNING xmax = 0 AS is_new)
        SELECT count(*) FROM set_down WHERE is_new";
    if scanned.is_empty() {
        return Ok(0);
    }
    let ids: Vec<&str> = scanned.iter().map(|(id, _)| id.as_str()).collect();
    let stamps: Vec<Timestamp> = scanned.iter().map(|(_, now)| now.stamp).collect();
    let deleted: Vec<bool> = scanned.iter().map(|(_, now)| now.deleted).collect();
    let row = tx
        .sql()
        .query_one(SQL, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids, &stamps, &deleted])
        .await
        .map_err(StoreError::at("scanned_upsert"))?;
    Ok(count(&row, 0))
}

/// Lets go of what was set down, after `range.0` and up to `range.1`, to either end where there is none; `keep` stays.
pub async fn scanned_clear(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    range: (Option<&str>, Option<&str>),
    keep: &[&str],
) -> Result<(), StoreError> {
    const SQL: &str = "-- scanned_clear
        DELETE FROM scanned_records
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3
           AND record_id > $4 AND ($5::text IS NULL OR record_id <= $5) AND record_id <> ALL ($6::text[])";
    let (after, upto) = range;
    tx.sql()
        .execute(
            SQL,
            &[
                &tx.scope().tenant().0,
                &key.connection.0,
                &key.object.0,
                &after.unwrap_or_default(),
                &upto,
                &keep,
            ],
        )
        .await
        .map_err(StoreError::at("scanned_clear"))?;
    Ok(())
}

/// A record that is not the same here as the scan found it.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// Its id.
    pub id: SalesforceId,
    /// As the scan found it.
    pub there: Option<Answered>,
    /// As it is here.
    pub here: Option<Here>,
    /// When it was set aside last, if it is in the quarantine.
    pub set_aside_at: Option<Timestamp>,
}

/// A stretch of both sides, compared.
#[derive(Debug, Clone)]
pub struct Compared {
    /// It ends with this id; without one, with the last of both sides.
    pub upto: Option<String>,
    /// Records of the scan in it.
    pub there: u64,
    /// Live records here in it.
    pub here: u64,
    /// Those that differ.
    pub differences: Vec<Difference>,
}

/// Columns of a difference, from the fourth on. The two sides are each read in the order of their keys, so that a
/// stretch costs what it holds.
const COMPARE: &str = "-- verify_compare
    WITH there AS MATERIALIZED (
             SELECT record_id, modstamp, deleted FROM scanned_records
              WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id > $4
              ORDER BY record_id LIMIT $5),
         here AS MATERIALIZED (
             SELECT record_id, modstamp, read_at, state, reason FROM records
              WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id > $4
              ORDER BY record_id LIMIT $5),
         bound AS MATERIALIZED (
             SELECT least((SELECT max(record_id) FROM there HAVING count(*) = $5),
                          (SELECT max(record_id) FROM here HAVING count(*) = $5)) AS upto),
         pairs AS MATERIALIZED (
             SELECT coalesce(t.record_id, h.record_id) AS id, t.modstamp AS there_at, t.deleted,
                    h.modstamp AS here_at, h.read_at, h.state, h.reason
               FROM there t FULL JOIN here h ON h.record_id = t.record_id CROSS JOIN bound b
              WHERE b.upto IS NULL OR coalesce(t.record_id, h.record_id) <= b.upto),
         counts AS (
             SELECT count(deleted) AS there, count(*) FILTER (WHERE state = 0) AS here FROM pairs)
    SELECT b.upto, c.there, c.here, d.id, d.there_at, d.deleted, d.here_at, d.read_at, d.state, d.reason,
           (SELECT q.read_at FROM quarantine q
             WHERE q.connection_id = $2 AND q.object_id = $3 AND q.record_id = d.id OFFSET 0)
      FROM bound b CROSS JOIN counts c
      LEFT JOIN (SELECT * FROM pairs
                  WHERE (deleted IS NULL AND state = 0) OR state IS NULL
                     OR there_at >= here_at + interval '1 second' OR deleted = (state = 0)) d ON true";

/// Compares the next stretch of at most so many records of each side.
pub async fn verify_compare(
    db: &Database,
    scope: &TenantScope,
    key: ObjectKey,
    after: Option<&str>,
    most: usize,
) -> Result<Compared, StoreError> {
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    walk_by_key(&tx).await?;
    let rows = tx
        .sql()
        .query(
            COMPARE,
            &[
                &scope.tenant().0,
                &key.connection.0,
                &key.object.0,
                &after.unwrap_or_default(),
                &i64::try_from(most).unwrap_or(i64::MAX),
            ],
        )
        .await
        .map_err(StoreError::at("verify_compare"))?;
    tx.commit().await?;
    let first = rows.first().ok_or(StoreError::Missing("a stretch of records"))?;
    let differs = |row: &&Row| row.get::<_, Option<&str>>(3).is_some();
    Ok(Compared {
        upto: first.get(0),
        there: count(first, 1),
        here: count(first, 2),
        differences: rows.iter().filter(differs).map(|row| difference(row, 3)).collect::<Result<_, _>>()?,
    })
}

/// Statistics may not know the tenant; a planner then sorts all that it has, over and over.
async fn walk_by_key(tx: &TenantTx<'_>) -> Result<(), StoreError> {
    const SQL: &str = "-- verify_walk_by_key
        SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
               set_config('enable_sort', 'off', true)";
    tx.sql().query_one(SQL, &[]).await.map_err(StoreError::at("verify_walk_by_key"))?;
    Ok(())
}

/// The next of what is still set down, each as it is here by now.
pub async fn scanned_left(
    db: &Database,
    scope: &TenantScope,
    key: ObjectKey,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<Difference>, StoreError> {
    const SQL: &str = "-- scanned_left
        SELECT s.record_id, s.modstamp, s.deleted, r.modstamp, r.read_at, r.state, r.reason,
               (SELECT q.read_at FROM quarantine q
                 WHERE q.connection_id = $2 AND q.object_id = $3 AND q.record_id = s.record_id OFFSET 0)
          FROM scanned_records s
          LEFT JOIN LATERAL (
               SELECT modstamp, read_at, state, reason FROM records r
                WHERE r.connection_id = $2 AND r.object_id = $3 AND r.record_id = s.record_id OFFSET 0) r ON true
         WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.object_id = $3 AND s.record_id > $4
         ORDER BY s.record_id LIMIT $5";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    walk_by_key(&tx).await?;
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
        .map_err(StoreError::at("scanned_left"))?;
    tx.commit().await?;
    rows.iter().map(|row| difference(row, 0)).collect()
}

/// Whether records that are to be read whole are still waiting for it. What waits for a person is not waited for.
pub async fn repairs_wait(db: &Database, object: ObjectId) -> Result<bool, StoreError> {
    const SQL: &str = "-- repairs_wait
        SELECT EXISTS (SELECT FROM jobs WHERE tenant_id = (SELECT tenant_id FROM object_syncs WHERE object_id = $1)
                          AND class = $2 AND object_id = $1 AND kind = $3 AND state <> 3)";
    let client = db.control().await?;
    let row = client
        .query_one(SQL, &[&object.0, &Class::Verify.number(), &Kind::Related.word()])
        .await
        .map_err(StoreError::at("repairs_wait"))?;
    Ok(row.get(0))
}

/// What came of one scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Its place among all.
    pub id: i64,
    /// The connection.
    pub connection: ConnectionId,
    /// The object.
    pub object: ObjectId,
    /// Salesforce's clock at its first answer.
    pub began_at: Timestamp,
    /// When everything was compared, and what was amiss was read whole.
    pub ended_at: Timestamp,
    /// How it was read: `rest` or `bulk`.
    pub way: String,
    /// Calls of the scan itself, and of looking for what it did not find.
    pub calls: i64,
    /// What was found.
    pub balance: Balance,
    /// What nothing explains.
    pub unexplained: i64,
}

/// Writes it down, and lets go of the tenant's that are too old to matter.
pub async fn verification_insert(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    began_at: Timestamp,
    way: Way,
    calls: u64,
    balance: &Balance,
) -> Result<(), StoreError> {
    const INSERT: &str = "-- verification_insert
        INSERT INTO verifications (tenant_id, connection_id, object_id, began_at, way, calls, balance, unexplained)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    const PRUNE: &str = "-- verifications_prune
        DELETE FROM verifications WHERE tenant_id = $1 AND ended_at < now() - $2::int * interval '1 day'";
    let tenant = tx.scope().tenant().0;
    let number = |of: u64| i64::try_from(of).unwrap_or(i64::MAX);
    tx.sql()
        .execute(
            INSERT,
            &[
                &tenant,
                &key.connection.0,
                &key.object.0,
                &began_at,
                &way.word(),
                &number(calls),
                &Json(balance),
                &number(balance.unexplained()),
            ],
        )
        .await
        .map_err(StoreError::at("verification_insert"))?;
    tx.sql().execute(PRUNE, &[&tenant, &KEPT_DAYS]).await.map_err(StoreError::at("verifications_prune"))?;
    Ok(())
}

/// A tenant's results, the newest first, of one object or all; from before the one that the page before ended with.
pub async fn verifications_list(
    db: &Database,
    scope: &TenantScope,
    object: Option<ObjectId>,
    before: Option<i64>,
    limit: u16,
) -> Result<Vec<Verification>, StoreError> {
    const SQL: &str = "-- verifications_list
        SELECT verification_id, connection_id, object_id, began_at, ended_at, way, calls, balance, unexplained
          FROM verifications
         WHERE tenant_id = $1 AND ($2::int IS NULL OR object_id = $2) AND ($3::bigint IS NULL OR verification_id < $3)
         ORDER BY verification_id DESC LIMIT $4";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(SQL, &[&scope.tenant().0, &object.map(|object| object.0), &before, &i64::from(limit)])
        .await
        .map_err(StoreError::at("verifications_list"))?;
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            let balance: Json<Balance> =
                row.try_get(7).map_err(|_| StoreError::Unreadable("verifications.balance"))?;
            Ok(Verification {
                id: row.get(0),
                connection: ConnectionId(row.get(1)),
                object: ObjectId(row.get(2)),
                began_at: row.get(3),
                ended_at: row.get(4),
                way: row.get(5),
                calls: row.get(6),
                balance: balance.0,
                unexplained: row.get(8),
            })
        })
        .collect()
}

/// Eight columns of a difference, from this one on.
fn difference(row: &Row, at: usize) -> Result<Difference, StoreError> {
    let id = SalesforceId::parse(row.get(at)).map_err(|_| StoreError::Unreadable("records.record_id"))?;
    let stamp: Option<Timestamp> = row.get(at + 1);
    let deleted: Option<bool> = row.get(at + 2);
    let there = stamp.zip(deleted).map(|(stamp, deleted)| Answered { stamp, deleted });
    let stored: Option<Timestamp> = row.get(at + 3);
    let here = stored
        .map(|stamp| {
            let state = RecordState::from_columns(row.get(at + 5), row.get(at + 6));
            let state = state.ok_or(StoreError::Unreadable("records.state"))?;
            Ok::<_, StoreError>(Here { stamp, read_at: row.get(at + 4), state })
        })
        .transpose()?;
    Ok(Difference { id, there, here, set_aside_at: row.get(at + 7) })
}

fn count(row: &Row, at: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(at)).unwrap_or_default()
}
