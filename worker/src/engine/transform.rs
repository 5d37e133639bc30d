//! Pages → rows. Pure CPU work, in two halves around one look-up of what is stored already: first the canonical
//! form and its keyed hash ([`parse`](super::parse)), then compression, sealing and projection for what is new.

use std::collections::{HashMap, HashSet};

use refrain_shared::catalog::FieldSet;
use refrain_shared::clock::Timestamp;
use refrain_shared::crypto::IdentityToken;
use refrain_shared::ids::SalesforceId;
use refrain_shared::privacy::identities_of;
use refrain_shared::record::{CanonicalRecord, ReadOrder, RecordState, StateReason};
use refrain_shared::storage::page_commit::{PageCounts, PageRow, QuarantineRow};
use refrain_shared::storage::records::{Known, ObjectKey, RecordRow, payload_row_key};
use refrain_shared::ticket::{Projected, ProjectionPlan, project};

use super::parse::{Head, Parsed, sealing_failed};
use crate::error::JobError;
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
    /// What is as it was is written all the same: a person asked for it, so whatever follows from it is done anew; or only
    /// the time of reading tells that it is still there.
    pub anew: bool,
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
) -> Result<Transformed, JobError> {
    let mut counts = PageCounts {
        quarantined: i64::try_from(parsed.set_aside()).unwrap_or(i64::MAX),
        superseded: parsed.repeats,
        ..PageCounts::default()
    };
    let mut rows = Vec::new();
    for head in &parsed.heads {
        match verdict(head, known.get(&head.id)) {
            Verdict::Unchanged if !plan.anew => counts.unchanged += 1,
            Verdict::Superseded => counts.superseded += 1,
            Verdict::Unchanged | Verdict::Write => {
                if plan.late_before.is_some_and(|before| head.order.stamp < before) {
                    counts.late += 1;
                }
                let record = parsed.records.get(head.index, &plan.fields);
                rows.push(row(plan, head, &record, known.get(&head.id))?);
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

fn verdict(head: &Head, known: Option<&Known>) -> Verdict {
    let Some(known) = known else { return Verdict::Write };
    let same = match (head.state, known.state) {
        // The same values under other names are not the same.
        (RecordState::Live, Some(RecordState::Live)) => {
            known.hash == Some(head.hash) && known.order.field_set == head.order.field_set
        }
        (_, Some(RecordState::Stub(StateReason::Erased))) => known.order.stamp == head.order.stamp,
        (now, Some(stored)) => now == stored && known.order.stamp == head.order.stamp,
        (_, None) => false,
    };
    if same {
        Verdict::Unchanged
    } else if head.order.replaces(known.order) {
        Verdict::Write
    } else {
        Verdict::Superseded
    }
}

/// Whether nothing is known to have changed but what is read of it.
fn reads_other_fields(head: &Head, known: &Known) -> bool {
    let ReadOrder { stamp, field_set, .. } = known.order;
    known.state == Some(head.state) && stamp == head.order.stamp && field_set != head.order.field_set
}

fn row(
    plan: &TransformPlan,
    head: &Head,
    record: &CanonicalRecord<'_>,
    known: Option<&Known>,
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
    // What was deleted may come with its fields emptied: what is here already only changes its state.
    let is_gone = matches!(state, RecordState::Tombstone(_));
    let projected = if is_gone && known.is_some() {
        Projected::Gone
    } else {
        project(&plan.projection, record, head.order.stamp)
    };
    let merged_into = record.text("MasterRecordId").and_then(|id| SalesforceId::parse(&id).ok());
    let email_token = match &projected {
        Projected::Agent(person) | Projected::Customer(person) => person
            .email
            .as_deref()
            .and_then(|email| identities_of(email).next())
            .map(|identity| keys.identity_token(&identity)),
        Projected::Ticket(_)
        | Projected::Message(_)
        | Projected::Unlinked
        | Projected::Gone
        | Projected::Nothing => None,
    };
    let mut identities: Vec<IdentityToken> = tokens.into_iter().collect();
    identities.sort_unstable();
    Ok(PageRow {
        record: RecordRow { id: head.id, order: head.order, state, sealed, identities: identities.concat() },
        projected,
        email_token: if suppressed { None } else { email_token },
        merged_into: merged_into.filter(|_| is_gone),
        other_fields: !plan.anew && known.is_some_and(|known| reads_other_fields(head, known)),
    })
}

#[cfg(test)]
#[path = "transform_test.rs"]
mod tests;
