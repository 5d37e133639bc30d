//! The standing job that tries again what was set aside of an object, from the sealed bytes: once a day, when other fields
//! are read or another build reads them, and when a person asks. What can be kept now is committed like a page; where
//! Salesforce told something newer since, that stays. Salesforce is asked for nothing. Bytes that are older than tickets get
//! are forgotten.

use std::sync::Arc;
use std::time::Duration;

use refrain_shared::clock::Timestamp;
use refrain_shared::job::lease::{JobEnd, Lease, SLICE_TIME};
use refrain_shared::storage::StoreError;
use refrain_shared::storage::checkpoints::PlanInputs;
use refrain_shared::storage::content::retried::{set_aside_forget, set_aside_next};
use refrain_shared::storage::jobs::job_touch;
use refrain_shared::storage::page_commit::{CheckpointMove, JobStep};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deleted::read;
use crate::context::Context;
use crate::engine::load::{commit, prepare_again};
use crate::engine::{ReadPlan, Tally};
use crate::error::{JobError, Step};
use crate::serve::VERSION;
use crate::tenants::TenantView;

/// Records tried in one commit.
const EACH: i64 = 500;
/// Something may have been mended by then.
const DAILY: Duration = Duration::from_secs(24 * 3600);

/// Why the job is to begin anew.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
struct Asked {
    /// When a person asked for it last, or other fields came to be read.
    wanted: Option<Timestamp>,
}

/// How far the job is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// Records up to this key were tried in this round.
    after: String,
    /// What the round answers to.
    asked: Asked,
    /// The build that tries; the reconciler makes the job due when only others are left.
    version: String,
}

/// Tries on from where the last commit left off.
pub async fn run(
    context: &Context,
    lease: &Lease,
    (view, inputs): (TenantView, &PlanInputs),
    stop: &CancellationToken,
    tally: &mut Tally,
) -> Result<JobEnd, JobError> {
    let failed = |error: StoreError| JobError::of(Step::Plan, &error, context.clock.now());
    let wait = || JobEnd::WaitFor { delay: DAILY, reason: "cadence", attempt: 0 };
    let asked: Asked = read(&lease.params, "a job's parameters").map_err(failed)?;
    let stored: Progress = read(&lease.progress, "a job's progress").map_err(failed)?;
    let after = if stored.asked == asked { stored.after } else { String::new() };
    let mut progress = Progress { after, asked, version: VERSION.to_owned() };
    let Some(plan) = ReadPlan::without_calls(lease, view, inputs).filter(|_| inputs.enabled) else {
        return Ok(wait());
    };
    let (plan, begun, mut healed) = (Arc::new(plan), Instant::now(), 0);
    loop {
        let from = (progress.after.as_str(), EACH);
        let (keys, key) = (&plan.transform.view.keys, plan.transform.key);
        let records = set_aside_next(&context.db, lease.tenant, keys, key, from).await.map_err(failed)?;
        let Some(last) = records.last() else { break };
        progress.after.clone_from(&last.key);
        let prepared = prepare_again(context, &plan, records).await?;
        healed += prepared.healed();
        let step = |_: &Tally| JobStep::Continue(as_json(&progress));
        commit(context, &plan, prepared, CheckpointMove::Stays, step, tally).await?;
        if begun.elapsed() >= SLICE_TIME || context.draining.is_cancelled() || stop.is_cancelled() {
            return Ok(JobEnd::More);
        }
    }
    if healed > 0 {
        tracing::info!(object = %inputs.api_name, records = healed, "records left the quarantine");
    }
    set_aside_forget(&context.db, lease.tenant, plan.transform.key).await.map_err(failed)?;
    // The next round begins anew.
    progress.after.clear();
    let client = context.db.control().await.map_err(failed)?;
    job_touch(&client, lease, Some(&as_json(&progress))).await.map_err(failed)?;
    Ok(wait())
}

fn as_json(progress: &Progress) -> Value {
    serde_json::to_value(progress).unwrap_or_default()
}
