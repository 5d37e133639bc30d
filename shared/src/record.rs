//! One Salesforce record as Refrain keeps it: its canonical bytes, its state, and which of two reads wins.

pub mod canonical;
pub mod delimited;
pub mod merge;
pub mod named;
pub mod number;
pub mod shape;

pub use canonical::{CanonicalRecord, PageRecords, RecordProblem, canonicalize};
pub use delimited::{Columns, canonicalize_row, canonicalize_texts};
pub use merge::{ReadOrder, RecordState, StateReason};
