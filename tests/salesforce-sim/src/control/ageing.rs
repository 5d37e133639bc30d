//! Letting time do its work on records: archiving activities, emptying the recycle bin.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{Answered, Refusal, Shared, org};
use crate::simulator::Founder;
use crate::store::write::When;

pub(super) fn routes() -> Router<Arc<Founder>> {
    Router::new().route("/archive", post(archive)).route("/recycle-bin/empty", post(empty))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Archive {
    #[serde(default = "a_year")]
    days: i64,
}

fn a_year() -> i64 {
    365
}

async fn archive(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Archive>) -> Answered {
    let org = org(&founder, &id)?;
    let when = When::at(org.clock.now_ms(), org.identity.user_id);
    let archived = org.records_mut().archive(body.days, when);
    Ok(Json(json!({"archived": archived})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {
    /// Only this object.
    #[serde(default)]
    object: Option<String>,
    /// Only what has been there for so long; the platform empties it after 15 days.
    #[serde(default)]
    days: i64,
}

async fn empty(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Empty>) -> Answered {
    let org = org(&founder, &id)?;
    let when = When::at(org.clock.now_ms(), org.identity.user_id);
    let mut store = org.records_mut();
    let only = match &body.object {
        None => None,
        Some(name) => Some(
            store
                .catalog
                .index(name)
                .ok_or_else(|| Refusal::missing(format!("No object '{name}' in this org.")))?,
        ),
    };
    let purged = store.empty_bin(only, body.days, when);
    Ok(Json(json!({"purged": purged})))
}
