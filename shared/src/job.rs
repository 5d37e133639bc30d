//! Jobs: what kinds there are, how one is leased, and how one ends.

pub mod bulk;
pub mod cadence;
pub mod checkpoint;
pub mod deleted;
pub mod envelope;
pub mod follow;
pub mod lease;
pub mod narrow;
pub mod price;
pub mod refresh;
pub mod related;
pub mod removal;
pub mod sweep;
pub mod verify;

pub use checkpoint::{Checkpoint, ObjectSettings, Position, SyncState, Window};
pub use envelope::{Decoded, Envelope};
pub use lease::{Class, JobEnd, Kind, Lease};
pub use narrow::{Excess, Narrower, Progress, narrower};
pub use price::ReadBy;
