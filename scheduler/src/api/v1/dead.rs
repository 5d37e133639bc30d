//! `/v1/dead`: messages that workers could not read, for the operator. Any of them is a defect; none of them is work that
//! is lost.

use axum::Json;
use axum::http::StatusCode;
use refrain_shared::ids::{JobId, TenantId};
use refrain_shared::job::envelope::Decoded;
use refrain_shared::queue::QueueError;
use refrain_shared::queue::dead as store;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::auth::Operator;
use crate::api::problem::{ApiError, Problem};

/// What was put aside.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadMessages {
    /// The oldest first, a thousand at most.
    pub messages: Vec<DeadMessage>,
}

/// A message that was put aside; nothing of what cannot be read is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadMessage {
    /// The queue that it was in, where the broker says so.
    pub queue: Option<String>,
    /// Its size.
    pub bytes: usize,
    /// `readable` (it came back too often), `newer_version` or `undecodable`.
    pub state: String,
    /// What is wrong with it.
    pub why: Option<String>,
    /// Whose job it is about.
    #[schema(value_type = Option<String>)]
    pub tenant_id: Option<TenantId>,
    /// The job that it is about.
    #[schema(value_type = Option<String>)]
    pub job_id: Option<JobId>,
}

impl From<store::DeadMessage> for DeadMessage {
    fn from(store::DeadMessage { queue, bytes, message }: store::DeadMessage) -> Self {
        let (state, why, about) = match message {
            Decoded::Envelope(envelope) => ("readable", None, Some((envelope.tenant, envelope.job))),
            Decoded::NewerVersion(version) => ("newer_version", Some(format!("version {version}")), None),
            Decoded::Undecodable(why) => ("undecodable", Some(why.to_owned()), None),
        };
        let (tenant_id, job_id) = about.unzip();
        Self { queue, bytes, state: state.to_owned(), why, tenant_id, job_id }
    }
}

/// What became of the messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// Published anew.
    pub replayed: usize,
    /// Left where they are: this build cannot read them.
    pub left: usize,
}

/// The messages that were put aside.
#[utoipa::path(get, path = "/v1/dead", responses((status = 200, body = DeadMessages), (status = 503, body = Problem)))]
pub(in crate::api) async fn list(api: Shared, _: Operator) -> Result<Json<DeadMessages>, ApiError> {
    answer(store::dead_list(&api.broker).await)
}

/// Publishes anew what this build can read.
#[utoipa::path(post, path = "/v1/dead/replay", responses((status = 200, body = Replayed), (status = 503, body = Problem)))]
pub(in crate::api) async fn replay(api: Shared, _: Operator) -> Result<Json<Replayed>, ApiError> {
    let (replayed, left) = store::dead_replay(&api.broker).await.map_err(|error| unreachable(&error))?;
    tracing::info!(replayed, left, "messages that were put aside are published anew");
    Ok(Json(Replayed { replayed, left }))
}

/// Throws them away; gives what they were.
#[utoipa::path(post, path = "/v1/dead/drop", responses((status = 200, body = DeadMessages), (status = 503, body = Problem)))]
pub(in crate::api) async fn drop_all(api: Shared, _: Operator) -> Result<Json<DeadMessages>, ApiError> {
    let dropped = answer(store::dead_drop(&api.broker).await)?;
    tracing::info!(messages = dropped.messages.len(), "messages that were put aside are thrown away");
    Ok(dropped)
}

fn answer(messages: Result<Vec<store::DeadMessage>, QueueError>) -> Result<Json<DeadMessages>, ApiError> {
    let messages = messages.map_err(|error| unreachable(&error))?;
    Ok(Json(DeadMessages { messages: messages.into_iter().map(DeadMessage::from).collect() }))
}

/// Whatever keeps the broker from answering is told in its own words.
fn unreachable(error: &QueueError) -> ApiError {
    let message = error.message();
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, &message.code, message.what, message.why, message.fix)
}
