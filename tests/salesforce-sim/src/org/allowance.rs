//! How many calls the org has made in the last 24 hours, and how many run now.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Calls are counted in buckets of this length.
const BUCKET_MS: i64 = 5 * 60 * 1_000;

/// The rolling allowance of an org.
#[derive(Debug)]
pub struct Allowance {
    /// Calls allowed in 24 hours.
    pub daily_max: u64,
    /// Calls that the platform lets through beyond the allowance; `None` when it is strict.
    pub burst_max: Option<u64>,
    /// Calls let through so.
    pub bursts: u64,
    /// Calls allowed at once; `None` for any number.
    pub concurrent_max: Option<usize>,
    /// A call that has run for so much real time is long.
    pub long_after: Duration,
    /// Long calls allowed at once.
    pub long_max: usize,
    /// Long calls that other clients are making.
    pub long_others: usize,
    buckets: VecDeque<(i64, u64)>,
    running: BTreeMap<u64, Instant>,
    entered: u64,
    most_in_flight: usize,
}

/// A running call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

impl Allowance {
    /// Nothing used of `daily_max`.
    pub fn new(daily_max: u64) -> Self {
        Self {
            daily_max,
            burst_max: None,
            bursts: 0,
            concurrent_max: None,
            long_after: Duration::from_secs(20),
            long_max: 25,
            long_others: 0,
            buckets: VecDeque::new(),
            running: BTreeMap::new(),
            entered: 0,
            most_in_flight: 0,
        }
    }

    /// Calls of the last 24 hours.
    pub fn used(&mut self, now: i64) -> u64 {
        let oldest = now - crate::time::DAY_MS;
        while self.buckets.front().is_some_and(|(start, _)| *start + BUCKET_MS <= oldest) {
            self.buckets.pop_front();
        }
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Counts a call; `false` when the allowance is used up, and then it is not counted.
    pub fn spend(&mut self, now: i64) -> bool {
        if self.used(now) >= self.daily_max {
            if self.burst_max.is_none_or(|most| self.bursts >= most) {
                return false;
            }
            self.bursts += 1;
        }
        let start = now - now.rem_euclid(BUCKET_MS);
        match self.buckets.back_mut() {
            Some((bucket, count)) if *bucket == start => *count += 1,
            _ => self.buckets.push_back((start, 1)),
        }
        true
    }

    /// The parts of `Sforce-Limit-Info`.
    pub fn written(&mut self, now: i64) -> String {
        let usage = format!("api-usage={}/{}", self.used(now), self.daily_max);
        self.burst_max
            .map_or_else(|| usage.clone(), |most| format!("{usage}; api-bursts={}/{most}", self.bursts))
    }

    /// Counts calls of other clients, also beyond the allowance.
    pub fn spend_more(&mut self, calls: u64, now: i64) {
        self.buckets.push_back((now - now.rem_euclid(BUCKET_MS), calls));
    }

    /// Sets the calls of the last 24 hours, as if other clients had made them now.
    pub fn set_used(&mut self, used: u64, now: i64) {
        self.buckets.clear();
        self.buckets.push_back((now - now.rem_euclid(BUCKET_MS), used));
    }

    /// Notes that a call begins; `false` when too many run already. [`Allowance::leave`] must follow either way.
    pub fn enter(&mut self, started: Instant) -> (Ticket, bool) {
        let long = self.running.values().filter(|at| started.duration_since(**at) >= self.long_after).count();
        self.entered += 1;
        self.running.insert(self.entered, started);
        self.most_in_flight = self.most_in_flight.max(self.running.len());
        let within = long + self.long_others < self.long_max
            && self.concurrent_max.is_none_or(|max| self.running.len() <= max);
        (Ticket(self.entered), within)
    }

    /// Notes that a call has ended.
    pub fn leave(&mut self, ticket: Ticket) {
        self.running.remove(&ticket.0);
    }

    /// The most calls that ever ran at once.
    pub fn most_in_flight(&self) -> usize {
        self.most_in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY_MS;

    #[test]
    fn calls_leave_the_window_after_a_day() {
        let mut allowance = Allowance::new(3);
        assert!(allowance.spend(0) && allowance.spend(0) && allowance.spend(BUCKET_MS));
        assert!(!allowance.spend(BUCKET_MS));
        assert_eq!(allowance.used(DAY_MS), 3);
        assert_eq!(allowance.used(DAY_MS + BUCKET_MS), 1);
        assert!(allowance.spend(DAY_MS + BUCKET_MS));
    }

    #[test]
    fn a_soft_limit_gives_way_for_a_while() {
        let mut allowance = Allowance { burst_max: Some(2), ..Allowance::new(1) };
        let spent: Vec<bool> = (0..4).map(|_| allowance.spend(0)).collect();
        assert_eq!(spent, [true, true, true, false]);
        assert_eq!(allowance.written(0), "api-usage=3/1; api-bursts=2/2");
        assert_eq!(Allowance::new(5).written(0), "api-usage=0/5");
    }

    #[test]
    fn other_clients_use_the_allowance_too() {
        let mut allowance = Allowance::new(100);
        allowance.set_used(99, 5);
        assert!(allowance.spend(5));
        assert!(!allowance.spend(5));
    }

    #[test]
    fn long_calls_shut_out_others_until_they_end() {
        let mut allowance = Allowance::new(100);
        allowance.long_max = 2;
        let start = Instant::now();
        let (first, _) = allowance.enter(start);
        let (_, within) = allowance.enter(start);
        assert!(within, "short calls are no burden");
        let later = start + Duration::from_secs(20);
        let (_, within) = allowance.enter(later);
        assert!(!within, "two calls have become long");
        allowance.leave(first);
        assert!(allowance.enter(later).1);
        allowance.long_others = 1;
        assert!(!allowance.enter(later).1, "other clients' long calls count too");
    }
}
