//! The grant: all or nothing, idempotent, never over the cap whatever the order of asking and dying.

use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn request(job: i64, calls: u64, now: i64) -> GrantRequest {
    GrantRequest { job: JobId(job), epoch: 1, connection: Some(connection(job)), calls, until: at(now + 120) }
}

/// Jobs with even numbers are one connection's, the others another's.
fn connection(job: i64) -> ConnectionId {
    ConnectionId(uuid::Uuid::from_u128(u128::try_from(job % 2).unwrap()))
}

fn limits(lanes: u32, daily: u64) -> OrgLimits {
    let settings = OrgSettings { lanes, assumed_daily: daily, share_percent: 50, ..OrgSettings::default() };
    OrgLimits { settings, ..OrgLimits::default() }
}

#[test]
fn asking_twice_takes_one_lane_and_pays_once() {
    let mut org = limits(2, 1000);
    let first = org.grant(request(1, 20, 0), at(0)).unwrap();
    assert_eq!(org.grant(request(1, 20, 0), at(1)).unwrap(), first);
    assert_eq!((org.lanes.len(), org.used(at(1))), (1, 20));
}

#[test]
fn a_lane_is_held_until_its_calls_are_over_even_when_its_holder_died() {
    let mut org = limits(1, 1000);
    org.grant(request(1, 20, 0), at(0)).unwrap();
    assert_eq!(org.grant(request(2, 20, 5), at(5)).unwrap_err().why, DeferReason::Lanes);
    assert!(org.grant(request(2, 20, 121), at(121)).is_ok(), "the dead holder's deadline has passed");
    assert_eq!(org.used(at(121)), 40, "and its prepaid calls stay burned");
}

#[test]
fn an_orderly_end_gives_back_what_was_not_spent() {
    let mut org = limits(1, 1000);
    org.grant(request(1, 20, 0), at(0)).unwrap();
    org.settle(JobId(1), 1, 17);
    assert_eq!((org.lanes.len(), org.used(at(1))), (0, 3));
    org.settle(JobId(1), 1, 17);
    assert_eq!(org.used(at(1)), 3, "settling twice gives nothing");
}

#[test]
fn what_cannot_be_paid_takes_no_lane_either() {
    let mut org = limits(4, 100);
    org.grant(request(1, 40, 0), at(0)).unwrap();
    let refusal = org.grant(request(2, 20, 0), at(0)).unwrap_err();
    assert_eq!(refusal.why, DeferReason::Budget);
    assert_eq!(org.lanes.len(), 1);
    // Its quarter of an hour, five minutes until its last call starts, and a step of the org's own counting.
    let free = 86_400 + 25 * 60;
    assert_eq!(at(0) + refusal.wait, at(free), "the bucket that must come free says when");
    assert!(org.grant(request(2, 20, free - 1), at(free - 1)).is_err());
    assert!(org.grant(request(2, 20, free), at(free)).is_ok(), "a day later the calls are ours again");
}

#[test]
fn who_waits_for_the_budget_waits_until_there_is_enough() {
    let mut org = limits(4, 100);
    for (job, calls, now) in [(1, 5, 0), (2, 30, 3600), (3, 15, 7200)] {
        org.grant(request(job, calls, now), at(now)).unwrap();
    }
    let refusal = org.grant(request(4, 20, 7200), at(7200)).unwrap_err();
    let second = 3600 + 86_400 + 25 * 60;
    assert_eq!(at(7200) + refusal.wait, at(second), "the first bucket alone gives too little back");
    assert!(org.grant(request(4, 20, second), at(second)).is_ok());
    let never = org.grant(request(5, 51, second), at(second)).unwrap_err();
    assert_eq!(
        never.wait,
        std::time::Duration::from_hours(1),
        "more than the cap: in case that it is raised"
    );
}

#[test]
fn the_orgs_own_count_keeps_a_reserve_for_others() {
    let mut org = limits(4, 100);
    org.note_usage(OrgUsage { used: 895, limit: 1000, at: at(0), made: 0 });
    assert!(org.grant(request(1, 5, 0), at(0)).is_ok());
    assert_eq!(org.grant(request(2, 6, 0), at(0)).unwrap_err().why, DeferReason::OrgQuota);
    org.note_usage(OrgUsage { used: 1, limit: 1000, at: at(-60), made: 0 });
    assert_eq!(org.usage.unwrap().used, 895, "an older word never replaces a newer one");
    assert!(org.grant(request(2, 6, 7200), at(7200)).is_ok(), "a stale word does not block for ever");
}

#[test]
fn what_is_granted_since_the_org_spoke_counts_against_the_reserve() {
    let mut org = limits(4, 1000);
    let first = org.grant(request(1, 20, 0), at(0)).unwrap();
    assert_eq!(first.made, 0, "of these twenty nobody knows how many were made");
    // Said while the first made one of its calls: nineteen more may come.
    org.note_usage(OrgUsage { used: 840, limit: 1000, at: at(1), made: first.made });
    assert!(org.grant(request(2, 20, 2), at(2)).is_ok(), "840 + 20 + 20 of 900");
    assert!(org.grant(request(3, 20, 2), at(2)).is_ok(), "and 20 more: all that is left");
    assert_eq!(org.grant(request(4, 1, 2), at(2)).unwrap_err().why, DeferReason::OrgQuota);
    // What was not made is there again, and a newer word has what was.
    org.settle(JobId(2), 1, 20);
    let third = org.grant(request(3, 40, 3), at(3)).unwrap();
    assert_eq!(third.made, 20, "the first block of the third lane is over; of the last ones nobody knows");
    org.note_usage(OrgUsage { used: 850, limit: 1000, at: at(4), made: third.made });
    assert!(org.grant(request(4, 10, 4), at(4)).is_ok(), "850 + 40 + 10");
    assert_eq!(org.grant(request(5, 1, 4), at(4)).unwrap_err().why, DeferReason::OrgQuota);
}

#[test]
fn a_lane_that_is_only_prolonged_is_not_judged_by_a_cap_that_was_lowered() {
    let mut org = limits(4, 100);
    org.grant(request(1, 40, 0), at(0)).unwrap();
    org.settings.share_percent = 10;
    assert_eq!(org.grant(request(1, 40, 60), at(60)).unwrap().calls, 40);
    assert_eq!(org.grant(request(1, 41, 60), at(60)).unwrap_err().why, DeferReason::Budget);
}

#[test]
fn what_an_older_build_stored_is_read() {
    let buckets = r#"[{"start": "2027-01-15T08:00:00Z", "calls": 7}]"#;
    let window: Window = serde_json::from_str(buckets).unwrap();
    assert_eq!(
        (window.used(None, at(0)), serde_json::to_value(&window).unwrap()[0]["calls"].as_u64()),
        (7, Some(7))
    );
    let usage: OrgUsage =
        serde_json::from_str(r#"{"used": 1, "limit": 2, "at": "2027-01-15T08:00:00Z"}"#).unwrap();
    assert_eq!(usage.made, 0);
}

/// Time from step to step: short, and often about a day, so that buckets are met as they leave.
fn passes() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0i64..200, 2 => 0i64..2000, 1 => 84_000i64..88_500]
}

proptest! {
    /// Judged by the moments of the calls themselves, by a clock that counts steps of five minutes as whole.
    #[test]
    fn no_24_hours_hold_more_calls_than_the_cap(
        steps in proptest::collection::vec((0i64..4, 1u64..30, 0u8..8, passes()), 1..200)
    ) {
        let mut org = limits(3, 160);
        org.settings.shares = [(connection(0), 30), (connection(1), 40)].into();
        let mut paid: std::collections::HashMap<i64, u64> = std::collections::HashMap::new();
        let (mut now, mut calls): (i64, Vec<(i64, i64)>) = (0, Vec::new());
        for (job, wanted, ending, pass) in steps {
            now += pass;
            // Whatever the job had is made or given up.
            let paid = paid.entry(job).or_default();
            if let Ok(grant) = org.grant(request(job, *paid + wanted, now), at(now)) {
                *paid = grant.calls;
                let made = match ending {
                    // It dies; or it ends in order, with some of them made.
                    0 => 0,
                    1 | 2 => wanted / 2,
                    _ => wanted,
                };
                // As late as a call may start.
                let late = now + i64::try_from(PREPAID_FOR.as_secs()).unwrap();
                calls.extend(std::iter::repeat_n((late, job % 2), usize::try_from(made).unwrap()));
                if ending > 0 && ending < 4 {
                    org.settle(JobId(job), 1, wanted - made);
                    *paid = 0;
                }
            }
            prop_assert!(org.lanes.iter().filter(|lane| lane.until > at(now)).count() <= 3);
        }
        for (last, own) in &calls {
            let day = |of: &dyn Fn(i64) -> bool| {
                calls.iter().filter(|(at, own)| of(*own) && at <= last && *at > last - 86_400 - 300).count() as u64
            };
            prop_assert!(day(&|_| true) <= org.cap(), "in the 24 hours before {last}");
            let share = org.share(connection(*own)).unwrap();
            prop_assert!(day(&|other| other == *own) <= share, "of one connection in the 24 hours before {last}");
        }
    }
}

#[test]
fn a_share_binds_its_own_connection_and_the_cap_both() {
    let mut org = limits(4, 100);
    org.settings.shares = [(connection(0), 20), (connection(1), 45)].into();
    org.grant(request(2, 20, 0), at(0)).unwrap();
    assert_eq!(org.grant(request(4, 1, 0), at(0)).unwrap_err().why, DeferReason::Share);
    assert!(!org.has_calls(Some(connection(0)), at(0)), "its share is spent");
    assert!(org.has_calls(Some(connection(1)), at(0)), "not the other's");
    org.grant(request(1, 30, 0), at(0)).unwrap();
    assert_eq!(org.grant(request(3, 1, 0), at(0)).unwrap_err().why, DeferReason::Budget, "50 for both");
    org.settle(JobId(2), 1, 15);
    assert_eq!(org.window.used(Some(connection(0)), at(0)), 5, "what was not made is its own again");
    assert!(org.grant(request(4, 15, 0), at(0)).is_ok());
    assert_eq!(org.grant(request(3, 1, 0), at(0)).unwrap_err().why, DeferReason::Budget);
}
