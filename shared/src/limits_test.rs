//! The grant: all or nothing, idempotent, never over the cap whatever the order of asking and dying.

use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn request(job: i64, calls: u64, now: i64) -> GrantRequest {
    GrantRequest { job: JobId(job), epoch: 1, calls, until: at(now + 120) }
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
    assert!(refusal.until > at(23 * 3600), "the first bucket to come free says when");
    assert!(org.grant(request(2, 20, 90_000), at(90_000)).is_ok(), "a day later the calls are ours again");
}

#[test]
fn the_orgs_own_count_keeps_a_reserve_for_others() {
    let mut org = limits(4, 100);
    org.note_usage(OrgUsage { used: 895, limit: 1000, at: at(0) });
    assert!(org.grant(request(1, 5, 0), at(0)).is_ok());
    assert_eq!(org.grant(request(2, 6, 0), at(0)).unwrap_err().why, DeferReason::OrgQuota);
    org.note_usage(OrgUsage { used: 1, limit: 1000, at: at(-60) });
    assert_eq!(org.usage.unwrap().used, 895, "an older word never replaces a newer one");
    assert!(org.grant(request(2, 6, 7200), at(7200)).is_ok(), "a stale word does not block for ever");
}

proptest! {
    #[test]
    fn no_order_of_grants_ends_and_deaths_passes_the_cap(steps in proptest::collection::vec((0i64..6, 1u64..30, 0u8..3, 0i64..4000), 1..200)) {
        let mut org = limits(3, 400);
        let mut now = 0;
        for (job, calls, action, pass) in steps {
            now += pass;
            match action {
                0 | 1 => { let _ = org.grant(request(job, calls, now), at(now)); }
                _ => org.settle(JobId(job), 1, calls),
            }
            prop_assert!(org.used(at(now)) <= org.cap());
            prop_assert!(org.lanes.iter().filter(|lane| lane.until > at(now)).count() <= 3);
        }
    }
}
