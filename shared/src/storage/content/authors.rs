//! On which side the authors of a conversation stand: agents are known by their records and addresses, and so are
//! customers.

use std::collections::HashMap;

use tokio_postgres::types::Type;

use super::conversation::Item;
use super::opened::Opener;
use crate::catalog::Projection;
use crate::crypto::IdentityToken;
use crate::ids::{ConnectionId, SalesforceId};
use crate::privacy::identities_of;
use crate::storage::{StoreError, TenantTx};

/// The authors of some items.
pub(super) struct Authors {
    by_id: HashMap<String, &'static str>,
    by_address: HashMap<String, &'static str>,
}

/// Of one side: its word, and its objects.
type Side = (&'static str, Vec<i32>);

impl Authors {
    /// Looks up everybody who wrote one of these.
    pub(super) async fn of(
        tx: &TenantTx<'_>,
        opener: &Opener,
        connection: ConnectionId,
        items: &[Item],
    ) -> Result<Self, StoreError> {
        let ids: Vec<&str> = items.iter().filter_map(|item| item.author_id.as_deref()).collect();
        let mut tokens: HashMap<IdentityToken, &str> = HashMap::new();
        for address in
            items.iter().filter(|item| item.author_id.is_none()).filter_map(|item| item.author.as_deref())
        {
            tokens.extend(identities_of(address).map(|identity| (opener.identity_token(&identity), address)));
        }
        let mut authors = Self { by_id: HashMap::new(), by_address: HashMap::new() };
        if ids.is_empty() && tokens.is_empty() {
            return Ok(authors);
        }
        // Whoever is both, a colleague who once wrote in as a customer, counts as an agent.
        let customers = ("customer", opener.objects(|projection| *projection == Projection::Customer));
        let agents = ("agent", opener.objects(|projection| *projection == Projection::Agent));
        for side in [customers, agents] {
            authors.add(tx, connection, &side, &ids, &tokens).await?;
        }
        Ok(authors)
    }

    async fn add(
        &mut self,
        tx: &TenantTx<'_>,
        connection: ConnectionId,
        (word, objects): &Side,
        ids: &[&str],
        tokens: &HashMap<IdentityToken, &str>,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "-- authors_{word}
            SELECT record_id, NULL::bytea FROM {word}s
             WHERE tenant_id = $1 AND connection_id = $2 AND object_id = ANY ($3) AND record_id = ANY ($4)
            UNION ALL
            SELECT record_id, email_token FROM {word}s
             WHERE tenant_id = $1 AND connection_id = $2 AND email_token = ANY ($5) AND state = 0"
        );
        let known: Vec<&[u8]> = tokens.keys().map(IdentityToken::as_slice).collect();
        let rows = tx
            .sql()
            .query_typed(
                &sql,
                &[
                    (&tx.scope().tenant().0, Type::UUID),
                    (&connection.0, Type::UUID),
                    (objects, Type::INT4_ARRAY),
                    (&ids, Type::TEXT_ARRAY),
                    (&known, Type::BYTEA_ARRAY),
                ],
            )
            .await
            .map_err(StoreError::at("authors"))?;
        for row in &rows {
            let token: Option<&[u8]> = row.get(1);
            match token.and_then(|token| tokens.get(token)) {
                Some(address) => drop(self.by_address.insert((*address).to_owned(), word)),
                None => drop(self.by_id.insert(row.get(0), word)),
            }
        }
        Ok(())
    }

    /// `agent` or `customer`, for an id or an address.
    pub(super) fn side(&self, author: Option<&str>) -> Option<&'static str> {
        let author = author?;
        let by = if SalesforceId::parse(author).is_ok() { &self.by_id } else { &self.by_address };
        by.get(author).copied()
    }
}
