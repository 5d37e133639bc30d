//! A request as the handlers see it: read whole, with no trace of the connection.

use std::collections::HashMap;

use axum::http::HeaderMap;
use bytes::Bytes;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// HTTP method, upper case.
    pub method: String,
    /// Path without the query string, percent-decoding undone per step by [`Request::steps`].
    pub path: String,
    /// The query string as it came.
    pub query: String,
    /// Parameters of the query string, decoded.
    pub params: HashMap<String, String>,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// The door by which it came in: 0, or that of an instance that orgs move to.
    pub door: usize,
    /// `https://host:port` as the client sees this server.
    pub base_url: String,
}

impl Request {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The bearer token.
    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        // Old clients write `OAuth`; the platform takes both.
        (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth"))
            .then_some(token.trim())
    }

    /// Form fields of the body, and parameters of the query string beside them.
    pub(super) fn form(&self) -> HashMap<String, String> {
        let mut all = self.params.clone();
        all.extend(decode(&self.body));
        all
    }

    /// Non-empty steps of the path. Trailing slashes are accepted or absent freely.
    pub(super) fn steps(&self) -> Vec<&str> {
        self.path.split('/').filter(|step| !step.is_empty()).collect()
    }

    /// Path and query string as they came.
    pub(super) fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// The statement asked for, if any.
    pub(super) fn soql(&self) -> Option<&str> {
        self.params.get("q").map(String::as_str)
    }

    /// The host name without the port.
    pub(super) fn host(&self) -> &str {
        let authority = self.base_url.split_once("://").map_or("", |(_, rest)| rest);
        authority.split(':').next().unwrap_or_default()
    }
}

/// Decodes `application/x-www-form-urlencoded` text.
pub(super) fn decode(text: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(text).into_owned().collect()
}
