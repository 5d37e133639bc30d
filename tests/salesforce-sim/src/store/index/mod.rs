//! Indexes over the visible versions of a table: by time (stamp, then row) and by parent.
//!
//! Rows of one time are in order of id, for handles are. Each index is built when it is first asked for, from birth and
//! edits together, and kept up to date from then on. A purged row leaves all of them.

mod parents;
mod sorted;
mod times;

pub use parents::ParentIndex;
pub use sorted::Span;
pub use times::TimeIndex;
