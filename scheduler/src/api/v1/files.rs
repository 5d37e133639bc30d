//! `/v1/tenants/{tenant}/files/{item}`: the body of a file of a conversation.

use std::fmt::Write as _;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use refrain_shared::storage::content::files::{BodyReader, FoundFile, file_of_item};
use refrain_shared::storage::files::BodyState;

use super::tickets::record_key;
use crate::api::Shared;
use crate::api::auth::Tenant;
use crate::api::extract::ApiPath;
use crate::api::problem::{ApiError, Problem};

/// A file's bytes, as Salesforce has them.
///
/// The media type that a customer gave a file is not repeated: a browser saves the file and runs nothing of it.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/files/{item}",
    params(("tenant" = String, Path), ("item" = String, Path, description = "id of the conversation's item")),
    responses((status = 200, content_type = "application/octet-stream", body = String),
              (status = 404, body = Problem), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(in crate::api) async fn body(
    api: Shared,
    Tenant(scope): Tenant,
    ApiPath((_, id)): ApiPath<(String, String)>,
) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("file");
    let item = record_key(&id).ok_or_else(missing)?;
    let keys = api.keys(&scope).await?;
    let (key, mut found) = file_of_item(&api.db, &scope, keys.clone(), item).await?.ok_or_else(missing)?;
    let Some(stored) = found.body.take() else { return Err(not_here(&found)) };
    let length = HeaderValue::from(stored.bytes);
    let name = disposition(found.facts.name.as_deref().unwrap_or("file"));
    let mut reader =
        BodyReader::new((api.db.clone(), api.chunks.clone()), scope, keys, key, found.id, stored);
    // The first chunk decides the status: a body that cannot be opened is a failure, not an empty file.
    let first = reader.next().await?;
    let rest = futures_util::stream::unfold((reader, first), async |(mut reader, chunk)| {
        let chunk = Bytes::from(chunk?);
        let next = match reader.next().await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = %crate::rounds::chain(&error), "a file breaks off");
                return Some((Err(std::io::Error::other("the file breaks off")), (reader, None)));
            }
        };
        Some((Ok::<_, std::io::Error>(chunk), (reader, next)))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, length),
        (header::CONTENT_DISPOSITION, name),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((headers, Body::from_stream(rest)).into_response())
}

/// What a person is told of a file whose body is not here.
fn not_here(file: &FoundFile) -> ApiError {
    let reason = file.reason.as_deref().unwrap_or("unknown");
    match file.state {
        BodyState::Wanted | BodyState::Stored => ApiError::new(
            StatusCode::CONFLICT,
            "FILE_NOT_YET",
            "The file is not here yet.",
            "Its body waits for its turn: files come after everything else.",
            "Ask again later; the queue of files shows how much is before it.",
        ),
        BodyState::LeftOut => ApiError::new(
            StatusCode::GONE,
            "FILE_LEFT_OUT",
            "The file is not kept.",
            format!("The policy of files leaves it out ({reason})."),
            "Change settings.files of its object, and what it takes then is fetched; Salesforce has the file.",
        ),
        BodyState::NotThere => ApiError::new(
            StatusCode::GONE,
            "FILE_NOT_THERE",
            "Salesforce does not give the file.",
            format!("It was asked for and refused ({reason})."),
            "Let the Salesforce administrator see whether the integration user may read it, then sync the record.",
        ),
    }
}

/// The file's name in the form that every client reads (RFC 6266): plain letters, and all of it percent-encoded.
fn disposition(name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' })
        .take(120)
        .collect();
    let mut encoded = String::new();
    for byte in name.chars().take(200).collect::<String>().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_a_name() {
        let header = disposition("a\"\r\nSet-Cookie: x=1/../é.pdf");
        let text = header.to_str().unwrap();
        assert_eq!(
            text,
            "attachment; filename=\"a___Set-Cookie_ x_1_..__.pdf\"; \
             filename*=UTF-8''a%22%0D%0ASet-Cookie%3A%20x%3D1%2F..%2F%C3%A9.pdf"
        );
    }
}
