//! The HTTP API: everything that console and command line can do, they do through it.
//!
//! Begin with [`router`]. A request passes [`observe`] (metrics, one log line for failures), [`auth`] (whose key
//! is it, and which tenant may it act for) and then one operation of [`v1`], one file a resource. Answers are
//! JSON; failures are problem documents with a stable code and what, why and fix.

pub mod auth;
pub mod cursor;
pub mod extract;
pub mod key;
mod observe;
pub mod openapi;
mod page;
pub mod problem;
pub mod v1;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{delete, get, patch, post, put};
use refrain_shared::clock::Clock;
use refrain_shared::crypto::{KeyRing, TenantKeys};
use refrain_shared::queue::BrokerOptions;
use refrain_shared::storage::Database;
use refrain_shared::storage::chunks::ChunkStore;
use refrain_shared::storage::control::ControlPool;
use refrain_shared::storage::keys::keys_load;
use refrain_shared::tenant::TenantScope;

use crate::probe::ConnectionProbe;
use crate::rounds::Wakes;
use problem::ApiError;

/// What every operation may use.
pub struct Api {
    /// What people want.
    pub control: ControlPool,
    /// Jobs and content.
    pub db: Database,
    /// Where bodies of files are.
    pub chunks: ChunkStore,
    /// Unwraps tenants' keys.
    pub ring: Arc<KeyRing>,
    /// Proves connections.
    pub probe: Arc<dyn ConnectionProbe>,
    /// Where messages are that could not be read.
    pub broker: BrokerOptions,
    /// Wall-clock time.
    pub clock: Clock,
    /// The loops that act on what is asked for.
    pub wakes: Wakes,
}

/// The operations' shared state.
pub type Shared = axum::extract::State<Arc<Api>>;

impl Api {
    /// The tenant's keys, for opening what is shown.
    pub async fn keys(&self, scope: &TenantScope) -> Result<Arc<TenantKeys>, ApiError> {
        Ok(keys_load(&self.db, &self.ring, scope).await?.1)
    }
}

/// No request of ours is larger; a private key is 2 kB.
const LARGEST_BODY: usize = 256 * 1024;

/// All routes.
pub fn router(api: Arc<Api>) -> Router {
    use v1::{
        audit, cancels, changes, connections, dead, files, holds, jobs, keys, limits, objects, pauses,
        people, quarantine, records, resyncs, retention, schema_changes, status, tenants, tickets,
        verifications,
    };
    Router::new()
        .route("/", get(page::index))
        .route("/v1/openapi.json", get(openapi::document))
        .route("/v1/tenants", get(tenants::list).post(tenants::create))
        .route("/v1/tenants/{tenant}", get(tenants::get))
        .route("/v1/tenants/{tenant}/keys", get(keys::list).post(keys::create))
        .route("/v1/tenants/{tenant}/keys/{key}", delete(keys::revoke))
        .route("/v1/tenants/{tenant}/connections", get(connections::list).post(connections::create))
        .route("/v1/tenants/{tenant}/connections/{connection}", get(connections::get))
        .route("/v1/tenants/{tenant}/connections/{connection}/check", post(connections::check))
        .route(
            "/v1/tenants/{tenant}/connections/{connection}/credentials",
            put(connections::replace_credentials),
        )
        .route("/v1/tenants/{tenant}/connections/{connection}/limits", get(limits::get).put(limits::set))
        .route(
            "/v1/tenants/{tenant}/connections/{connection}/objects",
            get(objects::list).post(objects::create),
        )
        .route("/v1/tenants/{tenant}/connections/{connection}/records/sync", post(records::sync))
        .route("/v1/tenants/{tenant}/objects/{object}", patch(objects::update))
        .route("/v1/tenants/{tenant}/objects/{object}/sync", post(objects::sync_now))
        .route("/v1/tenants/{tenant}/status", get(status::get))
        .route("/v1/tenants/{tenant}/jobs", get(jobs::list))
        .route("/v1/tenants/{tenant}/jobs/retry", post(jobs::retry))
        .route("/v1/tenants/{tenant}/jobs/drop", post(jobs::drop_all))
        .route("/v1/tenants/{tenant}/jobs/{job}", get(jobs::get))
        .route("/v1/tenants/{tenant}/jobs/{job}/retry", post(jobs::retry_one))
        .route("/v1/tenants/{tenant}/jobs/{job}/drop", post(jobs::drop_one))
        .route("/v1/tenants/{tenant}/tickets", get(tickets::list))
        .route("/v1/tenants/{tenant}/tickets/{ticket}", get(tickets::get))
        .route("/v1/tenants/{tenant}/tickets/{ticket}/hold", put(holds::put).delete(holds::release))
        .route("/v1/tenants/{tenant}/retention", get(retention::get).put(retention::set))
        .route("/v1/tenants/{tenant}/retention/preview", post(retention::preview))
        .route("/v1/tenants/{tenant}/files/{item}", get(files::body))
        .route("/v1/tenants/{tenant}/changes", get(changes::list))
        .route("/v1/tenants/{tenant}/agents", get(people::agents))
        .route("/v1/tenants/{tenant}/customers", get(people::customers))
        .route("/v1/tenants/{tenant}/quarantine", get(quarantine::list))
        .route("/v1/tenants/{tenant}/quarantine/retry", post(quarantine::retry))
        .route("/v1/tenants/{tenant}/verifications", get(verifications::list))
        .route("/v1/tenants/{tenant}/schema-changes", get(schema_changes::list))
        .route("/v1/tenants/{tenant}/pause", put(pauses::pause_tenant).delete(pauses::resume_tenant))
        .route(
            "/v1/tenants/{tenant}/connections/{connection}/pause",
            put(pauses::pause_connection).delete(pauses::resume_connection),
        )
        .route(
            "/v1/tenants/{tenant}/objects/{object}/pause",
            put(pauses::pause_object).delete(pauses::resume_object),
        )
        .route("/v1/tenants/{tenant}/resync", post(resyncs::tenant))
        .route("/v1/tenants/{tenant}/connections/{connection}/resync", post(resyncs::connection))
        .route("/v1/tenants/{tenant}/objects/{object}/resync", post(resyncs::object))
        .route("/v1/tenants/{tenant}/cancel", post(cancels::tenant))
        .route("/v1/tenants/{tenant}/connections/{connection}/cancel", post(cancels::connection))
        .route("/v1/tenants/{tenant}/objects/{object}/cancel", post(cancels::object))
        .route("/v1/tenants/{tenant}/objects/{object}/reset", post(cancels::reset))
        .route("/v1/tenants/{tenant}/audit", get(audit::list))
        .route("/v1/tenants/{tenant}/audit/verify", get(audit::verify))
        .route("/v1/dead", get(dead::list))
        .route("/v1/dead/replay", post(dead::replay))
        .route("/v1/dead/drop", post(dead::drop_all))
        .fallback(async || ApiError::no_such_operation())
        .method_not_allowed_fallback(async || ApiError::no_such_method())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn(observe::observe))
        .with_state(api)
}
