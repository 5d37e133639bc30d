//! Opens sealed records for people: the keys, the field sets, and a record's values by path.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::RecordKey;
use crate::catalog::{Field, FieldSet, Projection, Role};
use crate::crypto::{IdentityToken, TenantKeys};
use crate::ids::{ConnectionId, FieldSetId, ObjectId, SalesforceId};
use crate::job::ObjectSettings;
use crate::record::canonical::{CanonicalRecord, spans_of};
use crate::retention::Policy;
use crate::storage::keys::policy_of;
use crate::storage::records::{ObjectKey, payload_row_key};
use crate::storage::{StoreError, TenantTx};

/// The column that a payload is bound to.
const PAYLOAD: &str = "records.payload";

/// What is needed to open the records of one answer.
pub struct Opener {
    keys: Arc<TenantKeys>,
    sets: HashMap<FieldSetId, FieldSet>,
    objects: HashMap<ObjectId, Object>,
    retention: Policy,
}

/// What is known of an object whose records are opened.
struct Object {
    api_name: String,
    projection: Projection,
    /// What its records are read with now.
    field_set: Option<FieldSetId>,
}

impl Opener {
    /// Reads the tenant's field sets, objects and retention policy. All are small: a handful an object.
    pub async fn load(tx: &TenantTx<'_>, keys: Arc<TenantKeys>) -> Result<Self, StoreError> {
        const SETS: &str =
            "-- field_sets_load\nSELECT field_set_id, fields FROM field_sets WHERE tenant_id = $1";
        const OBJECTS: &str = "-- objects_load
            SELECT object_id, api_name, role, settings, c.field_set_id
              FROM object_syncs LEFT JOIN checkpoints c USING (object_id) WHERE object_syncs.tenant_id = $1";
        const POLICY: &str = "-- policy_load
            SELECT ticket_days, held_days, attachment_days FROM tenant_gates WHERE tenant_id = $1";
        let tenant = tx.scope().tenant().0;
        let policy = tx
            .sql()
            .query_opt(POLICY, &[&tenant])
            .await
            .map_err(StoreError::at("policy_load"))?
            .ok_or(StoreError::Missing("the tenant's gate"))?;
        let sets = tx.sql().query(SETS, &[&tenant]).await.map_err(StoreError::at("field_sets_load"))?;
        let objects = tx.sql().query(OBJECTS, &[&tenant]).await.map_err(StoreError::at("objects_load"))?;
        Ok(Self {
            keys,
            retention: policy_of(&policy, 0)?,
            sets: sets
                .iter()
                .map(|row| {
                    let id = FieldSetId(row.get(0));
                    (id, FieldSet::new(id, row.get::<_, Json<Vec<Field>>>(1).0))
                })
                .collect(),
            objects: objects
                .iter()
                .map(|row| Ok((ObjectId(row.get(0)), object(row)?)))
                .collect::<Result<_, StoreError>>()?,
        })
    }

    /// How long tickets are kept.
    #[must_use]
    pub fn retention(&self) -> &Policy {
        &self.retention
    }

    /// The object's API name.
    #[must_use]
    pub fn object_name(&self, object: ObjectId) -> Option<&str> {
        self.objects.get(&object).map(|object| object.api_name.as_str())
    }

    /// How the object's records are projected.
    #[must_use]
    pub fn projection(&self, object: ObjectId) -> &Projection {
        self.objects.get(&object).map_or(&Projection::None, |object| &object.projection)
    }

    /// The ids of the objects whose projection is asked for.
    #[must_use]
    pub fn objects(&self, wanted: impl Fn(&Projection) -> bool) -> Vec<i32> {
        self.objects.iter().filter(|(_, object)| wanted(&object.projection)).map(|(id, _)| id.0).collect()
    }

    /// The keyed token of an identity.
    #[must_use]
    pub fn identity_token(&self, identity: &str) -> IdentityToken {
        self.keys.identity_token(identity)
    }

    /// The places, in a set that records were read with, of what the integration user may see no more, or what is not
    /// there any more: what was stored of it is shown to nobody. It comes back with the field.
    fn lost<'a>(&'a self, object: ObjectId, set: &'a FieldSet) -> impl Iterator<Item = usize> + 'a {
        let now = self.objects.get(&object).and_then(|object| object.field_set);
        let now = now.filter(|now| *now != set.id).and_then(|now| self.sets.get(&now));
        let places = set.fields().iter().enumerate();
        places.filter_map(move |(place, field)| now?.position(&field.path).is_none().then_some(place))
    }

    /// The paths of a stored record that are not shown.
    #[must_use]
    pub fn lost_paths(&self, object: ObjectId, read_with: FieldSetId) -> Vec<String> {
        let Some(set) = self.sets.get(&read_with) else { return Vec::new() };
        self.lost(object, set).map(|place| set.fields()[place].path.clone()).collect()
    }

    /// Opens a payload and hands its values to `read`, those of lost fields as null; `None` when there is no payload.
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
        let mut bytes = self.keys.open(PAYLOAD, &row, payload)?;
        let mut spans = spans_of(&bytes, set.len()).ok_or(StoreError::Unreadable("records.payload"))?;
        let end = u32::try_from(bytes.len()).map_err(|_| StoreError::Unreadable("records.payload"))?;
        bytes.extend_from_slice(b"null");
        for place in self.lost(key.object, set) {
            spans[place] = end..end + 4;
        }
        Ok(Some(read(&CanonicalRecord::stored(&bytes, &spans, set))))
    }
}

fn object(row: &Row) -> Result<Object, StoreError> {
    let api_name: String = row.get(1);
    let settings: Json<ObjectSettings> =
        row.try_get(3).map_err(|_| StoreError::Unreadable("object_syncs.settings"))?;
    let projection = Role::from_word(row.get(2))
        .map_or(Projection::None, |role| Projection::of(&api_name, role, &settings.0));
    let field_set = row.get::<_, Option<i32>>(4).map(FieldSetId);
    Ok(Object { api_name, projection, field_set })
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
