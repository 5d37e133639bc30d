//! One measurement a request. Failures are logged where the problem is made; successes are not logged.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, histogram};
use refrain_shared::telemetry::names;

pub(super) async fn observe(request: Request, next: Next) -> Response {
    // The route, never the path: paths hold ids.
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let operation = format!("{} {route}", request.method());
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = format!("{}xx", response.status().as_u16() / 100);
    histogram!(names::API_TIME, "operation" => operation.clone()).record(begun.elapsed().as_secs_f64());
    counter!(names::API_REQUESTS, "operation" => operation, "status" => status).increment(1);
    response
}
