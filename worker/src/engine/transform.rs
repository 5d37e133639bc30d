//! Pages → rows. Pure CPU work, in steps around the look-ups of what is stored already: first the canonical form and its
//! keyed hash ([`parse`](super::parse)), then projection for what is new ([`draft`]), and compression and sealing for what
//! is kept of it ([`build`]).

use std::collections::{HashMap, HashSet};

use refrain_shared::catalog::{FieldSet, MessageKind};
use refrain_shared::clock::Timestamp;
use refrain_shared::crypto::IdentityToken;
use refrain_shared::ids::SalesforceId;
use refrain_shared::privacy::identities_of;
use refrain_shared::record::{CanonicalRecord, ReadOrder, RecordState, StateReason};
use refrain_shared::retention::{Class, CutOffs};
use refrain_shared::storage::page_commit::{PageCounts, PageRow, ParentObjects, QuarantineRow};
use refrain_shared::storage::records::{Known, ObjectKey, RecordRow, payload_row_key};
use refrain_shared::storage::standings::{Asked, Standings};
use refrain_shared::ticket::{MessageRow, Projected, ProjectionPlan, project};

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

/// Records that are new or changed, projected and not sealed yet: whether they are kept may depend on how the tickets
/// stand to which they belong.
pub struct Drafts {
    parsed: Parsed,
    fresh: Vec<Draft>,
    counts: PageCounts,
}

struct Draft {
    /// Its head's place.
    head: usize,
    projected: Projected,
    /// What was stored of it is a stub of the same stamp, left out for the same reason as it may be now.
    was_let_go: bool,
    /// Nothing is known to have changed but what is read of it.
    other_fields: bool,
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
        match verdict(head, known) {
            Verdict::Unchanged if !plan.anew => counts.unchanged += 1,
            Verdict::Superseded => counts.superseded += 1,
            Verdict::Unchanged | Verdict::Write => {
                let record = parsed.records.get(head.index, &plan.fields);
                // What was deleted may come with its fields emptied: what is here already only changes its state.
                let is_gone = matches!(head.state, RecordState::Tombstone(_));
                let projected = if is_gone && known.is_some() {
                    Projected::Gone
                } else {
                    project(&plan.projection, &record, head.order.stamp)
                };
                drafts.push(Draft {
                    head: place,
                    projected,
                    was_let_go: known.is_some_and(|known| {
                        known.state == Some(EXPIRED) && known.order.stamp == head.order.stamp
                    }),
                    other_fields: !plan.anew && known.is_some_and(|known| reads_other_fields(head, known)),
                    is_late: plan.late_before.is_some_and(|before| head.order.stamp < before),
                });
            }
        }
    }
    Drafts { parsed, fresh: drafts, counts }
}

impl Drafts {
    /// Of which records is to be known how they stand.
    #[must_use]
    pub fn asks(&self, plan: &TransformPlan, parents: &ParentObjects) -> Asked {
        let mut asked = Asked::default();
        for (head, draft) in self.live() {
            match &draft.projected {
                Projected::Ticket(row) if plan.may_be_over(head, row.record_at) => {
                    asked.tickets.push(head.id);
                }
                Projected::Message(row) if said_at(row).is_none_or(|at| plan.may_be_over(head, at)) => {
                    let kind = row.ticket_record.key_prefix();
                    let of = parents.tickets.get(kind).or_else(|| parents.holders.get(kind));
                    asked.parents.extend(of.map(|object| (*object, row.ticket_record)));
                    if row.holds {
                        asked.holders.push(head.id);
                    }
                }
                Projected::Ticket(_)
                | Projected::Message(_)
                | Projected::Unlinked
                | Projected::LetGo { .. }
                | Projected::Agent(_)
                | Projected::Customer(_)
                | Projected::Gone
                | Projected::Nothing => {}
            }
        }
        asked
    }

    fn live(&self) -> impl Iterator<Item = (&Head, &Draft)> {
        let drafts = self.fresh.iter().map(|draft| (&self.parsed.heads[draft.head], draft));
        drafts.filter(|(head, _)| head.state == RecordState::Live)
    }
}

impl TransformPlan {
    /// What is from before this moment goes, as of a record's reading.
    fn cut_offs(&self, head: &Head) -> CutOffs {
        self.view.gate.retention.cut_offs(head.order.read_at)
    }

    fn may_be_over(&self, head: &Head, at: Timestamp) -> bool {
        self.cut_offs(head).may_be_over(at)
    }

    /// Whether a live record belongs to a ticket whose time is over, or is one.
    fn is_over(&self, head: &Head, projected: &Projected, standings: &Standings) -> bool {
        let (class, last_activity_at) = match projected {
            Projected::Ticket(row) => {
                let (class, said_at) =
                    standings.tickets.get(&head.id).copied().unwrap_or((Class::Ticket, None));
                (class, said_at.max(Some(row.record_at)))
            }
            Projected::Message(row) => {
                let Some(class) = standings.let_go.get(&row.ticket_record) else { return false };
                (*class, standings.said.get(&head.id).copied().max(said_at(row)))
            }
            Projected::Unlinked
            | Projected::LetGo { .. }
            | Projected::Agent(_)
            | Projected::Customer(_)
            | Projected::Gone
            | Projected::Nothing => return false,
        };
        last_activity_at.is_none_or(|at| self.cut_offs(head).is_over(class, at))
    }
}

/// When something was said with an item; events and files are no activity of a ticket. Of a session the words may be to
/// come.
fn said_at(row: &MessageRow) -> Option<Timestamp> {
    let says = row.holds || !matches!(row.kind, MessageKind::Event | MessageKind::File);
    says.then_some(row.sent_at)
}

/// Seals what is kept; of what belongs to a ticket whose time is over only a stub is.
pub fn build(plan: &TransformPlan, drafts: Drafts, standings: &Standings) -> Result<Transformed, JobError> {
    let Drafts { parsed, fresh, mut counts } = drafts;
    let mut rows = Vec::new();
    for draft in fresh {
        let head = &parsed.heads[draft.head];
        let is_over = head.state == RecordState::Live && plan.is_over(head, &draft.projected, standings);
        if is_over && draft.was_let_go && !plan.anew {
            counts.unchanged += 1;
            continue;
        }
        if draft.is_late {
            counts.late += 1;
        }
        if is_over {
            rows.push(let_go(head, draft.projected));
        } else {
            let record = parsed.records.get(head.index, &plan.fields);
            rows.push(row(plan, head, &record, draft)?);
        }
    }
    Ok(Transformed { rows, quarantined: parsed.quarantined, counts })
}

/// Nothing of it stays but that it is there: a ticket keeps its times, an item not even those.
fn let_go(head: &Head, projected: Projected) -> PageRow {
    let projected = match projected {
        Projected::Message(row) => Projected::LetGo { of: row.ticket_record },
        other => other,
    };
    PageRow {
        record: RecordRow {
            id: head.id,
            order: head.order,
            state: EXPIRED,
            sealed: None,
            identities: Vec::new(),
        },
        projected,
        email_token: None,
        merged_into: None,
        other_fields: false,
    }
}

const EXPIRED: RecordState = RecordState::Stub(StateReason::Expired);

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
    Draft { projected, other_fields, .. }: Draft,
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
    let mut identities: Vec<IdentityToken> = tokens.into_iter().collect();
    identities.sort_unstable();
    Ok(PageRow {
        record: RecordRow { id: head.id, order: head.order, state, sealed, identities: identities.concat() },
        projected,
        email_token: if suppressed { None } else { email_token },
        merged_into: merged_into.filter(|_| is_gone),
        other_fields,
    })
}

#[cfg(test)]
#[path = "transform_test.rs"]
mod tests;
