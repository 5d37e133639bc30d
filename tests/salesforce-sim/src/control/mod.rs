//! The control API: how tests change an org, break it, and learn the truth about it.
//!
//! Plain JSON over HTTP on a port of its own, without a password: it must listen on loopback only. It never
//! goes through the front door, so nothing done here counts as a call.

mod access;
mod ageing;
mod breaking;
mod conversations;
mod permissions;
mod records;
mod schema;
mod steering;
mod truth;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::options::OrgOptions;
use crate::org::Org;
use crate::schema::custom::NewObject;
use crate::schema::make::{Feature, Wishes};
use crate::simulator::{Founder, OrgEntry};
use crate::time;

/// A refusal for people: what, why, fix in one sentence.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }

    fn missing(message: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, message.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

type Answered = Result<Json<Value>, Refusal>;
type Shared = State<Arc<Founder>>;

fn org(founder: &Founder, id: &str) -> Result<Arc<Org>, Refusal> {
    let found = founder.world.by_id(id);
    found.ok_or_else(|| Refusal::missing(format!("No org '{id}'. GET /orgs lists them.")))
}

/// The control API. Faults and scenarios can make its calls from now on.
pub fn router(founder: &Arc<Founder>) -> Router {
    let orgs = Router::new()
        .merge(records::routes())
        .merge(access::routes())
        .merge(breaking::routes())
        .merge(permissions::routes())
        .merge(conversations::routes())
        .merge(ageing::routes())
        .merge(schema::routes())
        .merge(truth::routes());
    let router = Router::new()
        .route("/orgs", get(org_list).post(org_create))
        .route("/clock", get(clock_read))
        .route("/clock/advance", post(clock_advance))
        .route("/gates/{name}/open", post(gate_open))
        .merge(access::world_routes())
        .nest("/orgs/{org}", orgs)
        // A record may bring the body of a file.
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(Arc::clone(founder));
    founder.world.set_steering(steering::through(router.clone()));
    router
}

/// Serves the control API in a task of its own.
pub fn spawn(listener: TcpListener, router: Router) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the control API stopped");
        }
    })
}

async fn org_list(State(founder): Shared) -> Json<Vec<OrgEntry>> {
    Json(founder.world.orgs().iter().map(|org| founder.entry(org)).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrg {
    #[serde(default = "default_cases")]
    cases: usize,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    rotation: bool,
    #[serde(default)]
    session_minutes: Option<u32>,
    #[serde(default)]
    daily_max: Option<u64>,
    /// Names of features; all when absent.
    #[serde(default)]
    features: Option<Vec<String>>,
    /// Custom fields in all, by object.
    #[serde(default)]
    custom_fields: BTreeMap<String, usize>,
    /// Custom objects.
    #[serde(default)]
    custom_objects: Vec<NewObject>,
}

impl NewOrg {
    fn wishes(self) -> Result<Wishes, String> {
        let features = match self.features {
            None => Feature::all(),
            Some(words) => words.iter().map(|word| word.parse()).collect::<Result<_, _>>()?,
        };
        let custom_fields = self.custom_fields.into_iter().collect();
        Ok(Wishes { features, custom_fields, custom_objects: self.custom_objects })
    }
}

fn default_cases() -> usize {
    100
}

async fn org_create(State(founder): Shared, Json(new): Json<NewOrg>) -> Result<Json<OrgEntry>, Refusal> {
    let defaults = OrgOptions::default();
    let options = OrgOptions {
        cases: new.cases,
        seed: new.seed,
        rotation: new.rotation,
        session_minutes: new.session_minutes.unwrap_or(defaults.session_minutes),
        daily_max: new.daily_max.unwrap_or(defaults.daily_max),
        mail_characters: defaults.mail_characters,
        wishes: new.wishes().map_err(Refusal::bad)?,
    };
    // Generating a large org takes seconds of CPU; other orgs are served meanwhile.
    let made = tokio::task::spawn_blocking(move || founder.found(&options)).await;
    let failed = |_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "Generating the org failed.".to_owned());
    made.map_err(failed)?.map(Json).map_err(Refusal::bad)
}

async fn clock_read(State(founder): Shared) -> Json<Value> {
    Json(json!({"now": time::rfc3339(founder.world.clock.now_ms())}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    ms: i64,
}

async fn clock_advance(State(founder): Shared, Json(advance): Json<Advance>) -> Answered {
    if advance.ms < 0 {
        return Err(Refusal::bad("The clock only moves forward. Give a positive ms."));
    }
    founder.world.clock.advance(advance.ms);
    Ok(Json(json!({"now": time::rfc3339(founder.world.clock.now_ms())})))
}

async fn gate_open(State(founder): Shared, Path(name): Path<String>) -> Json<Value> {
    founder.world.gates.open(&name);
    Json(json!({}))
}
