//! Agents and customers.

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::messages::visible_state;
use super::{Applied, PersonRow};

pub(super) async fn upsert(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    applied: &[Applied<'_>],
) -> Result<(), StoreError> {
    const AGENTS: &str = "-- agents_upsert
        INSERT INTO agents (tenant_id, connection_id, object_id, record_id, state, active, email_token)
        SELECT $1, $2, $3, p.* FROM unnest($4::text[], $5::int2[], $6::bool[], $7::bytea[]) AS p (id, state, active, token)
         ORDER BY p.id COLLATE \"C\"
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET state = excluded.state, active = excluded.active, email_token = excluded.email_token";
    const CUSTOMERS: &str = "-- customers_upsert
        INSERT INTO customers (tenant_id, connection_id, object_id, record_id, state, account_id, email_token)
        SELECT $1, $2, $3, p.* FROM unnest($4::text[], $5::int2[], $6::text[], $7::bytea[]) AS p (id, state, account, token)
         ORDER BY p.id COLLATE \"C\"
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET state = excluded.state, account_id = excluded.account_id, email_token = excluded.email_token";
    let tenant = tx.scope().tenant().0;

    let agents = People::of(applied, |row| row.agent());
    if !agents.ids.is_empty() {
        let active: Vec<bool> = agents.rows.iter().map(|row| row.is_some_and(|row| row.active)).collect();
        let statement = tx.sql().prepare_cached(AGENTS).await.map_err(StoreError::at("agents_upsert"))?;
        tx.sql()
            .execute(
                &statement,
                &[
                    &tenant,
                    &key.connection.0,
                    &key.object.0,
                    &agents.ids,
                    &agents.states,
                    &active,
                    &agents.tokens,
                ],
            )
            .await
            .map_err(StoreError::at("agents_upsert"))?;
    }
    let customers = People::of(applied, |row| row.customer());
    if !customers.ids.is_empty() {
        let accounts: Vec<Option<&str>> =
            customers.rows.iter().map(|row| row.and_then(|row| row.account_id.as_deref())).collect();
        let statement =
            tx.sql().prepare_cached(CUSTOMERS).await.map_err(StoreError::at("customers_upsert"))?;
        tx.sql()
            .execute(
                &statement,
                &[
                    &tenant,
                    &key.connection.0,
                    &key.object.0,
                    &customers.ids,
                    &customers.states,
                    &accounts,
                    &customers.tokens,
                ],
            )
            .await
            .map_err(StoreError::at("customers_upsert"))?;
    }
    Ok(())
}

/// The columns that both kinds of people share; a stub's row has no values.
struct People<'a> {
    rows: Vec<Option<&'a PersonRow>>,
    ids: Vec<&'a str>,
    states: Vec<i16>,
    tokens: Vec<Option<&'a [u8]>>,
}

impl<'a> People<'a> {
    fn of(applied: &'a [Applied<'a>], pick: impl Fn(&'a Applied<'a>) -> Option<&'a PersonRow>) -> Self {
        let picked: Vec<(&Applied<'_>, &PersonRow)> =
            applied.iter().filter_map(|row| Some((row, pick(row)?))).collect();
        Self {
            rows: picked.iter().map(|(applied, row)| applied.shows_values().then_some(*row)).collect(),
            ids: picked.iter().map(|(applied, _)| applied.id.as_str()).collect(),
            states: picked.iter().map(|(applied, _)| visible_state(applied.record.state)).collect(),
            tokens: picked
                .iter()
                .map(|(applied, _)| applied.row.email_token.as_ref().filter(|_| applied.shows_values()))
                .map(|token| token.map(<[u8; 16]>::as_slice))
                .collect(),
        }
    }
}
