//! Agents and customers: who they are, opened from their records.

use std::sync::Arc;

use super::RecordKey;
use super::opened::{Opener, record_key, sealed};
use crate::crypto::TenantKeys;
use crate::ids::SalesforceId;
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// Which people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum People {
    /// Those who answer.
    Agents,
    /// Those who ask.
    Customers,
}

/// A person.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their record.
    pub key: RecordKey,
    /// Their name, opened.
    pub name: Option<String>,
    /// Their e-mail address, opened.
    pub email: Option<String>,
    /// Whether an agent may still sign in; none for customers.
    pub active: Option<bool>,
    /// A customer's account; none for agents.
    pub account_id: Option<String>,
}

/// Live people in the order of their keys, after the cursor.
pub async fn people_list(
    db: &Database,
    scope: &TenantScope,
    keys: Arc<TenantKeys>,
    which: People,
    after: Option<RecordKey>,
    limit: u16,
) -> Result<Vec<Person>, StoreError> {
    let (name, table, active, account) = match which {
        People::Agents => ("agents_list", "agents", "p.active", "NULL::text"),
        People::Customers => ("customers_list", "customers", "NULL::boolean", "p.account_id"),
    };
    let sql = format!(
        "-- {name}
        SELECT p.connection_id, p.object_id, p.record_id, {active}, {account}, r.field_set_id, r.payload
          FROM {table} p LEFT JOIN records r ON r.tenant_id = p.tenant_id AND r.connection_id = p.connection_id
               AND r.object_id = p.object_id AND r.record_id = p.record_id AND r.state = 0
         WHERE p.tenant_id = $1 AND p.state = 0
           AND ($2::uuid IS NULL OR (p.connection_id, p.object_id, p.record_id) > ($2, $3::int, $4::text))
         ORDER BY p.connection_id, p.object_id, p.record_id LIMIT $5"
    );
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let opener = Opener::load(&tx, keys).await?;
    let rows = tx
        .sql()
        .query(
            &sql,
            &[
                &scope.tenant().0,
                &after.map(|key| key.connection.0),
                &after.map(|key| key.object.0),
                &after.as_ref().map(|key| SalesforceId::as_str(&key.record)),
                &i64::from(limit),
            ],
        )
        .await
        .map_err(StoreError::at("people_list"))?;
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            let key = record_key(row, 0)?;
            let who = opener.read(key, sealed(row, 5), |record| {
                let text = |path| record.text(path).map(std::borrow::Cow::into_owned);
                (text("Name"), text("Email"))
            })?;
            let (name, email) = who.unwrap_or_default();
            Ok(Person { key, name, email, active: row.get(3), account_id: row.get(4) })
        })
        .collect()
}
