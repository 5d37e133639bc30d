//! Answers before they become bytes on a wire.

use serde_json::{Value, json};

use crate::soql::SoqlError;

/// The content type of every JSON answer.
pub(super) const JSON: &str = "application/json;charset=UTF-8";

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`; `None` when there is no body.
    pub content_type: Option<String>,
    /// Body.
    pub body: Vec<u8>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Records of a query's page; for the log.
    pub rows: usize,
}

impl Answer {
    /// JSON that is ready as bytes.
    pub(super) fn bytes(status: u16, body: Vec<u8>) -> Self {
        Self { status, content_type: Some(JSON.to_owned()), body, headers: Vec::new(), rows: 0 }
    }

    /// JSON.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, body.to_string().into_bytes())
    }

    /// Nothing but a status.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: Vec::new(), headers: Vec::new(), rows: 0 }
    }

    /// A web page.
    pub(super) fn html(status: u16, title: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
        );
        let content_type = Some("text/html;charset=UTF-8".to_owned());
        Self { status, content_type, body: body.into_bytes(), headers: Vec::new(), rows: 0 }
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
        let mut answer = Self::error(401, "INVALID_SESSION_ID", "Session expired or invalid");
        answer.headers.push(("WWW-Authenticate", "Token".to_owned()));
        answer
    }

    /// The method does not fit the path.
    pub(super) fn method_not_allowed(method: &str, allowed: &str) -> Self {
        let message = format!("HTTP Method '{method}' not allowed. Allowed are {allowed}");
        let mut answer = Self::error(405, "METHOD_NOT_ALLOWED", &message);
        answer.headers.push(("Allow", allowed.to_owned()));
        answer
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
