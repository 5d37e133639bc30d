//! `/livez`, `/readyz` and `/metrics`, the same in both programs.
//!
//! Alive means that the process serves requests. Ready means that it can do its work: each check answers, and
//! it is not on its way out. A process that is alive but not ready must not be restarted for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::{BoxFuture, join_all};

use super::init::Telemetry;

/// Asks whether one thing that the process needs is there; the error is for people.
pub type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How long a check may take before it counts as failed: probes ask every few seconds.
const CHECK: Duration = Duration::from_secs(3);

/// What a process needs to be ready. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<Vec<(&'static str, Check)>>,
    draining: Arc<AtomicBool>,
}

/// What `/readyz` answers.
#[derive(Debug, serde::Serialize)]
pub struct Readiness {
    /// Whether work can be done.
    pub ready: bool,
    /// Whether the process is on its way out.
    pub draining: bool,
    /// Each check: `ok`, or what is wrong.
    pub checks: std::collections::BTreeMap<&'static str, String>,
}

impl Health {
    /// With these checks.
    #[must_use]
    pub fn new(checks: Vec<(&'static str, Check)>) -> Self {
        Self { checks: Arc::new(checks), draining: Arc::default() }
    }

    /// From now on not ready: the process is on its way out.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Runs every check.
    pub async fn readiness(&self) -> Readiness {
        let draining = self.draining.load(Ordering::Relaxed);
        let asked = self.checks.iter().map(|(name, check)| async move {
            let answer = tokio::time::timeout(CHECK, check()).await;
            let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} s", CHECK.as_secs())));
            (*name, answer)
        });
        let answers = join_all(asked).await;
        Readiness {
            ready: !draining && answers.iter().all(|(_, answer)| answer.is_ok()),
            draining,
            checks: answers
                .into_iter()
                .map(|(name, answer)| (name, answer.err().unwrap_or_else(|| "ok".to_owned())))
                .collect(),
        }
    }
}

#[derive(Clone)]
struct Served {
    health: Health,
    telemetry: Option<Telemetry>,
}

/// The three routes. Without telemetry `/metrics` says that there is none.
pub fn health_router(health: Health, telemetry: Option<Telemetry>) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Served { health, telemetry })
}

async fn readyz(State(served): State<Served>) -> Response {
    let readiness = served.health.readiness().await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

async fn metrics(State(served): State<Served>) -> Response {
    match served.telemetry {
        Some(telemetry) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry.render()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: Result<(), &'static str>) -> Check {
        Arc::new(move || Box::pin(async move { answer.map_err(str::to_owned) }))
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing_and_ends_with_draining() {
        let health = Health::new(vec![("database", check(Ok(()))), ("broker", check(Err("cut off")))]);
        let readiness = health.readiness().await;
        assert!(!readiness.ready);
        assert_eq!(readiness.checks["database"], "ok");
        assert_eq!(readiness.checks["broker"], "cut off");

        let health = Health::new(vec![("database", check(Ok(())))]);
        assert!(health.readiness().await.ready);
        health.drain();
        assert!(!health.readiness().await.ready);
    }
}
