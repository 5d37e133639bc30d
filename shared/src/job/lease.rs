//! The right to work on a job, and the ways in which work on it ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::UserMessage;
use crate::ids::{ConnectionId, JobId, ObjectId, SalesforceId, TenantId, WorkerId};

/// How long a lease lasts without a heartbeat; a dead worker's job runs elsewhere soon after.
pub const LEASE: Duration = Duration::from_secs(15);
/// How often a holder says that it lives: three chances within a lease.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// A job runs at most about this long, commits, and goes behind the others if there is more.
pub const SLICE_TIME: Duration = Duration::from_secs(30);
/// A job that ended this often in a row with its worker's death is kept away from workers.
pub const MAX_CRASHES: i32 = 3;
/// A job that lost this many workers in a row, itself or by a neighbour's doing, is a suspect: one more parks it. A worker
/// runs one suspect at a time, so that what dies with it says which one it was.
pub const SUSPECT_CRASHES: i32 = MAX_CRASHES - 1;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Read what changed since the watermark; one standing row an object sync.
    Incremental,
    /// Read one slice of history; a row a slice.
    Backfill,
    /// Read one slice of history by a Bulk job of Salesforce; a row a slice.
    Bulk,
    /// Read records that others lead to, by reference; a row a list of ids.
    Related,
    /// Fetch bodies of files; a row a list of them.
    File,
    /// Follow the log of deletions; one standing row an object sync.
    Deleted,
    /// Ask for everything that is here by its id; one standing row an object sync.
    Sweep,
    /// Let tickets go whose time is over; one standing row an object of tickets. Asks Salesforce for nothing.
    Expire,
    /// Project anew what is here, under another mapping; a row an object whose mapping changed. Asks Salesforce for nothing.
    Reproject,
    /// Follow the parents of a connection's linked values; one standing row a connection.
    Follow,
    /// Read again what is here of an object for values that are not its own; one standing row an object sync.
    Refresh,
    /// Try again what was set aside, from its sealed bytes; one standing row an object of which something was. Asks Salesforce
    /// for nothing.
    Retry,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Incremental,
        Self::Backfill,
        Self::Bulk,
        Self::Related,
        Self::File,
        Self::Deleted,
        Self::Sweep,
        Self::Expire,
        Self::Reproject,
        Self::Follow,
        Self::Refresh,
        Self::Retry,
    ];

    /// Kinds that ask Salesforce for nothing: they need no lane, and what holds up connection or org does not hold them.
    pub const LOCAL: [Self; 3] = [Self::Expire, Self::Reproject, Self::Retry];

    /// The closed words of [`LOCAL`](Self::LOCAL).
    #[must_use]
    pub fn local_words() -> Vec<&'static str> {
        Self::LOCAL.into_iter().map(Self::word).collect()
    }

    /// The closed words of all kinds: a job of another is a newer build's.
    #[must_use]
    pub fn words() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::word).collect()
    }

    /// The closed word in SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Backfill => "backfill",
            Self::Bulk => "bulk",
            Self::Related => "related",
            Self::File => "file",
            Self::Deleted => "deleted",
            Self::Sweep => "sweep",
            Self::Expire => "expire",
            Self::Reproject => "reproject",
            Self::Follow => "follow",
            Self::Refresh => "refresh",
            Self::Retry => "retry",
        }
    }

    /// The unique key of an object's standing job of this kind.
    #[must_use]
    pub fn standing_key(self, object: ObjectId) -> String {
        format!("{}/{}", self.word(), object.0)
    }

    /// Reads the closed word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Which queue a job goes to, in the order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum Class {
    /// A person waits for it.
    Interactive = 0,
    /// What changed.
    Incremental = 1,
    /// Children of changed parents, formulas.
    Derived = 2,
    /// History.
    Backfill = 3,
    /// Proof of completeness.
    Verify = 4,
    /// Bodies of files.
    Files = 5,
    /// Data requests; with a reserve of its own.
    Privacy = 6,
    /// Transcripts, conversation by conversation: Salesforce counts them by the hour.
    Transcripts = 7,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Interactive,
        Self::Incremental,
        Self::Derived,
        Self::Backfill,
        Self::Verify,
        Self::Files,
        Self::Privacy,
        Self::Transcripts,
    ];

    /// The closed word in queue names, metrics and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Incremental => "incremental",
            Self::Derived => "derived",
            Self::Backfill => "backfill",
            Self::Verify => "verify",
            Self::Files => "files",
            Self::Privacy => "privacy",
            Self::Transcripts => "transcripts",
        }
    }

    /// The number stored in the jobs table.
    #[must_use]
    pub fn number(self) -> i16 {
        self as i16
    }

    /// The numbers of all classes: a job of another is a newer build's.
    #[must_use]
    pub fn numbers() -> Vec<i16> {
        Self::ALL.into_iter().map(Self::number).collect()
    }

    /// Reads the stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.number() == number)
    }
}

/// The time-bounded right to a job. Every write under it repeats epoch and fence, and changes nothing when
/// somebody newer holds the job.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Counts publications.
    pub epoch: i64,
    /// Counts leases.
    pub fence: i64,
    /// Whose job it is.
    pub tenant: TenantId,
    /// The connection it reads through.
    pub connection: ConnectionId,
    /// The object it reads.
    pub object: ObjectId,
    /// The org whose limits bind it.
    pub org: SalesforceId,
    /// What it does.
    pub kind: Kind,
    /// Its queue.
    pub class: Class,
    /// What to do; fixed at its making.
    pub params: serde_json::Value,
    /// Where it is; changes with each page.
    pub progress: serde_json::Value,
    /// Failed tries in a row before this one.
    pub attempt: i32,
    /// Leases in a row that ended with the loss of their worker, before this one.
    pub crashes: i32,
    /// Who holds it.
    pub worker: WorkerId,
    /// Database time of the lease.
    pub started_at: Timestamp,
    /// Why it is not to be worked on now: a gate closed after it was dispatched.
    pub held: Option<&'static str>,
}

impl Lease {
    /// Whether one more lost worker parks the job.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.crashes >= SUSPECT_CRASHES
    }
}

/// How work on a job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// More to do: behind the others, at once.
    More,
    /// A standing job waits for its next time.
    WaitFor {
        /// How long.
        delay: Duration,
        /// Why, in a closed word.
        reason: &'static str,
        /// Failed tries in a row after this one.
        attempt: i32,
    },
    /// A one-shot is finished and leaves the table.
    Done,
    /// Stopped until a person acts.
    Park {
        /// What the person is told.
        ask: UserMessage,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_words_and_numbers_read_back() {
        for class in Class::ALL {
            assert_eq!(Class::from_number(class.number()), Some(class));
        }
        assert_eq!(Class::from_number(8), None);
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        assert!(HEARTBEAT * 3 <= LEASE, "a holder has three chances to say that it lives");
    }
}
