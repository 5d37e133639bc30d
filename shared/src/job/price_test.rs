//! What reading costs, which way is cheaper, and how history is cut for it.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn quote(rows: u64, page_rows: u64) -> Quote {
    Quote { rows: Some(rows), page_rows, parts: 1, calls_left: None, jobs_left: None }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn ways(rows: Option<u64>, read_by: ReadBy) -> Vec<Way> {
    let history = History { oldest: at(0), newest: at(1_000_000), from: at(-50) };
    let quote = Quote { rows, ..quote(0, 2_000) };
    cut_history(&history, "Case", read_by, &quote).iter().map(|slice| slice.way).collect()
}

#[test]
fn bulk_pays_from_some_twenty_thousand_narrow_rows_or_a_few_thousand_with_long_texts() {
    let way = |rows, page_rows| choose("Case", ReadBy::Auto, &quote(rows, page_rows));
    assert_eq!(
        [way(2_000, 2_000), way(18_000, 2_000), way(22_500, 2_000)],
        [Way::Rest, Way::Rest, Way::Bulk]
    );
    assert_eq!([way(1_500, 200), way(2_500, 200)], [Way::Rest, Way::Bulk]);
    // Read in three parts, a page costs three calls.
    assert_eq!(choose("Case", ReadBy::Auto, &Quote { parts: 3, ..quote(9_000, 2_000) }), Way::Bulk);
    let uncounted = Quote { rows: None, ..quote(0, 2_000) };
    assert_eq!(choose("Case", ReadBy::Auto, &uncounted), Way::Bulk);
}

#[test]
fn a_scarce_allowance_makes_its_way_dearer() {
    let rows = quote(40_000, 2_000);
    let with = |calls_left, jobs_left| {
        choose(
            "Case",
            ReadBy::Auto,
            &Quote { calls_left: Some(calls_left), jobs_left: Some(jobs_left), ..rows },
        )
    };
    assert_eq!(with(50_000, 10_000), Way::Bulk);
    assert_eq!(with(5_000_000, 10_000), Way::Bulk, "calls are plenty, and so are jobs");
    assert_eq!(with(50_000, 0), Way::Rest, "no job is left");
    assert_eq!(with(1_000_000, 100), Way::Rest, "calls are plenty, jobs are not");
    assert_eq!(with(200, 100), Way::Bulk, "calls are scarce as well");
}

#[test]
fn what_was_said_goes_before_prices_and_what_bulk_refuses_before_what_was_said() {
    assert_eq!(choose("Case", ReadBy::Rest, &quote(9_000_000, 2_000)), Way::Rest);
    assert_eq!(choose("Case", ReadBy::Bulk, &quote(1, 2_000)), Way::Bulk);
    assert_eq!(choose("attachment", ReadBy::Bulk, &quote(9_000_000, 2_000)), Way::Rest);
    for (word, expected) in [("auto", ReadBy::Auto), ("rest", ReadBy::Rest), ("bulk", ReadBy::Bulk)] {
        assert_eq!(serde_json::from_value::<ReadBy>(json!(word)).unwrap(), expected);
    }
    assert!(serde_json::from_value::<ReadBy>(json!("soap")).is_err());
}

#[test]
fn without_a_job_to_be_had_a_slice_goes_by_rest_only_where_calls_are_left_for_it() {
    let with = |read_by, calls_left| rest_instead(read_by, &Quote { calls_left, ..quote(500_000, 2_000) });
    assert!(with(ReadBy::Auto, Some(2_000)));
    assert!(!with(ReadBy::Auto, Some(900)));
    assert!(!with(ReadBy::Bulk, Some(1_000_000)), "it was said to go by Bulk");
    assert!(!rest_instead(ReadBy::Auto, &Quote { rows: None, ..quote(0, 2_000) }));
}

#[test]
fn the_newest_tickets_come_by_rest_and_the_older_ones_by_bulk_in_large_slices() {
    assert_eq!(ways(Some(0), ReadBy::Auto), []);
    assert_eq!(ways(Some(10_000), ReadBy::Auto), [Way::Rest]);
    assert_eq!(ways(Some(1_000_000), ReadBy::Auto), [Way::Rest, Way::Bulk, Way::Bulk]);
    assert_eq!(ways(Some(1_000_000), ReadBy::Bulk), [Way::Bulk, Way::Bulk]);
    assert_eq!(ways(Some(100_000), ReadBy::Rest), [Way::Rest; 4]);
    assert_eq!(ways(None, ReadBy::Auto)[..2], [Way::Bulk, Way::Bulk], "what cannot be counted has no head");
}

#[test]
fn long_texts_make_small_pages() {
    let describe = |length| {
        serde_json::from_value::<ObjectDescribe>(json!({
            "name": "X", "fields": [{"name": "Body", "type": "textarea", "length": length}]
        }))
        .unwrap()
    };
    assert_eq!(page_rows(&describe(255), 2_000), 2_000);
    assert_eq!(page_rows(&describe(131_072), 2_000), 200);
}

proptest! {
    #[test]
    fn slices_of_both_ways_cover_history_without_gap_or_overlap(
        span in 0i64..50_000_000, rows in 1u64..90_000_000, read_by in 0..3usize, page in 200u64..2_000
    ) {
        let read_by = [ReadBy::Auto, ReadBy::Rest, ReadBy::Bulk][read_by];
        let history = History { oldest: at(0), newest: at(span), from: at(-1_000) };
        let slices = cut_history(&history, "Case", read_by, &quote(rows, page));
        prop_assert_eq!(slices.first().unwrap().slice.hi, at(span));
        prop_assert_eq!(slices.last().unwrap().slice.lo, at(-1_000));
        for pair in slices.windows(2) {
            prop_assert_eq!(pair[0].slice.lo, pair[1].slice.hi);
            prop_assert!(pair[0].slice.lo < pair[0].slice.hi);
        }
        let known: u64 = slices.iter().filter_map(|slice| slice.rows).sum();
        prop_assert!(known <= rows);
    }
}
