//! `/v1/tenants/{tenant}/changes`: what changed since a place that the reader remembers.

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use refrain_shared::ids::ConnectionId;
use refrain_shared::storage::content::changes::changes_list;
use refrain_shared::storage::content::reprojecting::Reprojecting;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Tenant;
use crate::api::extract::{ApiQuery, page_size};
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::tickets::record_id;
use crate::api::{Shared, cursor};

const LIST: &str = "changes.1";

/// A place in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    epoch: i32,
    seq: i64,
}

/// A page of changes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Changes {
    /// In the order in which they were committed; a ticket stands at its newest change only.
    pub changes: Vec<Change>,
    /// Where to go on; always there, so that an empty page can be asked for again later.
    pub next: String,
    /// Whether there is more already.
    pub more: bool,
    /// Objects whose mapping changed, while what is here of them is projected anew: more changes come by that alone.
    pub reprojecting: Vec<Reprojecting>,
}

/// A ticket that changed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// The ticket.
    pub ticket_id: String,
    /// Its connection.
    #[schema(value_type = String)]
    pub connection_id: ConnectionId,
    /// `changed`, `awaiting_parent` or `deleted`.
    pub change: String,
    /// Why it is gone: `expired`, `filtered`, `deleted`, `merged`, `purged`, `not_visible`, `erased`, or `no_ticket` where
    /// its object is none of tickets any more.
    pub reason: Option<String>,
    /// Its last activity.
    pub last_activity_at: DateTime<Utc>,
    /// The mapping version under which it was projected last, with all that belongs to it.
    pub mapping_version: i64,
}

/// From where.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ChangesQuery {
    /// `next` of the page before; from the beginning without it.
    pub after: Option<String>,
    /// 1 to 200; 50 unless given.
    pub limit: Option<u16>,
}

/// Tickets that changed since a place.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/changes", params(("tenant" = String, Path), ChangesQuery),
    responses((status = 200, body = Changes), (status = 404, body = Problem), (status = 410, body = Problem)))]
pub(in crate::api) async fn list(
    api: Shared,
    Tenant(scope): Tenant,
    ApiQuery(query): ApiQuery<ChangesQuery>,
) -> Result<Json<Changes>, ApiError> {
    let place = cursor::decode::<Place>(LIST, query.after.as_deref())?;
    let limit = page_size(query.limit);
    let after = place.map_or(0, |place| place.seq);
    let page = changes_list(&api.db, &scope, after, limit).await?;
    if place.is_some_and(|place| place.epoch != page.epoch) {
        return Err(outlived());
    }
    let seq = page.changes.last().map_or(after, |last| last.seq);
    let more = page.changes.len() == usize::from(limit);
    let changes = page.changes.into_iter().map(|change| Change {
        ticket_id: record_id(change.key),
        connection_id: change.key.connection,
        change: match (change.deleted, change.awaiting_parent) {
            (true, _) => "deleted",
            (false, true) => "awaiting_parent",
            (false, false) => "changed",
        }
        .to_owned(),
        reason: change.reason.map(str::to_owned),
        last_activity_at: change.last_activity_at,
        mapping_version: change.mapping_version,
    });
    let next = cursor::encode(LIST, &Place { epoch: page.epoch, seq });
    Ok(Json(Changes { changes: changes.collect(), next, more, reprojecting: page.reprojecting }))
}

fn outlived() -> ApiError {
    ApiError::new(
        StatusCode::GONE,
        "feed_restarted",
        "This place in the feed is gone.",
        "The database was restored from a backup; changes after that may have other places now.",
        "Read the feed from its beginning, without `after`.",
    )
}
