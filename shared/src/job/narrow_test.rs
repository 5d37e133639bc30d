//! Narrowing: parts meet without gap or overlap, nothing committed is read again, and it ends.

use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn window(lo: i64, hi: i64, resume: Option<i64>, rows: Option<u32>) -> Window {
    let resume = resume.map(|stamp| Position { stamp: at(stamp), id: "500000000000001AAA".to_owned() });
    Window { lo: at(lo), hi: at(hi), resume, rows }
}

#[test]
fn a_slow_window_is_halved_from_its_last_row_on() {
    assert_eq!(narrower(&window(0, 100, None, None), at(0), Excess::Time), Narrower::Cut(at(50)));
    assert_eq!(narrower(&window(0, 100, Some(60), None), at(0), Excess::Time), Narrower::Cut(at(80)));
    assert_eq!(narrower(&window(0, 100, None, None), at(90), Excess::Time), Narrower::Cut(at(95)));
}

#[test]
fn what_cannot_be_halved_is_read_in_fewer_rows_and_then_not_at_all() {
    let next = |rows| narrower(&window(0, 1, None, rows), at(0), Excess::Time);
    assert_eq!(next(None), Narrower::Rows(500));
    assert_eq!(next(Some(500)), Narrower::Rows(100));
    assert_eq!(next(Some(5)), Narrower::Rows(1));
    assert_eq!(next(Some(1)), Narrower::Nothing);
    let heavy = |rows| narrower(&window(0, 1_000_000, None, rows), at(0), Excess::Bytes);
    assert_eq!(heavy(None), Narrower::Rows(500), "half of the time would have pages of the same size");
    assert_eq!(heavy(Some(1)), Narrower::Nothing);
}

#[test]
fn rows_grow_again_step_by_step() {
    let mut progress = Progress { rows: Some(1), ..Progress::default() };
    for expected in [Some(5), Some(20), Some(100), Some(500), None, None] {
        progress = progress.relaxed();
        assert_eq!(progress.rows, expected);
    }
}

#[test]
fn progress_reads_back_and_an_empty_one_is_the_beginning() {
    assert_eq!(serde_json::from_str::<Progress>("{}").unwrap(), Progress::default());
    let progress = Progress { position: window(0, 9, Some(3), None).resume, rows: Some(20), cut: true };
    let text = serde_json::to_string(&progress).unwrap();
    assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
}

/// Halves again and again, as if every query failed; gives the parts that are left, newest first.
fn parts(slice: Slice, resume: Option<Position>, left: &mut Vec<(Slice, Option<Position>)>) {
    let window = Window { lo: slice.lo, hi: slice.hi, resume: resume.clone(), rows: None };
    match narrower(&window, slice.lo, Excess::Time) {
        Narrower::Cut(cut) => {
            let [newer, older] = slice.cut(cut);
            parts(newer, None, left);
            parts(older, resume, left);
        }
        Narrower::Rows(_) => left.push((slice, resume)),
        Narrower::Nothing => unreachable!("fewer rows come first"),
    }
}

proptest! {
    #[test]
    fn parts_meet_without_gap_or_overlap_and_keep_the_last_row(
        lo in -40i64..0, span in 1i64..60, resume in prop::option::of(0i64..60),
        fraction in 0u32..1_000,
    ) {
        let hi = at(lo + span) + TimeDelta::milliseconds(i64::from(fraction));
        let resume = resume
            .filter(|after| *after < span)
            .map(|after| Position { stamp: at(lo + after), id: "500000000000001AAA".to_owned() });
        let mut left = Vec::new();
        parts(Slice { lo: at(lo), hi }, resume.clone(), &mut left);
        prop_assert_eq!(left.first().unwrap().0.hi, hi);
        prop_assert_eq!(left.last().unwrap().0.lo, at(lo));
        for pair in left.windows(2) {
            prop_assert_eq!(pair[0].0.lo, pair[1].0.hi);
        }
        for (slice, position) in &left {
            prop_assert!(slice.lo < slice.hi);
            // Only the oldest part was begun, and it holds the last row itself.
            prop_assert_eq!(position.is_some(), resume.is_some() && slice.lo == at(lo));
            if let Some(position) = position {
                prop_assert!(slice.lo <= position.stamp && position.stamp < slice.hi);
            }
        }
    }

    #[test]
    fn a_window_of_changes_that_fails_again_and_again_ends_after_its_watermark_and_comes_to_an_end(
        watermark in 0i64..10_000, behind in 1i64..100_000,
    ) {
        let mut open = window(watermark - 900, watermark + behind, None, None);
        let mut steps = 0;
        loop {
            steps += 1;
            prop_assert!(steps < 40);
            match narrower(&open, at(watermark), Excess::Time) {
                Narrower::Cut(cut) => {
                    prop_assert!(at(watermark) < cut && cut < open.hi, "it must move the watermark, and be less");
                    open.hi = cut;
                }
                Narrower::Rows(rows) => open.rows = Some(rows),
                Narrower::Nothing => break,
            }
        }
        prop_assert_eq!(open.hi, at(watermark + 1));
    }
}
