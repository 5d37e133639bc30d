//! Changing an org's schema while it runs: objects and fields that come, go, and change their names.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use super::{Answered, Refusal, Shared, org};
use crate::schema::custom::{self, SchemaChange};
use crate::simulator::Founder;

pub(super) fn routes() -> Router<Arc<Founder>> {
    Router::new().route("/schema", post(change))
}

async fn change(State(founder): Shared, Path(id): Path<String>, Json(body): Json<SchemaChange>) -> Answered {
    let org = org(&founder, &id)?;
    let mut store = org.records_mut();
    let next = custom::changed(&store.catalog, &body).map_err(Refusal::bad)?;
    store.set_catalog(Arc::new(next));
    drop(store);
    org.describe_again();
    Ok(Json(json!({})))
}
