//! Jobs that follow a deletion, a merge or a return to the items that belong to the record: some kinds of items leave
//! with it and have no trace of their own, others move without a stamp. Each is made in the commit that saw it.

use tokio_postgres::types::Type;

use super::error::StoreError;
use super::pool::TenantTx;
use super::related::{ChildFields, Owner};
use crate::ids::ObjectId;
use crate::job::lease::{Class, Kind};
use crate::job::related::MOST_IDS;

/// Makes jobs that look at the items still live here of records that are gone: what is not answered is gone as well.
pub(super) async fn items_wanted(
    tx: &TenantTx<'_>,
    owner: Owner,
    records: &[&str],
) -> Result<(), StoreError> {
    const SQL: &str = "-- departures_items_wanted
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1, $2, w.object_id, $3, $4, $5,
               jsonb_build_object('field', 'Id', 'gone', true, 'ids', jsonb_agg(w.id ORDER BY w.id))
          FROM (SELECT m.object_id, m.record_id AS id,
                       (row_number() OVER (PARTITION BY m.object_id ORDER BY m.record_id) - 1) / $7 AS part
                  FROM unnest($6::text[]) AS k (id)
                 CROSS JOIN LATERAL (
                       SELECT object_id, record_id FROM messages
                        WHERE connection_id IS NOT DISTINCT FROM $2 AND ticket_record_id = k.id AND state = 0
                        OFFSET 0) m
                  JOIN checkpoints c ON c.object_id = m.object_id AND c.state IN ('loading', 'current')) w
         GROUP BY w.object_id, w.part";
    if records.is_empty() {
        return Ok(());
    }
    tx.sql()
        .execute_typed(
            SQL,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&owner.connection.0, Type::UUID),
                (&owner.org.as_str(), Type::TEXT),
                (&Kind::Related.word(), Type::TEXT),
                (&Class::Derived.number(), Type::INT2),
                (&records, Type::TEXT_ARRAY),
                (&most(), Type::INT8),
            ],
        )
        .await
        .map_err(StoreError::at("departures_items_wanted"))?;
    Ok(())
}

/// Makes jobs that read every child of these records of `parent`: they took over a merged record's, or came back with
/// their own.
pub(super) async fn children_again(
    tx: &TenantTx<'_>,
    owner: Owner,
    parent: ObjectId,
    children: &ChildFields,
    records: &[&str],
) -> Result<(), StoreError> {
    const SQL: &str = "-- departures_children_again
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
        SELECT $1, $2, w.object_id, $3, $4, $5,
               jsonb_build_object('field', w.field, 'ids', jsonb_agg(w.id ORDER BY w.id))
          FROM (SELECT f.object_id, f.field, r.id,
                       (row_number() OVER (PARTITION BY f.object_id, f.field ORDER BY r.id) - 1) / $10 AS part
                  FROM unnest($7::int[], $8::text[]) AS f (object_id, field)
                  JOIN checkpoints c ON c.object_id = f.object_id AND c.state IN ('loading', 'current')
                  JOIN describes d ON d.object_id = f.object_id
                  JOIN object_syncs p ON p.object_id = $6
                 CROSS JOIN unnest($9::text[]) AS r (id)
                 WHERE EXISTS (SELECT FROM jsonb_array_elements(d.body->'fields') x
                                WHERE x->>'name' = f.field AND x->'referenceTo' ? p.api_name)) w
         GROUP BY w.object_id, w.field, w.part";
    if children.is_empty() || records.is_empty() {
        return Ok(());
    }
    let objects: Vec<i32> = children.iter().map(|(object, _)| object.0).collect();
    let fields: Vec<&str> = children.iter().map(|(_, field)| field.as_str()).collect();
    tx.sql()
        .execute_typed(
            SQL,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&owner.connection.0, Type::UUID),
                (&owner.org.as_str(), Type::TEXT),
                (&Kind::Related.word(), Type::TEXT),
                (&Class::Derived.number(), Type::INT2),
                (&parent.0, Type::INT4),
                (&objects, Type::INT4_ARRAY),
                (&fields, Type::TEXT_ARRAY),
                (&records, Type::TEXT_ARRAY),
                (&most(), Type::INT8),
            ],
        )
        .await
        .map_err(StoreError::at("departures_children_again"))?;
    Ok(())
}

fn most() -> i64 {
    i64::try_from(MOST_IDS).unwrap_or(i64::MAX)
}
