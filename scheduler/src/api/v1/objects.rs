//! Object syncs: `/v1/tenants/{tenant}/connections/{connection}/objects` and `/v1/tenants/{tenant}/objects`

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use refrain_shared::catalog::files::MOST_MB;
use refrain_shared::catalog::filter::check::{Problem as FilterProblem, problems};
use refrain_shared::catalog::{Projection, Role, StandardObject};
use refrain_shared::ids::{ConnectionId, ObjectId, TenantId};
use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::control::connections::connection_get;
use refrain_shared::storage::control::object_syncs as store;
use refrain_shared::storage::dispatch::{Also, Trigger, object_trigger};
use refrain_shared::storage::filters::describe_get;
use refrain_shared::tenant::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Shared;
use crate::api::auth::Tenant;
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::{ApiError, Problem};

/// An object sync.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectSync {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ObjectId,
    /// The connection it reads through.
    #[schema(value_type = String)]
    pub connection_id: ConnectionId,
    /// The object's API name.
    pub api_name: String,
    /// `ticket`, `message`, `event` or `reference`.
    pub role: String,
    /// Whether it is wanted now.
    pub enabled: bool,
    /// How often it is read, in seconds.
    pub interval_s: i32,
    /// Linked paths, facets, filter, settle and overlap.
    #[schema(value_type = Object)]
    pub settings: ObjectSettings,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl From<store::ObjectSync> for ObjectSync {
    fn from(sync: store::ObjectSync) -> Self {
        Self {
            id: sync.id,
            connection_id: sync.connection,
            api_name: sync.api_name,
            role: sync.role,
            enabled: sync.enabled,
            interval_s: sync.interval_s,
            settings: sync.settings,
            created_at: sync.created_at,
        }
    }
}

/// All object syncs of a connection.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectSyncs {
    /// In the order of their making.
    pub objects: Vec<ObjectSync>,
}

/// What a new object sync needs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewObjectSync {
    /// The object's API name.
    pub api_name: String,
    /// What it is to a ticket; known for standard objects.
    pub role: Option<String>,
    /// How often it is read, in seconds; every hour unless given.
    pub interval_s: Option<i32>,
    /// Linked paths, facets, filter, settle and overlap.
    ///
    /// `filter` says which records are kept: `{"all": […]}`, `{"any": […]}`, `{"not": …}` or a test of one of the object's own
    /// fields, like `{"field": "Type", "in": ["Problem", "Question"]}`, with `is`, `in`, `not_in`, `below`, `at_least` or
    /// `is_null`. A field without a value is in no list, below nothing and at least nothing.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<ObjectSettings>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectSyncPatch {
    /// Whether it is wanted.
    pub enabled: Option<bool>,
    /// What it is to a ticket: `ticket`, `message`, `event` or `reference`. What is here becomes that.
    pub role: Option<String>,
    /// How often it is read, in seconds.
    pub interval_s: Option<i32>,
    /// Linked paths, facets, filter, settle and overlap, as a whole.
    ///
    /// `filter` says which records are kept: `{"all": […]}`, `{"any": […]}`, `{"not": …}` or a test of one of the object's own
    /// fields, like `{"field": "Type", "in": ["Problem", "Question"]}`, with `is`, `in`, `not_in`, `below`, `at_least` or
    /// `is_null`. A field without a value is in no list, below nothing and at least nothing.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<ObjectSettings>,
}

/// What a trigger did.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Triggered {
    /// `due` (it waits for its turn now), `again` (it runs, and will once more) or `not_yet` (its job is being made).
    pub outcome: String,
}

const HOURLY: i32 = 3600;
const ROLES: [&str; 4] = ["ticket", "message", "event", "reference"];

/// The connection's object syncs.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/connections/{connection}/objects",
    params(("tenant" = String, Path), ("connection" = String, Path)),
    responses((status = 200, body = ObjectSyncs), (status = 404, body = Problem)))]
pub(in crate::api) async fn list(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, connection)): ApiPath<(TenantId, ConnectionId)>,
) -> Result<Json<ObjectSyncs>, ApiError> {
    if connection_get(&api.control, &scope, connection).await?.is_none() {
        return Err(ApiError::not_found("connection"));
    }
    let syncs = store::object_syncs_list(&api.control, &scope, Some(connection)).await?;
    Ok(Json(ObjectSyncs { objects: syncs.into_iter().map(ObjectSync::from).collect() }))
}

/// Starts keeping an object of the connection fresh.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connections/{connection}/objects",
    params(("tenant" = String, Path), ("connection" = String, Path)), request_body = NewObjectSync,
    responses((status = 201, body = ObjectSync), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::api) async fn create(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, connection)): ApiPath<(TenantId, ConnectionId)>,
    ApiJson(new): ApiJson<NewObjectSync>,
) -> Result<(StatusCode, Json<ObjectSync>), ApiError> {
    let role = role(&new.api_name, new.role)?;
    check_projection(&new.api_name, role, new.settings.as_ref())?;
    let new = store::NewObjectSync {
        role: role.word().to_owned(),
        api_name: checked_api_name(new.api_name)?,
        interval_s: checked_interval(new.interval_s)?.unwrap_or(HOURLY),
        settings: checked_settings(new.settings)?.unwrap_or_default(),
    };
    let made = store::object_sync_create(&api.control, &scope, connection, &new).await?;
    api.wakes.reconciler.notify_one();
    made.map(|sync| (StatusCode::CREATED, Json(sync.into()))).ok_or_else(|| ApiError::not_found("connection"))
}

/// Changes an object sync: enables, disables, another interval, other settings, another role. What settings and role make
/// of the records that are here is made anew from them, without a call to Salesforce.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/objects/{object}",
    params(("tenant" = String, Path), ("object" = String, Path)), request_body = ObjectSyncPatch,
    responses((status = 200, body = ObjectSync), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn update(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, object)): ApiPath<(TenantId, ObjectId)>,
    ApiJson(patch): ApiJson<ObjectSyncPatch>,
) -> Result<Json<ObjectSync>, ApiError> {
    let known = store::object_sync_get(&api.control, &scope, object).await?;
    let known = known.ok_or_else(|| ApiError::not_found("object sync"))?;
    if patch.role.is_some() || patch.settings.is_some() {
        let role = role(&known.api_name, Some(patch.role.clone().unwrap_or_else(|| known.role.clone())))?;
        check_projection(&known.api_name, role, Some(patch.settings.as_ref().unwrap_or(&known.settings)))?;
    }
    check_filter(&api, &scope, &known.api_name, (object, patch.settings.as_ref())).await?;
    let patch = store::ObjectSyncPatch {
        enabled: patch.enabled,
        role: patch.role,
        interval_s: checked_interval(patch.interval_s)?,
        settings: checked_settings(patch.settings)?,
    };
    let changed = store::object_sync_update(&api.control, &scope, object, &patch).await?;
    api.wakes.reconciler.notify_one();
    changed.map(|sync| Json(sync.into())).ok_or_else(|| ApiError::not_found("object sync"))
}

/// What a "sync now" looks at.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SyncQuery {
    /// Also holds everything that is here against everything that Salesforce shows: a call for some thousand records.
    #[serde(default)]
    pub sweep: bool,
    /// Also reads again everything that is here, for values that are not the object's own: those of parents, and formulas.
    #[serde(default)]
    pub refresh: bool,
}

/// Syncs an object's changes and deletions now; what was parked is tried again.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/objects/{object}/sync",
    params(("tenant" = String, Path), ("object" = String, Path), SyncQuery),
    responses((status = 202, body = Triggered), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::api) async fn sync_now(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, object)): ApiPath<(TenantId, ObjectId)>,
    ApiQuery(query): ApiQuery<SyncQuery>,
) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    if store::object_sync_get(&api.control, &scope, object).await?.is_none() {
        return Err(ApiError::not_found("object sync"));
    }
    let also = Also { sweep: query.sweep, refresh: query.refresh };
    let outcome = match object_trigger(&api.db, &scope, object, also).await? {
        Trigger::Due => "due",
        Trigger::Again => "again",
        Trigger::NotYet => "not_yet",
    };
    api.wakes.dispatcher.notify_one();
    Ok((StatusCode::ACCEPTED, Json(Triggered { outcome: outcome.to_owned() })))
}

fn role(api_name: &str, given: Option<String>) -> Result<Role, ApiError> {
    let known = StandardObject::find(api_name).map(|object| object.role);
    match given {
        Some(word) => Role::from_word(&word).ok_or_else(|| {
            ApiError::invalid(format!("{word:?} is no role."), format!("Use one of {}.", ROLES.join(", ")))
        }),
        None => known.ok_or_else(|| {
            ApiError::invalid(
                format!("{api_name} has no role by itself."),
                format!("Say what it is to a ticket: one of {}.", ROLES.join(", ")),
            )
        }),
    }
}

/// Refuses a role that nothing could be shown in: which fields make a ticket or a message is known of standard objects
/// in their own role only.
fn check_projection(api_name: &str, role: Role, settings: Option<&ObjectSettings>) -> Result<(), ApiError> {
    let settings = settings.cloned().unwrap_or_default();
    let refuse = |what: &str, fix: &str| Err(ApiError::invalid(format!("{api_name} {what}"), fix));
    match (role, Projection::of(api_name, role, &settings)) {
        (Role::Ticket, Projection::None) => refuse(
            "does not say which fields make a ticket.",
            "Give settings.ticket, like {\"number\": \"Name\", \"subject\": \"Title__c\", \"status\": \"Status__c\"}.",
        ),
        (Role::Message | Role::Event | Role::File, Projection::None) => refuse(
            "does not say which fields make a message.",
            "Give settings.message, like {\"kind\": \"comment\", \"parents\": [\"Case__c\"], \"text\": [\"Body__c\"]}.",
        ),
        (_, Projection::Message(fields)) if fields.parents.is_empty() => refuse(
            "does not say which field names the ticket.",
            "Give at least one path in settings.message.parents, like [\"Case__c\"].",
        ),
        _ => Ok(()),
    }
}

/// Refuses a filter that cannot be asked of the object as it was described last. Of one that was not yet, or looks otherwise by
/// now, a worker finds that out and the object parks.
async fn check_filter(
    api: &Shared,
    scope: &TenantScope,
    api_name: &str,
    (object, settings): (ObjectId, Option<&ObjectSettings>),
) -> Result<(), ApiError> {
    let Some(filter) = settings.and_then(|settings| settings.filter.as_ref()) else { return Ok(()) };
    let Some(describe) = describe_get(&api.db, scope, object).await? else { return Ok(()) };
    let problems = problems(filter, &describe);
    if problems.is_empty() {
        return Ok(());
    }
    let all = |part: fn(&FilterProblem) -> &str| problems.iter().map(part).collect::<Vec<_>>().join(" ");
    Err(ApiError::invalid(
        format!("The filter of {api_name} cannot be used. {}", all(|problem| &problem.why)),
        all(|problem| &problem.fix),
    ))
}

/// Salesforce's own rule for names, so that nothing else ever reaches a query.
fn checked_api_name(name: String) -> Result<String, ApiError> {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 80
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain {
        return Ok(name);
    }
    Err(ApiError::invalid(
        "The API name is no name of an object.",
        "Write it as Setup shows it, like Case or Ping__c.",
    ))
}

fn checked_interval(interval_s: Option<i32>) -> Result<Option<i32>, ApiError> {
    match interval_s {
        Some(seconds) if !(1..=86_400).contains(&seconds) => Err(ApiError::invalid(
            format!("An interval of {seconds} s is out of bounds."),
            "Give interval_s from 1 to 86400.",
        )),
        interval => Ok(interval),
    }
}

fn checked_settings(settings: Option<ObjectSettings>) -> Result<Option<ObjectSettings>, ApiError> {
    const DAY: u32 = 86_400;
    match settings {
        Some(settings) if settings.settle_s > DAY || settings.overlap_s > DAY => Err(ApiError::invalid(
            "Settle or overlap is longer than a day.",
            "Give both in seconds, up to 86400.",
        )),
        Some(settings) if !(1..=MOST_MB).contains(&settings.files.most_mb) => Err(ApiError::invalid(
            format!("Files of {} MB are out of bounds.", settings.files.most_mb),
            format!("Give files.most_mb from 1 to {MOST_MB}; files.bodies = false keeps no bodies at all."),
        )),
        Some(settings) if settings.files.mistaken().is_some() => Err(ApiError::invalid(
            format!("{:?} is no type of file.", settings.files.mistaken().unwrap_or_default()),
            "Write media types like image/* or application/pdf, and endings like .pdf.",
        )),
        Some(settings) if !(1..=90).contains(&settings.sweep_days) => Err(ApiError::invalid(
            "settings.sweep_days is not between 1 and 90.",
            "Give a number of days from 1 to 90, or leave it out for 7.",
        )),
        Some(settings) if !(1..=720).contains(&settings.refresh_hours) => Err(ApiError::invalid(
            "settings.refresh_hours is not between 1 and 720.",
            "Give a number of hours from 1 to 720, or leave it out for 24.",
        )),
        Some(settings) if settings.quarantine_percent > 100 => Err(ApiError::invalid(
            "settings.quarantine_percent is above 100.",
            "Give a share from 0 to 100, or leave it out for 5.",
        )),
        settings => Ok(settings),
    }
}
