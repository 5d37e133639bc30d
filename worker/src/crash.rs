//! Named places where a worker can be made to die, compiled in for tests only, in a program of its own name:
//! `cargo build -p refrain-worker --features test-util` makes `worker-with-crash-points` beside the shipped one.
//!
//! `WORKER_CRASH_AT=after_page:2` kills the process, without any clean-up, the second time it comes to that
//! place; with `WORKER_CRASH_ONCE=<file>` only the process that manages to create the file dies, so that a
//! restarted worker goes on. `WORKER_HOLD_AT` instead of `WORKER_CRASH_AT` stops there until killed. The names do not
//! begin as our configuration's do, which refuses a key that it does not know.

/// Where a worker can die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// The lease is ours, nothing was read.
    AfterLease,
    /// A lane and calls were granted.
    AfterGrant,
    /// A page was read.
    AfterPage,
    /// The page's rows are sealed.
    AfterTransform,
    /// Everything of the page is sent, nothing is committed.
    BeforeCommit,
    /// The page is committed, nobody was told.
    AfterCommit,
    /// The job is ended, the message is not acknowledged.
    BeforeAck,
    /// The message is acknowledged.
    AfterAck,
}

impl CrashPoint {
    /// Every place.
    pub const ALL: [Self; 8] = [
        Self::AfterLease,
        Self::AfterGrant,
        Self::AfterPage,
        Self::AfterTransform,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeAck,
        Self::AfterAck,
    ];

    /// Whether it is passed once a page; else once a job.
    #[must_use]
    pub fn comes_with_a_page(self) -> bool {
        match self {
            Self::AfterPage | Self::AfterTransform | Self::BeforeCommit | Self::AfterCommit => true,
            Self::AfterLease | Self::AfterGrant | Self::BeforeAck | Self::AfterAck => false,
        }
    }

    /// The word in the environment variable.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::AfterLease => "after_lease",
            Self::AfterGrant => "after_grant",
            Self::AfterPage => "after_page",
            Self::AfterTransform => "after_transform",
            Self::BeforeCommit => "before_commit",
            Self::AfterCommit => "after_commit",
            Self::BeforeAck => "before_ack",
            Self::AfterAck => "after_ack",
        }
    }
}

/// Passes through a named place; does nothing in a shipped binary.
#[cfg(not(feature = "test-util"))]
#[inline]
pub fn pass(_point: CrashPoint) {}

/// Passes through a named place, or dies there.
#[cfg(feature = "test-util")]
#[expect(
    clippy::disallowed_methods,
    reason = "compiled for tests only; the variable is the test's own channel"
)]
pub fn pass(point: CrashPoint) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static PASSED: [AtomicU32; CrashPoint::ALL.len()] = [const { AtomicU32::new(0) }; CrashPoint::ALL.len()];

    let nth = PASSED[point as usize].fetch_add(1, Ordering::Relaxed) + 1;
    let wanted = |variable: &str| {
        let value = std::env::var(variable).unwrap_or_default();
        let (word, count) = value.split_once(':').unwrap_or((&value, "1"));
        word == point.word() && count.parse() == Ok(nth)
    };
    let first = || {
        let Ok(path) = std::env::var("WORKER_CRASH_ONCE") else { return true };
        std::fs::OpenOptions::new().write(true).create_new(true).open(path).is_ok()
    };
    if wanted("WORKER_CRASH_AT") && first() {
        // As a SIGKILL would: no destructors, no flush, no farewell.
        std::process::abort();
    }
    if wanted("WORKER_HOLD_AT") && first() {
        loop {
            std::thread::park();
        }
    }
}
