//! Opens sealed records for people: the keys, the field sets, and a record's values by path.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::RecordKey;
use crate::catalog::{Field, FieldSet};
use crate::crypto::TenantKeys;
use crate::ids::{ConnectionId, FieldSetId, ObjectId, SalesforceId};
use crate::record::canonical::{CanonicalRecord, spans_of};
use crate::storage::records::{ObjectKey, payload_row_key};
use crate::storage::{StoreError, TenantTx};

/// The column that a payload is bound to.
const PAYLOAD: &str = "records.payload";

/// What is needed to open the records of one answer.
pub struct Opener {
    keys: Arc<TenantKeys>,
    sets: HashMap<FieldSetId, FieldSet>,
    names: HashMap<ObjectId, String>,
}

impl Opener {
    /// Reads the tenant's field sets and object names. Both are small: a handful an object.
    pub async fn load(tx: &TenantTx<'_>, keys: Arc<TenantKeys>) -> Result<Self, StoreError> {
        const SETS: &str =
            "-- field_sets_load\nSELECT field_set_id, fields FROM field_sets WHERE tenant_id = $1";
        const NAMES: &str =
            "-- object_names_load\nSELECT object_id, api_name FROM object_syncs WHERE tenant_id = $1";
        let tenant = tx.scope().tenant().0;
        let sets = tx.sql().query(SETS, &[&tenant]).await.map_err(StoreError::at("field_sets_load"))?;
        let names = tx.sql().query(NAMES, &[&tenant]).await.map_err(StoreError::at("object_names_load"))?;
        Ok(Self {
            keys,
            sets: sets
                .iter()
                .map(|row| {
                    let id = FieldSetId(row.get(0));
                    (id, FieldSet::new(id, row.get::<_, Json<Vec<Field>>>(1).0))
                })
                .collect(),
            names: names.iter().map(|row| (ObjectId(row.get(0)), row.get(1))).collect(),
        })
    }

    /// The object's API name.
    #[must_use]
    pub fn object_name(&self, object: ObjectId) -> Option<&str> {
        self.names.get(&object).map(String::as_str)
    }

    /// Opens a payload and hands its values to `read`; `None` when there is no payload.
    pub fn read<T>(
        &self,
        key: RecordKey,
        sealed: Option<(FieldSetId, &[u8])>,
        read: impl FnOnce(&CanonicalRecord<'_>) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some((set, payload)) = sealed else {
            return Ok(None);
        };
        let set = self.sets.get(&set).ok_or(StoreError::Missing("the record's field set"))?;
        let place = ObjectKey { connection: key.connection, object: key.object };
        let row = payload_row_key(place, key.record.as_str());
        let bytes = self.keys.open(PAYLOAD, &row, payload)?;
        let spans = spans_of(&bytes, set.len()).ok_or(StoreError::Unreadable("records.payload"))?;
        Ok(Some(read(&CanonicalRecord::stored(&bytes, &spans, set))))
    }
}

/// Reads `connection_id, object_id, record_id` from three columns in a row.
pub(super) fn record_key(row: &Row, first: usize) -> Result<RecordKey, StoreError> {
    Ok(RecordKey {
        connection: ConnectionId(row.get(first)),
        object: ObjectId(row.get(first + 1)),
        record: SalesforceId::parse(row.get(first + 2))
            .map_err(|_| StoreError::Unreadable("a record's id"))?,
    })
}

/// Reads `field_set_id, payload` from two columns of an outer join.
pub(super) fn sealed(row: &Row, first: usize) -> Option<(FieldSetId, &[u8])> {
    Some((FieldSetId(row.get::<_, Option<i32>>(first)?), row.get::<_, Option<&[u8]>>(first + 1)?))
}
