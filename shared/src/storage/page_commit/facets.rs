//! Facets of the page's tickets: the mapped values that lists are filtered by.

use std::collections::HashSet;

use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::{Applied, TicketRow};
use crate::record::RecordState;
use crate::ticket::FacetValue;

/// Brings the facets of the page's tickets to what they are now; a facet that stays as it is is not written.
pub(super) async fn replace(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    tickets: &[(&Applied<'_>, &TicketRow)],
) -> Result<(), StoreError> {
    const INSERT: &str = "-- ticket_facets_upsert
        INSERT INTO ticket_facets AS t (tenant_id, connection_id, object_id, record_id, facet, text_value, time_value, number_value)
        SELECT $1, $2, $3, f.* FROM unnest($4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::int8[]) AS f
        ON CONFLICT (tenant_id, connection_id, object_id, record_id, facet) DO UPDATE
           SET text_value = excluded.text_value, time_value = excluded.time_value, number_value = excluded.number_value
         WHERE (t.text_value, t.time_value, t.number_value)
               IS DISTINCT FROM (excluded.text_value, excluded.time_value, excluded.number_value)";
    let facets: Vec<(&str, &str, &FacetValue)> = tickets
        .iter()
        .filter(|(applied, _)| applied.record.state == RecordState::Live)
        .flat_map(|(applied, row)| {
            row.facets.iter().map(|(name, value)| (applied.id.as_str(), name.as_str(), value))
        })
        .collect();
    clear(tx, key, tickets, &facets).await?;
    if facets.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = facets.iter().map(|(id, _, _)| *id).collect();
    let names: Vec<&str> = facets.iter().map(|(_, name, _)| *name).collect();
    let (mut texts, mut times, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (_, _, value) in &facets {
        let (text, time, number) = match value {
            FacetValue::Text(text) => (Some(text.as_str()), None, None),
            FacetValue::Time(time) => (None, Some(*time), None),
            FacetValue::Number(number) => (None, None, Some(*number)),
        };
        texts.push(text);
        times.push(time);
        numbers.push(number);
    }
    let statement = tx.sql().prepare_cached(INSERT).await.map_err(StoreError::at("ticket_facets_upsert"))?;
    tx.sql()
        .execute(
            &statement,
            &[
                &tx.scope().tenant().0,
                &key.connection.0,
                &key.object.0,
                &ids,
                &names,
                &texts,
                &times,
                &numbers,
            ],
        )
        .await
        .map_err(StoreError::at("ticket_facets_upsert"))?;
    Ok(())
}

/// Deletes all facets of these records, which are no tickets any more.
pub(super) async fn forget(tx: &TenantTx<'_>, key: ObjectKey, ids: &[String]) -> Result<(), StoreError> {
    const SQL: &str = "-- ticket_facets_forget
        DELETE FROM ticket_facets
         WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY($4)";
    tx.sql()
        .execute(SQL, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids])
        .await
        .map_err(StoreError::at("ticket_facets_forget"))?;
    Ok(())
}

/// Deletes what these tickets have and should not have any more. New ones have none.
async fn clear(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    tickets: &[(&Applied<'_>, &TicketRow)],
    wanted: &[(&str, &str, &FacetValue)],
) -> Result<(), StoreError> {
    const FIND: &str = "-- ticket_facets_find
        SELECT k.id, f.facet FROM unnest($3::text[]) AS k (id)
         CROSS JOIN LATERAL (
               SELECT facet FROM ticket_facets
                WHERE connection_id = $1 AND object_id = $2 AND record_id = k.id OFFSET 0) f";
    const DELETE: &str = "-- ticket_facets_delete
        DELETE FROM ticket_facets
         WHERE connection_id = $1 AND object_id = $2 AND record_id = $3 AND facet IS NOT DISTINCT FROM $4";
    let ids: Vec<&str> = tickets
        .iter()
        .filter(|(applied, _)| !applied.is_new())
        .map(|(applied, _)| applied.id.as_str())
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let found = tx
        .sql()
        .query_typed(
            FIND,
            &[(&key.connection.0, Type::UUID), (&key.object.0, Type::INT4), (&ids, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(StoreError::at("ticket_facets_find"))?;
    let wanted: HashSet<(&str, &str)> = wanted.iter().map(|(id, name, _)| (*id, *name)).collect();
    for row in &found {
        let (id, name): (&str, &str) = (row.get(0), row.get(1));
        if !wanted.contains(&(id, name)) {
            tx.sql()
                .execute_typed(
                    DELETE,
                    &[
                        (&key.connection.0, Type::UUID),
                        (&key.object.0, Type::INT4),
                        (&id, Type::TEXT),
                        (&name, Type::TEXT),
                    ],
                )
                .await
                .map_err(StoreError::at("ticket_facets_delete"))?;
        }
    }
    Ok(())
}
