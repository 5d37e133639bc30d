//! The objects Refrain reads: the registry of the standard ones, what describe says of them to this
//! integration user, and the list of fields that follows from both.

pub mod derived;
pub mod describe;
pub mod field_set;
pub mod files;
pub mod filter;
pub mod linked;
pub mod registry;
pub mod schema_change;
mod standard;
pub mod transcript;

pub use derived::{Derived, Edge, derived};
pub use describe::{FieldDescribe, FieldType, ObjectDescribe};
pub use field_set::{Field, FieldSet};
pub use files::{FileFacts, FileFields, FilePolicy, LeftOut};
pub use filter::Filter;
pub use linked::{Parents, Walk, walk};
pub use registry::{
    Condition, Found, MessageFields, MessageKind, Projection, Role, StandardObject, TicketFields,
    ticket_kinds,
};
