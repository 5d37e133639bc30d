//! What happened to some records before the org is looked at first: deletions and merges, by the machinery that a running
//! org uses.

use super::blueprint::Blueprint;
use super::purpose;
use super::random::Random;
use crate::store::write::{When, whole_second};
use crate::store::{Handle, State, Store};
use crate::time::DAY_MS;

struct Aftermath<'a> {
    store: &'a mut Store,
    plan: &'a Blueprint,
    random: Random,
}

/// Deletes and merges a few per cent of the records.
pub(super) fn happen(store: &mut Store, plan: &Blueprint) {
    let random = plan.stream(purpose::AFTERMATH, 0);
    Aftermath { store, plan, random }.happen();
}

impl Aftermath<'_> {
    fn happen(&mut self) {
        let count = self.plan.cases as usize;
        let (cases, contacts) = (self.store.object("Case"), self.store.object("Contact"));
        for _ in 0..count * 3 / 200 {
            let (row, when) = (self.old_row(cases), self.lately());
            if let Some(row) = row {
                self.store.set_state(cases, row, State::Deleted, when);
            }
        }
        for (object, count) in [(cases, count / 200), (contacts, count / 150)] {
            for _ in 0..count {
                let (winner, loser, when) = (self.old_row(object), self.old_row(object), self.lately());
                if let (Some(winner), Some(loser)) = (winner, loser)
                    && winner != loser
                {
                    self.store.merge(object, winner, &[loser], when);
                }
            }
        }
    }

    /// A live row last changed more than a day ago.
    fn old_row(&mut self, object: usize) -> Option<Handle> {
        let table = &self.store.tables[object];
        let handle = Handle::try_from(self.random.below(table.len())).ok()?;
        let record = table.record(handle)?;
        (record.state() == State::Live && record.stamp() < self.plan.now - DAY_MS).then_some(handle)
    }

    fn lately(&mut self) -> When {
        let back = i64::try_from(self.random.below(80_000)).unwrap_or(0) * 1_000;
        let at = whole_second(self.plan.now - 60_000 - back);
        When { now: self.plan.now, stamp: at, commit_at: at, by: self.plan.integration() }
    }
}
