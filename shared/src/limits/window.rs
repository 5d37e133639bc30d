//! Our calls of the rolling 24 hours, counted in quarters of an hour.
//!
//! A call is counted when it is paid and made a little later; a bucket is kept until the last call that it may
//! stand for is a day old, by whichever clock the org counts. So what is counted here is never less than what the org
//! has seen of us.

use std::collections::BTreeMap;

use chrono::Duration;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::ConnectionId;

/// A call starts no later than this after it was paid; what is not spent by then is burned.
pub const PREPAID_FOR: std::time::Duration = std::time::Duration::from_mins(5);

/// How finely the rolling 24 hours are cut.
const BUCKET: Duration = Duration::minutes(15);
/// Salesforce counts calls over 24 hours (API Request Limits and Allocations).
const DAY: Duration = Duration::hours(24);
/// The org counts in steps of its own, which nobody tells: its day may be longer than ours by one of them.
const STEP: Duration = Duration::minutes(5);

/// Calls paid in one quarter of an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its start.
    pub start: Timestamp,
    /// Calls prepaid or made in it.
    pub calls: u64,
    /// Of them, those of each connection that has a share of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by: BTreeMap<ConnectionId, u64>,
}

impl Bucket {
    /// When the last of its calls has left the org's day.
    fn gone_at(&self) -> Timestamp {
        let latest = Duration::from_std(PREPAID_FOR).unwrap_or(BUCKET);
        self.start + BUCKET + latest + DAY + STEP
    }

    fn calls_of(&self, whose: Option<ConnectionId>) -> u64 {
        whose.map_or(self.calls, |whose| self.by.get(&whose).copied().unwrap_or(0))
    }
}

/// Our calls of the rolling 24 hours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Window {
    buckets: Vec<Bucket>,
}

impl Window {
    /// Calls that the org may still count at `now`: of one connection, or all.
    #[must_use]
    pub fn used(&self, whose: Option<ConnectionId>, now: Timestamp) -> u64 {
        self.buckets.iter().filter(|bucket| bucket.gone_at() > now).map(|bucket| bucket.calls_of(whose)).sum()
    }

    /// Pays for calls, and notes them for the connection if one is given; gives the start of the bucket that they stand in.
    pub fn pay(&mut self, calls: u64, whose: Option<ConnectionId>, now: Timestamp) -> Timestamp {
        let seconds = now.timestamp() - now.timestamp().rem_euclid(BUCKET.num_seconds());
        let start = Timestamp::from_timestamp(seconds, 0).unwrap_or(now);
        let place = self.buckets.iter().position(|bucket| bucket.start == start).unwrap_or_else(|| {
            self.buckets.push(Bucket { start, calls: 0, by: BTreeMap::new() });
            self.buckets.len() - 1
        });
        let bucket = &mut self.buckets[place];
        bucket.calls += calls;
        if let Some(whose) = whose {
            *bucket.by.entry(whose).or_default() += calls;
        }
        start
    }

    /// Takes calls back that were not made.
    pub fn give_back(&mut self, start: Timestamp, calls: u64, whose: Option<ConnectionId>) {
        if let Some(bucket) = self.buckets.iter_mut().find(|bucket| bucket.start == start) {
            bucket.calls = bucket.calls.saturating_sub(calls);
            if let Some(own) = whose.and_then(|whose| bucket.by.get_mut(&whose)) {
                *own = own.saturating_sub(calls);
            }
        }
    }

    /// Forgets what the org does not count any more.
    pub fn forget(&mut self, now: Timestamp) {
        self.buckets.retain(|bucket| bucket.gone_at() > now);
    }

    /// When so many calls, of one connection or all, fit under the cap, if nothing else is paid meanwhile; never, when they
    /// are more than the cap.
    #[must_use]
    pub fn free_at(
        &self,
        calls: u64,
        cap: u64,
        whose: Option<ConnectionId>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut left = self.used(whose, now);
        if left + calls <= cap {
            return Some(now);
        }
        let mut leaving: Vec<&Bucket> = self.buckets.iter().filter(|bucket| bucket.gone_at() > now).collect();
        leaving.sort_by_key(|bucket| bucket.start);
        leaving.into_iter().find_map(|bucket| {
            left -= bucket.calls_of(whose);
            (left + calls <= cap).then(|| bucket.gone_at())
        })
    }
}
