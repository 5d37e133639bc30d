//! A policy of files that changed, over everything that is here: bodies that it leaves out are taken away, and those that
//! it takes now are fetched by jobs of their own.

use refrain_shared::catalog::FilePolicy;
use refrain_shared::job::lease::JobEnd;
use refrain_shared::storage::content::judged::files_judged;
use refrain_shared::storage::files::{BodyState, Loads, file_leave_out, files_policy_put, files_want};
use refrain_shared::storage::jobs::job_touch;
use refrain_shared::storage::records::ObjectKey;
use refrain_shared::storage::related::Owner;
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::tenant::TenantScope;
use refrain_shared::ticket::FileRow;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::super::{Job, Left};
use super::{is_time_to_stop, sweep};
use crate::error::{JobError, Step};

/// Items judged in one commit.
const EACH: i64 = 200;

/// How far the job is.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// By which policy.
    policy: FilePolicy,
    /// Items up to this one are judged.
    after: String,
}

/// Judges on from where the last commit left off.
pub(super) async fn run(job: Job<'_>) -> Result<Left, JobError> {
    let policy = &job.inputs.settings.files;
    let stored: Progress = serde_json::from_value(job.lease.progress.clone())
        .map_err(|_| failed(&job, &StoreError::Unreadable("how far files are judged")))?;
    let mut progress = if stored.policy == *policy {
        stored
    } else {
        // It changed once more: what was judged by the one before is judged again.
        Progress { policy: policy.clone(), after: String::new() }
    };
    let begun = Instant::now();
    while judge(&job, &mut progress).await? {
        if is_time_to_stop(&job, begun) {
            return Ok(Left::Open(JobEnd::More));
        }
    }
    Ok(Left::Open(JobEnd::Done))
}

/// Judges the next items; gives whether there may be more. What is wanted and how far the job is are committed together.
async fn judge(job: &Job<'_>, progress: &mut Progress) -> Result<bool, JobError> {
    let failed = |error: StoreError| failed(job, &error);
    let key = ObjectKey { connection: job.lease.connection, object: job.lease.object };
    let scope = TenantScope::leased(job.lease.tenant);
    let mut client = job.context.db.tenant().await.map_err(failed)?;
    let tx = TenantTx::begin(&mut client, &scope).await.map_err(failed)?;
    let (keys, next) = (job.view.keys.clone(), (progress.after.as_str(), EACH));
    let (judged, last) = files_judged(&tx, keys, key, &progress.policy, next).await.map_err(failed)?;
    for one in &judged {
        let Some(reason) = one.file.left_out else { continue };
        if matches!(one.state, BodyState::Wanted | BodyState::Stored) {
            sweep(job, one.file.id.as_str(), Loads::All).await?;
            file_leave_out(&tx, key.connection, one.file.id.as_str(), reason).await.map_err(failed)?;
        }
    }
    let wanted: Vec<(&FileRow, bool)> = judged
        .iter()
        .filter(|one| one.file.left_out.is_none() && one.state == BodyState::LeftOut)
        .map(|one| (&one.file, false))
        .collect();
    files_want(&tx, Owner::from(job.lease), key.object, &wanted).await.map_err(failed)?;
    let goes_on = last.is_some();
    match last {
        Some(last) => progress.after = last,
        None => files_policy_put(&tx, key.object, &progress.policy).await.map_err(failed)?,
    }
    let stored = serde_json::to_value(&*progress).unwrap_or_default();
    job_touch(tx.sql(), job.lease, Some(&stored)).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(goes_on)
}

fn failed(job: &Job<'_>, error: &StoreError) -> JobError {
    JobError::of(Step::Load, error, job.context.clock.now())
}
