//! Reading one tenant's content: status, tickets, conversations, changes, people, quarantine.
//!
//! Every function takes the tenant's scope and runs in one transaction of the tenant role; row-level security
//! stands behind each WHERE. Nothing here writes but what [`named`] asks for. Text is opened from the sealed records, never from a copy.

mod authors;
pub mod changes;
pub mod conversation;
pub mod files;
pub mod judged;
pub mod named;
pub mod opened;
pub mod people;
pub mod quarantine;
pub mod reprojecting;
pub mod retention;
pub mod retried;
pub mod status;
pub mod ticket_list;
pub mod tickets;

use serde::{Deserialize, Serialize};

use crate::ids::{ConnectionId, ObjectId, SalesforceId};

/// A record's place among a tenant's: connection, object, id. Also the cursor of lists in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordKey {
    /// The connection.
    pub connection: ConnectionId,
    /// The object.
    pub object: ObjectId,
    /// The record.
    pub record: SalesforceId,
}
