//! Bodies of files: which are wanted, where each is, and its sealed chunks.
//!
//! A body is written as a *load*: chunks under a fresh id, any number of commits long, that nobody sees until the last
//! commit points to them. A worker that dies leaves rubble, which the job's next run sweeps away.

use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use super::error::StoreError;
use super::pool::TenantTx;
use super::related::Owner;
use crate::catalog::{FilePolicy, LeftOut};
use crate::crypto::{CryptoError, TenantKeys};
use crate::ids::{ConnectionId, ObjectId};
use crate::job::lease::{Class, Kind};
use crate::ticket::FileRow;

/// Files in one job, at most: a job of small ones is over soon.
const FILES_IN_JOB: i64 = 20;
/// The column that a chunk is bound to, wherever chunks are kept.
const CHUNK: &str = "file_chunks.body";
const DIGEST: &str = "files.digest";

/// What is known of a file's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum BodyState {
    /// To be fetched.
    Wanted = 0,
    /// Here.
    Stored = 1,
    /// Not kept, by the tenant's policy.
    LeftOut = 2,
    /// Salesforce does not give it.
    NotThere = 3,
}

impl BodyState {
    const ALL: [Self; 4] = [Self::Wanted, Self::Stored, Self::LeftOut, Self::NotThere];

    /// The closed word in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Stored => "stored",
            Self::LeftOut => "left_out",
            Self::NotThere => "not_there",
        }
    }

    /// Reads the stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i16 == number)
    }
}

/// Where chunks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkPlace {
    /// In PostgreSQL.
    Database,
    /// In an object store.
    Objects,
}

impl ChunkPlace {
    /// The closed word in SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Objects => "objects",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Database, Self::Objects].into_iter().find(|place| place.word() == word)
    }
}

/// Loads of a file whose chunks are swept away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loads {
    /// All: the file is kept no more.
    All,
    /// All but the one that is the body.
    But(Uuid),
    /// One that did not become the body.
    Only(Uuid),
}

impl Loads {
    /// Whether a load is among them.
    #[must_use]
    pub fn has(self, load: Uuid) -> bool {
        match self {
            Self::All => true,
            Self::But(kept) => load != kept,
            Self::Only(one) => load == one,
        }
    }
}

/// A stored body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Whose chunks.
    pub load: Uuid,
    /// Where they are.
    pub place: ChunkPlace,
    /// How many.
    pub chunks: i32,
    /// Length in bytes.
    pub bytes: i64,
    /// SHA-256.
    pub digest: Vec<u8>,
}

/// A file as it is known.
#[derive(Debug, Clone)]
pub struct File {
    /// The record that has the body.
    pub id: String,
    /// Its object.
    pub object: String,
    /// Its field.
    pub field: String,
    /// What is known of the body.
    pub state: BodyState,
    /// Where the body is, when it is here.
    pub body: Option<Body>,
    /// Which wish this is; what comes for an older one is not kept.
    pub asked: i32,
}

/// A chunk's place: bound to it when it is sealed, so that none can stand for another.
#[must_use]
pub fn chunk_row_key(connection: ConnectionId, file: &str, load: Uuid, n: i32) -> Vec<u8> {
    let mut row = Vec::with_capacity(16 + 18 + 16 + 4);
    row.extend_from_slice(connection.0.as_bytes());
    row.extend_from_slice(file.as_bytes());
    row.extend_from_slice(load.as_bytes());
    row.extend_from_slice(&n.to_be_bytes());
    row
}

/// Seals a chunk for its place.
pub fn chunk_seal(keys: &TenantKeys, row: &[u8], chunk: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut sealed = Vec::with_capacity(chunk.len() + 64);
    keys.seal(CHUNK, row, chunk, &mut sealed)?;
    Ok(sealed)
}

/// Opens a chunk from its place.
pub fn chunk_open(keys: &TenantKeys, row: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    keys.open(CHUNK, row, sealed)
}

/// Notes the files that a page's live items name, and makes jobs that fetch the bodies that are wanted. `again` marks
/// bodies that may have changed with their record: of one that is left out now, what was kept before is swept away.
pub async fn files_want(
    tx: &TenantTx<'_>,
    owner: Owner,
    item_object: ObjectId,
    files: &[(&FileRow, bool)],
) -> Result<(), StoreError> {
    const SQL: &str = "-- files_want
        WITH wanted AS (
            INSERT INTO files AS f (tenant_id, connection_id, file_id, object, body, state, reason, bytes)
            SELECT $1, $2, i.file_id, i.object, i.body, CASE WHEN i.reason IS NULL THEN 0 ELSE 2 END, i.reason, i.bytes
              FROM (SELECT DISTINCT ON (u.file_id COLLATE \"C\") u.*
                      FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bool[])
                           AS u (file_id, object, body, reason, bytes, again)
                     ORDER BY u.file_id COLLATE \"C\", u.again DESC) i
            ON CONFLICT (tenant_id, connection_id, file_id) DO UPDATE
               SET state = excluded.state, reason = excluded.reason, bytes = excluded.bytes, asked = f.asked + 1,
                   load = NULL, place = NULL, chunks = NULL, digest = NULL, updated_at = now()
             -- What was left out or not to be had may be had by now; what is stored stays, unless it may have changed. So
             -- does what was kept as long as bodies are.
             WHERE (f.state IN (2, 3) AND f.reason <> $15) OR f.file_id = ANY ($12::text[])
            RETURNING file_id, state)
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1, $2, $3, $4, $13, $5, jsonb_build_object('files', to_jsonb(array_agg(w.file_id ORDER BY w.file_id)))
          FROM (SELECT file_id, (row_number() OVER (ORDER BY file_id) - 1) / $14 AS part FROM wanted
                 WHERE state = 0 OR file_id = ANY ($12::text[])) w
         GROUP BY w.part";
    if files.is_empty() {
        return Ok(());
    }
    let column =
        |pick: fn(&FileRow) -> &str| -> Vec<&str> { files.iter().map(|(file, _)| pick(file)).collect() };
    let reasons: Vec<Option<&str>> = files.iter().map(|(file, _)| file.left_out.map(LeftOut::word)).collect();
    let bytes: Vec<Option<i64>> =
        files.iter().map(|(file, _)| file.bytes.and_then(|bytes| i64::try_from(bytes).ok())).collect();
    let again: Vec<bool> = files.iter().map(|(_, again)| *again).collect();
    let changed: Vec<&str> =
        files.iter().filter(|(_, again)| *again).map(|(file, _)| file.id.as_str()).collect();
    tx.sql()
        .query_typed(
            SQL,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&owner.connection.0, Type::UUID),
                (&item_object.0, Type::INT4),
                (&owner.org.as_str(), Type::TEXT),
                (&Class::Files.number(), Type::INT2),
                (&column(|file| file.id.as_str()), Type::TEXT_ARRAY),
                (&column(|file| &file.object), Type::TEXT_ARRAY),
                (&column(|file| &file.field), Type::TEXT_ARRAY),
                (&reasons, Type::TEXT_ARRAY),
                (&bytes, Type::INT8_ARRAY),
                (&again, Type::BOOL_ARRAY),
                (&changed, Type::TEXT_ARRAY),
                (&Kind::File.word(), Type::TEXT),
                (&FILES_IN_JOB, Type::INT8),
                (&LeftOut::Expired.word(), Type::TEXT),
            ],
        )
        .await
        .map_err(StoreError::at("files_want"))?;
    Ok(())
}

/// Takes away the body of a file that the policy leaves out now, or the wish for it. Where bodies are in an object store,
/// the caller has removed them.
pub async fn file_leave_out(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    file: &str,
    reason: LeftOut,
) -> Result<(), StoreError> {
    const SQL: &str = "-- file_leave_out
        UPDATE files SET state = 2, reason = $4, asked = asked + 1, load = NULL, place = NULL, chunks = NULL, digest = NULL,
                         updated_at = now()
         WHERE tenant_id = $1 AND connection_id = $2 AND file_id = $3";
    tx.sql()
        .execute(SQL, &[&tx.scope().tenant().0, &connection.0, &file, &reason.word()])
        .await
        .map_err(StoreError::at("file_leave_out"))?;
    chunks_sweep(tx, connection, file, Loads::All).await
}

/// Notes by which policy the files of an object are judged.
pub async fn files_policy_put(
    tx: &TenantTx<'_>,
    object: ObjectId,
    policy: &FilePolicy,
) -> Result<(), StoreError> {
    const SQL: &str = "-- files_policy_put
        UPDATE checkpoints SET files_policy = $2 WHERE object_id = $1";
    tx.sql().execute(SQL, &[&object.0, &Json(policy)]).await.map_err(StoreError::at("files_policy_put"))?;
    Ok(())
}

/// Makes a job that looks at these files again: items that named them are gone, and maybe nobody names them now.
pub(super) async fn files_review(
    tx: &TenantTx<'_>,
    owner: Owner,
    item_object: ObjectId,
    files: &[&str],
) -> Result<(), StoreError> {
    const SQL: &str = "-- files_review
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1, $2, $3, $4, $5, $6, jsonb_build_object('files', to_jsonb($7::text[]))";
    if files.is_empty() {
        return Ok(());
    }
    tx.sql()
        .execute(
            SQL,
            &[
                &tx.scope().tenant().0,
                &owner.connection.0,
                &item_object.0,
                &owner.org.as_str(),
                &Kind::File.word(),
                &Class::Files.number(),
                &files,
            ],
        )
        .await
        .map_err(StoreError::at("files_review"))?;
    Ok(())
}

/// What is known of a file; `None` when nothing is.
pub async fn file_get(
    tx: &TenantTx<'_>,
    keys: &TenantKeys,
    connection: ConnectionId,
    file: &str,
) -> Result<Option<File>, StoreError> {
    const SQL: &str = "-- file_get
        SELECT object, body, state, load, place, chunks, bytes, digest, asked
          FROM files WHERE tenant_id = $1 AND connection_id = $2 AND file_id = $3";
    let row = tx
        .sql()
        .query_opt(SQL, &[&tx.scope().tenant().0, &connection.0, &file])
        .await
        .map_err(StoreError::at("file_get"))?;
    let Some(row) = row else { return Ok(None) };
    let unreadable = StoreError::Unreadable("files");
    let state = BodyState::from_number(row.get(2)).ok_or(unreadable)?;
    let body = match (row.get::<_, Option<Uuid>>(3), row.get::<_, Option<&str>>(4)) {
        (Some(load), Some(place)) => Some(Body {
            load,
            place: ChunkPlace::from_word(place).ok_or(StoreError::Unreadable("files.place"))?,
            chunks: row.get(5),
            bytes: row.get::<_, Option<i64>>(6).unwrap_or_default(),
            digest: keys.open(DIGEST, &chunk_row_key(connection, file, load, -1), row.get(7))?,
        }),
        _ => None,
    };
    Ok(Some(File {
        id: file.to_owned(),
        object: row.get(0),
        field: row.get(1),
        state,
        body,
        asked: row.get(8),
    }))
}

/// Keeps a sealed chunk in the database.
pub async fn chunk_put(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    file: &str,
    load: Uuid,
    n: i32,
    sealed: &[u8],
) -> Result<(), StoreError> {
    const SQL: &str = "-- file_chunk_put
        INSERT INTO file_chunks (tenant_id, connection_id, file_id, load, n, body) VALUES ($1, $2, $3, $4, $5, $6)";
    tx.sql()
        .execute(SQL, &[&tx.scope().tenant().0, &connection.0, &file, &load, &n, &sealed])
        .await
        .map_err(StoreError::at("file_chunk_put"))?;
    Ok(())
}

/// A sealed chunk from the database.
pub async fn chunk_get(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    file: &str,
    load: Uuid,
    n: i32,
) -> Result<Vec<u8>, StoreError> {
    const SQL: &str = "-- file_chunk_get
        SELECT body FROM file_chunks
         WHERE tenant_id = $1 AND connection_id = $2 AND file_id = $3 AND load = $4 AND n = $5";
    let row = tx
        .sql()
        .query_opt(SQL, &[&tx.scope().tenant().0, &connection.0, &file, &load, &n])
        .await
        .map_err(StoreError::at("file_chunk_get"))?;
    Ok(row.ok_or(StoreError::Missing("a chunk of the file"))?.get(0))
}

/// Points to a whole body and sweeps away the chunks of other loads. Gives whether it did: not when the file was asked
/// for again meanwhile, or is wanted no more. Then this load's own chunks are swept away: nobody else knows of them.
pub async fn file_stored(
    tx: &TenantTx<'_>,
    keys: &TenantKeys,
    connection: ConnectionId,
    file: &File,
    body: &Body,
) -> Result<bool, StoreError> {
    const SQL: &str = "-- file_stored
        UPDATE files SET state = 1, reason = NULL, load = $4, place = $5, chunks = $6, bytes = $7, digest = $8,
                         updated_at = now()
         WHERE tenant_id = $1 AND connection_id = $2 AND file_id = $3 AND state = 0 AND asked = $9";
    let mut digest = Vec::new();
    keys.seal(DIGEST, &chunk_row_key(connection, &file.id, body.load, -1), &body.digest, &mut digest)?;
    let stored = tx
        .sql()
        .execute(
            SQL,
            &[
                &tx.scope().tenant().0,
                &connection.0,
                &file.id,
                &body.load,
                &body.place.word(),
                &body.chunks,
                &body.bytes,
                &digest,
                &file.asked,
            ],
        )
        .await
        .map_err(StoreError::at("file_stored"))?;
    let swept = if stored == 1 { Loads::But(body.load) } else { Loads::Only(body.load) };
    chunks_sweep(tx, connection, &file.id, swept).await?;
    Ok(stored == 1)
}

/// Notes that Salesforce does not give a wanted body, or that it turned out to be none that is kept; nothing of the file
/// is kept then. Gives whether it did: a newer wish has a load of its own, and only this one's chunks are swept away.
pub async fn file_refused(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    file: &File,
    load: Uuid,
    (state, reason): (BodyState, &str),
) -> Result<bool, StoreError> {
    const SQL: &str = "-- file_refused
        UPDATE files SET state = $4, reason = $5, updated_at = now()
         WHERE tenant_id = $1 AND connection_id = $2 AND file_id = $3 AND state = 0 AND asked = $6";
    let (tenant, number) = (tx.scope().tenant().0, state as i16);
    let noted = tx
        .sql()
        .execute(SQL, &[&tenant, &connection.0, &file.id, &number, &reason, &file.asked])
        .await
        .map_err(StoreError::at("file_refused"))?;
    let swept = if noted == 1 { Loads::All } else { Loads::Only(load) };
    chunks_sweep(tx, connection, &file.id, swept).await?;
    Ok(noted == 1)
}

/// Forgets a file that no live item names; gives whether nothing is known of it now. A load that was under way when the
/// file was forgotten may have left chunks, which go too.
pub async fn file_forget(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    file: &str,
) -> Result<bool, StoreError> {
    // Whoever names the file waits for this lock, and finds it gone or still here.
    const LOCK: &str = "-- file_lock
        SELECT FROM files WHERE tenant_id = $1 AND connection_id = $2 AND file_id = $3 FOR UPDATE";
    const SQL: &str = "-- file_forget
        DELETE FROM files WHERE tenant_id = $1 AND connection_id = $2 AND file_id = $3
           AND NOT EXISTS (SELECT FROM messages m
                            WHERE m.tenant_id = $1 AND m.file_id = $3 AND m.connection_id = $2 AND m.state = 0)";
    let tenant = tx.scope().tenant().0;
    let known = tx
        .sql()
        .execute(LOCK, &[&tenant, &connection.0, &file])
        .await
        .map_err(StoreError::at("file_lock"))?;
    let gone = tx
        .sql()
        .execute(SQL, &[&tenant, &connection.0, &file])
        .await
        .map_err(StoreError::at("file_forget"))?;
    let is_unknown = gone == known;
    if is_unknown {
        chunks_sweep(tx, connection, file, Loads::All).await?;
    }
    Ok(is_unknown)
}

/// Sweeps away what loads left of a file that is wanted no more, be it kept, left out or not to be had; gives the loads
/// concerned. The caller holds the file's row, as [`file_forget`] takes it: nobody begins a load meanwhile.
pub async fn file_settled(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    file: &File,
) -> Result<Loads, StoreError> {
    let loads = file.body.as_ref().map_or(Loads::All, |body| Loads::But(body.load));
    chunks_sweep(tx, connection, &file.id, loads).await?;
    Ok(loads)
}

pub(super) async fn chunks_sweep(
    tx: &TenantTx<'_>,
    connection: ConnectionId,
    file: &str,
    loads: Loads,
) -> Result<(), StoreError> {
    const SQL: &str = "-- file_chunks_sweep
        DELETE FROM file_chunks
         WHERE tenant_id = $1 AND connection_id = $2 AND file_id = $3
           AND ($4::uuid IS NULL OR (load = $4::uuid) = $5::bool)";
    let (load, is_it) = match loads {
        Loads::All => (None, false),
        Loads::But(load) => (Some(load), false),
        Loads::Only(load) => (Some(load), true),
    };
    tx.sql()
        .execute(SQL, &[&tx.scope().tenant().0, &connection.0, &file, &load, &is_it])
        .await
        .map_err(StoreError::at("file_chunks_sweep"))?;
    Ok(())
}
