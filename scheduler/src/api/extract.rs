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

/// Cuts out what serde quotes of the value: `invalid type: string "secret", expected …`, or an unknown variant.
/// Names of fields stay: a mistyped one is what the caller looks for.
fn place_only(text: &str) -> String {
    const VARIANT: &str = "unknown variant `";
    let text =
        match text.split_once(VARIANT).and_then(|(before, rest)| Some((before, rest.split_once('`')?.1))) {
            Some((before, after)) => format!("{before}unknown variant{after}"),
            None => text.to_owned(),
        };
    let mut quoted = false;
    text.chars()
        .filter(|c| {
            if *c == '"' {
                quoted = !quoted;
                return false;
            }
            !quoted
        })
        .take(300)
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

#[cfg(test)]
mod tests {
    use super::place_only;

    #[test]
    fn a_refusal_names_the_place_and_never_the_value() {
        assert_eq!(
            place_only(
                "auth.client_secret: invalid type: string \"hunter2\", expected u8 at line 1 column 9"
            ),
            "auth.client_secret: invalid type: string , expected u8 at line 1 column 9"
        );
        assert_eq!(
            place_only("auth.method: unknown variant `hunter2`, expected `jwt_bearer`"),
            "auth.method: unknown variant, expected `jwt_bearer`"
        );
        assert_eq!(place_only("unknown field `colour`"), "unknown field `colour`");
    }
}
