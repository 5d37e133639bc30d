use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
}

/// The scan began at 1000; the next window reads again from 800; history is wanted from 100, and 300 to 400 is being read.
fn verdict(
    here: impl Into<Option<Here>>,
    there: impl Into<Option<Answered>>,
    set_aside: Option<i64>,
) -> Verdict {
    let open = [Slice { lo: at(300), hi: at(400) }];
    let bounds = Bounds {
        began: at(1000),
        ahead_from: at(800),
        scope_from: Some(at(100)),
        open: &open,
        doubts_filtered: false,
    };
    judge(here.into(), there.into(), set_aside.map(at), &bounds)
}

fn here(stamp: i64, read_at: i64, state: RecordState) -> Here {
    Here { stamp: at(stamp), read_at: at(read_at), state }
}

fn there(stamp: i64, deleted: bool) -> Answered {
    Answered { stamp: at(stamp), deleted }
}

const LIVE: RecordState = RecordState::Live;
const PURGED: RecordState = RecordState::Tombstone(StateReason::Purged);
const HIDDEN: RecordState = RecordState::Stub(StateReason::NotVisible);
const ERASED: RecordState = RecordState::Stub(StateReason::Erased);
const EXPIRED: RecordState = RecordState::Stub(StateReason::Expired);

#[test]
fn what_is_not_here_is_lost_unless_something_explains_it() {
    for (stamp, set_aside, expected) in [
        (500, None, Verdict::Lost),
        (100, None, Verdict::Lost),
        (99, None, Verdict::OutOfScope),
        (300, None, Verdict::Loading),
        (399, None, Verdict::Loading),
        (400, None, Verdict::Lost),
        (799, None, Verdict::Lost),
        (800, None, Verdict::Ahead),
        (2000, None, Verdict::Ahead),
        (500, Some(600), Verdict::Quarantined),
        // It changed since it was set aside, and that change never came.
        (500, Some(499), Verdict::Lost),
    ] {
        assert_eq!(verdict(None::<Here>, there(stamp, false), set_aside), expected, "{stamp} {set_aside:?}");
    }
    assert_eq!(
        verdict(None::<Here>, there(500, true), None),
        Verdict::Lost,
        "what is in the bin is known too"
    );
}

#[test]
fn what_the_scan_lacks_is_missing_unless_it_was_read_since() {
    for (read_at, state, expected) in [
        (999, LIVE, Verdict::Missing),
        (1000, LIVE, Verdict::Missing),
        (1001, LIVE, Verdict::Newer),
        (999, PURGED, Verdict::Newer),
        (999, HIDDEN, Verdict::Newer),
        (999, ERASED, Verdict::Newer),
    ] {
        assert_eq!(
            verdict(here(500, read_at, state), None::<Answered>, None),
            expected,
            "{read_at} {state:?}"
        );
    }
}

#[test]
fn what_is_on_both_sides_is_judged_by_stamp_state_and_time() {
    for (ours, theirs, expected) in [
        (here(500, 600, LIVE), there(500, false), Verdict::Same),
        (here(501, 600, LIVE), there(500, false), Verdict::Same),
        (here(500, 600, LIVE), there(501, false), Verdict::Stale),
        (here(500, 600, LIVE), there(799, true), Verdict::Stale),
        (here(500, 600, LIVE), there(500, true), Verdict::Stale),
        (here(500, 600, LIVE), there(800, false), Verdict::Ahead),
        (here(900, 950, LIVE), there(900, true), Verdict::Ahead),
        // Undeleted since the scan saw it.
        (here(1200, 1300, LIVE), there(700, true), Verdict::Newer),
        // Only a page that was read before the change brought it, however late.
        (here(500, 1001, LIVE), there(700, false), Verdict::Stale),
        (here(500, 600, PURGED), there(500, true), Verdict::Same),
        (here(500, 600, PURGED), there(500, false), Verdict::Undead),
        (here(500, 600, PURGED), there(700, false), Verdict::Undead),
        (here(500, 600, PURGED), there(700, true), Verdict::Stale),
        (here(500, 600, PURGED), there(900, false), Verdict::Ahead),
        // Deleted and back within a second.
        (here(850, 900, PURGED), there(850, false), Verdict::Ahead),
        (here(850, 1001, PURGED), there(850, false), Verdict::Newer),
        (here(500, 600, HIDDEN), there(500, false), Verdict::Undead),
        (here(500, 600, ERASED), there(500, false), Verdict::Kept(StateReason::Erased)),
        (here(500, 600, ERASED), there(700, false), Verdict::Kept(StateReason::Erased)),
        (here(500, 600, EXPIRED), there(500, false), Verdict::Kept(StateReason::Expired)),
        (here(500, 600, EXPIRED), there(700, false), Verdict::Undead),
    ] {
        assert_eq!(verdict(ours, theirs, None), expected, "{ours:?} {theirs:?}");
    }
    assert_eq!(verdict(here(500, 600, LIVE), there(700, false), Some(750)), Verdict::Quarantined);
    assert_eq!(verdict(here(500, 600, LIVE), there(700, false), Some(650)), Verdict::Stale);
}

#[test]
fn the_sum_closes_only_when_every_record_has_its_kind() {
    let mut balance = Balance { there: 6, here: 4, same: 2, ..Balance::default() };
    balance.add(Verdict::Lost, true);
    balance.add(Verdict::Kept(StateReason::Erased), true);
    balance.add(Verdict::Newer, true);
    // Of one side alone.
    balance.add(Verdict::Newer, false);
    balance.add(Verdict::Missing, false);
    assert_eq!(balance.unexplained(), 1, "five of six");
    balance.add(Verdict::Ahead, true);
    assert_eq!(balance.unexplained(), 0);
    balance.add(Verdict::Ahead, true);
    assert_eq!(balance.unexplained(), 1, "more than there are is no better");
    let stuck = Balance { unrepaired: 3, ..Balance::default() };
    assert_eq!(stuck.unexplained(), 3);
}

#[test]
fn a_scan_that_begins_anew_keeps_what_it_learnt_of_bulk() {
    let mut scan = Scan::new(Way::Bulk, at(800));
    (scan.staged, scan.read, scan.began, scan.bulk.lost, scan.bulk.loaded) = (7, true, Some(at(1)), 2, true);
    scan.balance.lost = 3;
    let anew = scan.anew(Way::Rest);
    assert_eq!((anew.way, anew.staged, anew.read, anew.began), (Way::Rest, 0, false, None));
    assert_eq!((anew.bulk.lost, anew.bulk.loaded, anew.ahead_from), (2, false, at(800)));
    assert_eq!(anew.balance, Balance::default());
}

#[test]
fn what_is_left_out_by_a_filter_is_doubted_by_a_scan_under_it_until_it_was_read() {
    let open = [Slice { lo: at(100), hi: at(200) }];
    let under = |doubts_filtered| Bounds {
        began: at(1000),
        ahead_from: at(800),
        scope_from: None,
        open: &open,
        doubts_filtered,
    };
    let filtered = RecordState::Stub(StateReason::Filtered);
    let here = |stamp| Some(Here { stamp: at(stamp), read_at: at(900), state: filtered });
    let there = |stamp, deleted| Some(Answered { stamp: at(stamp), deleted });
    let of = |stamp, deleted, doubts| judge(here(stamp), there(stamp, deleted), None, &under(doubts));
    assert_eq!(of(300, false, true), Verdict::Undead, "the scan has only what the filter keeps");
    assert_eq!(of(300, false, false), Verdict::Kept(StateReason::Filtered), "judged here after it was read");
    assert_eq!(of(150, false, true), Verdict::Loading, "a slice brings it back");
    assert_eq!(of(300, true, true), Verdict::Same);
    assert_eq!(
        judge(here(300), None, None, &under(true)),
        Verdict::Newer,
        "outside of the filter on both sides"
    );
}
