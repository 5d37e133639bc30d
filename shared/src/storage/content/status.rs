//! Where every object sync of a tenant stands, with numbers that add up.

// `Timestamp` by its own name, which the API's description knows.
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Timestamp as SqlTimestamp};
use utoipa::ToSchema;

use super::reprojecting::{Reprojecting, reprojecting_in};
use crate::clock::Timestamp;
use crate::error::UserMessage;
use crate::freshness::CoveredFrom;
use crate::ids::{ConnectionId, ObjectId};
use crate::job::SyncState;
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// One object sync.
#[derive(Debug, Clone)]
pub struct ObjectStatus {
    /// The object sync.
    pub object: ObjectId,
    /// Its connection.
    pub connection: ConnectionId,
    /// The object's API name.
    pub api_name: String,
    /// What it is to a ticket.
    pub role: String,
    /// Whether it is wanted.
    pub enabled: bool,
    /// How often it is read, in seconds.
    pub interval_s: i32,
    /// Progress; none before the reconciler has seen it.
    pub progress: Option<ObjectProgress>,
    /// Live records here.
    pub stored: i64,
    /// Records set aside.
    pub set_aside: i64,
    /// What a person must do for a part of its work: a slice of history or a sweep that is parked by itself.
    pub ask: Option<UserMessage>,
    /// Every deletion before this is known, by the log of deletions; none where Salesforce keeps no log of it.
    pub deletions_known_to: Option<Timestamp>,
    /// When the last whole sweep began.
    pub swept_at: Option<Timestamp>,
    /// Every change of a parent before this shows in the values that are read along from it; none where none are.
    pub linked_known_to: Option<Timestamp>,
    /// When everything here was last begun to be read again, for formulas and for parents that cannot be followed.
    pub refreshed_at: Option<Timestamp>,
    /// What came of the last scan of everything that Salesforce shows.
    pub verified: Option<Verified>,
    /// What of it is read once more, while it is.
    pub resyncing: Option<Resyncing>,
    /// How far its records are projected anew, while they are.
    pub reprojecting: Option<Reprojecting>,
}

/// A part of history that is read once more because a person asked for it. The API shows it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resyncing {
    /// What is stamped since then, or since the oldest moment that is left of it.
    pub from: DateTime<Utc>,
    /// How many slices of it are left; 0 before it is planned.
    pub slices_left: i64,
}

/// The last comparison of an object with everything that Salesforce shows, in short. The API shows it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// Salesforce's clock when it began.
    pub began_at: DateTime<Utc>,
    /// Records that Salesforce showed.
    pub there: i64,
    /// Of them, those that were amiss here, and were read whole.
    pub amiss: i64,
    /// Records here that Salesforce shows no more, and that were taken away.
    pub extra: i64,
    /// What nothing explains: zero, or somebody must look.
    pub unexplained: i64,
}

/// What became of the records that were read: the sum of the six outcomes is what was read. The API shows it as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordCounts {
    /// Records read so far.
    pub records_read: i64,
    /// Of them, written.
    pub written: i64,
    /// Of them, with the same content as here.
    pub unchanged: i64,
    /// Of them, not newer than what was here.
    pub superseded: i64,
    /// Of them, set aside.
    pub quarantined: i64,
    /// Of them, of people who must not come back.
    pub suppressed: i64,
    /// Of them, of tickets whose time is over.
    #[serde(default)]
    pub expired: i64,
    /// Of them, outside of the object's filter, or of tickets that are.
    #[serde(default)]
    pub filtered: i64,
    /// Found late, by the overlap.
    pub late: i64,
    /// Calls made to Salesforce.
    pub api_calls: i64,
}

/// Its checkpoint.
#[derive(Debug, Clone)]
pub struct ObjectProgress {
    /// Where it stands.
    pub state: SyncState,
    /// What a person must do.
    pub ask: Option<UserMessage>,
    /// Everything stamped before this is here.
    pub watermark_at: Option<Timestamp>,
    /// History is complete from here.
    pub covered_from: Option<CoveredFrom>,
    /// `COUNT()` when the first load was planned; `None` before, and where Salesforce could not count so many.
    pub expected: Option<i64>,
    /// What was read so far.
    pub counts: RecordCounts,
    /// First load complete.
    pub loaded_at: Option<Timestamp>,
    /// Last window complete.
    pub passed_at: Option<Timestamp>,
}

/// Everything of a tenant at one moment.
#[derive(Debug, Clone)]
pub struct TenantStatus {
    /// Each object sync, in the order of their making.
    pub objects: Vec<ObjectStatus>,
    /// Live tickets.
    pub tickets: i64,
    /// Tickets whose record has not come yet.
    pub awaiting_parent: i64,
    /// Live items of conversations.
    pub messages: i64,
    /// The mapping version of today.
    pub mapping_version: i64,
}

/// Reads it in one snapshot, so that the numbers belong together. Nothing is counted here: page commits keep the
/// numbers, so that this costs the same whatever the tenant's size.
pub async fn status_get(db: &Database, scope: &TenantScope) -> Result<TenantStatus, StoreError> {
    const OBJECTS: &str = "-- status_objects
        WITH aside AS (SELECT object_id, count(*) AS n FROM quarantine WHERE tenant_id = $1 GROUP BY object_id),
        parked AS (SELECT DISTINCT ON (object_id) object_id, ask FROM jobs
                    WHERE tenant_id = $1 AND state = 3 ORDER BY object_id, job_id)
        SELECT o.object_id, o.connection_id, o.api_name, o.role, o.enabled, o.interval_s,
               coalesce(c.live, 0), coalesce(a.n, 0),
               c.state, c.ask, c.watermark_at, c.covered_from, c.expected, c.records_read, c.written, c.unchanged,
               c.superseded, c.quarantined, c.suppressed, c.late, c.api_calls, c.loaded_at, c.passed_at,
               p.ask,
               (SELECT (progress->>'covered')::timestamptz FROM jobs WHERE unique_key = 'deleted/' || o.object_id),
               (SELECT (progress->>'last')::timestamptz FROM jobs WHERE unique_key = 'sweep/' || o.object_id),
               v.began_at, v.there, v.amiss, v.extra, v.unexplained, c.expired,
               least((SELECT min(f.watermark_at) FROM jsonb_array_elements(c.derived->'edges') e
                        JOIN followed_parents f ON f.tenant_id = $1 AND f.connection_id = o.connection_id
                                               AND f.api_name = e->>'parent'),
                     (SELECT min(s.changed_at) FROM stale_links s
                       WHERE s.tenant_id = $1 AND s.connection_id = o.connection_id AND s.object_id = o.object_id)),
               (SELECT (progress->>'last')::timestamptz FROM jobs WHERE unique_key = 'refresh/' || o.object_id),
               CASE WHEN c.state = 'current' THEN coalesce((c.wish->>'from')::timestamptz,
                    (SELECT min((s->>'lo')::timestamptz) FROM jsonb_array_elements(c.open_slices) s)) END,
               jsonb_array_length(c.open_slices)::bigint, c.filtered
          FROM object_syncs o LEFT JOIN checkpoints c USING (object_id)
          LEFT JOIN aside a USING (object_id) LEFT JOIN parked p USING (object_id)
          LEFT JOIN LATERAL (
               SELECT began_at, (balance->>'there')::bigint AS there, (balance->>'extra')::bigint AS extra, unexplained,
                      (balance->>'lost')::bigint + (balance->>'stale')::bigint + (balance->>'undead')::bigint AS amiss
                 FROM verifications v WHERE v.tenant_id = $1 AND v.object_id = o.object_id
                ORDER BY v.verification_id DESC LIMIT 1) v ON true
         WHERE o.tenant_id = $1 ORDER BY o.object_id";
    const TOTALS: &str = "-- status_totals
        SELECT f.tickets, f.shells, (SELECT coalesce(sum(items), 0)::bigint FROM checkpoints WHERE tenant_id = $1),
               (SELECT mapping_epoch FROM tenant_gates WHERE tenant_id = $1)
          FROM tenant_feed f WHERE f.tenant_id = $1";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let tenant = scope.tenant().0;
    let objects = tx.sql().query(OBJECTS, &[&tenant]).await.map_err(StoreError::at("status_objects"))?;
    let totals = tx.sql().query_one(TOTALS, &[&tenant]).await.map_err(StoreError::at("status_totals"))?;
    let reprojecting = reprojecting_in(&tx).await?;
    tx.commit().await?;
    let mut objects: Vec<ObjectStatus> = objects.iter().map(object).collect::<Result<_, _>>()?;
    for one in &mut objects {
        one.reprojecting = reprojecting.iter().find(|found| found.object_id == one.object).cloned();
    }
    Ok(TenantStatus {
        objects,
        tickets: totals.get(0),
        awaiting_parent: totals.get(1),
        messages: totals.get(2),
        mapping_version: totals.get(3),
    })
}

fn object(row: &Row) -> Result<ObjectStatus, StoreError> {
    Ok(ObjectStatus {
        object: ObjectId(row.get(0)),
        connection: ConnectionId(row.get(1)),
        api_name: row.get(2),
        role: row.get(3),
        enabled: row.get(4),
        interval_s: row.get(5),
        stored: row.get(6),
        set_aside: row.get(7),
        progress: row.get::<_, Option<&str>>(8).map(|state| progress(state, row)).transpose()?,
        ask: row.get::<_, Option<Json<UserMessage>>>(23).map(|ask| ask.0),
        deletions_known_to: row.get(24),
        swept_at: row.get(25),
        linked_known_to: row.get(32),
        refreshed_at: row.get(33),
        verified: row.get::<_, Option<Timestamp>>(26).map(|began_at| Verified {
            began_at,
            there: row.get::<_, Option<i64>>(27).unwrap_or_default(),
            amiss: row.get::<_, Option<i64>>(28).unwrap_or_default(),
            extra: row.get::<_, Option<i64>>(29).unwrap_or_default(),
            unexplained: row.get(30),
        }),
        resyncing: row
            .get::<_, Option<Timestamp>>(34)
            .map(|from| Resyncing { from, slices_left: row.get::<_, Option<i64>>(35).unwrap_or_default() }),
        reprojecting: None,
    })
}

fn progress(state: &str, row: &Row) -> Result<ObjectProgress, StoreError> {
    Ok(ObjectProgress {
        state: SyncState::from_word(state).ok_or(StoreError::Unreadable("checkpoints.state"))?,
        ask: row.get::<_, Option<Json<UserMessage>>>(9).map(|ask| ask.0),
        watermark_at: row.get(10),
        covered_from: match row.get::<_, Option<SqlTimestamp<Timestamp>>>(11) {
            Some(SqlTimestamp::Value(at)) => Some(CoveredFrom::At(at)),
            Some(SqlTimestamp::NegInfinity) => Some(CoveredFrom::Start),
            Some(SqlTimestamp::PosInfinity) | None => None,
        },
        expected: row.get(12),
        counts: RecordCounts {
            records_read: row.get(13),
            written: row.get(14),
            unchanged: row.get(15),
            superseded: row.get(16),
            quarantined: row.get(17),
            suppressed: row.get(18),
            expired: row.get(31),
            filtered: row.get(36),
            late: row.get(19),
            api_calls: row.get(20),
        },
        loaded_at: row.get(21),
        passed_at: row.get(22),
    })
}
