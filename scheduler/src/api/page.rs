//! The page at `/`: what this is, and every operation, made from the same description as the API's own.

use std::fmt::Write as _;

use axum::response::Html;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;

use super::openapi::Description;

const HEAD: &str = "<!doctype html><meta charset=utf-8><title>Refrain</title>\
<meta name=viewport content='width=device-width'>\
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}\
code{background:#f2f2f2;padding:.1em .3em}td{padding:.2em .8em .2em 0;vertical-align:top}</style>\
<h1>Refrain</h1><p>Keeps support tickets from Salesforce in step. This server answers the API below; every \
operation needs <code>Authorization: Bearer rfk_…</code>. The whole description is at \
<a href=/v1/openapi.json>/v1/openapi.json</a>, readiness at <a href=/readyz>/readyz</a>.</p><table>";

/// `GET /`
pub(super) async fn index() -> Html<String> {
    let mut page = HEAD.to_owned();
    for (path, item) in &Description::openapi().paths.paths {
        let methods: [(&str, &Option<Operation>); 3] =
            [("GET", &item.get), ("POST", &item.post), ("PATCH", &item.patch)];
        for (method, operation) in methods {
            if let Some(operation) = operation {
                let summary = operation.summary.as_deref().unwrap_or_default();
                let _ = write!(page, "<tr><td>{method}<td><code>{path}</code><td>{summary}");
            }
        }
    }
    Html(page)
}
