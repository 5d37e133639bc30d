//! Windows and slices: no gap, no overlap, and no promise past Salesforce's own clock.

use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn checkpoint(watermark: Option<i64>) -> Checkpoint {
    Checkpoint {
        state: SyncState::Current,
        ask: None,
        generation: 1,
        cursor_field: Some("SystemModstamp".to_owned()),
        field_set: Some(FieldSetId(1)),
        watermark: watermark.map(at),
        window_hi: None,
        position: None,
        scope_from: None,
        by_id: false,
        called_off: None,
    }
}

#[test]
fn a_window_reaches_back_over_the_overlap_and_stops_before_what_has_not_settled() {
    let window = next_window(&checkpoint(Some(1000)), &ObjectSettings::default(), at(2000)).unwrap();
    assert_eq!((window.lo, window.hi, window.resume), (at(100), at(1940), None));
}

#[test]
fn history_goes_further_back_when_it_is_asked_for_and_never_by_the_clock() {
    let settings = |history_days| ObjectSettings { history_days, ..ObjectSettings::default() };
    let now = at(0);
    let planned = |days| Checkpoint { scope_from: wanted_from(&settings(days), now), ..checkpoint(Some(0)) };
    let later = now + Duration::days(10);
    assert_eq!(wanted_further_back(&planned(Some(30)), &settings(Some(30)), later), None);
    assert_eq!(
        wanted_further_back(&planned(Some(30)), &settings(Some(7)), later),
        None,
        "what is here stays"
    );
    let further = wanted_further_back(&planned(Some(30)), &settings(Some(60)), later);
    assert_eq!(further, Some(Some(later - Duration::days(60))));
    assert_eq!(wanted_further_back(&planned(Some(30)), &settings(None), later), Some(None), "all of it");
    assert_eq!(wanted_further_back(&planned(None), &settings(Some(60)), later), None, "all of it is here");
}

#[test]
fn a_watermark_in_the_future_reads_nothing() {
    assert_eq!(next_window(&checkpoint(Some(5000)), &ObjectSettings::default(), at(2000)), None);
    assert_eq!(next_window(&checkpoint(None), &ObjectSettings::default(), at(2000)), None);
}

#[test]
fn an_unfinished_window_keeps_its_end_and_goes_on_from_its_last_row() {
    let position = Position { stamp: at(1200), id: "500000000000001AAA".to_owned() };
    let mut open = checkpoint(Some(1000));
    open.window_hi = Some(at(1500));
    open.position = Some(position.clone());
    let window = next_window(&open, &ObjectSettings::default(), at(9000)).unwrap();
    assert_eq!((window.hi, window.resume), (at(1500), Some(position)));
}

#[test]
fn what_a_person_called_off_is_wanted_again_only_when_another_part_is() {
    let called_off =
        |days| Checkpoint { scope_from: Some(at(1000)), called_off: days, ..checkpoint(Some(5000)) };
    let wants = |days| ObjectSettings { history_days: days, ..ObjectSettings::default() };
    let now = at(100 * 86_400);
    assert_eq!(wanted_further_back(&called_off(None), &wants(None), now), Some(None));
    assert_eq!(wanted_further_back(&called_off(Some(0)), &wants(None), now), None);
    let all_but_little = wanted_further_back(&called_off(Some(0)), &wants(Some(100)), now);
    assert_eq!(all_but_little, Some(Some(at(0))));
    assert_eq!(wanted_further_back(&called_off(Some(100)), &wants(Some(100)), now), None);
}

#[test]
fn a_clock_that_runs_ahead_cannot_move_the_watermark_past_salesforces() {
    assert_eq!(clamp_watermark(at(9000), at(2000), 60), at(1940));
    assert_eq!(clamp_watermark(at(1000), at(2000), 60), at(1000));
}

proptest! {
    #[test]
    fn slices_cover_history_without_gap_or_overlap(span in 0i64..10_000_000, rows in 0u64..5_000_000) {
        let scope_from = at(-1_000_000);
        let slices = cut_slices(at(0), at(span), rows, 25_000, scope_from);
        prop_assert_eq!(slices.first().unwrap().hi, at(span));
        prop_assert_eq!(slices.last().unwrap().lo, scope_from);
        for pair in slices.windows(2) {
            prop_assert_eq!(pair[0].lo, pair[1].hi);
            prop_assert!(pair[0].lo < pair[0].hi);
        }
    }

    #[test]
    fn the_watermark_never_passes_what_was_settled(hi in 0i64..10_000, read_at in 0i64..10_000, settle in 0u32..600) {
        let claimed = clamp_watermark(at(hi), at(read_at), settle);
        prop_assert!(claimed <= at(hi) && claimed <= at(read_at - i64::from(settle)));
    }
}
