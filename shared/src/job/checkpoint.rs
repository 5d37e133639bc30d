//! Progress of an object sync, and the windows and slices that follow from it. All pure.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use crate::catalog::{FilePolicy, Filter, MessageFields, TicketFields};
use crate::clock::Timestamp;
use crate::error::UserMessage;
use crate::ids::FieldSetId;
use crate::job::price::ReadBy;

/// What a tenant may set for one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectSettings {
    /// Relationship paths to read along, beside the defaults.
    pub linked: Vec<String>,
    /// Mapped fields by which tickets can be filtered.
    pub facets: Vec<Facet>,
    /// Which paths feed a ticket's columns, where the object has the role of a ticket; the standard objects know theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketFields>,
    /// Which paths feed an item of a conversation, where the object has the role of a message or an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageFields>,
    /// How many days of history are read before the first sync; all of it unless given. Tickets that were active since
    /// then come with all of their messages, however old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_days: Option<u32>,
    /// Which of its records are kept; all of them unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Which bodies of files are kept.
    pub files: FilePolicy,
    /// By which API history is read; whatever costs less unless given.
    #[serde(skip_serializing_if = "ReadBy::is_auto")]
    pub read_by: ReadBy,
    /// How far behind Salesforce's clock a window ends, in seconds: rows become visible late.
    pub settle_s: u32,
    /// How far behind the watermark the next window starts, in seconds.
    pub overlap_s: u32,
    /// Every so many days Salesforce is asked for everything that is here, id by id; 1 to 90.
    pub sweep_days: u32,
    /// What is here of an object with formulas, or with values of parents that cannot be followed, is read again after so
    /// many hours; 1 to 720. Of one whose parents are all followed, after seven times as many.
    pub refresh_hours: u32,
    /// Where more of 200 or more records that are read together cannot be kept, in percent, the object parks; 0 to 100.
    pub quarantine_percent: u8,
}

impl Default for ObjectSettings {
    /// One minute and a quarter of an hour: a transaction of the platform's API lasts up to ten minutes.
    fn default() -> Self {
        Self {
            linked: Vec::new(),
            facets: Vec::new(),
            ticket: None,
            message: None,
            history_days: None,
            filter: None,
            files: FilePolicy::default(),
            read_by: ReadBy::Auto,
            settle_s: 60,
            overlap_s: 900,
            sweep_days: 7,
            refresh_hours: 24,
            quarantine_percent: 5,
        }
    }
}

/// A mapped field that tickets can be filtered by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facet {
    /// The target name people filter by.
    pub name: String,
    /// The path it is read from.
    pub path: String,
    /// How it is kept.
    #[serde(rename = "as")]
    pub kind: FacetKind,
}

/// How a facet's values are kept and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FacetKind {
    /// Compared as text.
    Text,
    /// Compared as a moment.
    Time,
    /// A decimal number kept as an integer of this many decimals.
    Number {
        /// Decimals kept.
        scale: u8,
    },
}

/// A place in the order of an object's records: the last row committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Its stamp.
    pub stamp: Timestamp,
    /// Its id; ids are never compared by us, only handed back to Salesforce.
    pub id: String,
}

/// A range of stamps `[lo, hi)` to read, from `resume` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// First stamp inside.
    pub lo: Timestamp,
    /// First stamp outside.
    pub hi: Timestamp,
    /// The last row already committed.
    pub resume: Option<Position>,
    /// How many rows to ask for at once; as many as a page takes without it.
    pub rows: Option<u32>,
}

/// A part of history not read yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// First stamp inside.
    pub lo: Timestamp,
    /// First stamp outside.
    pub hi: Timestamp,
}

/// Whether an object sync is getting there, is there, or cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// Nothing planned yet.
    New,
    /// History is being read.
    Loading,
    /// History is here; changes follow.
    Current,
    /// Waits for a person.
    Parked,
    /// The org has no such object, or no licence for it: not an error.
    Absent,
}

impl SyncState {
    /// The closed word in SQL and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Loading => "loading",
            Self::Current => "current",
            Self::Parked => "parked",
            Self::Absent => "absent",
        }
    }

    /// Reads the closed word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::New, Self::Loading, Self::Current, Self::Parked, Self::Absent]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// The durable progress of an object sync.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Where it stands.
    pub state: SyncState,
    /// What a person must do, when parked.
    pub ask: Option<UserMessage>,
    /// Raised by a reset.
    pub generation: i32,
    /// The field that orders changes, as describe allows.
    pub cursor_field: Option<String>,
    /// The set that reads use now.
    pub field_set: Option<FieldSetId>,
    /// Everything stamped before this is here.
    pub watermark: Option<Timestamp>,
    /// End of the window being read.
    pub window_hi: Option<Timestamp>,
    /// Last row committed in that window.
    pub position: Option<Position>,
    /// History is wanted from here; all of it where there is no such moment.
    pub scope_from: Option<Timestamp>,
    /// Windows are read in the order of ids: the cursor bounds them and cannot order them.
    pub by_id: bool,
    /// A person called the rest of history off when `history_days` was this; 0 for all of it.
    pub called_off: Option<u32>,
}

/// From where history is wanted now; `None` for all of it.
#[must_use]
pub fn wanted_from(settings: &ObjectSettings, now: Timestamp) -> Option<Timestamp> {
    now.checked_sub_signed(Duration::days(i64::from(settings.history_days?)))
}

/// Whether more of history is wanted than was planned for: from where on, if so. What was asked for in days moves on
/// with the clock and never asks for more by itself. What a person called off is not wanted until somebody asks for another
/// part of history.
#[must_use]
pub fn wanted_further_back(
    checkpoint: &Checkpoint,
    settings: &ObjectSettings,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
    let planned = checkpoint.scope_from?;
    if checkpoint.called_off == Some(settings.history_days.unwrap_or(0)) {
        return None;
    }
    match wanted_from(settings, now) {
        Some(wanted) if wanted >= planned => None,
        wanted => Some(wanted),
    }
}

/// The next window to read, or `None` when the watermark is there already.
///
/// `now` is our own clock; the caller clamps the watermark to the response's Date minus `settle` (see
/// [`clamp_watermark`]), so a clock that is wrong costs time, never rows.
#[must_use]
pub fn next_window(checkpoint: &Checkpoint, settings: &ObjectSettings, now: Timestamp) -> Option<Window> {
    let watermark = checkpoint.watermark?;
    let lo = watermark - Duration::seconds(i64::from(settings.overlap_s));
    if let Some(hi) = checkpoint.window_hi {
        return Some(Window { lo, hi, resume: checkpoint.position.clone(), rows: None });
    }
    let hi = now - Duration::seconds(i64::from(settings.settle_s));
    (hi > watermark).then_some(Window { lo, hi, resume: None, rows: None })
}

/// The watermark that a window's end may claim: never past what Salesforce's own clock has settled.
#[must_use]
pub fn clamp_watermark(hi: Timestamp, read_at: Timestamp, settle_s: u32) -> Timestamp {
    hi.min(read_at - Duration::seconds(i64::from(settle_s)))
}

/// Cuts history `[oldest, newest)` into slices of about `rows_each` rows, newest first.
///
/// Slices meet without gap or overlap; the oldest one is open to the past.
#[must_use]
pub fn cut_slices(
    oldest: Timestamp,
    newest: Timestamp,
    rows: u64,
    rows_each: u64,
    scope_from: Timestamp,
) -> Vec<Slice> {
    const MOST: u64 = 64;
    let count = i32::try_from(rows.div_ceil(rows_each.max(1)).clamp(1, MOST)).unwrap_or(1);
    let span = newest - oldest.min(newest);
    let mut hi = newest;
    let mut slices = Vec::new();
    for index in 1..=count {
        let last = index == count;
        // Whole seconds: stamps are whole seconds, and a bound between two of them invites mistakes.
        let lo = newest - Duration::seconds((span / count * index).num_seconds());
        if last || lo < hi {
            slices.push(Slice { lo: if last { scope_from } else { lo }, hi });
            hi = lo;
        }
    }
    slices
}

#[cfg(test)]
#[path = "checkpoint_test.rs"]
mod tests;
