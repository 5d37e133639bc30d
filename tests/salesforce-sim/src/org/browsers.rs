//! Browsers that have logged in to the org's pages, and which users have approved the app before.

use std::collections::{HashMap, HashSet};

use super::secret;
use crate::id::SfId;

/// A browser that has logged in.
#[derive(Clone, Debug)]
pub struct Browser {
    /// As whom.
    pub user: SfId,
    /// What its forms must carry, so that no other page can send them.
    pub confirmation: String,
}

/// All of them, by the value of their cookie.
#[derive(Debug, Default)]
pub struct Browsers {
    open: HashMap<String, Browser>,
    approved: HashSet<SfId>,
}

impl Browsers {
    /// Logs a browser in and returns its cookie.
    pub fn log_in(&mut self, user: SfId) -> String {
        let cookie = secret(24);
        self.open.insert(cookie.clone(), Browser { user, confirmation: secret(24) });
        cookie
    }

    /// The browser of a cookie.
    pub fn find(&self, cookie: &str) -> Option<Browser> {
        self.open.get(cookie).cloned()
    }

    /// Notes that a user approved the app.
    pub fn note_approval(&mut self, user: SfId) {
        self.approved.insert(user);
    }

    /// Whether a user approved the app before and need not be asked again.
    pub fn has_approved(&self, user: SfId) -> bool {
        self.approved.contains(&user)
    }

    /// Logs everybody out and forgets all approvals.
    pub fn clear(&mut self) {
        self.open.clear();
        self.approved.clear();
    }
}
