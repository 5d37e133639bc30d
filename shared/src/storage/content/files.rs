//! The body of a conversation's file, chunk by chunk.

use std::sync::Arc;

use super::RecordKey;
use super::opened::{Opener, sealed};
use crate::catalog::{FileFacts, Projection};
use crate::crypto::{BodyDigest, TenantKeys};
use crate::storage::chunks::{ChunkStore, FileAt};
use crate::storage::files::{Body, BodyState, chunk_open, chunk_row_key, file_get};
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// A file of a conversation.
#[derive(Debug)]
pub struct FoundFile {
    /// The record that has the body.
    pub id: String,
    /// What the item's record tells of it.
    pub facts: FileFacts,
    /// What is known of the body.
    pub state: BodyState,
    /// Why there is no body: a closed word.
    pub reason: Option<String>,
    /// Where the body is.
    pub body: Option<Body>,
}

/// The file that a live item of a conversation names; `None` when it is no such item, or names none.
pub async fn file_of_item(
    db: &Database,
    scope: &TenantScope,
    keys: Arc<TenantKeys>,
    item: (crate::ids::ObjectId, crate::ids::SalesforceId),
) -> Result<Option<(RecordKey, FoundFile)>, StoreError> {
    const SQL: &str = "-- file_of_item
        SELECT m.connection_id, m.file_id, r.field_set_id, r.payload, f.reason
          FROM messages m
          LEFT JOIN files f ON f.tenant_id = m.tenant_id AND f.connection_id = m.connection_id AND f.file_id = m.file_id
          LEFT JOIN records r ON r.tenant_id = m.tenant_id AND r.connection_id = m.connection_id
               AND r.object_id = m.object_id AND r.record_id = m.record_id AND r.state = 0
         WHERE m.tenant_id = $1 AND m.object_id = $2 AND m.record_id = $3 AND m.state = 0 AND m.file_id IS NOT NULL";
    let (object, record) = item;
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let row = tx
        .sql()
        .query_opt(SQL, &[&scope.tenant().0, &object.0, &record.as_str()])
        .await
        .map_err(StoreError::at("file_of_item"))?;
    let Some(row) = row else { return Ok(None) };
    let key = RecordKey { connection: crate::ids::ConnectionId(row.get(0)), object, record };
    let opener = Opener::load(&tx, Arc::clone(&keys)).await?;
    let facts = match opener.projection(object) {
        Projection::Message(fields) => {
            opener.read(key, sealed(&row, 2), |record| fields.file.as_ref().map(|file| file.facts(record)))?
        }
        Projection::Ticket(_) | Projection::Agent | Projection::Customer | Projection::None => None,
    };
    let id: String = row.get(1);
    let known = file_get(&tx, &keys, key.connection, &id).await?;
    tx.commit().await?;
    let (state, body) = known.map_or((BodyState::Wanted, None), |file| (file.state, file.body));
    let facts = facts.flatten().unwrap_or_default();
    Ok(Some((key, FoundFile { id, facts, state, reason: row.get(4), body })))
}

/// Reads a body's chunks one after the other, opened.
pub struct BodyReader {
    db: Database,
    chunks: ChunkStore,
    scope: TenantScope,
    keys: Arc<TenantKeys>,
    key: RecordKey,
    file: String,
    body: Body,
    next: i32,
    digest: BodyDigest,
}

impl BodyReader {
    /// A reader at the beginning.
    #[must_use]
    pub fn new(
        (db, chunks): (Database, ChunkStore),
        scope: TenantScope,
        keys: Arc<TenantKeys>,
        key: RecordKey,
        file: String,
        body: Body,
    ) -> Self {
        Self { db, chunks, scope, keys, key, file, body, next: 0, digest: BodyDigest::default() }
    }

    /// The next chunk; `None` after the last, which is given only when the whole body is what Salesforce gave.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if self.next >= self.body.chunks {
            return Ok(None);
        }
        let n = self.next;
        let at = FileAt { scope: &self.scope, connection: self.key.connection, file: &self.file };
        let sealed = self.chunks.get(&self.db, at, &self.body, n).await?;
        self.next += 1;
        let row = chunk_row_key(self.key.connection, &self.file, self.body.load, n);
        let chunk = chunk_open(&self.keys, &row, &sealed)?;
        self.digest.update(&chunk);
        if self.next == self.body.chunks && std::mem::take(&mut self.digest).finish() != self.body.digest {
            return Err(StoreError::Damaged("the body of a file"));
        }
        Ok(Some(chunk))
    }
}
