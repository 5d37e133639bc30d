//! Page → rows. Pure CPU work, in two halves around one look-up of what is stored already: first the canonical
//! form and its keyed hash, then compression, sealing and projection for what is new.

use std::collections::{HashMap, HashSet};

use refrain_shared::catalog::FieldSet;
use refrain_shared::clock::Timestamp;
use refrain_shared::crypto::{ContentHash, CryptoError, IdentityToken};
use refrain_shared::ids::SalesforceId;
use refrain_shared::privacy::identities_of;
use refrain_shared::record::{
    CanonicalRecord, PageRecords, ReadOrder, RecordProblem, RecordState, StateReason, canonicalize,
};
use refrain_shared::storage::page_commit::{PageCounts, PageRow, QuarantineRow};
use refrain_shared::storage::records::{Known, ObjectKey, RecordRow, payload_row_key};
use refrain_shared::ticket::{Projected, ProjectionPlan, project};
use serde_json::value::RawValue;

use crate::error::{JobError, Step};
use crate::tenants::TenantView;

/// What turns a page of one object into rows; fixed for the whole job.
pub struct TransformPlan {
    /// The tenant as of planning.
    pub view: TenantView,
    /// The key that rows carry.
    pub key: ObjectKey,
    /// The field that orders changes.
    pub cursor: String,
    /// What is read.
    pub fields: FieldSet,
    /// How records are projected.
    pub projection: ProjectionPlan,
    /// Paths whose values name people.
    pub identities: &'static [&'static str],
    /// Rows stamped before this and changed arrived late; `None` for history.
    pub late_before: Option<Timestamp>,
}

/// A record of the page, before anything is known of what is stored.
pub struct Head {
    /// Its id.
    pub id: SalesforceId,
    /// Its cursor value.
    pub stamp: Timestamp,
    /// Live or gone.
    pub state: RecordState,
    /// Keyed hash of its canonical form.
    pub hash: ContentHash,
    /// Its place in the page's canonical records.
    index: usize,
}

/// The first half's outcome.
pub struct Parsed {
    /// Canonical records.
    records: PageRecords,
    /// One head an id; of a repeated id the later.
    pub heads: Vec<Head>,
    /// Records that cannot be kept.
    quarantined: Vec<QuarantineRow>,
    /// Records that repeat an id of the same page.
    repeats: i64,
}

impl Parsed {
    /// How many records cannot be kept.
    #[must_use]
    pub fn set_aside(&self) -> usize {
        self.quarantined.len()
    }
}

/// Canonical form, keyed hash, identity and state of each record.
pub fn parse(plan: &TransformPlan, records: &[&RawValue]) -> Result<Parsed, JobError> {
    let mut parsed = Parsed {
        records: PageRecords::new(&plan.fields),
        heads: Vec::with_capacity(records.len()),
        quarantined: Vec::new(),
        repeats: 0,
    };
    let mut places: HashMap<SalesforceId, usize> = HashMap::with_capacity(records.len());
    for raw in records {
        let kept = canonicalize(raw, &plan.fields, &mut parsed.records)
            .and_then(|()| head(plan, &parsed.records, parsed.records.len() - 1));
        match kept {
            Err(problem) => parsed.quarantined.push(set_aside(plan, raw, &problem)?),
            Ok(head) => {
                match places.insert(head.id, parsed.heads.len()) {
                    None => parsed.heads.push(head),
                    // Two versions of one record in one page: the later wins, the earlier is superseded.
                    Some(place) => {
                        places.insert(head.id, place);
                        parsed.heads[place] = head;
                        parsed.repeats += 1;
                    }
                }
            }
        }
    }
    Ok(parsed)
}

fn head(plan: &TransformPlan, records: &PageRecords, index: usize) -> Result<Head, RecordProblem> {
    let record = records.get(index, &plan.fields);
    let id = record
        .text("Id")
        .and_then(|text| SalesforceId::parse(&text).ok())
        .ok_or(RecordProblem::Unidentified { field: "Id" })?;
    let stamp =
        record.instant(&plan.cursor).ok_or(RecordProblem::Unidentified { field: "the cursor field" })?;
    let state = if record.boolean("IsDeleted") == Some(true) {
        let merged = record.text("MasterRecordId").is_some();
        RecordState::Tombstone(if merged { StateReason::Merged } else { StateReason::Deleted })
    } else {
        RecordState::Live
    };
    Ok(Head { id, stamp, state, hash: plan.view.keys.content_hash(record.bytes()), index })
}

fn set_aside(
    plan: &TransformPlan,
    raw: &RawValue,
    problem: &RecordProblem,
) -> Result<QuarantineRow, JobError> {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(rename = "Id", borrow)]
        id: std::borrow::Cow<'a, str>,
    }
    let keys = &plan.view.keys;
    let record_id = serde_json::from_str::<Named<'_>>(raw.get())
        .ok()
        .and_then(|named| SalesforceId::parse(&named.id).ok())
        .map_or_else(
            || format!("#{}", hex::encode(keys.content_hash(raw.get().as_bytes()))),
            |id| id.to_string(),
        );
    let mut payload = Vec::new();
    keys.seal(
        "quarantine.payload",
        &payload_row_key(plan.key, &record_id),
        raw.get().as_bytes(),
        &mut payload,
    )
    .map_err(sealing_failed)?;
    Ok(QuarantineRow {
        record_id,
        reason: problem.code(),
        field: problem.field().map(str::to_owned),
        payload,
    })
}

/// Rows to write and the outcomes known so far.
pub struct Transformed {
    /// New and changed records.
    pub rows: Vec<PageRow>,
    /// Records set aside.
    pub quarantined: Vec<QuarantineRow>,
    /// Outcomes known before the commit.
    pub counts: PageCounts,
}

/// Seals and projects what is new or changed; counts the rest.
pub fn build(
    plan: &TransformPlan,
    parsed: Parsed,
    known: &HashMap<SalesforceId, Known>,
    read_at: Timestamp,
) -> Result<Transformed, JobError> {
    let mut counts = PageCounts {
        quarantined: i64::try_from(parsed.quarantined.len()).unwrap_or(i64::MAX),
        superseded: parsed.repeats,
        ..PageCounts::default()
    };
    let mut rows = Vec::new();
    for head in &parsed.heads {
        let order = ReadOrder { stamp: head.stamp, read_at, field_set: plan.fields.id };
        match verdict(head, order, known.get(&head.id)) {
            Verdict::Unchanged => counts.unchanged += 1,
            Verdict::Superseded => counts.superseded += 1,
            Verdict::Write => {
                if plan.late_before.is_some_and(|before| head.stamp < before) {
                    counts.late += 1;
                }
                let record = parsed.records.get(head.index, &plan.fields);
                rows.push(row(plan, head, order, &record)?);
            }
        }
    }
    Ok(Transformed { rows, quarantined: parsed.quarantined, counts })
}

enum Verdict {
    Unchanged,
    Superseded,
    Write,
}

fn verdict(head: &Head, order: ReadOrder, known: Option<&Known>) -> Verdict {
    let Some(known) = known else { return Verdict::Write };
    let same = match (head.state, known.state) {
        (RecordState::Live, Some(RecordState::Live)) => known.hash == Some(head.hash),
        (_, Some(RecordState::Stub(StateReason::Erased))) => known.order.stamp == head.stamp,
        (now, Some(stored)) => now == stored && known.order.stamp == head.stamp,
        (_, None) => false,
    };
    if same {
        Verdict::Unchanged
    } else if order.replaces(known.order) {
        Verdict::Write
    } else {
        Verdict::Superseded
    }
}

fn row(
    plan: &TransformPlan,
    head: &Head,
    order: ReadOrder,
    record: &CanonicalRecord<'_>,
) -> Result<PageRow, JobError> {
    let keys = &plan.view.keys;
    let tokens: HashSet<IdentityToken> = plan
        .identities
        .iter()
        .filter_map(|path| record.text(path))
        .flat_map(|value| {
            identities_of(&value).map(|identity| keys.identity_token(&identity)).collect::<Vec<_>>()
        })
        .collect();
    let suppressed = !plan.view.suppressed.is_empty() && !plan.view.suppressed.is_disjoint(&tokens);
    let state = if suppressed { RecordState::Stub(StateReason::Erased) } else { head.state };
    let mut sealed = None;
    if state == RecordState::Live {
        let mut payload = Vec::with_capacity(record.bytes().len() / 2 + 64);
        keys.seal(
            "records.payload",
            &payload_row_key(plan.key, head.id.as_str()),
            record.bytes(),
            &mut payload,
        )
        .map_err(sealing_failed)?;
        sealed = Some((head.hash, payload));
    }
    let projected = project(&plan.projection, record, head.stamp);
    let email_token = match &projected {
        Projected::Agent(person) | Projected::Customer(person) => person
            .email
            .as_deref()
            .and_then(|email| identities_of(email).next())
            .map(|identity| keys.identity_token(&identity)),
        Projected::Ticket(_) | Projected::Message(_) | Projected::Unlinked | Projected::Nothing => None,
    };
    let mut identities: Vec<IdentityToken> = tokens.into_iter().collect();
    identities.sort_unstable();
    Ok(PageRow {
        record: RecordRow { id: head.id, order, state, sealed, identities: identities.concat() },
        projected,
        email_token: if suppressed { None } else { email_token },
    })
}

/// Whatever the reason, no clock is needed to judge it.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn sealing_failed(error: CryptoError) -> JobError {
    JobError::of(Step::Transform, &error, Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
#[path = "transform_test.rs"]
mod tests;
