//! What a scan set down, held against what is here; and, once what was amiss is read whole, whether it still is.

use refrain_shared::error::UserMessage;
use refrain_shared::job::lease::JobEnd;
use refrain_shared::job::sweep::SweepProgress;
use refrain_shared::job::verify::{Balance, Bounds, Scan, Verdict, judge};
use refrain_shared::storage::sweeps::{missing_add, missing_forget};
use refrain_shared::storage::verify::{
    Compared, Difference, repairs_wait, scan_basis, scanned_clear, scanned_left, verification_insert,
    verify_compare,
};
use refrain_shared::storage::{StoreError, TenantTx};
use refrain_shared::telemetry::names;
use std::time::Duration;

use super::{Sweep, look, wait};
use crate::error::JobError;

/// Records of each side that are compared at once.
const STRETCH: usize = 20_000;
/// It is looked again whether what was amiss is read whole this much later.
const REPAIRS: Duration = Duration::from_secs(30);

impl Sweep<'_> {
    /// Compares everything; gives how the turn ends, or nothing at the end.
    pub(super) async fn compare(&mut self) -> Result<Option<JobEnd>, JobError> {
        loop {
            let basis =
                scan_basis(&self.job.context.db, self.key.object).await.map_err(|e| self.failed(&e))?;
            let after = self.progress.after.clone();
            let (db, scope) = (&self.job.context.db, &self.scope);
            let compared = verify_compare(db, scope, self.key, after.as_deref(), STRETCH).await;
            let compared = compared.map_err(|e| self.failed(&e))?;
            let bounds = self.bounds(&basis.open, self.plan.condition.is_some())?;
            let of = |record: &Difference| judge(record.here, record.there, record.set_aside_at, &bounds);
            let judged: Vec<(Verdict, &Difference)> =
                compared.differences.iter().map(|record| (of(record), record)).collect();
            let began = bounds.began;
            self.count(&compared, &judged);
            let missing = ids(&judged, |verdict| verdict == Verdict::Missing);
            let amiss = ids(&judged, Verdict::is_amiss);
            let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
            let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
            missing_add(&tx, self.key, &missing, began).await.map_err(|e| self.failed(&e))?;
            self.read_whole(&tx, &amiss).await?;
            let range = (after.as_deref(), compared.upto.as_deref());
            scanned_clear(&tx, self.key, range, &amiss).await.map_err(|e| self.failed(&e))?;
            let is_over = compared.upto.is_none();
            self.progress.after.clone_from(&compared.upto);
            if is_over {
                if self.scanned()?.staged != self.scanned()?.balance.there {
                    drop(tx);
                    return self.sweep_anew().await.map(Some);
                }
                self.progress.walked = true;
                self.seen_once_more();
            }
            self.commit(tx).await?;
            if is_over {
                return Ok(None);
            }
            if self.is_time_to_stop() {
                return Ok(Some(JobEnd::More));
            }
        }
    }

    /// Adds a stretch to what was found.
    fn count(&mut self, compared: &Compared, judged: &[(Verdict, &Difference)]) {
        let differ = judged.iter().filter(|(_, record)| record.there.is_some()).count() as u64;
        let since =
            judged.iter().filter(|(verdict, record)| *verdict == Verdict::Newer && record.there.is_none());
        self.progress.asked += compared.here.saturating_sub(since.count() as u64);
        self.progress.answered += compared.there;
        let Some(scan) = &mut self.progress.scan else { return };
        scan.balance.there += compared.there;
        scan.balance.here += compared.here;
        scan.balance.same += compared.there.saturating_sub(differ);
        for (verdict, record) in judged {
            scan.balance.add(*verdict, record.there.is_some());
            scan.repairs += u64::from(verdict.is_amiss());
        }
    }

    fn scanned(&self) -> Result<&Scan, JobError> {
        let scan = self.progress.scan.as_ref();
        scan.ok_or_else(|| self.failed(&StoreError::Missing("the scan that is compared")))
    }

    fn bounds<'a>(
        &self,
        open: &'a [refrain_shared::job::checkpoint::Slice],
        doubts_filtered: bool,
    ) -> Result<Bounds<'a>, JobError> {
        let scan = self.scanned()?;
        let began = scan.began.ok_or_else(|| self.failed(&StoreError::Missing("when a scan began")))?;
        let scope_from = self.job.inputs.checkpoint.scope_from;
        Ok(Bounds { began, ahead_from: scan.ahead_from, scope_from, open, doubts_filtered })
    }

    /// Waits until what was amiss is read whole, and looks at it once more; gives how the turn ends, or nothing at the end.
    pub(super) async fn close(&mut self) -> Result<Option<JobEnd>, JobError> {
        let Some(scan) = self.progress.scan.as_ref().filter(|scan| scan.repairs > 0) else { return Ok(None) };
        if scan.repairs_checked == 0 {
            let waits = repairs_wait(&self.job.context.db, self.key.object).await;
            if waits.map_err(|e| self.failed(&e))? {
                return Ok(Some(wait(REPAIRS, "repairs")));
            }
        }
        loop {
            let (db, scope) = (&self.job.context.db, &self.scope);
            // What is done with is cleared, so the next ones are always the first.
            let left = scanned_left(db, scope, self.key, None, self.progress.each).await;
            let left = left.map_err(|e| self.failed(&e))?;
            let Some(last) = left.last().map(|record| record.id) else { break };
            let basis = scan_basis(db, self.key.object).await.map_err(|e| self.failed(&e))?;
            // What was read whole was held against the filter here, whose judgement counts.
            let bounds = self.bounds(&basis.open, false)?;
            let still = left
                .iter()
                .filter(|record| judge(record.here, record.there, record.set_aside_at, &bounds).is_amiss());
            let still: Vec<_> = still.map(|record| record.id).collect();
            let answered = if still.is_empty() {
                0
            } else {
                // Gone from Salesforce since, or amiss for a reason that nobody knows.
                match look::look(self.job, &self.plan, &still, &mut self.progress.each).await? {
                    None => continue,
                    Some(looked) => looked.answered.len() as u64,
                }
            };
            if let Some(scan) = &mut self.progress.scan {
                scan.repairs_checked += left.len() as u64;
                scan.balance.unrepaired += answered;
                scan.balance.vanished += (still.len() as u64).saturating_sub(answered);
            }
            let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
            let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
            let upto = (None, Some(last.as_str()));
            scanned_clear(&tx, self.key, upto, &[]).await.map_err(|e| self.failed(&e))?;
            self.commit(tx).await?;
            if self.is_time_to_stop() {
                return Ok(Some(JobEnd::More));
            }
        }
        if self.scanned()?.repairs_checked < self.scanned()?.repairs {
            return self.sweep_anew().await.map(Some);
        }
        Ok(None)
    }

    /// Ends the sweep, with what came of its scan.
    pub(super) async fn end(&mut self) -> Result<(), JobError> {
        let scan = self.progress.scan.clone();
        self.count_calls();
        let calls = self.progress.calls;
        self.progress = self.progress.over();
        self.write_down(scan, calls, true).await
    }

    /// Ends the sweep for a person to look: nothing was taken away, and so much stays without an explanation.
    pub(super) async fn ask(&mut self, ask: UserMessage, missing: u64) -> Result<JobEnd, JobError> {
        let scan = self.progress.scan.clone().map(|mut scan| {
            scan.balance.unrepaired += missing;
            scan
        });
        self.count_calls();
        let calls = self.progress.calls;
        // Whoever starts it again has changed something: it begins with a new walk.
        self.progress = SweepProgress { last: self.progress.last, ..SweepProgress::default() };
        self.write_down(scan, calls, false).await?;
        Ok(JobEnd::Park { ask })
    }

    /// The result, and where the sweep is by now, both or neither. `forgets`: nothing is missing any more.
    async fn write_down(&mut self, scan: Option<Scan>, calls: u64, forgets: bool) -> Result<(), JobError> {
        let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
        let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
        if forgets {
            missing_forget(&tx, self.key, None).await.map_err(|e| self.failed(&e))?;
        }
        let result = scan.and_then(|mut scan| {
            scan.balance.filtered = scan.of.map(|of| of.saturating_sub(scan.balance.there));
            Some((scan.began?, scan))
        });
        if let Some((began, scan)) = &result {
            scanned_clear(&tx, self.key, (None, None), &[]).await.map_err(|e| self.failed(&e))?;
            verification_insert(&tx, self.key, *began, scan.way, calls, &scan.balance)
                .await
                .map_err(|e| self.failed(&e))?;
        }
        self.commit(tx).await?;
        if let Some((_, scan)) = result {
            tell(&self.plan.api_name, &scan.balance, forgets);
        }
        Ok(())
    }
}

/// The ids of those that were judged like this.
fn ids<'a>(judged: &[(Verdict, &'a Difference)], wanted: impl Fn(Verdict) -> bool) -> Vec<&'a str> {
    let found = judged.iter().filter(|(verdict, _)| wanted(*verdict));
    found.map(|(_, record)| record.id.as_str()).collect()
}

/// Raises the alarm where the numbers do not close. What a person is asked about anyway is told by the ask.
fn tell(object: &str, balance: &Balance, is_whole: bool) {
    let unexplained = balance.unexplained();
    let outcome = if unexplained == 0 { "closed" } else { "open" };
    metrics::counter!(names::VERIFICATIONS, "outcome" => outcome).increment(1);
    for (finding, count) in [
        ("lost", balance.lost),
        ("stale", balance.stale),
        ("undead", balance.undead),
        ("extra", balance.extra),
        ("unexplained", unexplained),
    ] {
        metrics::counter!(names::DIFFERENCES, "finding" => finding).increment(count);
    }
    if unexplained > 0 && is_whole {
        tracing::error!(
            object,
            unexplained,
            ?balance,
            "records differ from Salesforce's, and nothing explains it"
        );
    } else {
        tracing::info!(object, unexplained, ?balance, "an object was verified");
    }
}
