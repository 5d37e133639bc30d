//! From a record to what QA works with: a ticket, an item of its conversation, an agent or a customer. Pure.

pub mod project;

pub use project::{
    FacetValue, FileRow, MessageRow, PersonRow, Projected, ProjectionPlan, TicketRow, project, ticket_paths,
};
