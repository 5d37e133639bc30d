//! The users of an org who can log in.

use std::collections::{HashMap, VecDeque};

use crate::id::SfId;

const HOUR_MS: i64 = 3_600_000;

/// A user who can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub username: String,
    /// Password, for the login page and for clients that can do no better.
    pub password: String,
    /// The user's record.
    pub user_id: SfId,
    /// Whether the user is neither frozen nor inactive.
    pub active: bool,
    /// Whether the user may use APIs only, and so cannot pass the consent page.
    pub api_only: bool,
    /// Whether the user may use APIs at all.
    pub api_enabled: bool,
}

/// All of them; the integration user comes first.
#[derive(Debug, Default)]
pub struct Logins {
    all: Vec<Login>,
    recent: HashMap<SfId, VecDeque<i64>>,
}

impl Logins {
    /// Adds a user.
    pub fn add(&mut self, login: Login) {
        self.all.push(login);
    }

    /// By user name in any case; `default` is the integration user.
    pub fn named(&self, username: &str) -> Option<&Login> {
        if username == "default" {
            return self.all.first();
        }
        self.all.iter().find(|login| login.username.eq_ignore_ascii_case(username))
    }

    /// By user name, to change.
    pub fn named_mut(&mut self, username: &str) -> Option<&mut Login> {
        if username == "default" {
            return self.all.first_mut();
        }
        self.all.iter_mut().find(|login| login.username.eq_ignore_ascii_case(username))
    }

    /// By the id of the user's record.
    pub fn of(&self, user: SfId) -> Option<&Login> {
        self.all.iter().find(|login| login.user_id == user)
    }

    /// Counts a login of a user; `false` when there were `most` in the last hour.
    pub fn count(&mut self, user: SfId, most: u64, now: i64) -> bool {
        let recent = self.recent.entry(user).or_default();
        while recent.front().is_some_and(|at| *at + HOUR_MS <= now) {
            recent.pop_front();
        }
        if recent.len() as u64 >= most {
            return false;
        }
        recent.push_back(now);
        true
    }

    /// Everybody.
    pub fn all(&self) -> &[Login] {
        &self.all
    }
}
