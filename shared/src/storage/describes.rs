//! How an object looks to the integration user, stored with what follows from it: which fields are read, and which that are
//! here may not be seen any more.

use std::collections::BTreeSet;

use tokio_postgres::types::Json;

use super::error::StoreError;
use super::jobs::job_touch;
use super::pool::TenantTx;
use super::schema_changes::schema_compare;
use crate::catalog::{Field, FieldSet, ObjectDescribe, Role, StandardObject};
use crate::ids::FieldSetId;
use crate::job::lease::{Kind, Lease};

/// An object as the integration user sees it, and what is read of it therefore.
#[derive(Debug)]
pub struct SeenObject<'a> {
    /// Its describe.
    pub describe: &'a ObjectDescribe,
    /// The paths that people want read along.
    pub linked: &'a [String],
    /// What is read.
    pub fields: &'a [Field],
    /// Paths to read along that the user cannot see.
    pub dropped: &'a [String],
    /// What the ids of its records begin with.
    pub key_prefix: Option<&'a str>,
    /// The paths of which tickets are made.
    pub shown: &'a BTreeSet<String>,
}

/// Stores an object's describe and, when the fields to read changed, a new field set; gives the set in force.
///
/// Comes first in its transaction: what the ids of a tenant's own ticket object begin with decides to which record its
/// messages belong, so that pages in flight are planned again, and the gate's lock comes before all others.
pub async fn describe_store(
    tx: &TenantTx<'_>,
    lease: &Lease,
    seen: &SeenObject<'_>,
) -> Result<FieldSetId, StoreError> {
    const DESCRIBE: &str = "-- describe_store
        INSERT INTO describes (object_id, tenant_id, body, linked, fetched_at) VALUES ($1, $2, $3, $4, now())
        ON CONFLICT (object_id) DO UPDATE
           SET body = excluded.body, linked = excluded.linked, fetched_at = excluded.fetched_at";
    // The same list keeps its set: a new one would make every stored row look older than it is.
    const SET: &str = "-- field_set_store
        WITH newest AS (SELECT field_set_id, fields FROM field_sets WHERE tenant_id = $1 AND object_id = $2
                         ORDER BY field_set_id DESC LIMIT 1),
             made AS (INSERT INTO field_sets (tenant_id, object_id, fields, dropped)
                      SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM newest WHERE fields = $3)
                      RETURNING field_set_id)
        SELECT field_set_id FROM made UNION ALL SELECT field_set_id FROM newest ORDER BY field_set_id DESC LIMIT 1";
    const KINDS: &str = "-- tenant_gate_raise_kinds
        UPDATE tenant_gates SET mapping_epoch = mapping_epoch + 1
         WHERE tenant_id = $1
           AND EXISTS (SELECT FROM checkpoints c JOIN object_syncs o USING (object_id)
                        WHERE c.object_id = $2 AND o.role = $3 AND c.key_prefix IS DISTINCT FROM $4)";
    // Pages that are on their way must not bring back what may not be seen any more.
    const MASKED: &str = "-- tenant_gate_raise_lost
        UPDATE tenant_gates SET mapping_epoch = mapping_epoch + 1
         WHERE tenant_id = $1";
    // What was set aside may have the types that are described now.
    const AGAIN: &str = "-- retry_with_other_fields
        UPDATE jobs SET rerun_requested = rerun_requested OR state = 2, params = params || jsonb_build_object('wanted', now()),
               available_at = CASE WHEN state = 0 THEN least(available_at, now()) ELSE available_at END, updated_at = now()
         WHERE unique_key = $1
           AND EXISTS (SELECT FROM checkpoints WHERE object_id = $2 AND field_set_id IS DISTINCT FROM $3)";
    const LOST: &str = "-- lost_fields
        SELECT coalesce(jsonb_agg(DISTINCT f->>'path' ORDER BY f->>'path'), '[]'),
               (SELECT lost FROM checkpoints WHERE object_id = $2)
          FROM field_sets s, jsonb_array_elements(s.fields) f
         WHERE s.tenant_id = $1 AND s.object_id = $2
           AND NOT EXISTS (SELECT FROM jsonb_array_elements($3::jsonb) n WHERE n->>'path' = f->>'path')";
    const POINT: &str = "-- checkpoint_describe
        UPDATE checkpoints SET field_set_id = $2, cursor_field = $3, key_prefix = $4, lost = $5, updated_at = now()
         WHERE object_id = $1";
    let (tenant, object) = (tx.scope().tenant().0, lease.object.0);
    if StandardObject::find(&seen.describe.name).is_none() {
        tx.sql()
            .execute(KINDS, &[&tenant, &object, &Role::Ticket.word(), &seen.key_prefix])
            .await
            .map_err(StoreError::at("tenant_gate_raise_kinds"))?;
    }
    // In canonical order, so that equal sets are equal JSON.
    let canonical = FieldSet::new(FieldSetId(0), seen.fields.to_vec());
    let row = tx
        .sql()
        .query_one(LOST, &[&tenant, &object, &Json(canonical.fields())])
        .await
        .map_err(StoreError::at("lost_fields"))?;
    let (lost, was): (Json<BTreeSet<String>>, Json<BTreeSet<String>>) = (row.get(0), row.get(1));
    if lost.0.symmetric_difference(&was.0).any(|path| seen.shown.contains(path)) {
        tx.sql().execute(MASKED, &[&tenant]).await.map_err(StoreError::at("tenant_gate_raise_lost"))?;
    }
    // Whoever lost the job plans nothing any more: the object may have begun anew meanwhile.
    job_touch(tx.sql(), lease, None).await?;
    schema_compare(tx, lease, seen).await?;
    tx.sql()
        .execute(DESCRIBE, &[&object, &tenant, &Json(seen.describe), &Json(seen.linked)])
        .await
        .map_err(StoreError::at("describe_store"))?;
    let row = tx
        .sql()
        .query_one(SET, &[&tenant, &object, &Json(canonical.fields()), &Json(seen.dropped)])
        .await
        .map_err(StoreError::at("field_set_store"))?;
    let set = FieldSetId(row.get(0));
    tx.sql()
        .execute(AGAIN, &[&Kind::Retry.standing_key(lease.object), &object, &set.0])
        .await
        .map_err(StoreError::at("retry_with_other_fields"))?;
    tx.sql()
        .execute(POINT, &[&object, &set.0, &seen.describe.cursor_field(), &seen.key_prefix, &lost])
        .await
        .map_err(StoreError::at("checkpoint_describe"))?;
    Ok(set)
}
