//! `/v1/tenants/{tenant}/tickets`: the list with its filters, and one ticket with its conversation.

use axum::Json;
use refrain_shared::ids::{ConnectionId, ObjectId, SalesforceId};
use refrain_shared::storage::content::conversation::{Item, ItemCursor, conversation_list};
use refrain_shared::storage::content::reprojecting::{Reprojecting, reprojecting};
use refrain_shared::storage::content::ticket_list::{TicketCursor, TicketFilter, tickets_list};
use refrain_shared::storage::content::tickets as store;
use refrain_shared::storage::content::{RecordKey, conversation};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Tenant;
use crate::api::extract::{ApiPath, ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::{Shared, cursor};

const LIST: &str = "tickets.1";
const CONVERSATION: &str = "conversation.1";

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ticket {
    /// Its id: object and record, like `obj_3.5003000000D8cuIAAR`.
    pub id: String,
    /// The connection it comes through.
    #[schema(value_type = String)]
    pub connection_id: ConnectionId,
    /// What is known of it.
    #[serde(flatten)]
    pub facts: store::Ticket,
}

/// A page of tickets.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tickets {
    /// Newest activity first.
    pub tickets: Vec<Ticket>,
    /// The next page's cursor, if there may be more.
    pub next: Option<String>,
    /// Objects whose mapping changed, while what is here of them is projected anew: their tickets of an older
    /// `mapping_version` are shown and found as before.
    pub reprojecting: Vec<Reprojecting>,
}

/// A ticket with its conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketDetail {
    /// The ticket.
    #[serde(flatten)]
    pub ticket: Ticket,
    /// Opening text.
    pub body: Option<String>,
    /// Every value that was read of its record, by path.
    #[schema(value_type = Object)]
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Of these, paths that were read once and are shown no more, so null here: the integration user may not see them
    /// any more, or the org removed them. Their values come back with the permission.
    pub lost_fields: Vec<String>,
    /// In the order it was held.
    pub conversation: Vec<Message>,
    /// The next part's cursor, if there may be more.
    pub next: Option<String>,
}

/// An item of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    /// Its id: object and record.
    pub id: String,
    /// What was said, by whom and when.
    #[serde(flatten)]
    pub item: Item,
}

/// Which tickets. Beside these, `facet.NAME=VALUE` filters by a mapped field; several must all hold.
#[derive(Debug, Default, IntoParams)]
pub struct TicketsQuery {
    /// Status as the org names it.
    pub status: Option<String>,
    /// Priority as the org names it.
    pub priority: Option<String>,
    /// Channel as the org names it.
    pub channel: Option<String>,
    /// The owner's Salesforce id.
    pub owner_id: Option<String>,
    /// Last activity at or after this moment (RFC 3339).
    pub active_after: Option<String>,
    /// Last activity before this moment (RFC 3339).
    pub active_before: Option<String>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// 1 to 200; 50 unless given.
    pub limit: Option<u16>,
}

/// Which part of the conversation.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TicketQuery {
    /// `next` of the part before.
    pub cursor: Option<String>,
    /// Items: 1 to 200; 200 unless given.
    pub limit: Option<u16>,
}

/// The tenant's live tickets.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/tickets", params(("tenant" = String, Path), TicketsQuery),
    responses((status = 200, body = Tickets), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn list(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<Vec<(String, String)>>,
) -> Result<Json<Tickets>, ApiError> {
    let Wanted { filter, cursor: text, limit } = wanted(query)?;
    let after = cursor::decode::<TicketCursor>(LIST, text.as_deref())?;
    let limit = page_size(limit);
    let keys = api.keys(&scope).await?;
    let tickets = tickets_list(&api.db, &scope, keys, &filter, after, limit).await?;
    let full = tickets.len() == usize::from(limit);
    let next = tickets
        .last()
        .filter(|_| full)
        .map(|last| cursor::encode(LIST, &TicketCursor { active_at: last.last_activity_at, key: last.key }));
    let reprojecting = reprojecting(&api.db, &scope).await?;
    Ok(Json(Tickets { tickets: tickets.into_iter().map(shown).collect(), next, reprojecting }))
}

/// One ticket with every value that was read, and its conversation.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/tickets/{ticket}",
    params(("tenant" = String, Path), ("ticket" = String, Path), TicketQuery),
    responses((status = 200, body = TicketDetail), (status = 404, body = Problem)))]
pub(in crate::api) async fn get(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(String, String)>,
    ApiQuery(query): ApiQuery<TicketQuery>,
) -> Result<Json<TicketDetail>, ApiError> {
    let missing = || ApiError::not_found("ticket");
    let (object, record) = record_key(&id).ok_or_else(missing)?;
    let keys = api.keys(&scope).await?;
    let found =
        store::ticket_get(&api.db, &scope, keys.clone(), object, record).await?.ok_or_else(missing)?;
    let after = cursor::decode::<ItemCursor>(CONVERSATION, query.cursor.as_deref())?;
    let limit = page_size(Some(query.limit.unwrap_or(u16::MAX)));
    let items = conversation_list(&api.db, &scope, keys, found.ticket.key, after, limit).await?;
    let full = items.len() == usize::from(limit);
    let next = items.last().filter(|_| full).map(|last| {
        cursor::encode(CONVERSATION, &conversation::ItemCursor { sent_at: last.sent_at, key: last.key })
    });
    Ok(Json(TicketDetail {
        body: found.body,
        fields: found.fields,
        lost_fields: found.lost_fields,
        ticket: shown(found.ticket),
        conversation: items.into_iter().map(said).collect(),
        next,
    }))
}

/// The printed id of a record: `obj_3.5003000000D8cuIAAR`.
pub(super) fn record_id(key: RecordKey) -> String {
    format!("{}.{}", key.object, key.record)
}

pub(super) fn record_key(text: &str) -> Option<(ObjectId, SalesforceId)> {
    let (object, record) = text.split_once('.')?;
    Some((object.parse().ok()?, record.parse().ok()?))
}

const MOMENT: &str = "a moment like 2026-11-23T14:00:00Z";

struct Wanted {
    filter: TicketFilter,
    cursor: Option<String>,
    limit: Option<u16>,
}

/// Facets have names of the tenant's own making, so the query is read pair by pair.
fn wanted(pairs: Vec<(String, String)>) -> Result<Wanted, ApiError> {
    const MOST_FACETS: usize = 8;
    let mut wanted = Wanted { filter: TicketFilter::default(), cursor: None, limit: None };
    for (name, value) in pairs {
        let filter = &mut wanted.filter;
        match name.as_str() {
            "status" => filter.status = Some(value),
            "priority" => filter.priority = Some(value),
            "channel" => filter.channel = Some(value),
            "owner_id" => filter.owner = Some(read(&name, &value, "a Salesforce id")?),
            "active_after" => filter.active_after = Some(read(&name, &value, MOMENT)?),
            "active_before" => filter.active_before = Some(read(&name, &value, MOMENT)?),
            "cursor" => wanted.cursor = Some(value),
            "limit" => wanted.limit = Some(read(&name, &value, "a number from 1 to 200")?),
            _ => match name.strip_prefix("facet.") {
                Some(facet) if filter.facets.len() < MOST_FACETS => {
                    filter.facets.push((facet.to_owned(), value));
                }
                Some(_) => {
                    return Err(ApiError::invalid(
                        "There are too many facets.",
                        format!("Filter by {MOST_FACETS} facets at most."),
                    ));
                }
                None => {
                    return Err(ApiError::invalid(
                        format!("There is no parameter {name:?}."),
                        "Use status, priority, channel, owner_id, active_after, active_before, facet.NAME, cursor or limit.",
                    ));
                }
            },
        }
    }
    Ok(wanted)
}

fn read<T: std::str::FromStr>(name: &str, value: &str, expected: &str) -> Result<T, ApiError> {
    value
        .parse()
        .map_err(|_| ApiError::invalid(format!("{name} cannot be read."), format!("Write {expected}.")))
}

fn shown(ticket: store::Ticket) -> Ticket {
    Ticket { id: record_id(ticket.key), connection_id: ticket.key.connection, facts: ticket }
}

fn said(item: Item) -> Message {
    Message { id: record_id(item.key), item }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_id_names_object_and_record() {
        let (object, record) = record_key("obj_3.5003000000D8cuIAAR").unwrap();
        assert_eq!((object, record.as_str()), (ObjectId(3), "5003000000D8cuIAAR"));
        assert_eq!(record_key("5003000000D8cuIAAR"), None);
        assert_eq!(record_key("obj_3.x"), None);
    }

    #[test]
    fn a_mistyped_filter_is_refused_instead_of_ignored() {
        let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert!(wanted(pair("statsu", "New")).is_err());
        assert!(wanted(pair("limit", "many")).is_err());
        assert_eq!(wanted(pair("facet.region", "EU")).unwrap().filter.facets, pair("region", "EU"));
    }
}
