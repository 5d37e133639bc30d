//! `/v1/tenants/{tenant}/status`: is it complete, is it fresh, must somebody act?

use axum::Json;
use chrono::{DateTime, Utc};
use refrain_shared::error::UserMessage;
use refrain_shared::freshness::{CoveredFrom, Progress, paused_sentence, resyncing_sentence, sentence};
use refrain_shared::ids::{ConnectionId, ObjectId};
use refrain_shared::job::SyncState;
use refrain_shared::storage::content::reprojecting::Reprojecting;
use refrain_shared::storage::content::status as store;
use refrain_shared::storage::control::connections::connections_list;
use refrain_shared::storage::control::pauses::{Level, pauses_get};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::auth::Tenant;
use crate::api::problem::{ApiError, Problem};
use crate::api::v1::connections::Connection;
use crate::api::v1::pauses::Paused;

/// Where a tenant stands.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// When this was read.
    pub as_of: DateTime<Utc>,
    /// All reading of the tenant is paused.
    pub paused: Option<Paused>,
    /// Each connection with its objects.
    pub connections: Vec<ConnectionStatus>,
    /// Live tickets.
    pub tickets: i64,
    /// Tickets whose own record has not come yet.
    pub tickets_awaiting_parent: i64,
    /// Live items of conversations.
    pub messages: i64,
    /// The mapping version of today: raised with each change of an object's settings or role. A ticket is of an older one
    /// where nothing that concerns it has changed since, or where `reprojecting` of its object has not come to it yet.
    pub mapping_version: i64,
}

/// Where a connection stands.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectionStatus {
    /// The connection.
    #[serde(flatten)]
    pub connection: Connection,
    /// All reading through it is paused.
    pub paused: Option<Paused>,
    /// Its objects.
    pub objects: Vec<ObjectStatus>,
}

/// Where an object stands. `records_read` = `written` + `unchanged` + `superseded` + `quarantined` + `suppressed` +
/// `expired` + `filtered`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectStatus {
    /// The object sync.
    #[schema(value_type = String)]
    pub id: ObjectId,
    /// The object's API name.
    pub api_name: String,
    /// What it is to a ticket.
    pub role: String,
    /// Whether it is wanted.
    pub enabled: bool,
    /// How often it is read, in seconds.
    pub interval_s: i32,
    /// `new`, `loading`, `current`, `parked` or `absent`.
    pub state: String,
    /// Its reading is paused, here or at its connection or tenant.
    pub paused: Option<Paused>,
    /// What a person must do, when it or a part of its work is parked.
    pub ask: Option<UserMessage>,
    /// How fresh it is, in one sentence that never promises more than is here.
    pub freshness: String,
    /// How many records the org counted when the first load was planned; absent before, and where they were too
    /// many to count.
    pub expected: Option<i64>,
    /// Live records here.
    pub stored: i64,
    /// Records set aside now.
    pub set_aside: i64,
    /// What became of the records that were read.
    #[serde(flatten)]
    pub counts: store::RecordCounts,
    /// Everything stamped before this is here.
    pub watermark_at: Option<DateTime<Utc>>,
    /// History is complete from here; null with `covers_all_history`.
    pub covered_from: Option<DateTime<Utc>>,
    /// Whether history is complete from its first record.
    pub covers_all_history: bool,
    /// When the first load was complete.
    pub loaded_at: Option<DateTime<Utc>>,
    /// When the last window was complete.
    pub passed_at: Option<DateTime<Utc>>,
    /// Every deletion before this is known by Salesforce's log of deletions; null where it keeps none of this object, so
    /// that sweeps alone find what vanished without a trace.
    pub deletions_known_to: Option<DateTime<Utc>>,
    /// When the last whole sweep began: whatever vanished before it was found.
    pub swept_at: Option<DateTime<Utc>>,
    /// Every change of a parent before this shows in the values that are read along from it; null where none are.
    pub linked_known_to: Option<DateTime<Utc>>,
    /// When everything here was last read again for formulas and for parents that cannot be followed.
    pub refreshed_at: Option<DateTime<Utc>>,
    /// When everything here was held against everything that Salesforce shows, last; null for objects whose records are
    /// found by what they belong to alone.
    pub verified_at: Option<DateTime<Utc>>,
    /// What came of that.
    pub verified: Option<store::Verified>,
    /// What of it is read once more because a person asked for it; all of it stays complete meanwhile.
    pub resyncing: Option<store::Resyncing>,
    /// How far what is here of it is projected anew after a change of its mapping; null when nothing is left to do.
    pub reprojecting: Option<Reprojecting>,
}

/// Everything about the tenant's freshness and completeness.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/status", params(("tenant" = String, Path)),
    responses((status = 200, body = Status), (status = 404, body = Problem)))]
pub(in crate::api) async fn get(api: Shared, Tenant(scope): Tenant) -> Result<Json<Status>, ApiError> {
    let connections = connections_list(&api.control, &scope).await?;
    let mut status = store::status_get(&api.db, &scope).await?;
    let pauses = pauses_get(&api.control, &scope).await?;
    let paused = |level| pauses.at(&scope, level).map(Paused::from);
    let now = api.clock.now();
    let mut of = |connection: ConnectionId| {
        let (its, others) = status.objects.drain(..).partition(|object| object.connection == connection);
        status.objects = others;
        let its: Vec<store::ObjectStatus> = its;
        its.into_iter()
            .map(|object| {
                let levels = [Level::Tenant, Level::Connection(connection), Level::Object(object.object)];
                shown(object, levels.into_iter().find_map(paused), now)
            })
            .collect::<Vec<_>>()
    };
    let connections = connections
        .into_iter()
        .map(|connection| ConnectionStatus {
            paused: paused(Level::Connection(connection.id)),
            objects: of(connection.id),
            connection: connection.into(),
        })
        .collect();
    Ok(Json(Status {
        as_of: now,
        paused: paused(Level::Tenant),
        connections,
        tickets: status.tickets,
        tickets_awaiting_parent: status.awaiting_parent,
        messages: status.messages,
        mapping_version: status.mapping_version,
    }))
}

/// An object sync that the reconciler has not seen yet stands at nought.
fn unseen() -> store::ObjectProgress {
    store::ObjectProgress {
        state: SyncState::New,
        ask: None,
        watermark_at: None,
        covered_from: None,
        expected: None,
        counts: store::RecordCounts::default(),
        loaded_at: None,
        passed_at: None,
    }
}

fn shown(object: store::ObjectStatus, paused: Option<Paused>, now: DateTime<Utc>) -> ObjectStatus {
    let progress = object.progress.unwrap_or_else(unseen);
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    let mut freshness = sentence(
        &Progress {
            api_name: &object.api_name,
            state: progress.state,
            ask: progress.ask.as_ref(),
            watermark: progress.watermark_at,
            covered_from: progress.covered_from,
            expected: progress.expected.map(count),
            stored: count(object.stored),
        },
        now,
    );
    if let Some(resyncing) = &object.resyncing {
        freshness = format!("{freshness} {}", resyncing_sentence(resyncing.from, now));
    }
    if let Some(paused) = &paused {
        freshness = format!("{freshness} {}", paused_sentence(paused.since, &paused.by, now));
    }
    ObjectStatus {
        id: object.object,
        api_name: object.api_name,
        role: object.role,
        enabled: object.enabled,
        interval_s: object.interval_s,
        state: progress.state.word().to_owned(),
        paused,
        ask: progress.ask.or(object.ask),
        freshness,
        expected: progress.expected,
        stored: object.stored,
        set_aside: object.set_aside,
        counts: progress.counts,
        watermark_at: progress.watermark_at,
        covered_from: match progress.covered_from {
            Some(CoveredFrom::At(at)) => Some(at),
            Some(CoveredFrom::Start) | None => None,
        },
        covers_all_history: progress.covered_from == Some(CoveredFrom::Start),
        loaded_at: progress.loaded_at,
        passed_at: progress.passed_at,
        deletions_known_to: object.deletions_known_to,
        swept_at: object.swept_at,
        linked_known_to: object.linked_known_to,
        refreshed_at: object.refreshed_at,
        verified_at: object.verified.map(|verified| verified.began_at),
        verified: object.verified,
        resyncing: object.resyncing,
        reprojecting: object.reprojecting,
    }
}
