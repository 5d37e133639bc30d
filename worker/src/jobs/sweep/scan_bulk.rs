//! The scan by one Bulk job of Salesforce: made, waited for without holding anything, fetched a set at a time, put away.
//! Everything that the next turn needs is in the job's row before a turn ends, as for a slice of history.

use std::collections::HashMap;

use refrain_shared::clock::parse_salesforce_datetime;
use refrain_shared::ids::SalesforceId;
use refrain_shared::job::bulk::{BulkProgress, MOST_FAILED, MOST_LOST, Running, next_look};
use refrain_shared::job::price::{Way, rest_instead};
use refrain_shared::job::sweep::Answered;
use refrain_shared::salesforce::bulk::{BulkAddress, BulkMade, BulkState};
use refrain_shared::salesforce::results::{ResultSet, Results, rows};
use refrain_shared::salesforce::soql::Soql;
use refrain_shared::salesforce::{FaultKind, SalesforceError};
use refrain_shared::storage::jobs::job_touch;

use super::super::bulk::{LIMITED, address_of, put_away, remove_unheard, was_not_made};
use super::scan::Scanned;
use super::{Sweep, look, wait};
use crate::crash::{CrashPoint, pass};
use crate::engine::load::blocking;
use crate::error::JobError;

impl Sweep<'_> {
    /// Does what is next for the scan's job.
    pub(super) async fn scan_by_bulk(&mut self) -> Result<Scanned, JobError> {
        let Some(running) = self.bulk().running else {
            return self.make_job().await;
        };
        let Some(address) = address_of(&running) else {
            return self.job_gone().await;
        };
        if self.bulk().loaded {
            put_away(self.job, address).await?;
            self.set_down(&[], |scan| {
                scan.bulk.running = None;
                scan.read = true;
            })
            .await?;
            return Ok(Scanned::Done);
        }
        if running.complete {
            return self.fetch(running, address).await;
        }
        let state = self.job.client.bulk_state(address).await.map_err(|e| look::failed(self.job, &e))?;
        match state {
            Some(BulkState::Running) => {
                let delay = next_look(running.looks + 1);
                self.with_bulk(|bulk| bulk.running = Some(Running { looks: running.looks + 1, ..running }));
                Ok(Scanned::Ends(wait(delay, "bulk_running")))
            }
            Some(BulkState::Complete(total)) => {
                self.fetch(Running { complete: true, total, ..running }, address).await
            }
            Some(BulkState::Failed(reason)) => {
                tracing::warn!(object = %self.plan.api_name, %reason, "Salesforce gave a Bulk job up");
                put_away(self.job, address).await?;
                self.with_bulk(|bulk| bulk.failed += 1);
                self.another_job().await
            }
            Some(BulkState::Aborted) => {
                put_away(self.job, address).await?;
                self.job_gone().await
            }
            None => self.job_gone().await,
        }
    }

    /// Takes away at Salesforce what a scan that is not wanted any more has there.
    pub(super) async fn put_scan_away(&self) -> Result<(), JobError> {
        let bulk = self.bulk();
        if let Some(since) = bulk.making_since {
            remove_unheard(self.job, since).await?;
        }
        match bulk.running.as_ref().and_then(address_of) {
            Some(address) => put_away(self.job, address).await,
            None => Ok(()),
        }
    }

    fn bulk(&self) -> BulkProgress {
        self.progress.scan.as_ref().map(|scan| scan.bulk.clone()).unwrap_or_default()
    }

    fn with_bulk(&mut self, change: impl FnOnce(&mut BulkProgress)) {
        if let Some(scan) = &mut self.progress.scan {
            change(&mut scan.bulk);
        }
    }

    /// The job was taken away, with whatever was not fetched of it.
    async fn job_gone(&mut self) -> Result<Scanned, JobError> {
        self.with_bulk(|bulk| bulk.lost += 1);
        self.another_job().await
    }

    /// Another job for everything, or REST when that happens again and again.
    async fn another_job(&mut self) -> Result<Scanned, JobError> {
        let bulk = self.bulk();
        if bulk.failed >= MOST_FAILED || bulk.lost >= MOST_LOST {
            return self.rest_for_good().await;
        }
        self.scan_anew(Way::Bulk).await?;
        Ok(Scanned::Done)
    }

    async fn rest_for_good(&mut self) -> Result<Scanned, JobError> {
        if let Some(scan) = &mut self.progress.scan {
            scan.rest_only = true;
        }
        self.scan_anew(Way::Rest).await?;
        Ok(Scanned::Done)
    }

    /// Makes the job; the scan then waits for it.
    async fn make_job(&mut self) -> Result<Scanned, JobError> {
        if let Some(since) = self.bulk().making_since {
            remove_unheard(self.job, since).await?;
        }
        let selection = look::selection(&self.plan).map_err(|e| look::failed(self.job, &e))?;
        let soql = Soql::whole(&selection.object, &selection.fields, &selection.cursor)
            .under(selection.filter.as_ref());
        let now = self.job.context.clock.now();
        self.with_bulk(|bulk| bulk.making_since = Some(now));
        self.note().await?;
        let made = self.job.client.bulk_create(&soql).await;
        pass(CrashPoint::AfterPage);
        let error = match made {
            Ok(BulkMade { address, read_at }) => {
                tracing::info!(object = %self.plan.api_name, bulk.id = %address.id, "a Bulk job scans an object");
                let running = Running {
                    id: address.id.to_string(),
                    version: address.version.to_string(),
                    field_set: self.plan.transform.fields.id,
                    read_at,
                    looks: 0,
                    complete: false,
                    total: None,
                    locator: None,
                    rows: 0,
                };
                self.with_bulk(|bulk| (bulk.making_since, bulk.running) = (None, Some(running)));
                if let Some(scan) = &mut self.progress.scan {
                    scan.began = Some(read_at);
                }
                return Ok(Scanned::Ends(wait(next_look(0), "bulk_running")));
            }
            Err(error) => error,
        };
        if was_not_made(&error) {
            self.with_bulk(|bulk| bulk.making_since = None);
            self.note().await?;
        }
        self.not_made(&error).await
    }

    async fn not_made(&mut self, error: &SalesforceError) -> Result<Scanned, JobError> {
        match error.fault().map(|fault| fault.kind) {
            Some(FaultKind::NotInBulk | FaultKind::NotQueryable | FaultKind::TooLarge) => {
                tracing::info!(object = %self.plan.api_name, %error, "Bulk refuses the object");
                self.rest_for_good().await
            }
            Some(FaultKind::BulkLimit) => {
                tracing::warn!(object = %self.plan.api_name, %error, "no Bulk job can be had");
                let live = self.live().await?;
                if rest_instead(self.job.inputs.settings.read_by, &self.quote(Some(live))) {
                    return self.rest_for_good().await;
                }
                Ok(Scanned::Ends(wait(LIMITED, "bulk_limit")))
            }
            _ => Err(look::failed(self.job, error)),
        }
    }

    /// Stores how far the sweep is.
    async fn note(&self) -> Result<(), JobError> {
        let client = self.job.context.db.control().await.map_err(|e| self.failed(&e))?;
        job_touch(&client, self.job.lease, Some(&self.stored())).await.map_err(|e| self.failed(&e))
    }

    /// Fetches on from the last set that was set down.
    async fn fetch(&mut self, mut running: Running, address: BulkAddress) -> Result<Scanned, JobError> {
        loop {
            let set = match self.next_set(&running, address).await? {
                Results::Set(set) => set,
                Results::Gone => {
                    put_away(self.job, address).await?;
                    return self.job_gone().await;
                }
            };
            pass(CrashPoint::AfterPage);
            let is_last = set.next.is_none();
            running.rows += set.rows as u64;
            running.locator.clone_from(&set.next);
            if is_last && running.total.is_some_and(|total| total != running.rows) {
                tracing::warn!(
                    object = %self.plan.api_name, rows = running.rows, total = ?running.total, "a Bulk job's sets do not add up"
                );
                put_away(self.job, address).await?;
                return self.job_gone().await;
            }
            let cursor = self.plan.transform.cursor.clone();
            let read = blocking(move || Ok(records_of(&set, &cursor))).await?;
            let records = read.ok_or_else(|| look::failed(self.job, &look::unreadable()))?;
            let next = running.clone();
            self.set_down(&records, |scan| {
                scan.bulk.running = Some(next);
                scan.bulk.loaded = is_last;
            })
            .await?;
            if is_last {
                return Ok(Scanned::Done);
            }
            if self.is_time_to_stop() {
                return Ok(Scanned::Ends(refrain_shared::job::lease::JobEnd::More));
            }
        }
    }

    /// The next set; asked for in smaller ones as long as it is larger than may be held.
    async fn next_set(&mut self, running: &Running, address: BulkAddress) -> Result<Results, JobError> {
        loop {
            let bulk = self.bulk();
            let (locator, most) = (running.locator.as_deref(), bulk.rows_wanted());
            match self.job.client.bulk_results(address, locator, most).await {
                Ok(results) => return Ok(results),
                Err(error @ SalesforceError::BodyTooLarge { .. }) => {
                    let smaller = bulk.with_smaller_sets().ok_or_else(|| look::failed(self.job, &error))?;
                    self.with_bulk(|bulk| *bulk = smaller);
                }
                Err(error) => return Err(look::failed(self.job, &error)),
            }
        }
    }
}

/// The set's records, each once; `None` when one cannot be read.
fn records_of(set: &ResultSet, cursor: &str) -> Option<Vec<(SalesforceId, Answered)>> {
    let place =
        |name: &str| set.header.iter().position(|column| column.eq_ignore_ascii_case(name.as_bytes()));
    if set.rows == 0 {
        return Some(Vec::new());
    }
    let (id, stamp, deleted) = (place("Id")?, place(cursor)?, place("IsDeleted"));
    let mut records: HashMap<SalesforceId, Answered> = HashMap::with_capacity(set.rows);
    for part in set.parts(usize::MAX) {
        for row in rows(&part) {
            let text = |place: usize| std::str::from_utf8(row.get(place)?).ok();
            let is_deleted = deleted.and_then(text).is_some_and(|text| text.eq_ignore_ascii_case("true"));
            let stamp = parse_salesforce_datetime(text(stamp)?)?;
            records.insert(SalesforceId::parse(text(id)?).ok()?, Answered { stamp, deleted: is_deleted });
        }
    }
    Some(records.into_iter().collect())
}
