//! Records: what is stored of a page's ids before anything is compressed or sealed, and the guarded upsert.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::Type;

use super::error::StoreError;
use super::pool::{Database, TenantTx};
use crate::clock::Timestamp;
use crate::crypto::ContentHash;
use crate::ids::{ConnectionId, FieldSetId, ObjectId, SalesforceId, TenantId};
use crate::record::{ReadOrder, RecordState};
use crate::tenant::TenantScope;

/// Which object of which connection; the middle of every content key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKey {
    /// The connection.
    pub connection: ConnectionId,
    /// The object.
    pub object: ObjectId,
}

/// The row key of a record's sealed payload, bound to it as associated data.
#[must_use]
pub fn payload_row_key(key: ObjectKey, record: &str) -> Vec<u8> {
    let mut row = Vec::with_capacity(16 + 4 + record.len());
    row.extend_from_slice(key.connection.0.as_bytes());
    row.extend_from_slice(&key.object.0.to_be_bytes());
    row.extend_from_slice(record.as_bytes());
    row
}

/// What is stored of a record already.
#[derive(Debug, Clone)]
pub struct Known {
    /// The read that stored it.
    pub order: ReadOrder,
    /// Its state.
    pub state: Option<RecordState>,
    /// Hash of its canonical record, when it has one.
    pub hash: Option<ContentHash>,
}

/// A record to be written.
#[derive(Debug, Clone)]
pub struct RecordRow {
    /// Its id.
    pub id: SalesforceId,
    /// The read that brought it.
    pub order: ReadOrder,
    /// Its state.
    pub state: RecordState,
    /// Hash and sealed payload of a live one.
    pub sealed: Option<(ContentHash, Vec<u8>)>,
    /// Keyed tokens of the people it names, back to back.
    pub identities: Vec<u8>,
}

/// Looks up what is stored of these ids, in the way that [`page_commit`](super::page_commit) explains.
pub async fn records_known(
    db: &Database,
    scope: &TenantScope,
    key: ObjectKey,
    ids: &[&str],
) -> Result<HashMap<SalesforceId, Known>, StoreError> {
    const SQL: &str = "-- records_known
        SELECT k.id, r.* FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT modstamp, read_at, field_set_id, state, reason, content_hash FROM records
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) r";
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let rows = tx
        .sql()
        .query_typed(
            SQL,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("records_known"))?;
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            let id =
                SalesforceId::parse(row.get(0)).map_err(|_| StoreError::Unreadable("records.record_id"))?;
            let known = Known {
                order: ReadOrder {
                    stamp: row.get(1),
                    read_at: row.get(2),
                    field_set: FieldSetId(row.get(3)),
                },
                state: RecordState::from_columns(row.get(4), row.get(5)),
                hash: row.get::<_, Option<&[u8]>>(6).and_then(|hash| hash.try_into().ok()),
            };
            Ok((id, known))
        })
        .collect()
}

/// The guard is `record::merge::takes_place` in SQL. Rows are taken in key order, so that two pages never wait for
/// each other in a circle. Returns the ids that were written, whether each is a live row more, less or neither, and
/// what it was: an upsert does not tell what it replaced, so the row keeps the state that it had before, and 16 is added
/// where both reads are too close to tell which was last (`ReadOrder::is_close_to`). What is gone may come without the
/// people that it named; it still names them.
const UPSERT: &str = "-- records_upsert
    INSERT INTO records AS r (tenant_id, connection_id, object_id, record_id, modstamp, read_at, field_set_id,
                              state, reason, content_hash, identities, payload)
    SELECT $1, $2, $3, i.record_id, i.modstamp, i.read_at, i.field_set_id, i.state, i.reason, i.hash, i.identities, i.payload
      FROM unnest($4::text[], $5::timestamptz[], $6::timestamptz[], $7::int[], $8::int2[], $9::int2[], $10::bytea[],
                  $11::bytea[], $12::bytea[])
           AS i (record_id, modstamp, read_at, field_set_id, state, reason, hash, identities, payload)
     ORDER BY i.record_id COLLATE \"C\"
    ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
       SET modstamp = excluded.modstamp, read_at = excluded.read_at, field_set_id = excluded.field_set_id,
           state = excluded.state, reason = excluded.reason, content_hash = excluded.content_hash,
           identities = CASE WHEN excluded.state = 2 THEN coalesce(excluded.identities, r.identities) ELSE excluded.identities END,
           payload = excluded.payload,
           was = r.state + CASE WHEN r.modstamp = excluded.modstamp AND r.read_at >= excluded.read_at - interval '120 seconds'
                                THEN 16 ELSE 0 END
     WHERE excluded.field_set_id >= r.field_set_id
       AND CASE WHEN excluded.modstamp = r.modstamp AND excluded.state = 2 AND r.state = 2 AND excluded.reason = 11 AND r.reason = 12
                THEN false
                WHEN excluded.modstamp = r.modstamp AND excluded.state = 2 AND r.state = 2 AND excluded.reason = 12 AND r.reason = 11
                THEN true
                ELSE (excluded.modstamp, excluded.read_at) >= (r.modstamp, r.read_at) END
    RETURNING record_id, (state = 0)::int - (was & 15 IS NOT DISTINCT FROM 0)::int, (was & 15)::int2, was >= 16";

/// What an upsert did.
#[derive(Debug, Default)]
pub struct Written {
    /// The records that were written, and the state of each before; none when it was not here.
    pub was: HashMap<SalesforceId, Option<i16>>,
    /// Those of them that replaced a read too close to theirs to tell which was last.
    pub close: HashSet<SalesforceId>,
    /// How many live records more there are; negative for fewer.
    pub live: i64,
}

/// Writes the rows that no equal or newer read has stored already.
pub async fn records_upsert(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    rows: &[RecordRow],
) -> Result<Written, StoreError> {
    let columns = Columns::of(rows);
    let statement = tx.sql().prepare_cached(UPSERT).await.map_err(StoreError::at("records_upsert"))?;
    let tenant: TenantId = tx.scope().tenant();
    let written = tx
        .sql()
        .query(
            &statement,
            &[
                &tenant.0,
                &key.connection.0,
                &key.object.0,
                &columns.ids,
                &columns.stamps,
                &columns.read_at,
                &columns.field_sets,
                &columns.states,
                &columns.reasons,
                &columns.hashes,
                &columns.identities,
                &columns.payloads,
            ],
        )
        .await
        .map_err(StoreError::at("records_upsert"))?;
    let mut done = Written::default();
    for row in &written {
        let id = SalesforceId::parse(row.get(0)).map_err(|_| StoreError::Unreadable("records.record_id"))?;
        done.live += i64::from(row.get::<_, i32>(1));
        done.was.insert(id, row.get(2));
        if row.get::<_, Option<bool>>(3) == Some(true) {
            done.close.insert(id);
        }
    }
    Ok(done)
}

/// The rows turned sideways, as UNNEST wants them.
struct Columns<'a> {
    ids: Vec<&'a str>,
    stamps: Vec<Timestamp>,
    read_at: Vec<Timestamp>,
    field_sets: Vec<i32>,
    states: Vec<i16>,
    reasons: Vec<Option<i16>>,
    hashes: Vec<Option<&'a [u8]>>,
    identities: Vec<Option<&'a [u8]>>,
    payloads: Vec<Option<&'a [u8]>>,
}

impl<'a> Columns<'a> {
    fn of(rows: &'a [RecordRow]) -> Self {
        let sealed = |row: &'a RecordRow| row.sealed.as_ref();
        Self {
            ids: rows.iter().map(|row| row.id.as_str()).collect(),
            stamps: rows.iter().map(|row| row.order.stamp).collect(),
            read_at: rows.iter().map(|row| row.order.read_at).collect(),
            field_sets: rows.iter().map(|row| row.order.field_set.0).collect(),
            states: rows.iter().map(|row| row.state.to_columns().0).collect(),
            reasons: rows.iter().map(|row| row.state.to_columns().1).collect(),
            hashes: rows.iter().map(|row| sealed(row).map(|(hash, _)| hash.as_slice())).collect(),
            identities: rows
                .iter()
                .map(|row| (!row.identities.is_empty()).then_some(row.identities.as_slice()))
                .collect(),
            payloads: rows.iter().map(|row| sealed(row).map(|(_, payload)| payload.as_slice())).collect(),
        }
    }
}
