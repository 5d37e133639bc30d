//! The scheduler's half of a job's life: claim what is due, take back what was lost, keep jobs in step with intent.
//!
//! Everything here may run on any number of replicas at once, in any order, and twice. Time is the database's.

pub mod cancel;
pub mod claim;
pub mod inspect;
pub mod parked;
pub mod reap;
pub mod reconcile;
pub mod reset;
pub mod resync;
pub mod retry;
pub mod stats;
pub mod trigger;

pub use cancel::{Cancelled, work_cancel};
pub use claim::{ClaimLimits, Claimed, dispatch_claim, dispatch_undo};
pub use inspect::{AttemptView, JobState, JobView, WaitsFor, attempts_list, job_get, jobs_list};
pub use parked::{StandingStill, jobs_drop, jobs_retry};
pub use reap::{Reaped, attempts_sweep, crashed_retry, leases_reap, reaper_look, workers_sweep};
pub use reconcile::{Reconciled, jobs_reconcile};
pub use reset::{Reset, object_reset};
pub use resync::{Wished, resync_wish};
pub use retry::quarantine_retry;
pub use stats::{ClassStats, dispatch_stats};
pub use trigger::{Also, Trigger, object_trigger};
