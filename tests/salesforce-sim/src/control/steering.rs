//! Calls of the control API from inside the simulator: for faults and scenarios, which say in its own words what
//! is to happen.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use crate::http::Steering;

/// Largest refusal read back.
const MOST_REFUSAL: usize = 65_536;

/// Makes calls through the router that also serves the port.
pub(super) fn through(router: Router) -> Steering {
    let service = Arc::new(TowerToHyperService::new(router));
    Box::new(move |org, path, body| {
        let service = Arc::clone(&service);
        Box::pin(async move {
            let request = Request::post(format!("/orgs/{org}/{}", path.trim_start_matches('/')))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string()))
                .map_err(|why| format!("'{path}' is no path of the control API: {why}"))?;
            let Ok(answer) = service.call(request).await;
            if answer.status().is_success() {
                return Ok(());
            }
            let text = to_bytes(answer.into_body(), MOST_REFUSAL).await.unwrap_or_default();
            Err(format!("POST {path}: {}", String::from_utf8_lossy(&text)))
        })
    })
}
