//! Describes of parent objects, remembered for a while: the objects of a connection share their parents, and all are
//! planned at about the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use refrain_shared::catalog::ObjectDescribe;
use refrain_shared::ids::ConnectionId;
use tokio::time::Instant;

/// Longer than the first plans of a connection's objects lie apart; a change in between is noticed by the query that it
/// breaks, which asks again.
const KEPT: Duration = Duration::from_secs(120);
/// A describe is some ten kilobytes.
const MOST: usize = 500;

/// What was seen of a parent, and when.
type Seen = (Instant, Option<Arc<ObjectDescribe>>);

/// The parents seen lately, by connection and API name.
#[derive(Default)]
pub struct SeenParents(Mutex<HashMap<(ConnectionId, String), Seen>>);

impl SeenParents {
    /// What was seen of a parent lately: its describe, or that the user cannot see it.
    pub fn get(&self, connection: ConnectionId, object: &str) -> Option<Option<Arc<ObjectDescribe>>> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, describe) = seen.get(&(connection, object.to_owned()))?;
        (at.elapsed() < KEPT).then(|| describe.clone())
    }

    /// Remembers what was seen.
    pub fn put(&self, connection: ConnectionId, object: &str, describe: Option<Arc<ObjectDescribe>>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.clear();
        }
        seen.insert((connection, object.to_owned()), (Instant::now(), describe));
    }
}
