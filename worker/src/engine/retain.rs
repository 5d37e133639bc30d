//! Whether a record is kept: what belongs to a ticket whose time is over, or that is outside of its object's filter, leaves
//! a stub. Pure; what has to be known of the tickets is looked up between [`asks`](Drafts::asks) and the rest.

use refrain_shared::catalog::MessageKind;
use refrain_shared::clock::Timestamp;
use refrain_shared::record::{RecordState, StateReason};
use refrain_shared::retention::{Class, CutOffs};
use refrain_shared::storage::page_commit::{PageRow, ParentObjects};
use refrain_shared::storage::records::RecordRow;
use refrain_shared::storage::standings::{Asked, Standings};
use refrain_shared::ticket::{MessageRow, Projected};

use super::parse::Head;
use super::transform::{Draft, Drafts, TransformPlan};

/// What a record is outside of its object's filter.
pub(super) const FILTERED: RecordState = RecordState::Stub(StateReason::Filtered);

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
                Projected::Message(row) => {
                    let may_be_over = said_at(row).is_none_or(|at| plan.may_be_over(head, at));
                    if !may_be_over && !parents.filters {
                        continue;
                    }
                    let kind = row.ticket_record.key_prefix();
                    let of = parents.tickets.get(kind).or_else(|| parents.holders.get(kind));
                    asked.parents.extend(of.map(|object| (*object, row.ticket_record)));
                    if row.holds && may_be_over {
                        asked.holders.push(head.id);
                    }
                }
                Projected::Ticket(_)
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

    /// Why a live record is not kept, if it is not: for what it belongs to, whatever it is itself.
    pub(super) fn left_out(
        &self,
        head: &Head,
        projected: &Projected,
        standings: &Standings,
    ) -> Option<StateReason> {
        match projected {
            _ if head.state != RecordState::Live => None,
            Projected::Message(row) if standings.filtered.contains(&row.ticket_record) => {
                Some(StateReason::Filtered)
            }
            _ => self.is_over(head, projected, standings).then_some(StateReason::Expired),
        }
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

/// Nothing of it stays but that it is there: a ticket keeps its times, an item not even those.
pub(super) fn let_go(head: &Head, projected: Projected, reason: StateReason) -> PageRow {
    let projected = match projected {
        Projected::Message(row) => Projected::LetGo { of: row.ticket_record },
        other => other,
    };
    PageRow {
        record: RecordRow {
            id: head.id,
            order: head.order,
            state: RecordState::Stub(reason),
            sealed: None,
            identities: Vec::new(),
        },
        projected,
        email_token: None,
        merged_into: None,
        same_version: false,
    }
}
