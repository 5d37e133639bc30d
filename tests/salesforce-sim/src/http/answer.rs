//! Answers before they become bytes on a wire.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Value, json};

use crate::soql::SoqlError;

/// The content type of every JSON answer.
pub(super) const JSON: &str = "application/json;charset=UTF-8";

/// Further parts of a body, made while it is sent.
pub(super) type Blocks = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// An answer.
pub(super) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`; `None` when there is no body.
    pub content_type: Option<String>,
    /// Body.
    pub body: Vec<u8>,
    /// A body too large to be made before it is sent, instead of `body`.
    pub blocks: Option<Blocks>,
    /// Further headers.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Records of a query's page; for the log.
    pub rows: usize,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// A body of this type.
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let content_type = Some(content_type.to_owned());
        Self { status, content_type, body: body.into(), blocks: None, headers: Vec::new(), rows: 0 }
    }

    /// Adds a header.
    #[must_use]
    pub(super) fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Makes the whole body now.
    pub(super) fn gather(&mut self) {
        if let Some(blocks) = self.blocks.take() {
            self.body = blocks.flatten().collect();
        }
    }

    /// Whether a header is among the further ones.
    pub(super) fn names(&self, wanted: &str) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    }

    /// JSON that is ready as bytes.
    pub(super) fn bytes(status: u16, body: Vec<u8>) -> Self {
        Self::new(status, JSON, body)
    }

    /// JSON.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, body.to_string().into_bytes())
    }

    /// JSON of a value whose keys keep their order.
    pub(super) fn ordered(status: u16, body: &impl serde::Serialize) -> Self {
        Self::bytes(status, serde_json::to_vec(body).expect("writing JSON to memory does not fail"))
    }

    /// Nothing but a status.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: Vec::new(), blocks: None, headers: Vec::new(), rows: 0 }
    }

    /// A web page.
    pub(super) fn html(status: u16, title: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
        );
        Self::new(status, "text/html;charset=UTF-8", body)
    }

    /// An error of the data APIs: an array of one.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        // The platform writes the code first here, and the message first elsewhere.
        let (code, message) = (json!(code), json!(message));
        let body = if code == "NOT_FOUND" {
            format!("[{{\"errorCode\":{code},\"message\":{message}}}]")
        } else {
            format!("[{{\"message\":{message},\"errorCode\":{code}}}]")
        };
        Self::bytes(status, body.into_bytes())
    }

    /// Nothing is at this path, or nothing that the user may know of.
    pub(super) fn not_found() -> Self {
        Self::error(404, "NOT_FOUND", "The requested resource does not exist")
    }

    /// The session is not good, or no longer.
    pub(super) fn session_invalid() -> Self {
        Self::error(401, "INVALID_SESSION_ID", "Session expired or invalid").with("WWW-Authenticate", "Token")
    }

    /// The allowance of the last 24 hours is used up.
    pub(super) fn total_requests_exceeded() -> Self {
        Self::error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    }

    /// The method does not fit the path.
    pub(super) fn method_not_allowed(method: &str, allowed: &str) -> Self {
        let message = format!("HTTP Method '{method}' not allowed. Allowed are {allowed}");
        Self::error(405, "METHOD_NOT_ALLOWED", &message).with("Allow", allowed)
    }

    /// An error of the OAuth endpoints: an object.
    pub(super) fn oauth_error(status: u16, error: &str, description: &str) -> Self {
        let body = format!("{{\"error\":{},\"error_description\":{}}}", json!(error), json!(description));
        Self::bytes(status, body.into_bytes())
    }
}

impl From<SoqlError> for Answer {
    fn from(error: SoqlError) -> Self {
        Self::error(400, error.code, &error.message)
    }
}
