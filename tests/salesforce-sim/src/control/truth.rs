//! What is true of an org: its records as a user might see them at any moment so far, and the calls it received.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::permissions::user_id;
use super::{Answered, Refusal, Shared, org};
use crate::id::SfId;
use crate::org::Org;
use crate::org::permissions::Permissions;
use crate::query::{Sight, render};
use crate::simulator::Founder;
use crate::store::{Handle, Reader, State as RowState};
use crate::time;

pub(super) fn routes() -> Router<Arc<Founder>> {
    Router::new()
        .route("/truth", get(summary))
        .route("/truth/{object}", get(records))
        .route("/calls", get(calls))
        .route("/calls/log", get(call_log))
}

async fn summary(State(founder): Shared, Path(id): Path<String>) -> Answered {
    let org = org(&founder, &id)?;
    let store = org.records();
    let entry = |(_, table): (usize, &crate::store::Table)| {
        let count = |wanted| table.count(|state| state == wanted);
        let counts = json!({"live": count(RowState::Live), "deleted": count(RowState::Deleted)});
        (table.schema.name.clone(), counts)
    };
    let objects: Map<String, Value> = store.tables.iter().map(entry).collect();
    Ok(Json(json!({"now": time::rfc3339(org.clock.now_ms()), "objects": objects})))
}

#[derive(Deserialize)]
struct Moment {
    at: Option<String>,
    user: Option<String>,
}

async fn records(
    State(founder): Shared,
    Path((id, name)): Path<(String, String)>,
    Query(moment): Query<Moment>,
) -> Result<Response, Refusal> {
    let org = org(&founder, &id)?;
    let at = match &moment.at {
        None => None,
        // A plus sign in an unescaped offset arrives as a blank.
        Some(text) => Some(time::parse_instant(&text.replace(' ', "+")).ok_or_else(|| {
            Refusal::bad(format!("at='{text}' is no RFC 3339 time, such as 2026-01-31T12:00:00Z."))
        })?),
    };
    let user = user_id(&org, moment.user.as_deref().unwrap_or("default"))?;
    let told = Told::new(org, &name, at, user)?;
    let lines = stream::iter(told.blocks()).then(move |block| {
        let told = told.clone();
        // An org may hold millions of records: neither one answer nor one thread is to be filled with them.
        async move { tokio::task::spawn_blocking(move || Bytes::from(told.written(block))).await }
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// Rows that are written at once.
const BLOCK: Handle = 2_000;

/// The records of an object as a user might see them at a moment. It stays that moment while they are written.
#[derive(Clone)]
struct Told {
    org: Arc<Org>,
    object: usize,
    at: i64,
    permissions: Arc<Permissions>,
}

impl Told {
    fn new(org: Arc<Org>, name: &str, at: Option<i64>, user: SfId) -> Result<Self, Refusal> {
        let missing = || Refusal::missing(format!("No object '{name}' in this org."));
        let object = org.catalog().index(name).ok_or_else(missing)?;
        let permissions = at.map_or_else(|| org.permissions_of(user), |at| org.permissions_at(user, at));
        let at = at.unwrap_or_else(|| org.clock.now_ms());
        Ok(Self { org, object, at, permissions })
    }

    fn blocks(&self) -> Vec<Range<Handle>> {
        let all = self.org.records().tables[self.object].handles();
        let seen = if self.permissions.object_visible(self.object) { all } else { 0..0 };
        let end = seen.end;
        let starts = seen.step_by(BLOCK as usize);
        starts.map(|start| start..end.min(start.saturating_add(BLOCK))).collect()
    }

    /// One line a record, in order of id.
    fn written(&self, block: Range<Handle>) -> Vec<u8> {
        let store = self.org.records();
        let reader = Reader::as_of(&store, self.at);
        let outputs = render::all_outputs(&store.catalog, &self.permissions, self.object);
        let sight = Sight { reader, permissions: &self.permissions, with_deleted: true };
        let mut out = Vec::new();
        for handle in block {
            let record = reader.record(self.object, handle);
            let record = record.filter(|record| record.state() != RowState::Purged);
            let Some(record) = record.filter(|_| sight.sees(self.object, handle)) else {
                continue;
            };
            let (stamp, deleted) = (time::rfc3339(record.stamp()), record.state() == RowState::Deleted);
            let head =
                format!("{{\"Id\":\"{}\",\"stamp\":\"{stamp}\",\"deleted\":{deleted},\"fields\":", record.id);
            out.extend_from_slice(head.as_bytes());
            fields(&mut out, &outputs, self.object, handle, sight);
            out.extend_from_slice(b"}\n");
        }
        out
    }
}

/// The record as REST writes it, without `attributes`.
fn fields(
    out: &mut Vec<u8>,
    outputs: &[crate::soql::plan::Output],
    object: usize,
    handle: crate::store::Handle,
    sight: Sight<'_>,
) {
    let start = out.len();
    render::record(out, outputs, object, handle, sight, "v66.0");
    let attributes = out[start..].windows(2).position(|pair| pair == b"},").map_or(0, |place| place + 2);
    out.splice(start + 1..start + attributes, std::iter::empty());
}

async fn calls(State(founder): Shared, Path(id): Path<String>) -> Answered {
    let org = org(&founder, &id)?;
    let most = org.allowance().most_in_flight();
    let calls = org.calls();
    Ok(Json(
        json!({"api": calls.api(), "token": calls.token(), "by_path": calls.by_path(), "max_concurrent": most}),
    ))
}

async fn call_log(State(founder): Shared, Path(id): Path<String>) -> Result<Response, Refusal> {
    let org = org(&founder, &id)?;
    let mut out = Vec::new();
    for call in org.calls().calls() {
        serde_json::to_writer(&mut out, call).expect("a call is plain text and numbers");
        out.push(b'\n');
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], out).into_response())
}
