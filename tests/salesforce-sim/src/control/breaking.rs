//! Breaking an org: sessions, limits, permissions, latency, faults, gates, bulk jobs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{Answered, Refusal, Shared, org};
use crate::org::faults::{Fault, FaultRequest};
use crate::simulator::Founder;

pub(super) fn routes() -> Router<Arc<Founder>> {
    Router::new()
        .route("/sessions/expire", post(expire))
        .route("/limits", post(limits))
        .route("/latency", post(latency))
        .route("/faults", get(fault_list).post(fault_plant).delete(fault_clear))
        .route("/faults/{number}", axum::routing::delete(fault_remove))
        .route("/bulk", post(bulk))
        .route("/gates/{name}", get(gate))
}

async fn expire(State(founder): Shared, Path(id): Path<String>) -> Answered {
    let ended = org(&founder, &id)?.sessions().expire_all();
    Ok(Json(json!({"expired": ended})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    #[serde(default)]
    daily_max: Option<u64>,
    #[serde(default)]
    used: Option<u64>,
    /// Calls let through beyond the allowance; 0 makes it strict.
    #[serde(default)]
    burst_max: Option<u64>,
    /// 0 lifts the bound.
    #[serde(default)]
    concurrent_max: Option<usize>,
    /// 0 lifts the bound.
    #[serde(default)]
    page_rows: Option<usize>,
    /// Open cursors of a session; 0 lifts the bound.
    #[serde(default)]
    cursors_max: Option<usize>,
    /// Long calls at once.
    #[serde(default)]
    long_max: Option<usize>,
    /// From how many real milliseconds on a call is long.
    #[serde(default)]
    long_ms: Option<u64>,
    /// Long calls that other clients are making.
    #[serde(default)]
    long_others: Option<usize>,
}

async fn limits(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Limits>) -> Answered {
    let org = org(&founder, &id)?;
    if let Some(most) = body.page_rows {
        org.set_page_rows(if most == 0 { usize::MAX } else { most });
    }
    if let Some(most) = body.cursors_max {
        org.cursors().most = (most > 0).then_some(most);
    }
    let now = org.clock.now_ms();
    let mut allowance = org.allowance();
    if let Some(max) = body.daily_max {
        allowance.daily_max = max;
    }
    if let Some(used) = body.used {
        allowance.set_used(used, now);
    }
    if let Some(max) = body.burst_max {
        allowance.burst_max = (max > 0).then_some(max);
    }
    if let Some(max) = body.concurrent_max {
        allowance.concurrent_max = (max > 0).then_some(max);
    }
    allowance.long_max = body.long_max.unwrap_or(allowance.long_max);
    allowance.long_others = body.long_others.unwrap_or(allowance.long_others);
    if let Some(ms) = body.long_ms {
        allowance.long_after = std::time::Duration::from_millis(ms);
    }
    let used = allowance.used(now);
    Ok(Json(
        json!({"daily_max": allowance.daily_max, "used": used, "concurrent_max": allowance.concurrent_max}),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    ms: u64,
}

async fn latency(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Latency>) -> Answered {
    org(&founder, &id)?.set_latency_ms(body.ms);
    Ok(Json(json!({})))
}

async fn fault_list(State(founder): Shared, Path(id): Path<String>) -> Answered {
    Ok(Json(json!(org(&founder, &id)?.faults().all())))
}

async fn fault_plant(
    State(founder): Shared,
    Path(id): Path<String>,
    Json(body): Json<FaultRequest>,
) -> Answered {
    let org = org(&founder, &id)?;
    if let Fault::Status { status, .. } | Fault::Error { status, .. } | Fault::Redirect { status, .. } =
        &body.fault
        && !(200..600).contains(status)
    {
        return Err(Refusal::bad(format!("{status} is no HTTP status between 200 and 599.")));
    }
    if let Fault::Hold { gate } | Fault::HoldAnswer { gate } = &body.fault {
        founder.world.gates.shut(gate);
    }
    let number = org.faults().plant(body, org.clock.now_ms());
    Ok(Json(json!({"id": number})))
}

async fn fault_clear(State(founder): Shared, Path(id): Path<String>) -> Answered {
    org(&founder, &id)?.faults().clear();
    Ok(Json(json!({})))
}

async fn fault_remove(State(founder): Shared, Path((id, number)): Path<(String, u64)>) -> Answered {
    if org(&founder, &id)?.faults().remove(number) {
        return Ok(Json(json!({})));
    }
    Err(Refusal::missing(format!("No fault {number} in this org. GET faults lists them.")))
}

/// How bulk jobs run. What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bulk {
    #[serde(default)]
    queue_ms: Option<i64>,
    #[serde(default)]
    run_ms: Option<i64>,
    #[serde(default)]
    concurrent: Option<usize>,
    #[serde(default)]
    daily_jobs: Option<u64>,
    #[serde(default)]
    daily_kb: Option<u64>,
    #[serde(default)]
    set_rows: Option<usize>,
    #[serde(default)]
    chunk_rows: Option<usize>,
}

async fn bulk(State(founder): Shared, Path(id): Path<String>, Json(body): Json<Bulk>) -> Answered {
    let org = org(&founder, &id)?;
    let now = org.clock.now_ms();
    let mut jobs = org.jobs();
    let settings = &mut jobs.settings;
    settings.queue_ms = body.queue_ms.unwrap_or(settings.queue_ms).max(0);
    settings.run_ms = body.run_ms.unwrap_or(settings.run_ms).max(0);
    settings.concurrent = body.concurrent.unwrap_or(settings.concurrent);
    settings.daily_jobs = body.daily_jobs.unwrap_or(settings.daily_jobs);
    settings.daily_kb = body.daily_kb.unwrap_or(settings.daily_kb);
    settings.set_rows = body.set_rows.unwrap_or(settings.set_rows);
    settings.chunk_rows = body.chunk_rows.unwrap_or(settings.chunk_rows);
    Ok(Json(json!({"jobs_today": jobs.used_jobs(now), "kb_today": jobs.used_kb(now)})))
}

async fn gate(State(founder): Shared, Path((id, name)): Path<(String, String)>) -> Answered {
    org(&founder, &id)?;
    Ok(Json(json!({"waiting": founder.world.gates.waiting(&name)})))
}
