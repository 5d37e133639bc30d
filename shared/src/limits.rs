//! What all workers together may ask of one Salesforce org: lanes and rolling-24-hour buckets.
//!
//! Pure: a value of [`OrgLimits`] goes in, a decision and the changed value come out. The storage layer locks
//! the org's one row around it. Two rights are granted at once or not at all: a *lane* (one concurrent caller,
//! held until its calls are over, whoever died) and a block of prepaid *calls*.

mod crowding;
mod wanted;
mod window;

use std::collections::BTreeMap;

use chrono::Duration;
use serde::{Deserialize, Serialize};

pub use crowding::Crowding;
pub use wanted::ConnectionLimits;
pub use window::{Bucket, PREPAID_FOR, Window};

use crate::clock::Timestamp;
use crate::error::DeferReason;
use crate::ids::{ConnectionId, JobId};

/// The org's own usage figure is computed behind our back; older than this it no longer brakes.
const USAGE_FRESH: Duration = Duration::hours(1);

/// A cap below one block never pays for it: whoever asks comes again after this, in case it was raised.
const TOO_LITTLE: Duration = Duration::hours(1);

/// Calls prepaid at once: few enough to waste little at a crash, many enough to ask rarely.
pub const BLOCK: u64 = 20;

/// The strictest settings of an org's connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrgSettings {
    /// Concurrent callers over the whole fleet.
    pub lanes: u32,
    /// Calls a second in each lane, where the org wants fewer than the installation sends.
    pub calls_per_second: Option<u32>,
    /// What all of our connections together may use of the org's daily calls, in percent.
    pub share_percent: u32,
    /// What each of them may use, in percent, where there are several.
    pub shares: BTreeMap<ConnectionId, u32>,
    /// What stays for others: no call of ours starts when less than this is left of the org's total, in percent.
    pub reserve_percent: u32,
    /// The org's daily allowance as long as Salesforce has not told it.
    pub assumed_daily: u64,
}

impl Default for OrgSettings {
    /// Four lanes against the 25 long calls an org bears, so that calls of processes that were frozen between their
    /// check and their call find room beside them; a quarter of the day's calls (the default of an older open
    /// connector); 15,000 is what the smallest paying org has.
    fn default() -> Self {
        Self {
            lanes: 4,
            calls_per_second: None,
            share_percent: 25,
            shares: BTreeMap::new(),
            reserve_percent: 10,
            assumed_daily: 15_000,
        }
    }
}

/// One concurrent caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The job that calls.
    pub job: i64,
    /// Its epoch: a lane is granted once for it.
    pub epoch: i64,
    /// No call of this lane is under way after this moment.
    pub until: Timestamp,
    /// Prepaid calls, all blocks together.
    pub calls: u64,
    /// Start of the bucket that the last block was taken from …
    pub bucket: Timestamp,
    /// … and how much it was: no more than this goes back there, and all before it is over.
    pub returnable: u64,
    /// The connection whose share paid, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
}

/// The org's own count of calls, all integrations together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgUsage {
    /// Calls used in the org's rolling 24 hours.
    pub used: u64,
    /// The org's allowance.
    pub limit: u64,
    /// When the org said so.
    pub at: Timestamp,
    /// How many of the calls that were ever paid ([`OrgLimits::paid`]) were surely over then: the org's count has
    /// them. What was paid beyond comes on top.
    #[serde(default)]
    pub made: u64,
}

/// The one row of an org.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrgLimits {
    /// What binds.
    pub settings: OrgSettings,
    /// Callers now.
    pub lanes: Vec<Lane>,
    /// Our calls of the last 24 hours.
    pub window: Window,
    /// What the org said last.
    pub usage: Option<OrgUsage>,
    /// Calls ever paid, less those that were given back.
    pub paid: u64,
    /// What is left of the last refusal for want of room.
    pub crowding: Option<Crowding>,
}

/// Who asks, and for how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantRequest {
    /// The job.
    pub job: JobId,
    /// Its epoch; the same (job, epoch) is granted the same lane.
    pub epoch: i64,
    /// The connection that it calls for.
    pub connection: Option<ConnectionId>,
    /// Calls wanted, those of earlier blocks included. Whoever asks for more than it has, has none left to make.
    pub calls: u64,
    /// Until when the lane is wanted: the last call's own deadline plus a margin.
    pub until: Timestamp,
}

/// A lane and the calls prepaid for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Calls that may start.
    pub calls: u64,
    /// The lane's end.
    pub until: Timestamp,
    /// The most calls a second that the org wants of a lane.
    pub calls_per_second: Option<u32>,
    /// What stays for others, in percent: whoever hears of less asks again before the next call.
    pub reserve_percent: u32,
    /// Calls that are surely over by now; an answer that comes from now on counts them ([`OrgUsage::made`]).
    pub made: u64,
}

/// Why nothing was granted, and how long it is to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// In one word.
    pub why: DeferReason,
    /// No sooner than after this: a span, for the clock of whoever asked need not be ours.
    pub wait: std::time::Duration,
}

impl Refusal {
    fn until(why: DeferReason, until: Timestamp, now: Timestamp) -> Self {
        Self { why, wait: (until - now).to_std().unwrap_or_default() }
    }
}

impl OrgLimits {
    /// Calls of ours that the org may count in its rolling 24 hours.
    #[must_use]
    pub fn used(&self, now: Timestamp) -> u64 {
        self.window.used(None, now)
    }

    /// How many calls we may make in any 24 hours.
    #[must_use]
    pub fn cap(&self) -> u64 {
        self.daily_percent(self.settings.share_percent)
    }

    /// How many of them a connection may make, where it has a share of its own.
    #[must_use]
    pub fn share(&self, connection: ConnectionId) -> Option<u64> {
        self.settings.shares.get(&connection).map(|percent| self.daily_percent(*percent))
    }

    fn daily_percent(&self, percent: u32) -> u64 {
        let daily = self.usage.map_or(self.settings.assumed_daily, |usage| usage.limit);
        daily * u64::from(percent) / 100
    }

    /// Grants a lane with its calls, or neither. Asking again for the same (job, epoch) prolongs the lane it
    /// has and tops its calls up to what is wanted; it never takes a second one.
    pub fn grant(&mut self, request: GrantRequest, now: Timestamp) -> Result<Grant, Refusal> {
        self.forget_the_past(now);
        let held =
            self.lanes.iter().position(|lane| lane.job == request.job.0 && lane.epoch == request.epoch);
        if held.is_none() && self.lanes.len() >= self.lanes_now(now) as usize {
            let first_free = self.lanes.iter().map(|lane| lane.until).min().unwrap_or(now);
            return Err(Refusal::until(DeferReason::Lanes, first_free.min(now + Duration::seconds(2)), now));
        }
        let holds = held.map_or(0, |index| self.lanes[index].calls);
        let wanted = request.calls.saturating_sub(holds);
        let whose = request.connection.filter(|connection| self.share(*connection).is_some());
        self.check_calls(wanted, whose, now)?;

        let bucket = self.pay(wanted, whose, now);
        match held {
            Some(index) => {
                let lane = &mut self.lanes[index];
                lane.calls += wanted;
                lane.until = lane.until.max(request.until);
                if wanted > 0 {
                    (lane.bucket, lane.returnable, lane.connection) = (bucket, wanted, whose);
                }
            }
            None => self.lanes.push(Lane {
                job: request.job.0,
                epoch: request.epoch,
                until: request.until,
                calls: wanted,
                bucket,
                returnable: wanted,
                connection: whose,
            }),
        }
        Ok(Grant {
            calls: holds.max(request.calls),
            until: request.until,
            calls_per_second: self.settings.calls_per_second,
            reserve_percent: self.settings.reserve_percent,
            made: self.made(),
        })
    }

    /// Pays for calls that are made or will be whatever is said here: a person waits for them.
    pub fn spend(&mut self, calls: u64, now: Timestamp) {
        self.forget_the_past(now);
        self.pay(calls, None, now);
    }

    /// An orderly end: the lane is free and the unspent calls go back to the bucket they came from. A crash
    /// never comes here, so its calls stay burned: errors fall on the safe side.
    pub fn settle(&mut self, job: JobId, epoch: i64, unspent: u64) {
        let Some(index) = self.lanes.iter().position(|lane| lane.job == job.0 && lane.epoch == epoch) else {
            return;
        };
        let lane = self.lanes.swap_remove(index);
        let returned = unspent.min(lane.returnable);
        self.window.give_back(lane.bucket, returned, lane.connection);
        self.paid = self.paid.saturating_sub(returned);
    }

    /// How many callers there may be now: what the settings allow, fewer after the org has refused one.
    #[must_use]
    pub fn lanes_now(&self, now: Timestamp) -> u32 {
        Crowding::bears(self.crowding, self.settings.lanes, now)
    }

    /// Takes in that the org refused a call because too many were under way.
    pub fn note_crowding(&mut self, now: Timestamp) {
        self.crowding = Some(Crowding::refused(self.crowding, self.settings.lanes, now));
    }

    /// Takes in what the org says of itself; an older word never replaces a newer one.
    pub fn note_usage(&mut self, usage: OrgUsage) {
        if usage.limit > 0 && self.usage.is_none_or(|known| known.at <= usage.at) {
            self.usage = Some(usage);
        }
    }

    /// Whether a block of calls would be granted to whoever asks now; for this connection, if one is given.
    #[must_use]
    pub fn has_calls(&self, whose: Option<ConnectionId>, now: Timestamp) -> bool {
        self.check_calls(BLOCK, whose, now).is_ok()
    }

    fn forget_the_past(&mut self, now: Timestamp) {
        self.lanes.retain(|lane| lane.until > now);
        self.window.forget(now);
    }

    /// Of the last block of each lane nobody knows how much is spent; all before it is.
    fn made(&self) -> u64 {
        self.paid.saturating_sub(self.lanes.iter().map(|lane| lane.returnable).sum())
    }

    fn check_calls(&self, wanted: u64, whose: Option<ConnectionId>, now: Timestamp) -> Result<(), Refusal> {
        // What is paid already is not judged by the cap once more, which may have been lowered since.
        let share = whose.and_then(|own| Some((DeferReason::Share, self.share(own)?, whose)));
        for (why, cap, of) in [Some((DeferReason::Budget, self.cap(), None)), share].into_iter().flatten() {
            if wanted > 0 && self.window.used(of, now) + wanted > cap {
                let free = self.window.free_at(wanted, cap, of, now).unwrap_or(now + TOO_LITTLE);
                return Err(Refusal::until(why, free.max(now + Duration::minutes(1)), now));
            }
        }
        if let Some(usage) = self.usage.filter(|usage| usage.at > now - USAGE_FRESH) {
            let reserve = usage.limit * u64::from(self.settings.reserve_percent) / 100;
            let ours_since = self.paid.saturating_sub(usage.made);
            if usage.used + ours_since + wanted + reserve > usage.limit {
                return Err(Refusal::until(DeferReason::OrgQuota, now + Duration::minutes(15), now));
            }
        }
        Ok(())
    }

    fn pay(&mut self, calls: u64, whose: Option<ConnectionId>, now: Timestamp) -> Timestamp {
        self.paid += calls;
        self.window.pay(calls, whose, now)
    }
}

#[cfg(test)]
#[path = "limits_test.rs"]
mod tests;
