//! Pages → rows. Pure CPU work, in steps around the look-ups of what is stored already: first the canonical form and its
//! keyed hash ([`parse`](super::parse)), then projection for what is new ([`draft`]), and compression and sealing for what
//! is kept of it ([`build`]).

use std::collections::{HashMap, HashSet};

use refrain_shared::catalog::filter::keep::Keep;
use refrain_shared::catalog::{FieldSet, Projection};
use refrain_shared::clock::Timestamp;
use refrain_shared::crypto::IdentityToken;
use refrain_shared::ids::SalesforceId;
use refrain_shared::privacy::identities_of;
use refrain_shared::record::merge::takes_place;
use refrain_shared::record::{CanonicalRecord, ReadOrder, RecordState, StateReason};
use refrain_shared::storage::page_commit::{PageCounts, PageRow, QuarantineRow};
use refrain_shared::storage::records::{Known, ObjectKey, RecordRow, payload_row_key};
use refrain_shared::storage::standings::Standings;
use refrain_shared::ticket::{Projected, ProjectionPlan, project};

use super::parse::{Head, Parsed, sealing_failed};
use super::retain::{FILTERED, let_go};
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
    /// Which of them are kept, whatever way they came by; all of them without one.
    pub filter: Option<Keep>,
    /// Paths whose values name people.
    pub identities: &'static [&'static str],
    /// Rows stamped before this and changed arrived late; `None` for history.
    pub late_before: Option<Timestamp>,
    /// What is as it was is written all the same: a person asked for it, so whatever follows from it is done anew; or only
    /// the time of reading tells that it is still there.
    pub anew: bool,
    /// What is here is read again for values that are not its own, and nothing follows from that. Of what is not here, only
    /// records stamped from this moment on are kept: they are on their way by a page that was read earlier.
    pub again: Option<Timestamp>,
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

/// Records that are new or changed, projected and not sealed yet: whether they are kept may depend on how the tickets
/// stand to which they belong.
pub struct Drafts {
    pub(super) parsed: Parsed,
    pub(super) fresh: Vec<Draft>,
    counts: PageCounts,
}

/// One of them.
pub(super) struct Draft {
    /// Its head's place.
    pub(super) head: usize,
    pub(super) projected: Projected,
    /// Why what was stored of it is a stub of the same stamp, if it is one.
    was_left_out: Option<StateReason>,
    /// Nothing is known to have changed but what is read of it, or values that are not its own.
    same_version: bool,
    is_late: bool,
}

/// Projects what is new or changed; counts the rest.
pub fn draft(plan: &TransformPlan, parsed: Parsed, known: &HashMap<SalesforceId, Known>) -> Drafts {
    let mut counts = PageCounts {
        quarantined: i64::try_from(parsed.set_aside()).unwrap_or(i64::MAX),
        superseded: parsed.repeats,
        ..PageCounts::default()
    };
    let mut drafts = Vec::new();
    for (place, head) in parsed.heads.iter().enumerate() {
        let known = known.get(&head.id);
        if plan.again.is_some_and(|from| !is_read_again(head, known, from)) {
            counts.unchanged += 1;
            continue;
        }
        match verdict(head, known) {
            Verdict::Unchanged if !plan.anew => counts.unchanged += 1,
            Verdict::Superseded => counts.superseded += 1,
            Verdict::Unchanged | Verdict::Write => {
                let record = parsed.records.get(head.index, &plan.fields);
                // What was deleted may come with its fields emptied: what is here already only changes its state.
                let is_gone = matches!(head.state, RecordState::Tombstone(_));
                let projected = if head.outside {
                    outside(plan, head, known)
                } else if is_gone && known.is_some() {
                    Projected::Gone
                } else {
                    project(&plan.projection, &record, head.order.stamp)
                };
                drafts.push(Draft {
                    head: place,
                    projected,
                    was_left_out: known.filter(|known| known.order.stamp == head.order.stamp).and_then(stub),
                    same_version: !plan.anew && known.is_some_and(|known| is_same_version(plan, head, known)),
                    is_late: plan.late_before.is_some_and(|before| head.order.stamp < before),
                });
            }
        }
    }
    Drafts { parsed, fresh: drafts, counts }
}

/// Seals what is kept; of what belongs to a ticket that is not kept itself only a stub is.
pub fn build(plan: &TransformPlan, drafts: Drafts, standings: &Standings) -> Result<Transformed, JobError> {
    let Drafts { parsed, fresh, mut counts } = drafts;
    let mut rows = Vec::new();
    for draft in fresh {
        let head = &parsed.heads[draft.head];
        let left_out = plan.left_out(head, &draft.projected, standings);
        if left_out.is_some() && draft.was_left_out == left_out && !plan.anew {
            counts.unchanged += 1;
            continue;
        }
        if draft.is_late {
            counts.late += 1;
        }
        if let Some(reason) = left_out {
            rows.push(let_go(head, draft.projected, reason));
        } else {
            let record = parsed.records.get(head.index, &plan.fields);
            rows.push(row(plan, head, &record, draft)?);
        }
    }
    Ok(Transformed { rows, quarantined: parsed.quarantined, counts })
}

/// Why it is a stub, if it is one.
fn stub(known: &Known) -> Option<StateReason> {
    if let Some(RecordState::Stub(reason)) = known.state { Some(reason) } else { None }
}

/// What becomes of a record outside of the filter: nothing of its values is shown. The feed is told once.
fn outside(plan: &TransformPlan, head: &Head, known: Option<&Known>) -> Projected {
    match (&plan.projection.projection, head.state) {
        (_, FILTERED) if known.and_then(|known| known.state) == Some(FILTERED) => Projected::Nothing,
        (Projection::Message(_), FILTERED) => Projected::Unlinked,
        _ => Projected::Gone,
    }
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
    } else if may_be_written(head, known) || disagree(head, known) {
        // Where they disagree the commit keeps it out all the same, and asks for another look.
        Verdict::Write
    } else {
        Verdict::Superseded
    }
}

/// Whether this read takes the place of what is known.
fn may_be_written(head: &Head, known: &Known) -> bool {
    known.state.map_or_else(
        || head.order.replaces(known.order),
        |state| takes_place((head.order, head.state), (known.order, state)),
    )
}

/// Whether two reads too close to tell which was last differ in whether the record is there.
fn disagree(head: &Head, known: &Known) -> bool {
    let is_gone = |state| matches!(state, RecordState::Tombstone(_));
    head.order.is_close_to(known.order) && known.state.is_some_and(is_gone) != is_gone(head.state)
}

/// Whether a record is one that is to be read again: many a child of a changed parent is not kept here.
fn is_read_again(head: &Head, known: Option<&Known>, from: Timestamp) -> bool {
    match known {
        Some(known) => known.state == Some(RecordState::Live),
        None => head.order.stamp >= from,
    }
}

/// Whether nothing is known to have changed but what is read of it, or values that are not its own.
fn is_same_version(plan: &TransformPlan, head: &Head, known: &Known) -> bool {
    let ReadOrder { stamp, field_set, .. } = known.order;
    let differs_by_us = plan.again.is_some() || field_set != head.order.field_set;
    known.state == Some(head.state) && stamp == head.order.stamp && differs_by_us
}

fn row(
    plan: &TransformPlan,
    head: &Head,
    record: &CanonicalRecord<'_>,
    Draft { projected, same_version, .. }: Draft,
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
    let is_gone = matches!(state, RecordState::Tombstone(_));
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
        | Projected::LetGo { .. }
        | Projected::Gone
        | Projected::Nothing => None,
    };
    // Of what is left out nothing stays that names anybody.
    let mut identities: Vec<IdentityToken> =
        if state == FILTERED { Vec::new() } else { tokens.into_iter().collect() };
    identities.sort_unstable();
    Ok(PageRow {
        record: RecordRow { id: head.id, order: head.order, state, sealed, identities: identities.concat() },
        projected,
        email_token: if suppressed { None } else { email_token },
        merged_into: merged_into.filter(|_| is_gone),
        same_version,
    })
}

#[cfg(test)]
#[path = "transform_test.rs"]
mod tests;
