//! Query cursors: which rows matched, kept for the session that asked.

use std::collections::HashMap;
use std::sync::Arc;

use super::sessions::SessionId;
use crate::id::SfId;
use crate::query::RowSet;
use crate::soql::plan::Plan;

/// Cursors live this long on the simulated clock.
const LIFE_MS: i64 = 2 * crate::time::DAY_MS;
/// Row handles that all cursors of an org may hold together. The platform has no such bound; beyond it the
/// oldest cursors are dropped, so that a client that never finishes its queries cannot exhaust the machine.
const MOST_ROWS: usize = 60_000_000;

/// A query that has more rows.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// The session it belongs to.
    pub session: SessionId,
    /// The query.
    pub plan: Arc<Plan>,
    /// All rows that matched.
    pub rows: RowSet,
    /// Whether it came from `queryAll`.
    pub with_deleted: bool,
    /// The statement, for logs and fault matching.
    pub soql: Arc<str>,
    /// When it was made.
    pub at: i64,
}

/// The open cursors of an org.
#[derive(Debug, Default)]
pub struct Cursors {
    /// Open cursors that a session may have; any number when absent, as on the platform today. With a bound the
    /// oldest is closed, as it used to be.
    pub most: Option<usize>,
    open: HashMap<SfId, Cursor>,
    order: std::collections::VecDeque<SfId>,
    rows: usize,
    next: u64,
}

impl Cursors {
    /// Keeps a cursor and returns its id.
    pub fn open(&mut self, cursor: Cursor) -> SfId {
        self.make_room(&cursor);
        self.next += 1;
        let id = SfId::new(*b"01g", *b"Rf", self.next);
        self.rows += cursor.rows.held();
        self.open.insert(id, cursor);
        self.order.push_back(id);
        while self.rows > MOST_ROWS && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(dropped) = self.open.remove(&oldest) {
                self.rows -= dropped.rows.held();
            }
        }
        id
    }

    /// Closes the oldest cursors of a session that has as many as it may.
    fn make_room(&mut self, cursor: &Cursor) {
        let Some(most) = self.most else { return };
        let same = |id: &SfId| self.open.get(id).is_some_and(|open| open.session == cursor.session);
        let own: Vec<SfId> = self.order.iter().copied().filter(same).collect();
        let excess = (own.len() + 1).saturating_sub(most.max(1));
        for id in own.into_iter().take(excess) {
            if let Some(dropped) = self.open.remove(&id) {
                self.rows -= dropped.rows.held();
            }
            self.order.retain(|other| *other != id);
        }
    }

    /// Forgets every cursor.
    pub fn clear(&mut self) {
        self.open.clear();
        self.order.clear();
        self.rows = 0;
    }

    /// A cursor by the text of its locator: (cursor, offset).
    pub fn find(&self, locator: &str, now: i64) -> Option<(Cursor, usize)> {
        let (id, offset) = locator.rsplit_once('-')?;
        let cursor = self.open.get(&SfId::parse(id)?)?;
        let offset: usize = offset.parse().ok()?;
        let valid = now - cursor.at <= LIFE_MS && offset <= cursor.rows.len();
        valid.then(|| (cursor.clone(), offset))
    }
}
