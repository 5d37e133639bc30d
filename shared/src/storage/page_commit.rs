//! The page commit: rows, projection, identities, checkpoint, job and feed in one transaction.
//!
//! Order of locks, the same for every commit, so that two never wait for each other in a circle:
//! tenant gate (shared) → records in key order → quarantine → messages, files, agents, customers in key order →
//! job → checkpoint → feed head → tickets. What is projected anew goes the same way, object by object ([`switch_commit`]). Tickets are only ever written under the feed's lock: their
//! aggregates are then computed from all committed messages, whatever the order of commits, and their
//! sequence numbers are dense and in commit order.
//!
//! What is here of a page is looked up record by record and ticket by ticket, with the tenant given by row-level
//! security alone and no condition that a second index could take as well; and it is planned anew each time. A
//! planner whose statistics do not know the tenant takes it for empty, a kept plan may be from when the tables were,
//! and either would read all that the tenant has. `OFFSET 0` keeps each look-up by itself; `LIMIT 1` would too, but lets
//! a planner that takes ids for common stop early in a scan of everything, which for a new id has no end.

mod aggregates;
mod checkpoint;
mod closure;
mod expiry;
mod facets;
mod files;
mod gone;
mod messages;
mod people;
mod quarantine;
mod switch;
mod tickets;
mod unsettled;

use std::collections::{HashMap, HashSet};

use checkpoint::Stored;
pub use checkpoint::{CheckpointMove, PageCounts};
use deadpool_postgres::Object;
pub use quarantine::Retried;
pub(in crate::storage) use switch::UNMADE;
pub use switch::{Reprojected, Switch, Unmake, switch_commit, tickets_unmake};

use super::error::StoreError;
use super::jobs::{AttemptReport, job_end, job_touch};
use super::keys::{GateEpochs, gate_share};
use super::pool::TenantTx;
use super::records::{ObjectKey, RecordRow, Written, records_upsert};
use super::related::{ChildFields, Owner};
use crate::clock::Timestamp;
use crate::ids::{FieldSetId, ObjectId, SalesforceId};
use crate::job::lease::{JobEnd, Lease};
use crate::record::{RecordState, StateReason};
use crate::ticket::{MessageRow, PersonRow, Projected, TicketRow};

/// A record of the page with what it became.
#[derive(Debug)]
pub struct PageRow {
    /// The record.
    pub record: RecordRow,
    /// Its projection.
    pub projected: Projected,
    /// Keyed token of the person's e-mail address, for agents and customers.
    pub email_token: Option<[u8; 16]>,
    /// The record that it was merged into.
    pub merged_into: Option<SalesforceId>,
    /// It is read with other fields than the version here, of the same stamp, or again for values that are not its own: what
    /// hangs on it is as it was.
    pub same_version: bool,
}

/// A record set aside.
#[derive(Debug)]
pub struct QuarantineRow {
    /// The id, or a keyed hash where there is none.
    pub record_id: String,
    /// Closed word.
    pub reason: &'static str,
    /// Path it is about.
    pub field: Option<String>,
    /// Sealed, as it came.
    pub payload: Vec<u8>,
    /// The shape of the value at fault.
    pub sample: Option<String>,
}

/// The connection's objects to which messages belong, by the beginnings of their ids.
#[derive(Debug, Clone, Default)]
pub struct ParentObjects {
    /// Ticket objects: a message whose ticket is not here yet makes a shell of one of them.
    pub tickets: HashMap<String, ObjectId>,
    /// Objects whose items hold items of others: sessions, calls, chats.
    pub holders: HashMap<String, ObjectId>,
    /// Fields by which items of other objects name what they belong to.
    pub children: ChildFields,
    /// Objects whose records are found by what they belong to alone.
    pub by_parents: HashSet<ObjectId>,
    /// The same, by calls of their own.
    pub by_calls: HashSet<ObjectId>,
    /// Some object of tickets, or one whose items hold others, has a filter: what is outside of it is not kept with what
    /// belongs to it.
    pub filters: bool,
    /// Objects with each change of whose records the children are looked for again.
    pub with_children: HashSet<ObjectId>,
}

/// What becomes of the job with this commit.
#[derive(Debug)]
pub enum JobStep {
    /// It goes on; this is how far it is.
    Continue(serde_json::Value),
    /// It goes behind the others; this is how far it is.
    Pause(serde_json::Value, AttemptReport),
    /// Its lease ends.
    End(JobEnd, AttemptReport),
}

/// One page, or small ones together, ready to be made to last.
#[derive(Debug)]
pub struct PageCommit<'a> {
    /// The lease under which it was read.
    pub lease: &'a Lease,
    /// The gate's values that the plan rested on.
    pub gate: GateEpochs,
    /// The field set of the read; refused when the object is read with another one by now.
    pub field_set: FieldSetId,
    /// New and changed records; unchanged ones are only counted.
    pub rows: Vec<PageRow>,
    /// Every record that can be kept, unchanged ones too, and when it was read: they leave the quarantine.
    pub kept: Vec<(SalesforceId, Timestamp)>,
    /// What the page's messages may belong to.
    pub parents: &'a ParentObjects,
    /// Records set aside.
    pub quarantined: Vec<QuarantineRow>,
    /// Records set aside before, tried again.
    pub retried: Retried,
    /// The first response's Date.
    pub read_at: Timestamp,
    /// Outcomes known before the commit.
    pub counts: PageCounts,
    /// Where the checkpoint goes.
    pub moves: CheckpointMove,
    /// What becomes of the job.
    pub step: JobStep,
    /// Called when all is sent and nothing is committed; tests die there.
    pub before_commit: fn(),
}

/// Commits the page; gives what became of its records.
///
/// [`StoreError::GateMoved`] and [`StoreError::FenceLost`] mean that nothing was.
pub async fn page_commit(client: &mut Object, mut page: PageCommit<'_>) -> Result<PageCounts, StoreError> {
    let scope = crate::tenant::TenantScope::leased(page.lease.tenant);
    let key = ObjectKey { connection: page.lease.connection, object: page.lease.object };
    let tx = TenantTx::begin(client, &scope).await?;
    check_gate(gate_share(&tx).await?, page.gate)?;

    page.rows.sort_by_key(|row| row.record.id);
    let records: Vec<RecordRow> = page.rows.iter_mut().map(take_record).collect();
    let written =
        if records.is_empty() { Written::default() } else { records_upsert(&tx, key, &records).await? };
    let applied: Vec<Applied<'_>> = page
        .rows
        .iter()
        .zip(&records)
        .filter_map(|(row, record)| {
            let was = *written.was.get(&record.id)?;
            Some(Applied { id: record.id, was, record, row, changed_role: false })
        })
        .collect();
    quarantine::upsert(&tx, key, &page).await?;
    let touched = messages::upsert(&tx, key, &applied).await?;
    files::want(&tx, Owner::from(page.lease), key.object, &applied, &touched.files).await?;
    people::upsert(&tx, key, &applied).await?;
    gone::items_and_people(&tx, key, &applied).await?;

    let count = |of: usize| i64::try_from(of).unwrap_or(i64::MAX);
    let stubs = |reason| applied.iter().filter(|row| row.record.state == RecordState::Stub(reason)).count();
    page.counts.suppressed = count(stubs(StateReason::Erased));
    page.counts.expired = count(stubs(StateReason::Expired));
    page.counts.filtered = count(stubs(StateReason::Filtered));
    page.counts.written =
        count(applied.len()) - page.counts.suppressed - page.counts.expired - page.counts.filtered;
    page.counts.superseded += count(records.len() - applied.len());
    finish_job(&tx, &page, page.counts.written).await?;
    let stored = Stored { live: written.live, items: touched.items };
    checkpoint::advance(&tx, &page, stored).await?;
    let under = tickets::Under {
        parents: page.parents,
        mapping_epoch: page.gate.mapping,
        cut_offs: page.gate.retention.cut_offs(page.read_at),
        switches: false,
    };
    let led = tickets::write(&tx, key, &under, &applied, &touched.tickets).await?;
    closure::ask(&tx, &page, &applied, led).await?;
    unsettled::look_again(&tx, &page, &records, &written, &applied).await?;
    (page.before_commit)();
    tx.commit().await?;
    Ok(page.counts)
}

/// A record that was written, with its projection.
struct Applied<'a> {
    id: SalesforceId,
    /// Its state before, as stored; nothing when it was not here, in no table that only its own page commits write.
    was: Option<i16>,
    record: &'a RecordRow,
    row: &'a PageRow,
    /// It may have been projected to something of another kind before: nothing of that stays.
    changed_role: bool,
}

impl Applied<'_> {
    /// Whether the projection may carry values of the record; of a stub only the keys, the times and the state stay.
    fn shows_values(&self) -> bool {
        match self.record.state {
            RecordState::Live | RecordState::Tombstone(_) => true,
            RecordState::Stub(_) => false,
        }
    }

    /// Whether it belongs to a ticket whose time is over, or is one.
    fn is_expired(&self) -> bool {
        self.record.state == RecordState::Stub(StateReason::Expired)
    }

    fn is_new(&self) -> bool {
        self.was.is_none()
    }

    /// Whether it is outside of its object's filter, or belongs to what is.
    fn is_filtered(&self) -> bool {
        self.record.state == RecordState::Stub(StateReason::Filtered)
    }

    /// Whether nothing is told of it but that it is gone.
    fn is_bare(&self) -> bool {
        self.row.projected == Projected::Gone
    }

    fn ticket(&self) -> Option<&TicketRow> {
        if let Projected::Ticket(row) = &self.row.projected { Some(row) } else { None }
    }

    /// Whether no item of a conversation may stay of it.
    fn is_no_item(&self) -> bool {
        match self.row.projected {
            Projected::Unlinked | Projected::LetGo { .. } => true,
            Projected::Message(_) | Projected::Gone => false,
            Projected::Ticket(_) | Projected::Agent(_) | Projected::Customer(_) | Projected::Nothing => {
                self.changed_role
            }
        }
    }

    /// What it belonged to, when it is left out because that one's time is over.
    fn let_go_of(&self) -> Option<SalesforceId> {
        if let Projected::LetGo { of } = self.row.projected { Some(of) } else { None }
    }

    fn message(&self) -> Option<&MessageRow> {
        if let Projected::Message(row) = &self.row.projected { Some(row) } else { None }
    }

    fn agent(&self) -> Option<&PersonRow> {
        if let Projected::Agent(row) = &self.row.projected { Some(row) } else { None }
    }

    fn customer(&self) -> Option<&PersonRow> {
        if let Projected::Customer(row) = &self.row.projected { Some(row) } else { None }
    }
}

/// Moves the record out of its row: payloads are large and are sent once.
fn take_record(row: &mut PageRow) -> RecordRow {
    RecordRow {
        id: row.record.id,
        order: row.record.order,
        state: row.record.state,
        sealed: row.record.sealed.take(),
        identities: std::mem::take(&mut row.record.identities),
    }
}

fn check_gate(now: GateEpochs, planned: GateEpochs) -> Result<(), StoreError> {
    let what = if now.suppression != planned.suppression {
        "suppression"
    } else if now.mapping != planned.mapping {
        "mapping"
    } else if now.data_key != planned.data_key {
        "key"
    } else if now.retention != planned.retention {
        "retention"
    } else {
        return Ok(());
    };
    Err(StoreError::GateMoved { what })
}

async fn finish_job(tx: &TenantTx<'_>, page: &PageCommit<'_>, written: i64) -> Result<(), StoreError> {
    match &page.step {
        JobStep::Continue(progress) => job_touch(tx.sql(), page.lease, Some(progress)).await,
        JobStep::Pause(progress, report) => {
            job_touch(tx.sql(), page.lease, Some(progress)).await?;
            job_end(tx.sql(), page.lease, &JobEnd::More, &with_page(report, written)).await
        }
        JobStep::End(end, report) => job_end(tx.sql(), page.lease, end, &with_page(report, written)).await,
    }
}

/// What this very page wrote is known only here.
fn with_page(report: &AttemptReport, written: i64) -> AttemptReport {
    AttemptReport { written: report.written + written, ..report.clone() }
}
