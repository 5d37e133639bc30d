//! Who gets in, and where: users, the app's policies, keys, releases, instance moves, clocks.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value as JsonValue, json};

use super::{Answered, Refusal, Shared, org};
use crate::http::tls::TlsFault;
use crate::org::app::AppPolicy;
use crate::org::home::{Home, OldAddress};
use crate::org::logins::Login;
use crate::org::sessions::Lifetimes;
use crate::simulator::Founder;
use crate::store::write::When;
use crate::value::Value;

pub(super) fn routes() -> Router<Arc<Founder>> {
    Router::new()
        .route("/app", post(app))
        .route("/users", post(user_add).get(user_list))
        .route("/users/{user}", post(user_change))
        .route("/jwt-key", post(jwt_key))
        .route("/release", post(release))
        .route("/move", post(move_away))
        .route("/clock", post(clock))
        .route("/replication", post(replication))
        .route("/refresh-sandbox", post(refresh_sandbox))
}

pub(super) fn world_routes() -> Router<Arc<Founder>> {
    Router::new().route("/tls", post(tls_open)).route("/tls/main", post(tls_main))
}

/// Puts the given keys over those of a value. A key that the value does not have is refused.
fn over(current: &impl serde::Serialize, changes: &mut Map<String, JsonValue>) -> Result<JsonValue, Refusal> {
    let mut value = serde_json::to_value(current).map_err(|why| Refusal::bad(why.to_string()))?;
    if let Some(members) = value.as_object_mut() {
        for (key, member) in members {
            if let Some(change) = changes.remove(key) {
                *member = change;
            }
        }
    }
    Ok(value)
}

fn typed<T: serde::de::DeserializeOwned>(value: JsonValue) -> Result<T, Refusal> {
    serde_json::from_value(value)
        .map_err(|why| Refusal::bad(format!("{why}. See the README for the values.")))
}

/// The app's policies and the lifetimes of its tokens; what is left out stays as it is.
async fn app(
    State(founder): Shared,
    Path(id): Path<String>,
    Json(mut changes): Json<Map<String, JsonValue>>,
) -> Answered {
    let org = org(&founder, &id)?;
    let policy: AppPolicy = typed(over(&*org.app(), &mut changes)?)?;
    let lifetimes = org.sessions().lifetimes;
    let lifetimes: Lifetimes = typed(over(&lifetimes, &mut changes)?)?;
    if let Some(unknown) = changes.keys().next() {
        return Err(Refusal::bad(format!(
            "The app has no setting '{unknown}'. An empty body lists them all."
        )));
    }
    org.set_app(policy.clone());
    org.sessions().lifetimes = lifetimes;
    let mut all = serde_json::to_value(policy).unwrap_or_default();
    if let (Some(all), Ok(JsonValue::Object(more))) = (all.as_object_mut(), serde_json::to_value(lifetimes)) {
        all.extend(more);
    }
    Ok(Json(all))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    username: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    api_only: bool,
}

async fn user_add(State(founder): Shared, Path(id): Path<String>, Json(new): Json<NewUser>) -> Answered {
    let org = org(&founder, &id)?;
    let login = org.add_user(&new.username, new.password, new.api_only).map_err(Refusal::bad)?;
    Ok(Json(written(&login)))
}

async fn user_list(State(founder): Shared, Path(id): Path<String>) -> Answered {
    let org = org(&founder, &id)?;
    let all: Vec<JsonValue> = org.logins().all().iter().map(written).collect();
    Ok(Json(json!(all)))
}

fn written(login: &Login) -> JsonValue {
    json!({"username": login.username, "password": login.password, "user_id": login.user_id.as_str(),
        "active": login.active, "api_only": login.api_only, "api_enabled": login.api_enabled})
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserChange {
    #[serde(default)]
    active: Option<bool>,
    #[serde(default)]
    api_only: Option<bool>,
    #[serde(default)]
    api_enabled: Option<bool>,
    #[serde(default)]
    password: Option<String>,
}

async fn user_change(
    State(founder): Shared,
    Path((id, name)): Path<(String, String)>,
    Json(change): Json<UserChange>,
) -> Answered {
    let org = org(&founder, &id)?;
    let user = {
        let mut logins = org.logins();
        let found = logins.named_mut(&name);
        let login =
            found.ok_or_else(|| Refusal::missing(format!("No user '{name}'. GET users lists them.")))?;
        login.api_only = change.api_only.unwrap_or(login.api_only);
        login.api_enabled = change.api_enabled.unwrap_or(login.api_enabled);
        if let Some(password) = change.password {
            login.password = password;
        }
        login.user_id
    };
    let Some(active) = change.active else {
        return Ok(Json(json!({})));
    };
    org.set_user_active(&name, active);
    let when = When::at(org.clock.now_ms(), org.identity.user_id);
    let mut store = org.records_mut();
    if let Some((object, handle)) = store.find(user) {
        let slot = store.tables[object].schema.slot("IsActive");
        store.update(object, handle, &[(slot, Value::Bool(active))], true, when);
    }
    Ok(Json(json!({})))
}

fn failed(why: &anyhow::Error) -> Refusal {
    Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("{why:#}"))
}

async fn jwt_key(State(founder): Shared, Path(id): Path<String>) -> Answered {
    let org = org(&founder, &id)?;
    let file = founder.new_jwt_key(&org).map_err(|why| failed(&why))?;
    Ok(Json(json!({"jwt_key_file": file})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    version: u32,
}

async fn release(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Release>) -> Answered {
    org(&founder, &id)?.set_newest_version(body.version);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    #[serde(default)]
    old: OldAddress,
    #[serde(default = "found")]
    status: u16,
}

fn found() -> u16 {
    302
}

async fn move_away(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Move>) -> Answered {
    let org = org(&founder, &id)?;
    if !(300..400).contains(&body.status) {
        return Err(Refusal::bad(format!("{} is no status of a redirect.", body.status)));
    }
    let address = founder.new_address(body.old, body.status).await.map_err(|why| failed(&why))?;
    let answer = json!({"http": address.http, "https": address.https});
    org.set_home(Home { moved: Some(address), ..org.home() });
    Ok(Json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skew {
    skew_ms: i64,
}

async fn clock(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Skew>) -> Answered {
    let org = org(&founder, &id)?;
    org.clock.set_skew(body.skew_ms);
    Ok(Json(json!({"now": crate::time::rfc3339(org.clock.now_ms())})))
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reach {
    #[serde(default)]
    updated_ms: Option<i64>,
    #[serde(default)]
    deleted_ms: Option<i64>,
    #[serde(default)]
    most_ids: Option<usize>,
    #[serde(default)]
    lag_ms: Option<i64>,
    #[serde(default)]
    purged_before: Option<String>,
}

async fn replication(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Reach>) -> Answered {
    let org = org(&founder, &id)?;
    let purged_before = match &body.purged_before {
        None => None,
        Some(text) => Some(crate::time::parse_instant(text).ok_or_else(|| {
            Refusal::bad(format!("purged_before '{text}' is no RFC 3339 time, such as 2026-01-31T12:00:00Z."))
        })?),
    };
    let mut settings = org.replication();
    settings.updated_ms = body.updated_ms.unwrap_or(settings.updated_ms);
    settings.deleted_ms = body.deleted_ms.unwrap_or(settings.deleted_ms);
    settings.most_ids = body.most_ids.unwrap_or(settings.most_ids);
    settings.lag_ms = body.lag_ms.unwrap_or(settings.lag_ms);
    settings.purged_before = purged_before.or(settings.purged_before);
    Ok(Json(json!({})))
}

async fn refresh_sandbox(State(founder): Shared, Path(id): Path<String>) -> Answered {
    let org = org(&founder, &id)?;
    let made = tokio::task::spawn_blocking(move || founder.found_again(&org)).await;
    let entry = made.map_err(|_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "Copying failed.".to_owned()))?;
    Ok(Json(json!(entry.map_err(Refusal::bad)?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BadTls {
    how: TlsFault,
}

/// Opens one more address that is wrong for good.
async fn tls_open(State(founder): Shared, Json(body): Json<BadTls>) -> Answered {
    let https = founder.faulty_address(body.how).await.map_err(|why| failed(&why))?;
    Ok(Json(json!({"https": https})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MainTls {
    how: Option<TlsFault>,
    #[serde(default)]
    for_ms: Option<i64>,
}

/// Lets the main address be wrong, for a time or until told otherwise.
async fn tls_main(State(founder): Shared, Json(body): Json<MainTls>) -> Answered {
    let until = body.for_ms.map_or(i64::MAX, |length| founder.world.clock.now_ms() + length);
    founder.tls.set_fault(body.how.map(|how| (how, until)));
    Ok(Json(json!({})))
}
