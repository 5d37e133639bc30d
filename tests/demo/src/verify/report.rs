//! What a comparison found, in counts, ids and field names.

use std::fmt;

use serde::Serialize;

/// As many differences are named as a person will look at.
const NAMED: usize = 10;

/// A whole comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Each enabled object, in the order of enabling.
    pub objects: Vec<ObjectReport>,
    /// The tickets made of them.
    pub tickets: TicketReport,
}

impl Report {
    /// Whether both sides hold the same: nothing more, nothing less.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.objects.iter().all(ObjectReport::is_exact) && self.tickets.is_exact()
    }

    /// Live records in the org.
    #[must_use]
    pub fn in_org(&self) -> u64 {
        self.objects.iter().map(|object| object.in_org_live).sum()
    }
}

/// One object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ObjectReport {
    /// API name.
    pub api_name: String,
    /// Live records in the org.
    pub in_org_live: u64,
    /// Records in the org's recycle bin.
    pub in_org_deleted: u64,
    /// Live records here.
    pub here_live: u64,
    /// Tombstones here.
    pub here_deleted: u64,
    /// In the org, and not here as it should be.
    pub missing: u64,
    /// Live here, and not in the org.
    pub extra: u64,
    /// On both sides with other values.
    pub different: u64,
    /// Values that were compared.
    pub values: u64,
    /// Linked values that are older here than in the org because the platform does not stamp a child when its
    /// parent changes. Known, and explained by the stamps.
    pub drifted: u64,
    /// Records of an object without a modification stamp that are live here although they went to the recycle bin
    /// with their parent, whose tombstone is here. Known: nothing tells a reader of stamps.
    pub hidden_with_parent: u64,
    /// The first that were found.
    pub first_differences: Vec<Difference>,
}

impl ObjectReport {
    /// Whether both sides hold the same.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.different == 0
    }

    pub(super) fn note(&mut self, id: &str, what: &'static str, fields: Vec<String>) {
        note(&mut self.first_differences, id, what, fields);
    }
}

/// The tickets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TicketReport {
    /// Live records of ticket objects in the org.
    pub in_org: u64,
    /// Live tickets here.
    pub here: u64,
    /// Live comments and e-mails that belong to a live ticket of the org.
    pub messages_in_org: u64,
    /// The sum of the live tickets' own counts.
    pub messages_here: u64,
    /// Live in the org, no live ticket here.
    pub missing: u64,
    /// A live ticket here, not live in the org.
    pub extra: u64,
    /// Tickets whose count of messages is wrong.
    pub miscounted: u64,
    /// Tickets that still wait for their own record.
    pub awaiting_parent: u64,
    /// The first that were found.
    pub first_differences: Vec<Difference>,
}

impl TicketReport {
    /// Whether both sides hold the same.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.miscounted == 0 && self.awaiting_parent == 0
    }

    pub(super) fn note(&mut self, id: &str, what: &'static str) {
        note(&mut self.first_differences, id, what, Vec::new());
    }
}

/// One difference. Never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The record.
    pub id: String,
    /// What is wrong with it.
    pub what: &'static str,
    /// The fields concerned.
    pub fields: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.what)?;
        if self.fields.is_empty() { Ok(()) } else { write!(f, " ({})", self.fields.join(", ")) }
    }
}

fn note(list: &mut Vec<Difference>, id: &str, what: &'static str, fields: Vec<String>) {
    if list.len() < NAMED {
        list.push(Difference { id: id.to_owned(), what, fields });
    }
}
