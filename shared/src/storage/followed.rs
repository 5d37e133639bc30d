//! The parents of linked values: which are followed and how far, and what changed of them.

use std::collections::HashMap;

use tokio_postgres::types::Json;

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use super::records::ObjectKey;
use crate::catalog::{Derived, Field, ObjectDescribe};
use crate::clock::Timestamp;
use crate::crypto::ContentHash;
use crate::ids::{ConnectionId, ObjectId, SalesforceId};
use crate::job::checkpoint::{ObjectSettings, Position};
use crate::job::follow::Followed;
use crate::tenant::TenantScope;

/// A parent that is followed anew is not asked for changes from before so many days: what was read before then is read
/// again on its own schedule.
const BACK_DAYS: i32 = 2;
/// What parents showed is forgotten after so many days; a touch of one leads to its children once more then.
const SEEN_DAYS: i32 = 90;

/// An object that is read, with what decides over its values.
#[derive(Debug)]
pub struct ReadObject {
    /// The object.
    pub object: ObjectId,
    /// How often it is read, in seconds.
    pub interval_s: i32,
    /// What people set.
    pub settings: ObjectSettings,
    /// How it looks.
    pub describe: ObjectDescribe,
    /// What is read of it.
    pub fields: Vec<Field>,
    /// What was found when it was looked at for this last.
    pub derived: Option<Derived>,
}

/// The objects of a connection that are read.
pub async fn read_objects(
    db: &Database,
    scope: &TenantScope,
    connection: ConnectionId,
) -> Result<Vec<ReadObject>, StoreError> {
    const SQL: &str = "-- derived_read_objects
        SELECT o.object_id, o.interval_s, o.settings, d.body, f.fields, c.derived
          FROM object_syncs o JOIN checkpoints c USING (object_id) JOIN describes d ON d.object_id = o.object_id
          JOIN field_sets f ON f.field_set_id = c.field_set_id
         WHERE o.tenant_id = $1 AND o.connection_id = $2 AND o.enabled AND c.state IN ('loading', 'current')
         ORDER BY o.object_id";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(SQL, &[&scope.tenant().0, &connection.0])
        .await
        .map_err(StoreError::at("derived_read_objects"))?;
    tx.commit().await?;
    let unreadable = |what| move |_| StoreError::Unreadable(what);
    rows.iter()
        .map(|row| {
            Ok(ReadObject {
                object: ObjectId(row.get(0)),
                interval_s: row.get(1),
                settings: row
                    .try_get::<_, Json<ObjectSettings>>(2)
                    .map_err(unreadable("object_syncs.settings"))?
                    .0,
                describe: row.try_get::<_, Json<ObjectDescribe>>(3).map_err(unreadable("describes.body"))?.0,
                fields: row.try_get::<_, Json<Vec<Field>>>(4).map_err(unreadable("field_sets.fields"))?.0,
                derived: row
                    .try_get::<_, Option<Json<Derived>>>(5)
                    .map_err(unreadable("checkpoints.derived"))?
                    .map(|derived| derived.0),
            })
        })
        .collect()
}

/// The parents that are followed.
pub async fn followed_list(
    db: &Database,
    scope: &TenantScope,
    connection: ConnectionId,
) -> Result<Vec<Followed>, StoreError> {
    const SQL: &str = "-- followed_list
        SELECT api_name, body, described_at, watermark_at, window_hi, position_stamp, position_id, followed_at
          FROM followed_parents WHERE tenant_id = $1 AND connection_id = $2
         ORDER BY followed_at NULLS FIRST, api_name";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query(SQL, &[&scope.tenant().0, &connection.0])
        .await
        .map_err(StoreError::at("followed_list"))?;
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            let describe: Option<Json<ObjectDescribe>> =
                row.try_get(1).map_err(|_| StoreError::Unreadable("followed_parents.body"))?;
            let position = row.get::<_, Option<Timestamp>>(5).zip(row.get(6));
            Ok(Followed {
                api_name: row.get(0),
                describe: describe.map(|describe| describe.0),
                described_at: row.get(2),
                watermark: row.get(3),
                followed_at: row.get(7),
                window_hi: row.get(4),
                position: position.map(|(stamp, id)| Position { stamp, id }),
            })
        })
        .collect()
}

/// Stores where an object's values come from.
pub async fn derived_store(tx: &TenantTx<'_>, object: ObjectId, derived: &Derived) -> Result<(), StoreError> {
    const SQL: &str = "-- derived_store\nUPDATE checkpoints SET derived = $2 WHERE object_id = $1";
    tx.sql().execute(SQL, &[&object.0, &Json(derived)]).await.map_err(StoreError::at("derived_store"))?;
    Ok(())
}

/// Begins to follow parents, from when the connection's objects were first wanted; those that are followed stay as they are,
/// and those that nothing leads to any more are let go.
pub async fn followed_set(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    parents: &[&str],
) -> Result<(), StoreError> {
    const BEGIN: &str = "-- followed_begin
        INSERT INTO followed_parents (tenant_id, connection_id, api_name, watermark_at)
        SELECT $1, $2, p.api_name, greatest(w.at, now() - $4::int * interval '1 day')
          FROM unnest($3::text[]) AS p (api_name)
         CROSS JOIN (SELECT min(created_at) AS at FROM object_syncs WHERE connection_id = $2) w
        ON CONFLICT (tenant_id, connection_id, api_name) DO NOTHING";
    const END: &str = "-- followed_end
        DELETE FROM followed_parents WHERE tenant_id = $1 AND connection_id = $2 AND api_name <> ALL ($3::text[])";
    let tenant = tx.scope().tenant().0;
    tx.sql()
        .execute(BEGIN, &[&tenant, &connection.0, &parents, &BACK_DAYS])
        .await
        .map_err(StoreError::at("followed_begin"))?;
    tx.sql()
        .execute(END, &[&tenant, &connection.0, &parents])
        .await
        .map_err(StoreError::at("followed_end"))?;
    Ok(())
}

/// Stores how a followed parent looks now, or that it cannot be seen.
pub async fn followed_describe(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    parent: &str,
    describe: Option<&ObjectDescribe>,
) -> Result<(), StoreError> {
    const SQL: &str = "-- followed_describe
        UPDATE followed_parents SET body = $4, described_at = now()
         WHERE tenant_id = $1 AND connection_id = $2 AND api_name = $3";
    tx.sql()
        .execute(SQL, &[&tx.scope().tenant().0, &connection.0, &parent, &describe.map(Json)])
        .await
        .map_err(StoreError::at("followed_describe"))?;
    Ok(())
}

/// Where the following of a parent goes.
#[derive(Debug, Clone)]
pub enum FollowMove {
    /// Inside of a window: its end, and the last parent noted.
    Inside(Timestamp, Option<Position>),
    /// The window is done, at this moment: every change before the first is noted.
    Done(Timestamp, Timestamp),
}

/// Moves it, past so many parents.
pub async fn followed_move(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    parent: &str,
    to: &FollowMove,
    rows: usize,
) -> Result<(), StoreError> {
    const SQL: &str = "-- followed_move
        UPDATE followed_parents
           SET watermark_at = greatest(watermark_at, $4::timestamptz), window_hi = $5::timestamptz,
               position_stamp = $6::timestamptz, position_id = $7::text, records_read = records_read + $8,
               followed_at = coalesce($9::timestamptz, followed_at)
         WHERE tenant_id = $1 AND connection_id = $2 AND api_name = $3";
    let (watermark, at, hi, position) = match to {
        FollowMove::Inside(hi, position) => (None, None, Some(*hi), position.as_ref()),
        FollowMove::Done(watermark, at) => (Some(*watermark), Some(*at), None, None),
    };
    tx.sql()
        .execute(
            SQL,
            &[
                &tx.scope().tenant().0,
                &connection.0,
                &parent,
                &watermark,
                &hi,
                &position.map(|position| position.stamp),
                &position.map(|position| position.id.as_str()),
                &i64::try_from(rows).unwrap_or(i64::MAX),
                &at,
            ],
        )
        .await
        .map_err(StoreError::at("followed_move"))?;
    Ok(())
}

/// A parent as a window brought it.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Its stamp.
    pub stamp: Timestamp,
    /// Keyed hash of what it shows to its children.
    pub shown: ContentHash,
}

/// Notes, for each reference of each object that leads to them, the parents that show something else than when they were
/// seen last; gives how many those were. What parents showed long ago is forgotten.
pub async fn parents_note(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    parents: &HashMap<SalesforceId, Changed>,
    edges: &[(ObjectId, &str)],
) -> Result<u64, StoreError> {
    const SQL: &str = "-- parents_note
        WITH changed AS (
            INSERT INTO parents_seen AS s (tenant_id, connection_id, parent_id, shown)
            SELECT $1, $2, i.id, i.shown FROM unnest($3::text[], $5::bytea[]) AS i (id, shown) ORDER BY i.id COLLATE \"C\"
            ON CONFLICT (tenant_id, connection_id, parent_id) DO UPDATE
               SET shown = excluded.shown, seen_at = now() WHERE s.shown <> excluded.shown
            RETURNING parent_id),
        noted AS (
            INSERT INTO stale_links AS l (tenant_id, connection_id, object_id, field, parent_id, changed_at)
            SELECT $1, $2, e.object_id, e.field, i.id, i.stamp
              FROM unnest($3::text[], $4::timestamptz[]) AS i (id, stamp) JOIN changed c ON c.parent_id = i.id
             CROSS JOIN unnest($6::int[], $7::text[]) AS e (object_id, field)
             ORDER BY e.object_id, e.field, i.id COLLATE \"C\"
            ON CONFLICT (tenant_id, connection_id, object_id, field, parent_id) DO UPDATE
               SET changed_at = least(l.changed_at, excluded.changed_at), noted_at = now())
        SELECT count(*) FROM changed";
    if parents.is_empty() || edges.is_empty() {
        return Ok(0);
    }
    let ids: Vec<&str> = parents.keys().map(SalesforceId::as_str).collect();
    let stamps: Vec<Timestamp> = parents.values().map(|parent| parent.stamp).collect();
    let shown: Vec<&[u8]> = parents.values().map(|parent| parent.shown.as_slice()).collect();
    let (objects, fields): (Vec<i32>, Vec<&str>) =
        edges.iter().map(|(object, field)| (object.0, *field)).unzip();
    let row = tx
        .sql()
        .query_one(SQL, &[&tx.scope().tenant().0, &connection.0, &ids, &stamps, &shown, &objects, &fields])
        .await
        .map_err(StoreError::at("parents_note"))?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}

/// Notes, for each reference that leads to them, parents that are gone: one that was purged has no stamp by which it could
/// be followed. What they showed is forgotten, for they may be seen again.
pub(super) async fn parents_gone(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    parents: &[(&str, Timestamp)],
) -> Result<(), StoreError> {
    const SQL: &str = "-- parents_gone
        WITH forgotten AS (
            DELETE FROM parents_seen WHERE tenant_id = $1 AND connection_id = $2 AND parent_id = ANY ($4::text[]))
        INSERT INTO stale_links AS l (tenant_id, connection_id, object_id, field, parent_id, changed_at)
        SELECT DISTINCT $1, $2, c.object_id, e->>'field', i.id, i.stamp
          FROM object_syncs p JOIN object_syncs o USING (tenant_id, connection_id)
          JOIN checkpoints c ON c.object_id = o.object_id
         CROSS JOIN jsonb_array_elements(c.derived->'edges') e
         CROSS JOIN unnest($4::text[], $5::timestamptz[]) AS i (id, stamp)
         WHERE p.object_id = $3 AND p.tenant_id = $1 AND e->>'parent' = p.api_name
         ORDER BY c.object_id, e->>'field', i.id
        ON CONFLICT (tenant_id, connection_id, object_id, field, parent_id) DO UPDATE
           SET changed_at = least(l.changed_at, excluded.changed_at), noted_at = now()";
    if parents.is_empty() {
        return Ok(());
    }
    let (ids, stamps): (Vec<&str>, Vec<Timestamp>) = parents.iter().copied().unzip();
    tx.sql()
        .execute(SQL, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids, &stamps])
        .await
        .map_err(StoreError::at("parents_gone"))?;
    Ok(())
}

/// Forgets what parents showed long ago; gives the objects with changed parents whose children are still to be read.
pub async fn follow_over(
    db: &Database,
    scope: &TenantScope,
    connection: ConnectionId,
) -> Result<Vec<ObjectId>, StoreError> {
    const FORGET: &str = "-- parents_forget
        DELETE FROM parents_seen WHERE tenant_id = $1 AND connection_id = $2 AND seen_at < now() - $3::int * interval '1 day'";
    const STALE: &str = "-- stale_objects
        SELECT DISTINCT object_id FROM stale_links WHERE tenant_id = $1 AND connection_id = $2";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let tenant = scope.tenant().0;
    tx.sql()
        .execute(FORGET, &[&tenant, &connection.0, &SEEN_DAYS])
        .await
        .map_err(StoreError::at("parents_forget"))?;
    let rows =
        tx.sql().query(STALE, &[&tenant, &connection.0]).await.map_err(StoreError::at("stale_objects"))?;
    tx.commit().await?;
    Ok(rows.iter().map(|row| ObjectId(row.get(0))).collect())
}
