//! What each user may see, now and at any time before.

use std::collections::HashMap;
use std::sync::Arc;

use super::permissions::Permissions;
use crate::id::SfId;

/// The permissions of all users, with their history.
#[derive(Debug)]
pub struct Access {
    everything: Arc<Permissions>,
    /// Sets of a user with the times they came into force, oldest first.
    sets: HashMap<SfId, Vec<(i64, Arc<Permissions>)>>,
}

impl Access {
    /// Every user may see everything.
    pub fn new(started: i64) -> Self {
        Self { everything: Arc::new(Permissions::everything(started)), sets: HashMap::new() }
    }

    /// What a user may see now.
    pub fn of(&self, user: SfId) -> Arc<Permissions> {
        self.at(user, i64::MAX)
    }

    /// What a user might see at a moment.
    pub fn at(&self, user: SfId, at: i64) -> Arc<Permissions> {
        let sets = self.sets.get(&user).into_iter().flatten();
        let found = sets.rev().find(|(from, _)| *from <= at).map(|(_, set)| set);
        Arc::clone(found.unwrap_or(&self.everything))
    }

    /// Notes that every describe reads differently from `now` on.
    pub fn describe_again(&mut self, now: i64) {
        let renewed = |set: &Permissions| {
            let mut set = set.clone();
            // Conditional describes compare whole seconds, so a change always moves to a new one.
            set.changed_at = now.max(set.changed_at + 1_000);
            set
        };
        self.everything = Arc::new(renewed(&self.everything));
        for sets in self.sets.values_mut() {
            if let Some((_, last)) = sets.last() {
                let last = renewed(last);
                sets.push((now, Arc::new(last)));
            }
        }
    }

    /// Replaces what a user may see from `now` on.
    pub fn set(&mut self, user: SfId, permissions: Permissions, now: i64) {
        self.sets.entry(user).or_default().push((now, Arc::new(permissions)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_keeps_its_permissions() {
        let [ann, bob] = [1, 2].map(|number| SfId::new(*b"005", *b"Rf", number));
        let mut access = Access::new(0);
        let mut narrow = Permissions::everything(100);
        narrow.views_all_data = false;
        access.set(ann, narrow, 100);
        access.set(ann, Permissions::everything(200), 200);
        let sees = |user, at| access.at(user, at).views_all_data;
        assert_eq!([99, 100, 199, 200].map(|at| sees(ann, at)), [true, false, false, true]);
        assert!(sees(bob, 150) && access.of(ann).views_all_data);
    }
}
