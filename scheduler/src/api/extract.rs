//! Path, query and body, with refusals as problem documents.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::ApiError;

/// The path's ids; one that is none of ours is simply not found.
pub struct ApiPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(value) =
            Path::from_request_parts(parts, state).await.map_err(|_| ApiError::not_found("thing"))?;
        Ok(Self(value))
    }
}

/// The query's parameters.
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::from_request_parts(parts, state).await.map_err(|rejection| {
            ApiError::invalid(
                format!("The query cannot be read: {}.", rejection.body_text()),
                "Write the parameters as /v1/openapi.json describes them.",
            )
        })?;
        Ok(Self(value))
    }
}

/// The body, as JSON.
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(value) = Json::from_request(request, state).await.map_err(|rejection| {
            // The rejection names the place, not the value: bodies hold secrets.
            ApiError::invalid(
                format!("The body cannot be read: {}.", place_only(&rejection.body_text())),
                "Send JSON with `content-type: application/json` as /v1/openapi.json describes it.",
            )
        })?;
        Ok(Self(value))
    }
}

/// Cuts out what serde quotes of the value: `invalid type: string "secret", expected …`.
fn place_only(text: &str) -> String {
    let mut quoted = false;
    text.chars()
        .filter(|c| {
            if *c == '"' {
                quoted = !quoted;
                return false;
            }
            !quoted
        })
        .take(200)
        .collect()
}

/// How many are wanted in a page.
pub const PAGE: u16 = 50;
/// As many as that, at most.
pub const LARGEST_PAGE: u16 = 200;

/// The page's size within its bounds.
#[must_use]
pub fn page_size(wanted: Option<u16>) -> u16 {
    wanted.unwrap_or(PAGE).clamp(1, LARGEST_PAGE)
}
