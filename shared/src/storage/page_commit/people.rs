//! Agents and customers: one table each, which differ in one column.

use tokio_postgres::types::ToSql;

use super::super::error::StoreError;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::messages::visible_state;
use super::{Applied, PersonRow};

/// A table of people.
struct Table {
    /// The name of its upsert.
    upsert: &'static str,
    /// Its own name.
    name: &'static str,
    /// Its own column, and that column's type.
    column: [&'static str; 2],
}

const AGENTS: Table = Table { upsert: "agents_upsert", name: "agents", column: ["active", "bool"] };
const CUSTOMERS: Table =
    Table { upsert: "customers_upsert", name: "customers", column: ["account_id", "text"] };

pub(super) async fn upsert(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    applied: &[Applied<'_>],
) -> Result<(), StoreError> {
    let agents = People::of(applied, |row| row.agent());
    let active: Vec<bool> = agents.rows.iter().map(|row| row.is_some_and(|row| row.active)).collect();
    write(tx, key, &AGENTS, &agents, &active).await?;
    let customers = People::of(applied, |row| row.customer());
    let accounts: Vec<Option<&str>> =
        customers.rows.iter().map(|row| row.and_then(|row| row.account_id.as_deref())).collect();
    write(tx, key, &CUSTOMERS, &customers, &accounts).await
}

/// Forgets the people that these records were, as far as they are none any more.
pub(super) async fn forget(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    applied: &[Applied<'_>],
) -> Result<(), StoreError> {
    const AGENTS_GONE: &str = "-- agents_forget
        DELETE FROM agents WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY($4)";
    const CUSTOMERS_GONE: &str = "-- customers_forget
        DELETE FROM customers WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 AND record_id = ANY($4)";
    let nobody = applied.iter().filter(|row| row.agent().is_none() && row.customer().is_none());
    let ids: Vec<&str> = nobody.map(|row| row.id.as_str()).collect();
    for (name, sql) in [("agents_forget", AGENTS_GONE), ("customers_forget", CUSTOMERS_GONE)] {
        tx.sql()
            .execute(sql, &[&tx.scope().tenant().0, &key.connection.0, &key.object.0, &ids])
            .await
            .map_err(StoreError::at(name))?;
    }
    Ok(())
}

async fn write(
    tx: &TenantTx<'_>,
    key: ObjectKey,
    table: &Table,
    people: &People<'_>,
    own: &(dyn ToSql + Sync),
) -> Result<(), StoreError> {
    if people.ids.is_empty() {
        return Ok(());
    }
    let Table { upsert, name, column: [column, kind] } = table;
    let sql = format!(
        "-- {upsert}
        INSERT INTO {name} (tenant_id, connection_id, object_id, record_id, state, {column}, email_token)
        SELECT $1, $2, $3, p.* FROM unnest($4::text[], $5::int2[], $6::{kind}[], $7::bytea[]) AS p (id, state, own, token)
         ORDER BY p.id COLLATE \"C\"
        ON CONFLICT (tenant_id, connection_id, object_id, record_id) DO UPDATE
           SET state = excluded.state, {column} = excluded.{column}, email_token = excluded.email_token"
    );
    let statement = tx.sql().prepare_cached(&sql).await.map_err(StoreError::at(upsert))?;
    let tenant = tx.scope().tenant().0;
    let columns: [&(dyn ToSql + Sync); 7] =
        [&tenant, &key.connection.0, &key.object.0, &people.ids, &people.states, own, &people.tokens];
    tx.sql().execute(&statement, &columns).await.map_err(StoreError::at(upsert))?;
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
