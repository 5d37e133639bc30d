//! How long tickets are kept: a tenant's policy, and what follows from it. All pure.
//!
//! A ticket's time runs from its last activity in Salesforce: opened, closed, last modified, its messages. The stamp is
//! none: mass updates move it on tickets that nobody touched. What is kept is a set of tickets, each with all of its
//! conversation; a ticket whose time is over leaves whole, and is not read back before something happens to it again.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;

/// Anything shorter would take tickets away before anybody could have worked with them.
pub const FEWEST_DAYS: u16 = 7;
/// Anything longer is no retention.
pub const MOST_DAYS: u16 = 3650;

/// How often what is due goes.
pub const EVERY: Duration = Duration::from_secs(3600);

/// How many days what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RetentionPolicy)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Tickets, from their last activity on; 7 to 3650.
    pub ticket_days: u16,
    /// Tickets under a hold, from their last activity on; a hold never shortens.
    pub held_days: u16,
    /// Bodies of files, from when they were loaded on; a ticket that leaves earlier takes its own along.
    pub attachment_days: u16,
}

impl Default for Policy {
    /// A month, a year, half a year.
    fn default() -> Self {
        Self { ticket_days: 30, held_days: 365, attachment_days: 180 }
    }
}

/// Why a ticket is kept as long as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// As every ticket.
    Ticket,
    /// Somebody wants it for longer.
    Held,
}

impl Class {
    /// The closed word in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Held => "held",
        }
    }

    /// The class of a ticket that is held, or is not.
    #[must_use]
    pub fn of(held: bool) -> Self {
        if held { Self::Held } else { Self::Ticket }
    }
}

impl Policy {
    /// Everything as long as any policy allows.
    pub const LONGEST: Self =
        Self { ticket_days: MOST_DAYS, held_days: MOST_DAYS, attachment_days: MOST_DAYS };

    /// The settings that are out of bounds, by name.
    #[must_use]
    pub fn out_of_bounds(&self) -> Vec<&'static str> {
        [
            ("ticket_days", self.ticket_days),
            ("held_days", self.held_days),
            ("attachment_days", self.attachment_days),
        ]
        .into_iter()
        .filter(|(_, days)| !(FEWEST_DAYS..=MOST_DAYS).contains(days))
        .map(|(name, _)| name)
        .collect()
    }

    /// What is from before these moments goes.
    #[must_use]
    pub fn cut_offs(&self, now: Timestamp) -> CutOffs {
        CutOffs {
            ticket: now - self.kept(Class::Ticket),
            held: now - self.kept(Class::Held),
            body: now - TimeDelta::days(i64::from(self.attachment_days)),
        }
    }

    /// When a ticket's time is over.
    #[must_use]
    pub fn expires_at(&self, class: Class, last_activity_at: Timestamp) -> Timestamp {
        last_activity_at + self.kept(class)
    }

    fn kept(self, class: Class) -> TimeDelta {
        TimeDelta::days(i64::from(match class {
            Class::Ticket => self.ticket_days,
            Class::Held => self.held_days.max(self.ticket_days),
        }))
    }
}

/// The moments from before which things go, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOffs {
    /// Tickets.
    pub ticket: Timestamp,
    /// Tickets under a hold; never later than the one of tickets.
    pub held: Timestamp,
    /// Bodies of files, by when they were loaded.
    pub body: Timestamp,
}

impl CutOffs {
    /// Whether the time of a ticket with this last activity is over.
    #[must_use]
    pub fn is_over(&self, class: Class, last_activity_at: Timestamp) -> bool {
        last_activity_at
            < match class {
                Class::Ticket => self.ticket,
                Class::Held => self.held,
            }
    }

    /// Whether it may be over: with a hold it is over later, if at all.
    #[must_use]
    pub fn may_be_over(&self, at: Timestamp) -> bool {
        self.is_over(Class::Ticket, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_timestamp(1_780_000_000, 0).unwrap() + TimeDelta::days(days)
    }

    #[test]
    fn a_ticket_expires_when_its_days_have_passed_since_its_last_activity() {
        let policy = Policy::default();
        assert_eq!(policy.expires_at(Class::Ticket, at(0)), at(30));
        assert_eq!(policy.expires_at(Class::Held, at(0)), at(365));
        for (class, days) in [(Class::Ticket, 30), (Class::Held, 365)] {
            assert!(!policy.cut_offs(at(days)).is_over(class, at(0)), "not before its time");
            assert!(policy.cut_offs(at(days)).is_over(class, at(0) - TimeDelta::seconds(1)));
        }
        assert_eq!(policy.cut_offs(at(0)).body, at(-180));
    }

    #[test]
    fn a_hold_never_shortens() {
        let policy = Policy { ticket_days: 400, held_days: 7, ..Policy::default() };
        assert_eq!(policy.expires_at(Class::Held, at(0)), policy.expires_at(Class::Ticket, at(0)));
        let cut_offs = policy.cut_offs(at(0));
        assert!(cut_offs.held <= cut_offs.ticket);
    }

    #[test]
    fn every_setting_out_of_bounds_is_named() {
        assert_eq!(Policy::default().out_of_bounds(), [""; 0]);
        assert_eq!(Policy::LONGEST.out_of_bounds(), [""; 0]);
        let wild = Policy { ticket_days: 6, held_days: 3651, attachment_days: 0 };
        assert_eq!(wild.out_of_bounds(), ["ticket_days", "held_days", "attachment_days"]);
    }
}
