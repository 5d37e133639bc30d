//! Changing records: insert, update, delete, merge, mass updates, believable edits.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use serde::Deserialize;
use serde_json::{Map, Value as JsonValue, json};

use super::{Answered, Refusal, Shared, org};
use crate::generate::edits;
use crate::id::SfId;
use crate::org::Org;
use crate::schema::{Field, Kind, ObjectSchema, Source};
use crate::simulator::Founder;
use crate::store::write::{When, whole_second};
use crate::store::{Handle, State as RowState, Store};
use crate::time;
use crate::value::Value;

pub(super) fn routes() -> Router<Arc<Founder>> {
    Router::new()
        .route("/records", post(insert))
        .route("/records/{object}/{id}", post(update))
        .route("/records/{object}/{id}/{action}", post(change_state))
        .route("/merge", post(merge))
        .route("/mass-update", post(mass_update))
        .route("/edits", post(edit))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Insert {
    object: String,
    fields: Map<String, JsonValue>,
    #[serde(default)]
    stamp: Option<String>,
    #[serde(default)]
    commit_delay_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    #[serde(default)]
    fields: Map<String, JsonValue>,
    #[serde(default)]
    stamp: Option<String>,
    #[serde(default)]
    commit_delay_ms: i64,
    #[serde(default = "yes")]
    touch: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    object: String,
    winner: String,
    losers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MassUpdate {
    object: String,
    count: usize,
    #[serde(default)]
    fields: Map<String, JsonValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edits {
    count: usize,
    #[serde(default)]
    seed: u64,
}

/// The times of a change: stamped `stamp` or now, committed `delay` later than now.
fn when(org: &Org, stamp: Option<&str>, delay: i64) -> Result<When, Refusal> {
    let now = org.clock.now_ms();
    let stamp = match stamp {
        None => now,
        Some(text) => time::parse_instant(text).ok_or_else(|| {
            Refusal::bad(format!("stamp '{text}' is no RFC 3339 time, such as 2026-01-31T12:00:00Z."))
        })?,
    };
    Ok(When { now, stamp: whole_second(stamp), commit_at: now + delay.max(0), by: org.identity.user_id })
}

fn object(store: &Store, name: &str) -> Result<usize, Refusal> {
    store.catalog.index(name).ok_or_else(|| Refusal::missing(format!("No object '{name}' in this org.")))
}

fn row(store: &Store, object: usize, id: &str) -> Result<Handle, Refusal> {
    let found = SfId::parse(id).and_then(|id| store.tables[object].find(id));
    found.ok_or_else(|| {
        Refusal::missing(format!("No {} '{id}' in this org.", store.catalog.objects[object].name))
    })
}

fn slots(schema: &ObjectSchema, fields: &Map<String, JsonValue>) -> Result<Vec<(usize, Value)>, Refusal> {
    let one = |(name, value): (&String, &JsonValue)| {
        let field = schema
            .field(name)
            .ok_or_else(|| Refusal::bad(format!("{} has no field '{name}'.", schema.name)))?;
        let (Source::Slot(slot) | Source::Blob(slot)) = field.source else {
            let why = format!("{name} is computed and cannot be set; change what it comes from.");
            return Err(Refusal::bad(why));
        };
        Ok((slot, value_of(field, value)?))
    };
    fields.iter().map(one).collect()
}

/// A JSON value as the field's type. Times may be RFC 3339 or the REST form.
fn value_of(field: &Field, json: &JsonValue) -> Result<Value, Refusal> {
    let wrong = || Refusal::bad(format!("{json} does not fit {} of type {:?}.", field.name, field.kind));
    let whole = |number: &serde_json::Number| number.as_i64();
    let value = match (field.kind, json) {
        (_, JsonValue::Null) => Value::Null,
        (Kind::Boolean | Kind::AnyType, JsonValue::Bool(value)) => Value::Bool(*value),
        (Kind::Int | Kind::Long, JsonValue::Number(number)) => Value::Int(whole(number).ok_or_else(wrong)?),
        (Kind::Double | Kind::Percent | Kind::Currency | Kind::AnyType, JsonValue::Number(number)) => {
            Value::Double(number.as_f64().ok_or_else(wrong)?)
        }
        (Kind::Id | Kind::Reference, JsonValue::String(text)) => {
            Value::Id(SfId::parse(text).ok_or_else(wrong)?)
        }
        (Kind::Date, JsonValue::String(text)) => Value::Date(time::parse_date(text).ok_or_else(wrong)?),
        (Kind::Datetime, JsonValue::String(text)) => {
            Value::Instant(whole_second(time::parse_instant(text).ok_or_else(wrong)?))
        }
        (Kind::Time, JsonValue::String(text)) => Value::Time(time::parse_time(text).ok_or_else(wrong)?),
        (Kind::Base64, JsonValue::String(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| wrong())?;
            Value::Blob(bytes.into())
        }
        (kind, _) if kind == Kind::Boolean || kind.is_number() || kind.is_compound() => return Err(wrong()),
        (_, JsonValue::String(text)) => Value::text(text),
        _ => return Err(wrong()),
    };
    Ok(value)
}

async fn insert(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Insert>) -> Answered {
    let org = org(&founder, &id)?;
    let when = when(&org, body.stamp.as_deref(), body.commit_delay_ms)?;
    let mut store = org.records_mut();
    let object = object(&store, &body.object)?;
    let fields = slots(&store.catalog.objects[object], &body.fields)?;
    let id = store.insert(object, &fields, when);
    Ok(Json(json!({"id": id.as_str()})))
}

async fn update(
    State(founder): Shared,
    Path((id, name, record)): Path<(String, String, String)>,
    Json(body): Json<Update>,
) -> Answered {
    let org = org(&founder, &id)?;
    let when = when(&org, body.stamp.as_deref(), body.commit_delay_ms)?;
    let mut store = org.records_mut();
    let object = object(&store, &name)?;
    let handle = kept(&store, object, &record)?;
    let fields = slots(&store.catalog.objects[object], &body.fields)?;
    store.update(object, handle, &fields, body.touch, when);
    Ok(Json(json!({})))
}

async fn change_state(
    State(founder): Shared,
    Path((id, name, record, action)): Path<(String, String, String, String)>,
) -> Answered {
    let org = org(&founder, &id)?;
    let state = match action.as_str() {
        "delete" => RowState::Deleted,
        "undelete" => RowState::Live,
        "purge" => RowState::Purged,
        other => {
            return Err(Refusal::missing(format!("No action '{other}': use delete, undelete or purge.")));
        }
    };
    let when = when(&org, None, 0)?;
    let mut store = org.records_mut();
    let object = object(&store, &name)?;
    let handle = kept(&store, object, &record)?;
    store.set_state(object, handle, state, when);
    Ok(Json(json!({})))
}

/// A record that is not gone for good: nothing more can happen to one that is.
fn kept(store: &Store, object: usize, record: &str) -> Result<Handle, Refusal> {
    let handle = row(store, object, record)?;
    if store.tables[object].state(handle) == Some(RowState::Purged) {
        return Err(Refusal::bad("A purged record is gone for good."));
    }
    Ok(handle)
}

async fn merge(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Merge>) -> Answered {
    let org = org(&founder, &id)?;
    let when = when(&org, None, 0)?;
    let mut store = org.records_mut();
    let object = object(&store, &body.object)?;
    if store.catalog.objects[object].field("MasterRecordId").is_none() {
        return Err(Refusal::bad(format!("{} records cannot be merged.", body.object)));
    }
    let winner = kept(&store, object, &body.winner)?;
    let losers: Vec<Handle> =
        body.losers.iter().map(|loser| kept(&store, object, loser)).collect::<Result<_, _>>()?;
    if losers.contains(&winner) {
        return Err(Refusal::bad("The winner is among the losers."));
    }
    store.merge(object, winner, &losers, when);
    Ok(Json(json!({})))
}

async fn mass_update(
    State(founder): Shared,
    Path(id): Path<String>,
    Json(body): Json<MassUpdate>,
) -> Answered {
    let org = org(&founder, &id)?;
    let when = when(&org, None, 0)?;
    let mut store = org.records_mut();
    let object = object(&store, &body.object)?;
    let fields = slots(&store.catalog.objects[object], &body.fields)?;
    let table = &store.tables[object];
    let live = table.handles().filter(|handle| table.state(*handle) == Some(RowState::Live));
    let chosen: Vec<Handle> = live.take(body.count).collect();
    for handle in &chosen {
        store.update(object, *handle, &fields, true, when);
    }
    let ids: Vec<String> = chosen.iter().map(|handle| store.tables[object].id(*handle).to_string()).collect();
    Ok(Json(json!({"ids": ids})))
}

async fn edit(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Edits>) -> Answered {
    let org = org(&founder, &id)?;
    let when = when(&org, None, 0)?;
    let edited = edits::edit(&mut org.records_mut(), body.count, body.seed, when);
    Ok(Json(json!(edited)))
}
