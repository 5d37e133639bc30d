//! The first half of the transform: pages → canonical records, each with its keyed hash, identity and state.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use refrain_shared::clock::Timestamp;
use refrain_shared::crypto::{ContentHash, CryptoError};
use refrain_shared::ids::SalesforceId;
use refrain_shared::record::shape::shape_at;
use refrain_shared::record::{
    Columns, PageRecords, ReadOrder, RecordProblem, RecordState, StateReason, canonicalize, canonicalize_row,
    canonicalize_texts,
};
use refrain_shared::salesforce::results;
use refrain_shared::storage::content::retried::SetAsideRecord;
use refrain_shared::storage::page_commit::QuarantineRow;
use refrain_shared::storage::records::payload_row_key;
use serde_json::value::RawValue;

use super::retain::FILTERED;
use super::transform::TransformPlan;
use crate::error::{JobError, Step};

/// A record, before anything is known of what is stored.
pub struct Head {
    /// Its id.
    pub id: SalesforceId,
    /// Where this read of it stands among all reads.
    pub order: ReadOrder,
    /// Live or gone, or outside of the object's filter.
    pub state: RecordState,
    /// The object's filter does not hold of it, whether it is there or gone.
    pub(super) outside: bool,
    /// Keyed hash of its canonical form.
    pub hash: ContentHash,
    /// Its place among the canonical records.
    pub(super) index: usize,
}

/// The first half's outcome.
pub struct Parsed {
    /// Canonical records.
    pub(super) records: PageRecords,
    /// One head an id.
    pub heads: Vec<Head>,
    /// Where each id's head is.
    places: HashMap<SalesforceId, usize>,
    /// Records that cannot be kept; one row an id.
    pub(super) quarantined: Vec<QuarantineRow>,
    /// How many were read that cannot be kept.
    set_aside: usize,
    /// Records that repeat an id.
    pub(super) repeats: i64,
}

impl Parsed {
    /// Of no page yet.
    #[must_use]
    pub fn new(plan: &TransformPlan) -> Self {
        Self {
            records: PageRecords::new(&plan.fields),
            heads: Vec::new(),
            places: HashMap::new(),
            quarantined: Vec::new(),
            set_aside: 0,
            repeats: 0,
        }
    }

    /// How many records cannot be kept.
    #[must_use]
    pub fn set_aside(&self) -> usize {
        self.set_aside
    }

    /// Adds a page: canonical form, keyed hash, identity and state of each record.
    pub fn add(
        &mut self,
        plan: &TransformPlan,
        records: &[&RawValue],
        read_at: Timestamp,
    ) -> Result<(), JobError> {
        for raw in records {
            let read = canonicalize(raw, &plan.fields, &mut self.records);
            self.add_one(plan, read, read_at, || Cow::Borrowed(raw.get()))?;
        }
        Ok(())
    }

    /// Adds rows of a Bulk job's results; gives how many they were.
    pub fn add_rows(
        &mut self,
        plan: &TransformPlan,
        columns: &Columns,
        part: &[u8],
        read_at: Timestamp,
    ) -> Result<usize, JobError> {
        let mut count = 0;
        for row in results::rows(part) {
            let read = canonicalize_row(&row, columns, &plan.fields, &mut self.records);
            self.add_one(plan, read, read_at, || Cow::Owned(columns.to_json(&row)))?;
            count += 1;
        }
        Ok(count)
    }

    /// Adds a record that was set aside before, if it can be kept now; gives whether.
    pub fn add_again(
        &mut self,
        plan: &TransformPlan,
        set_aside: &SetAsideRecord,
    ) -> Result<bool, serde_json::Error> {
        // A field that is read since then it does not have: what is read back brings the record with it.
        let has =
            |path: &str| set_aside.fields.iter().any(|fields| fields.iter().any(|field| field.path == path));
        if !plan.fields.fields().iter().all(|field| has(&field.path)) {
            return Ok(false);
        }
        let read = match serde_json::from_slice::<HashMap<String, Option<String>>>(&set_aside.raw) {
            // A row of results is texts alone; a record of an answer holds its attributes.
            Ok(texts) => canonicalize_texts(&texts, &plan.fields, &mut self.records),
            Err(_) => canonicalize(serde_json::from_slice(&set_aside.raw)?, &plan.fields, &mut self.records),
        };
        let kept = read.and_then(|()| head(plan, &self.records, self.records.len() - 1, set_aside.read_at));
        Ok(kept.map(|head| self.keep(head)).is_ok())
    }

    fn add_one<'a>(
        &mut self,
        plan: &TransformPlan,
        read: Result<(), RecordProblem>,
        read_at: Timestamp,
        raw: impl FnOnce() -> Cow<'a, str>,
    ) -> Result<(), JobError> {
        let kept = read.and_then(|()| head(plan, &self.records, self.records.len() - 1, read_at));
        match kept {
            Err(problem) => {
                let row = set_aside(plan, &raw(), &problem)?;
                self.quarantined.retain(|earlier| earlier.record_id != row.record_id);
                self.quarantined.push(row);
                self.set_aside += 1;
            }
            Ok(head) => {
                // It came well again before it was ever set aside.
                self.quarantined.retain(|earlier| earlier.record_id != head.id.as_str());
                self.keep(head);
            }
        }
        Ok(())
    }

    /// Of two versions of one record the later read wins, as it would in two commits; the other is superseded.
    fn keep(&mut self, head: Head) {
        match self.places.entry(head.id) {
            Entry::Vacant(place) => {
                place.insert(self.heads.len());
                self.heads.push(head);
            }
            Entry::Occupied(place) => {
                let kept = &mut self.heads[*place.get()];
                if head.order.replaces(kept.order) {
                    *kept = head;
                }
                self.repeats += 1;
            }
        }
    }
}

fn head(
    plan: &TransformPlan,
    records: &PageRecords,
    index: usize,
    read_at: Timestamp,
) -> Result<Head, RecordProblem> {
    let record = records.get(index, &plan.fields);
    let id = record
        .text("Id")
        .and_then(|text| SalesforceId::parse(&text).ok())
        .ok_or(RecordProblem::Unidentified { field: "Id" })?;
    let stamp =
        record.instant(&plan.cursor).ok_or(RecordProblem::Unidentified { field: "the cursor field" })?;
    let outside = plan.filter.as_ref().is_some_and(|filter| !filter.holds(&record));
    let state = if record.boolean("IsDeleted") == Some(true) {
        let merged = record.text("MasterRecordId").is_some();
        RecordState::Tombstone(if merged { StateReason::Merged } else { StateReason::Deleted })
    } else if outside {
        FILTERED
    } else {
        RecordState::Live
    };
    let order = ReadOrder { stamp, read_at, field_set: plan.fields.id };
    Ok(Head { id, order, state, outside, hash: plan.view.keys.content_hash(record.bytes()), index })
}

fn set_aside(plan: &TransformPlan, raw: &str, problem: &RecordProblem) -> Result<QuarantineRow, JobError> {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(rename = "Id", borrow)]
        id: Cow<'a, str>,
    }
    let keys = &plan.view.keys;
    let record_id = serde_json::from_str::<Named<'_>>(raw)
        .ok()
        .and_then(|named| SalesforceId::parse(&named.id).ok())
        .map_or_else(|| format!("#{}", hex::encode(keys.content_hash(raw.as_bytes()))), |id| id.to_string());
    let mut payload = Vec::new();
    keys.seal("quarantine.payload", &payload_row_key(plan.key, &record_id), raw.as_bytes(), &mut payload)
        .map_err(sealing_failed)?;
    Ok(QuarantineRow {
        record_id,
        reason: problem.code(),
        field: problem.field().map(str::to_owned),
        payload,
        sample: problem.field().and_then(|path| shape_at(raw, path)),
    })
}

/// Whatever the reason, no clock is needed to judge it.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
pub(super) fn sealing_failed(error: CryptoError) -> JobError {
    JobError::of(Step::Transform, &error, Timestamp::UNIX_EPOCH)
}
