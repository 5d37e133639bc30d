//! The scan of a whole object: ids and stamps, page by page or by a Bulk job, set down to be compared.

use std::collections::HashMap;

use refrain_shared::clock::Timestamp;
use refrain_shared::error::{Disposition, ReplanHint};
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::checkpoint::Position;
use refrain_shared::job::lease::JobEnd;
use refrain_shared::job::price::{Quote, Way, choose};
use refrain_shared::job::sweep::{Answered, SweepProgress};
use refrain_shared::job::verify::Scan;
use refrain_shared::salesforce::SalesforceError;
use refrain_shared::salesforce::slice::RecordPage;
use refrain_shared::salesforce::soql::{self, Direction, ObjectName, Soql};
use refrain_shared::storage::TenantTx;
use refrain_shared::storage::verify::{scan_basis, scanned_clear, scanned_upsert};

use super::super::first_plan::found_of;
use super::{Sweep, look};
use crate::crash::{CrashPoint, pass};
use crate::engine::soql_position;
use crate::error::JobError;

/// Records of a page of ids and stamps.
const PAGE_ROWS: u64 = 2_000;

/// The earliest and the latest moment that SOQL knows, in seconds: 1700-01-01 and 4000-12-31, as its date formats say.
const FIRST_SECOND: i64 = -8_520_336_000;
const LAST_SECOND: i64 = 64_092_124_800;

/// What a step of the scan came to.
pub(super) enum Scanned {
    /// Everything is set down, or the scan goes on in another way.
    Done,
    /// The turn ends like this.
    Ends(JobEnd),
}

impl Sweep<'_> {
    /// The scan to be made of the object, unless its records are found by what they belong to alone: then what is here is
    /// asked for by its ids.
    pub(super) async fn new_scan(&self) -> Result<Option<Scan>, JobError> {
        let inputs = &self.job.inputs;
        let (false, Some(watermark)) = (found_of(self.job).is_by_parents(), inputs.checkpoint.watermark)
        else {
            return Ok(None);
        };
        let live = self.live().await?;
        let overlap = chrono::Duration::seconds(i64::from(inputs.settings.overlap_s));
        let scan = Scan::new(self.cheaper(Some(live)), watermark - overlap);
        Ok(Some(Scan { of: self.all_there().await?, ..scan }))
    }

    /// How many records there are, the object's filter aside; none where there is no filter, or too many to be counted.
    async fn all_there(&self) -> Result<Option<u64>, JobError> {
        if self.plan.condition.is_none() {
            return Ok(None);
        }
        let object = ObjectName::parse(&self.plan.api_name).map_err(|e| look::failed(self.job, &e.into()))?;
        look::count(self.job, Soql::count_all(&object)).await
    }

    /// Live records here.
    pub(super) async fn live(&self) -> Result<u64, JobError> {
        let basis = scan_basis(&self.job.context.db, self.key.object).await;
        basis.map(|basis| basis.live).map_err(|e| self.failed(&e))
    }

    fn cheaper(&self, rows: Option<u64>) -> Way {
        choose(&self.job.inputs.api_name, self.job.inputs.settings.read_by, &self.quote(rows))
    }

    pub(super) fn quote(&self, rows: Option<u64>) -> Quote {
        Quote {
            rows,
            page_rows: PAGE_ROWS,
            parts: 1,
            calls_left: self.job.lane.calls_left(),
            jobs_left: None,
        }
    }

    /// Scans on; gives how the turn ends, or nothing when everything is set down or no scan can be made.
    pub(super) async fn scan(&mut self) -> Result<Option<JobEnd>, JobError> {
        while let Some(scan) = self.progress.scan.as_ref().filter(|scan| !scan.read) {
            let step = match scan.way {
                Way::Rest => self.scan_by_rest().await?,
                Way::Bulk => self.scan_by_bulk().await?,
            };
            if let Scanned::Ends(end) = step {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// In the order of stamps: what changes meanwhile moves ahead and is met again, so that nothing is passed over.
    async fn scan_by_rest(&mut self) -> Result<Scanned, JobError> {
        let selection = look::selection(&self.plan).map_err(|e| look::failed(self.job, &e))?;
        let moment = |seconds| Timestamp::from_timestamp(seconds, 0).expect("a second of SOQL's calendar");
        let position = self.progress.scan.as_ref().and_then(|scan| scan.position.as_ref());
        let window = soql::Window {
            from: moment(FIRST_SECOND),
            to: moment(LAST_SECOND),
            after: position.and_then(soql_position),
            direction: if self.plan.by_id { Direction::ById } else { Direction::Ascending },
            limit: None,
        };
        let mut pages = self.job.client.read_window(selection, window);
        loop {
            let page = match pages.next_page().await {
                Ok(page) => page.ok_or(SalesforceError::LocatorLost),
                Err(error) => Err(error),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => return self.too_much_by_rest(&error).await,
            };
            pass(CrashPoint::AfterPage);
            let is_first = self.progress.scan.as_ref().is_some_and(|scan| scan.position.is_none());
            // The object is much larger than what is here of it.
            if is_first && !page.done && self.is_for_bulk(Some(page.total_size)) {
                self.scan_anew(Way::Bulk).await?;
                return Ok(Scanned::Done);
            }
            self.keep_page(&page).await?;
            if page.done {
                return Ok(Scanned::Done);
            }
            if self.is_time_to_stop() {
                return Ok(Scanned::Ends(JobEnd::More));
            }
        }
    }

    /// Whether so many are cheaper by Bulk, or more than can be told.
    fn is_for_bulk(&self, rows: Option<u64>) -> bool {
        let may = self.progress.scan.as_ref().is_some_and(|scan| !scan.rest_only);
        may && self.cheaper(rows) == Way::Bulk
    }

    /// A query over everything that Salesforce cannot answer in its time is a Bulk job's business; where that cannot be,
    /// what is here is asked for by its ids.
    async fn too_much_by_rest(&mut self, error: &SalesforceError) -> Result<Scanned, JobError> {
        let error = look::failed(self.job, error);
        let Disposition::Replan { hint: ReplanHint::HalveSlice | ReplanHint::FewerRows } = error.disposition
        else {
            return Err(error);
        };
        if self.is_for_bulk(None) {
            self.scan_anew(Way::Bulk).await?;
        } else {
            tracing::warn!(object = %self.plan.api_name, code = error.code, "no scan can be made; ids are asked for");
            self.clear_scan().await?;
        }
        Ok(Scanned::Done)
    }

    async fn keep_page(&mut self, page: &RecordPage) -> Result<(), JobError> {
        let unreadable = || look::failed(self.job, &look::unreadable());
        let mut records: HashMap<SalesforceId, Answered> = HashMap::with_capacity(page.rows);
        for record in page.records() {
            let (id, answer) = look::read(record, &self.plan.transform.cursor).ok_or_else(unreadable)?;
            records.insert(id, answer);
        }
        let records: Vec<_> = records.into_iter().collect();
        let last = page.last.map(|last| Position { stamp: last.at, id: last.id.to_string() });
        self.set_down(&records, |scan| {
            scan.began.get_or_insert(page.read_at);
            scan.position = last.or(scan.position.take());
            scan.read = page.done;
        })
        .await
    }

    /// Makes what was scanned last, with the scan's next place.
    pub(super) async fn set_down(
        &mut self,
        records: &[(SalesforceId, Answered)],
        advance: impl FnOnce(&mut Scan),
    ) -> Result<(), JobError> {
        let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
        let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
        let new = scanned_upsert(&tx, self.key, records).await.map_err(|e| self.failed(&e))?;
        if let Some(scan) = &mut self.progress.scan {
            scan.staged += new;
            advance(scan);
        }
        self.commit(tx).await?;
        pass(CrashPoint::AfterCommit);
        Ok(())
    }

    /// Begins the scan anew, in this way.
    pub(super) async fn scan_anew(&mut self, way: Way) -> Result<(), JobError> {
        tracing::info!(object = %self.plan.api_name, ?way, "a scan begins anew");
        self.progress.scan = self.progress.scan.as_ref().map(|scan| scan.anew(way));
        self.clear().await
    }

    /// Gives the scan up: what is here is asked for by its ids.
    async fn clear_scan(&mut self) -> Result<(), JobError> {
        self.progress.scan = None;
        self.clear().await
    }

    async fn clear(&mut self) -> Result<(), JobError> {
        let mut client = self.job.context.db.tenant().await.map_err(|e| self.failed(&e))?;
        let tx = TenantTx::begin(&mut client, &self.scope).await.map_err(|e| self.failed(&e))?;
        scanned_clear(&tx, self.key, (None, None), &[]).await.map_err(|e| self.failed(&e))?;
        self.commit(tx).await
    }

    /// Rows that were set down are not there any more: the database crashed, and everything begins anew.
    pub(super) async fn sweep_anew(&mut self) -> Result<JobEnd, JobError> {
        tracing::warn!(object = %self.plan.api_name, "what a scan set down is gone; it begins anew");
        self.progress = SweepProgress { last: self.progress.last, ..SweepProgress::default() };
        self.clear().await?;
        Ok(JobEnd::More)
    }
}
