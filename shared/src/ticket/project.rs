//! The projection of one record. What it gives depends on the record alone, so that any order of pages gives
//! the same tickets; what depends on others (aggregates) is computed in the page commit.

use std::collections::{BTreeSet, HashSet};

use crate::catalog::{Condition, FilePolicy, LeftOut, MessageFields, MessageKind, Projection, TicketFields};
use crate::clock::Timestamp;
use crate::ids::SalesforceId;
use crate::job::checkpoint::{Facet, FacetKind};
use crate::record::CanonicalRecord;

/// The longest text of a plain column, in bytes. PostgreSQL's indexes take no entry above 2,704; a picklist's value has
/// 255 characters at most.
const COLUMN_BYTES: usize = 1_024;

/// What the projection of an object needs to know beside the record.
#[derive(Debug, Clone)]
pub struct ProjectionPlan {
    /// How records of this object are projected.
    pub projection: Projection,
    /// Key prefixes of everything that is or may become a ticket: the standard ticket objects whether they are synced
    /// or not, and the connection's own. A message names the first record of such a kind.
    pub ticket_kinds: HashSet<String>,
    /// Mapped fields that tickets are filtered by.
    pub facets: Vec<Facet>,
    /// Which bodies of files are kept.
    pub files: FilePolicy,
}

/// The paths of which a ticket's columns and facets are made; none of anything else.
#[must_use]
pub fn ticket_paths(projection: &Projection, facets: &[Facet]) -> BTreeSet<String> {
    let Projection::Ticket(fields) = projection else { return BTreeSet::new() };
    fields.paths().chain(facets.iter().map(|facet| &facet.path)).cloned().collect()
}

impl ProjectionPlan {
    /// The plan that makes nothing of paths which the integration user may see no more, though records are here that were
    /// read with them: a ticket's columns and facets stay empty. Items of conversations keep their places, and what of them
    /// is shown is masked as it is opened.
    #[must_use]
    pub fn without(mut self, lost: &BTreeSet<String>) -> Self {
        if let Projection::Ticket(fields) = &mut self.projection {
            fields.retain(|path| !lost.contains(path));
            self.facets.retain(|facet| !lost.contains(&facet.path));
        }
        self
    }
}

/// What a record became.
#[derive(Debug, Clone, PartialEq)]
pub enum Projected {
    /// A ticket.
    Ticket(TicketRow),
    /// An item of a ticket's conversation.
    Message(MessageRow),
    /// A message or event that names no record it could belong to.
    Unlinked,
    /// An item of something whose time is over: nothing of it stays.
    LetGo {
        /// The ticket's record, or another item's.
        of: SalesforceId,
    },
    /// An agent.
    Agent(PersonRow),
    /// A customer.
    Customer(PersonRow),
    /// Only known to be gone: what is here of it keeps its values and changes its state.
    Gone,
    /// Nothing beside the record.
    Nothing,
}

/// The standard columns of a ticket.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketRow {
    /// Human number.
    pub number: Option<String>,
    /// Status as the org names it.
    pub status: Option<String>,
    /// Priority as the org names it.
    pub priority: Option<String>,
    /// Channel by which it came.
    pub channel: Option<String>,
    /// User or queue.
    pub owner_id: Option<String>,
    /// The customer's contact.
    pub contact_id: Option<String>,
    /// When it was opened.
    pub opened_at: Option<Timestamp>,
    /// When it was closed, while it is.
    pub closed_at: Option<Timestamp>,
    /// Last activity of the record itself: opened, closed, last modified.
    pub record_at: Timestamp,
    /// Values to filter by.
    pub facets: Vec<(String, FacetValue)>,
}

/// A facet's value as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum FacetValue {
    /// Text.
    Text(String),
    /// A moment.
    Time(Timestamp),
    /// A decimal number without its point.
    Number(i64),
}

/// The columns of a conversation's item.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageRow {
    /// The ticket's record; its ticket may come later, or never.
    pub ticket_record: SalesforceId,
    /// What it is.
    pub kind: MessageKind,
    /// `inbound` from the customer, `outbound` to the customer, `internal`.
    pub direction: &'static str,
    /// Whether the customer may read it.
    pub public: bool,
    /// The author's record, where the author is one.
    pub author_id: Option<String>,
    /// When it was said.
    pub sent_at: Timestamp,
    /// Length of its text in characters.
    pub characters: i32,
    /// The record that says the same in another object: while that one is here, this is not shown.
    pub same_as: Option<String>,
    /// Items of other objects belong to it, and through it to its ticket.
    pub holds: bool,
    /// The file that it is.
    pub file: Option<FileRow>,
}

/// Where a file's body is to be had, and whether it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// The record that has the body.
    pub id: SalesforceId,
    /// Its object.
    pub object: String,
    /// Its field.
    pub field: String,
    /// Length in bytes, as the record says.
    pub bytes: Option<u64>,
    /// Why the body is not wanted.
    pub left_out: Option<LeftOut>,
    /// Whether the body may change with this record.
    pub is_own: bool,
}

/// The columns of an agent or a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonRow {
    /// Whether an agent may work; customers always may.
    pub active: bool,
    /// The customer's account.
    pub account_id: Option<String>,
    /// E-mail address, for its keyed token.
    pub email: Option<String>,
}

/// Projects one record. `stamp` is its cursor value, used where a time of its own is missing.
#[must_use]
pub fn project(plan: &ProjectionPlan, record: &CanonicalRecord<'_>, stamp: Timestamp) -> Projected {
    match &plan.projection {
        Projection::Ticket(fields) => Projected::Ticket(ticket(fields, &plan.facets, record, stamp)),
        Projection::Message(fields) => {
            message(fields, plan, record, stamp).map_or(Projected::Unlinked, Projected::Message)
        }
        Projection::Agent => Projected::Agent(PersonRow {
            active: record.boolean("IsActive").unwrap_or(true),
            account_id: None,
            email: owned(record, "Email"),
        }),
        Projection::Customer => Projected::Customer(PersonRow {
            active: true,
            account_id: plain(record, "AccountId"),
            email: owned(record, "Email"),
        }),
        Projection::None => Projected::Nothing,
    }
}

fn ticket(
    fields: &TicketFields,
    facets: &[Facet],
    record: &CanonicalRecord<'_>,
    stamp: Timestamp,
) -> TicketRow {
    let opened_at = record.instant("CreatedDate");
    let value = |path: &Option<String>| path.as_deref().and_then(|path| plain(record, path));
    let closed_at = fields.closed_at.as_deref().and_then(|path| record.instant(path));
    // Not the stamp: mass updates move it on tickets that nobody touched.
    let record_at = [opened_at, closed_at, record.instant("LastModifiedDate")].into_iter().flatten().max();
    TicketRow {
        number: value(&fields.number),
        status: value(&fields.status),
        priority: value(&fields.priority),
        channel: value(&fields.channel),
        owner_id: plain(record, "OwnerId"),
        contact_id: value(&fields.contact),
        opened_at,
        closed_at,
        record_at: record_at.unwrap_or(stamp),
        facets: facets
            .iter()
            .filter_map(|facet| Some((facet.name.clone(), facet_value(facet, record)?)))
            .collect(),
    }
}

fn facet_value(facet: &Facet, record: &CanonicalRecord<'_>) -> Option<FacetValue> {
    match facet.kind {
        FacetKind::Text => plain(record, &facet.path).map(FacetValue::Text),
        FacetKind::Time => record.instant(&facet.path).map(FacetValue::Time),
        FacetKind::Number { scale } => scaled(&record.text(&facet.path)?, scale).map(FacetValue::Number),
    }
}

/// A decimal as an integer of `scale` decimals, further ones cut; `None` when it does not fit.
#[must_use]
pub fn scaled(text: &str, scale: u8) -> Option<i64> {
    let canonical = crate::record::number::canonical_decimal(text)?;
    let (whole, fraction) = canonical.split_once('.').unwrap_or((&canonical, ""));
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(usize::from(scale)).collect();
    format!("{whole}{fraction}").parse().ok()
}

fn message(
    fields: &MessageFields,
    plan: &ProjectionPlan,
    record: &CanonicalRecord<'_>,
    stamp: Timestamp,
) -> Option<MessageRow> {
    let parents = || fields.parents.iter().filter_map(|path| SalesforceId::parse(&record.text(path)?).ok());
    let ticket_record =
        parents().find(|id| plan.ticket_kinds.contains(id.key_prefix())).or_else(|| parents().next())?;
    let is_event = fields.event.as_ref().is_some_and(|condition| holds(condition, record) == Some(true));
    let kind = if is_event { MessageKind::Event } else { fields.kind };
    let public = fields.public.as_ref().is_none_or(|condition| holds(condition, record).unwrap_or(false));
    let incoming = fields.incoming.as_ref().and_then(|condition| holds(condition, record));
    let text = fields.text.iter().find_map(|path| record.text(path));
    let is_record = |id: &String| SalesforceId::parse(id).is_ok();
    Some(MessageRow {
        ticket_record,
        kind,
        direction: direction(kind, incoming, public),
        public: public && kind != MessageKind::Event,
        author_id: owned(record, &fields.author).filter(is_record),
        sent_at: fields.sent_at.iter().find_map(|path| record.instant(path)).unwrap_or(stamp),
        characters: text.map_or(0, |text| i32::try_from(text.chars().count()).unwrap_or(i32::MAX)),
        same_as: fields.same_as.as_deref().and_then(|path| owned(record, path)).filter(is_record),
        holds: fields.holds,
        file: file_of(fields, &plan.files, record),
    })
}

/// The file that an item names, judged by a policy.
#[must_use]
pub fn file_of(fields: &MessageFields, policy: &FilePolicy, record: &CanonicalRecord<'_>) -> Option<FileRow> {
    let file = fields.file.as_ref()?;
    let facts = file.facts(record);
    Some(FileRow {
        id: SalesforceId::parse(&record.text(&file.id)?).ok()?,
        object: file.object.clone(),
        field: file.body.clone(),
        bytes: facts.bytes,
        left_out: policy.verdict(&facts),
        is_own: file.is_own(),
    })
}

/// Whether a condition holds; `None` where the record says nothing about it.
fn holds(condition: &Condition, record: &CanonicalRecord<'_>) -> Option<bool> {
    if condition.is.is_empty() {
        record.boolean(&condition.path)
    } else {
        record.text(&condition.path).map(|value| condition.is.iter().any(|one| **one == *value))
    }
}

/// Whose words an item holds. What does not say is from us, but for a chat, which customers begin.
fn direction(kind: MessageKind, incoming: Option<bool>, public: bool) -> &'static str {
    match (kind, incoming) {
        // Who sent a file is told by the item that it came with, if any.
        (MessageKind::Event | MessageKind::File, _) => "internal",
        (_, Some(true)) | (MessageKind::Chat, None) => "inbound",
        (_, Some(false)) => "outbound",
        (
            MessageKind::Comment
            | MessageKind::Email
            | MessageKind::Post
            | MessageKind::Entry
            | MessageKind::Call,
            None,
        ) => {
            if public {
                "outbound"
            } else {
                "internal"
            }
        }
    }
}

/// A text as plain columns hold it, and as it is looked for in them: PostgreSQL has no NUL, and a long text is kept by its
/// beginning. The sealed record has the value as it came.
#[must_use]
pub fn column_text(text: &str) -> String {
    let text = text.replace('\0', "\u{fffd}");
    text[..text.floor_char_boundary(COLUMN_BYTES)].to_owned()
}

fn plain(record: &CanonicalRecord<'_>, path: &str) -> Option<String> {
    record.text(path).map(|text| column_text(&text))
}

fn owned(record: &CanonicalRecord<'_>, path: &str) -> Option<String> {
    record.text(path).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
#[path = "project_test.rs"]
mod tests;
