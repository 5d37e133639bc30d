//! Jobs that follow a deletion to the items that belong to the record: some kinds of items leave with it and have no
//! trace of their own. Each is made in the commit that saw it, as are those that look once more where two looks differ.

use tokio_postgres::types::Type;

use super::error::StoreError;
use super::pool::TenantTx;
use super::related::{Owner, most};
use crate::ids::ObjectId;
use crate::job::lease::{Class, Kind};

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

/// Makes jobs that look at these records of one object once more, a little later: the moments of two reads are in whole
/// seconds, and the next one is to be after both.
pub(super) async fn look_again(
    tx: &TenantTx<'_>,
    owner: Owner,
    object: ObjectId,
    records: &[&str],
) -> Result<(), StoreError> {
    const SQL: &str = "-- departures_look_again
        INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, available_at, reason, params)
        SELECT $1, $2, $3, $4, $5, $6, now() + interval '2 seconds', 'unsettled',
               jsonb_build_object('field', 'Id', 'gone', true, 'ids', jsonb_agg(k.id ORDER BY k.n))
          FROM unnest($7::text[]) WITH ORDINALITY AS k (id, n)
         GROUP BY (k.n - 1) / $8";
    if records.is_empty() {
        return Ok(());
    }
    tx.sql()
        .execute_typed(
            SQL,
            &[
                (&tx.scope().tenant().0, Type::UUID),
                (&owner.connection.0, Type::UUID),
                (&object.0, Type::INT4),
                (&owner.org.as_str(), Type::TEXT),
                (&Kind::Related.word(), Type::TEXT),
                (&Class::Derived.number(), Type::INT2),
                (&records, Type::TEXT_ARRAY),
                (&most(), Type::INT8),
            ],
        )
        .await
        .map_err(StoreError::at("departures_look_again"))?;
    Ok(())
}
