//! `/v1/tenants/{tenant}/agents` and `/v1/tenants/{tenant}/customers`

use axum::Json;
use refrain_shared::ids::ConnectionId;
use refrain_shared::storage::content::RecordKey;
use refrain_shared::storage::content::people as store;
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::Tenant;
use crate::api::extract::{ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::tenants::PageQuery;
use crate::api::v1::tickets::record_id;
use crate::api::{Api, Shared, cursor};

/// Someone who answers or asks.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// Object and record.
    pub id: String,
    /// The connection they come through.
    #[schema(value_type = String)]
    pub connection_id: ConnectionId,
    /// Their name.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Whether an agent may still sign in; null for customers.
    pub active: Option<bool>,
    /// A customer's account; null for agents.
    pub account_id: Option<String>,
}

/// A page of people.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct People {
    /// In a stable order.
    pub people: Vec<Person>,
    /// The next page's cursor, if there may be more.
    pub next: Option<String>,
}

/// Those who answer: users of the org.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/agents", params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = People), (status = 404, body = Problem)))]
pub(in crate::api) async fn agents(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<People>, ApiError> {
    page(&api, scope, store::People::Agents, "agents.1", query).await
}

/// Those who ask: contacts of the org.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/customers", params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = People), (status = 404, body = Problem)))]
pub(in crate::api) async fn customers(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<People>, ApiError> {
    page(&api, scope, store::People::Customers, "customers.1", query).await
}

async fn page(
    api: &Api,
    scope: TenantScope,
    which: store::People,
    list: &str,
    query: PageQuery,
) -> Result<Json<People>, ApiError> {
    let limit = page_size(query.limit);
    let after = cursor::decode::<RecordKey>(list, query.cursor.as_deref())?;
    let keys = api.keys(&scope).await?;
    let people = store::people_list(&api.db, &scope, keys, which, after, limit).await?;
    let full = people.len() == usize::from(limit);
    let next = people.last().filter(|_| full).map(|last| cursor::encode(list, &last.key));
    let people = people.into_iter().map(|person| Person {
        id: record_id(person.key),
        connection_id: person.key.connection,
        name: person.name,
        email: person.email,
        active: person.active,
        account_id: person.account_id,
    });
    Ok(Json(People { people: people.collect(), next }))
}
