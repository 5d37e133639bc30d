//! What is said in conversations while the org runs, and how often transcripts may be read.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{Answered, Refusal, Shared, org};
use crate::id::SfId;
use crate::simulator::Founder;
use crate::store::{Spoken, derive};

pub(super) fn routes() -> Router<Arc<Founder>> {
    Router::new()
        .route("/conversations/limit", post(limit))
        .route("/conversations/{identifier}/entries", post(say))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    per_hour: usize,
}

async fn limit(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Limit>) -> Answered {
    org(&founder, &id)?.conversations().per_hour = body.per_hour;
    Ok(Json(json!({})))
}

/// Something said now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    text: String,
    #[serde(default)]
    by_agent: bool,
    /// The session or call.
    related: String,
}

async fn say(
    State(founder): Shared,
    Path((id, conversation)): Path<(String, String)>,
    Json(body): Json<Said>,
) -> Answered {
    let org = org(&founder, &id)?;
    let related = SfId::parse(&body.related)
        .ok_or_else(|| Refusal::bad(format!("related '{}' is no record id.", body.related)))?;
    let at = org.clock.now_ms();
    let number = u64::try_from(at).unwrap_or(0);
    let identifier = derive::uuid(SfId::new(*b"0dw", [0x5a, 0x5a], number));
    let spoken =
        Spoken { identifier: identifier.clone(), at, by_agent: body.by_agent, text: body.text, related };
    org.conversations().add(&conversation, spoken);
    Ok(Json(json!({"identifier": identifier})))
}
