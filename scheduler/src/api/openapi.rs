//! The API's description, made from the code of its operations.

use axum::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::v1;

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Refrain",
        description = "Keeps support tickets from Salesforce in step. Every failure is a problem document \
                       (application/problem+json) with a stable code, what, why and fix. Lists give `next`, an \
                       opaque cursor. Ids carry a prefix that says what they are."
    ),
    paths(
        v1::tenants::list,
        v1::tenants::create,
        v1::tenants::get,
        v1::keys::list,
        v1::keys::create,
        v1::keys::revoke,
        v1::connections::list,
        v1::connections::create,
        v1::connections::get,
        v1::connections::check,
        v1::connections::replace_credentials,
        v1::objects::list,
        v1::objects::create,
        v1::objects::update,
        v1::objects::sync_now,
        v1::records::sync,
        v1::status::get,
        v1::jobs::list,
        v1::jobs::get,
        v1::jobs::retry_one,
        v1::jobs::drop_one,
        v1::jobs::retry,
        v1::jobs::drop_all,
        v1::tickets::list,
        v1::tickets::get,
        v1::holds::put,
        v1::holds::release,
        v1::limits::get,
        v1::limits::set,
        v1::retention::get,
        v1::retention::set,
        v1::retention::preview,
        v1::files::body,
        v1::changes::list,
        v1::people::agents,
        v1::people::customers,
        v1::quarantine::list,
        v1::quarantine::retry,
        v1::verifications::list,
        v1::schema_changes::list,
        v1::pauses::pause_tenant,
        v1::pauses::resume_tenant,
        v1::pauses::pause_connection,
        v1::pauses::resume_connection,
        v1::pauses::pause_object,
        v1::pauses::resume_object,
        v1::resyncs::tenant,
        v1::resyncs::connection,
        v1::resyncs::object,
        v1::cancels::tenant,
        v1::cancels::connection,
        v1::cancels::object,
        v1::cancels::reset,
        v1::dead::list,
        v1::dead::replay,
        v1::dead::drop_all,
        v1::audit::list,
        v1::audit::verify,
    ),
    components(schemas(super::problem::Problem)),
    modifiers(&ApiKeySecurity),
    security(("api_key" = []))
)]
pub struct Description;

struct ApiKeySecurity;

impl Modify for ApiKeySecurity {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("api_key", scheme);
    }
}

/// `GET /v1/openapi.json`: needs no key; it holds nothing of any tenant.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
