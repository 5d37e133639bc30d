//! What users may see: objects, fields, rows.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{Answered, Refusal, Shared, org};
use crate::id::SfId;
use crate::org::Org;
use crate::org::permissions::{Permissions, Sharing};
use crate::simulator::Founder;
use crate::store::{State as RowState, Store};

pub(super) fn routes() -> Router<Arc<Founder>> {
    Router::new().route("/permissions", post(permissions))
}

/// The whole of what a user may see; what is left out is allowed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default = "default_user")]
    user: String,
    #[serde(default)]
    hide_fields: Vec<String>,
    #[serde(default)]
    hide_objects: Vec<String>,
    #[serde(default = "yes")]
    view_all_data: bool,
    #[serde(default)]
    query_all_files: Option<bool>,
    #[serde(default = "yes")]
    conversation_entries: bool,
    /// Objects of which the user sees own rows, rows of own queues, and shared rows only.
    #[serde(default)]
    private: Vec<String>,
    /// Others whose rows the user sees as well: ids of users or queues.
    #[serde(default)]
    also_of: Vec<String>,
    /// Records that are shared one by one.
    #[serde(default)]
    share: Vec<String>,
}

fn default_user() -> String {
    "default".to_owned()
}

fn yes() -> bool {
    true
}

/// The record of a user who can log in.
pub(super) fn user_id(org: &Org, name: &str) -> Result<SfId, Refusal> {
    let found = org.logins().named(name).map(|login| login.user_id);
    found.ok_or_else(|| Refusal::missing(format!("No user '{name}'. GET users lists them.")))
}

async fn permissions(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Wanted>) -> Answered {
    let org = org(&founder, &id)?;
    let user = user_id(&org, &body.user)?;
    let now = org.clock.now_ms();
    // Conditional describes compare whole seconds, so a change always moves to a new one.
    let changed_at = now.max(org.permissions_of(user).changed_at + 1_000);
    let catalog = org.catalog();
    let set = Permissions::hiding(&catalog, &body.hide_objects, &body.hide_fields, changed_at);
    let mut set = set.map_err(Refusal::bad)?;
    if !body.conversation_entries {
        set.without(&catalog, "AccessConversationEntries");
    }
    set.views_all_data = body.view_all_data && body.private.is_empty();
    set.queries_all_files = body.query_all_files.unwrap_or(set.views_all_data);
    if !body.private.is_empty() {
        set.sharing = Some(Arc::new(sharing(&org.records(), user, &body)?));
    }
    org.set_permissions_of(user, set);
    Ok(Json(json!({})))
}

fn sharing(store: &Store, user: SfId, body: &Wanted) -> Result<Sharing, Refusal> {
    let object = |name: &String| {
        let found = store.catalog.index(name);
        found.ok_or_else(|| Refusal::bad(format!("No object '{name}' in this org. Check private.")))
    };
    let id =
        |text: &String| SfId::parse(text).ok_or_else(|| Refusal::bad(format!("'{text}' is no record id.")));
    let private = body.private.iter().map(object).collect::<Result<HashSet<_>, _>>()?;
    let records = body.share.iter().map(id).collect::<Result<HashSet<_>, _>>()?;
    let mut owners = body.also_of.iter().map(id).collect::<Result<HashSet<_>, _>>()?;
    owners.insert(user);
    owners.extend(queues_of(store, user));
    Ok(Sharing::new(private, owners, records))
}

/// The queues that a user serves.
fn queues_of(store: &Store, user: SfId) -> Vec<SfId> {
    let members = store.object("GroupMember");
    let schema = &store.catalog.objects[members];
    let Some(field) = schema.field_index("UserOrGroupId") else { return Vec::new() };
    let group = schema.slot("GroupId");
    let live = |row| {
        let record = store.tables[members].record(row)?;
        if record.state() == RowState::Live { record.id_at(group) } else { None }
    };
    store.children(members, field, user).into_iter().filter_map(live).collect()
}
