//! What an operation answers when it cannot do what was asked (RFC 9457).
//!
//! Public words and internal cause are two things: the cause goes to the log, once, and never to the caller.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use refrain_shared::error::{Classify as _, Disposition, UserMessage};
use refrain_shared::storage::StoreError;
use refrain_shared::storage::control::ControlError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rounds::chain;

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A stable URI reference of the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable word for programs.
    pub code: String,
    /// What happened.
    pub what: String,
    /// Why it happened.
    pub why: String,
    /// What to do about it.
    pub fix: String,
    /// As RFC 9457 names it: the same as `what`.
    pub title: String,
    /// As RFC 9457 names it: the same as `why`.
    pub detail: String,
}

/// A failure on its way out.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    // Boxed: a failure is rare and large, every result carries its room.
    message: Box<UserMessage>,
    cause: Option<String>,
}

impl ApiError {
    /// A failure whose words are made here.
    pub fn new(
        status: StatusCode,
        code: &str,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { status, message: Box::new(UserMessage::new(code, what, why, fix)), cause: None }
    }

    /// A person elsewhere must act before this can work.
    #[must_use]
    pub fn ask(message: UserMessage) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, message: Box::new(message), cause: None }
    }

    /// Nothing there that this caller may see. The same whether it does not exist or belongs to another.
    #[must_use]
    pub fn not_found(subject: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("There is no such {subject}."),
            "It does not exist, or this API key may not see it.",
            "Check the id, and that the key belongs to the right tenant.",
        )
    }

    /// What was sent cannot be used.
    pub fn invalid(what: impl Into<String>, fix: impl Into<String>) -> Self {
        let why = "The request does not fit this operation's description.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", what, why, fix)
    }

    pub(super) fn no_such_operation() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no_such_operation",
            "There is no such operation.",
            "No route has this path.",
            "See /v1/openapi.json for all operations.",
        )
    }

    pub(super) fn no_such_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "no_such_method",
            "This path has no such method.",
            "The path exists with other methods only.",
            "See /v1/openapi.json for all operations.",
        )
    }

    /// Something of ours failed. `retry` says whether asking again may help.
    fn internal(code: &str, cause: &dyn std::error::Error, retry: bool) -> Self {
        let (status, what, why, fix) = if retry {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "Refrain cannot answer just now.",
                "Its database is away or overloaded. Nothing was lost.",
                "Ask again in a few seconds.",
            )
        } else {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Refrain failed to answer.",
                "That is a bug of Refrain, or its data is damaged.",
                "Tell the operator the time of this request; the log has the cause.",
            )
        };
        Self { cause: Some(chain(cause)), ..Self::new(status, code, what, why, fix) }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    fn document(&self) -> Problem {
        let UserMessage { code, what, why, fix } = (*self.message).clone();
        Problem {
            kind: format!("/problems/{code}"),
            status: self.status.as_u16(),
            title: what.clone(),
            detail: why.clone(),
            code,
            what,
            why,
            fix,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::TenantClosed) {
            return Self::new(
                StatusCode::CONFLICT,
                "tenant_closed",
                "This tenant is closed.",
                "It is being removed, or was.",
                "Nothing can be done with it any more.",
            );
        }
        if let StoreError::Crypto(_) = &error {
            return Self {
                cause: Some(chain(&error)),
                ..Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "sealed_data",
                    "Sealed data of this tenant does not open.",
                    "The key ring in use is not the one that sealed it, or it is damaged.",
                    "Tell the operator: Refrain must be started with the key ring that was in use before.",
                )
            };
        }
        let retry = may_help(&error.disposition(refrain_shared::clock::Clock::system().now()));
        Self::internal(error.code(), &error, retry)
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        if let ControlError::Duplicate(subject) = &error {
            return Self::new(
                StatusCode::CONFLICT,
                "exists_already",
                format!("There is {subject} already."),
                "Each may exist once.",
                "Use the one that exists, or change it.",
            );
        }
        let retry = may_help(&error.disposition(refrain_shared::clock::Clock::system().now()));
        Self::internal(error.code(), &error, retry)
    }
}

fn may_help(disposition: &Disposition) -> bool {
    matches!(disposition, Disposition::Retry { .. } | Disposition::Defer { .. } | Disposition::Replan { .. })
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(code = self.message.code, %cause, "a request failed");
        }
        let document = self.document();
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
