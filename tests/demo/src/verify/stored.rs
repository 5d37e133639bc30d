//! What is stored, read as the tenant role and opened.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use refrain_shared::crypto::TenantKeys;
use refrain_shared::ids::{ConnectionId, ObjectId};
use refrain_shared::storage::records::{ObjectKey, payload_row_key};
use refrain_shared::storage::{Database, TenantTx};
use refrain_shared::tenant::TenantScope;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_postgres::Row;

/// One tenant's connection in the database.
pub(super) struct Store {
    pub(super) db: Database,
    pub(super) scope: TenantScope,
    pub(super) connection: ConnectionId,
    pub(super) keys: Arc<TenantKeys>,
}

/// An enabled object sync.
#[derive(Debug, Clone)]
pub(super) struct Sync {
    pub(super) object: ObjectId,
    pub(super) api_name: String,
    pub(super) role: String,
}

/// A path that records were read with.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Field {
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// What the payloads of an object hold, by the id of the set.
pub(super) type FieldSets = HashMap<i32, Vec<Field>>;

/// What a row says of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holding {
    /// Its values, opened: a JSON array in the order of this field set.
    Live {
        /// The set.
        field_set: i32,
        /// The array.
        values: Vec<u8>,
    },
    /// Known, without its values.
    Stub,
    /// Gone.
    Tombstone,
}

/// A stored record.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) stamp: DateTime<Utc>,
    pub(super) holding: Holding,
}

impl Stored {
    /// The values of a live record, as JSON.
    pub(super) fn values(payload: &[u8], width: usize) -> anyhow::Result<Vec<&RawValue>> {
        let values: Vec<&RawValue> = serde_json::from_slice(payload).context("read a stored record")?;
        ensure!(values.len() == width, "a stored record has {} values of {width} fields", values.len());
        Ok(values)
    }
}

impl Store {
    /// The connection's enabled objects, in the order of enabling.
    pub(super) async fn object_syncs(&self) -> anyhow::Result<Vec<Sync>> {
        const SQL: &str = "SELECT object_id, api_name, role FROM object_syncs
            WHERE tenant_id = $1 AND connection_id = $2 AND enabled ORDER BY object_id";
        let mut client = self.db.tenant().await?;
        let tx = TenantTx::begin(&mut client, &self.scope).await?;
        let rows = tx.sql().query(SQL, &[&self.scope.tenant().0, &self.connection.0]).await;
        let rows = rows.context("read the object syncs")?;
        let sync = |row: &Row| Sync { object: ObjectId(row.get(0)), api_name: row.get(1), role: row.get(2) };
        Ok(rows.iter().map(sync).collect())
    }

    /// Every path over a lookup that any object was read with.
    pub(super) async fn linked_paths(&self) -> anyhow::Result<Vec<String>> {
        const SQL: &str = "SELECT DISTINCT f->>'path' FROM field_sets s, jsonb_array_elements(s.fields) f
            WHERE s.tenant_id = $1 AND f->>'path' LIKE '%.%'";
        let mut client = self.db.tenant().await?;
        let tx = TenantTx::begin(&mut client, &self.scope).await?;
        let rows = tx.sql().query(SQL, &[&self.scope.tenant().0]).await.context("read the linked paths")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The field sets that an object was ever read with.
    pub(super) async fn field_sets(&self, tx: &TenantTx<'_>, object: ObjectId) -> anyhow::Result<FieldSets> {
        const SQL: &str = "SELECT field_set_id, fields::text FROM field_sets
            WHERE tenant_id = $1 AND object_id = $2";
        let rows = tx.sql().query(SQL, &[&self.scope.tenant().0, &object.0]).await;
        let set = |row: &Row| {
            let fields = serde_json::from_str(row.get(1)).context("read a field set")?;
            Ok((row.get(0), fields))
        };
        rows.context("read the field sets")?.iter().map(set).collect()
    }

    /// A row of `records` (id, stamp, state, field set, payload) with its payload opened.
    pub(super) fn opened(&self, object: ObjectId, row: &Row) -> anyhow::Result<Stored> {
        let id: String = row.get(0);
        let holding = match row.get::<_, i16>(2) {
            0 => {
                let key = ObjectKey { connection: self.connection, object };
                let sealed: &[u8] = row.get(4);
                let values = self
                    .keys
                    .open("records.payload", &payload_row_key(key, &id), sealed)
                    .with_context(|| format!("open record {id}"))?;
                Holding::Live { field_set: row.get(3), values }
            }
            1 => Holding::Stub,
            2 => Holding::Tombstone,
            other => bail!("record {id} has the unknown state {other}"),
        };
        Ok(Stored { id, stamp: row.get(1), holding })
    }
}
