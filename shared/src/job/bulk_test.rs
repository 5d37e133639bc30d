//! Looks, sizes of sets, and jobs nobody heard of.

use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn found(id: &str, made_at: i64) -> Found {
    Found {
        id: id.to_owned(),
        by: "us".to_owned(),
        made_at: at(made_at),
        object: "Case".to_owned(),
        sees_deleted: true,
    }
}

#[test]
fn looks_come_slower_up_to_once_a_minute() {
    let seconds: Vec<u64> = (0..9).map(|looks| next_look(looks).as_secs()).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(next_look(u32::MAX), LAST_LOOK);
    // A job of ten minutes costs no more looks than this.
    let looks = (0..).scan(0, |sum, look| {
        *sum += next_look(look).as_secs();
        (*sum < 600).then_some(())
    });
    assert!(looks.count() <= 15);
}

#[test]
fn only_what_nobody_else_can_have_made_is_taken_for_unheard_of() {
    let jobs = [
        found("ours", 100),
        found("early", 10),
        found("known", 101),
        Found { by: "them".to_owned(), ..found("theirs", 102) },
        Found { object: "Task".to_owned(), ..found("task", 103) },
        Found { sees_deleted: false, ..found("query", 104) },
    ];
    let known = ["known".to_owned()];
    let ahead = chrono::Duration::zero();
    let of = Unheard { user: "us", object: "case", since: at(95), ahead, known: &known, others: &[] };
    assert_eq!(unheard(&jobs, &of), ["ours"]);
    // Another slice is making one as well: what came after its beginning may be its own.
    assert_eq!(unheard(&jobs, &Unheard { others: &[at(90)], ..of.clone() }), Vec::<String>::new());
    assert_eq!(unheard(&jobs, &Unheard { others: &[at(900)], ..of.clone() }), ["ours"]);
    // Salesforce's clock is an hour ahead.
    let later = [found("ours", 3_700), found("early", 100)];
    let ahead = chrono::Duration::hours(1);
    assert_eq!(unheard(&later, &Unheard { ahead, ..of }), ["ours"]);
}

#[test]
fn progress_reads_back_and_begins_empty() {
    let empty: BulkProgress = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, BulkProgress::default());
    let running = Running {
        id: "7505g00000Rf001AAA".to_owned(),
        version: "66.0".to_owned(),
        field_set: FieldSetId(3),
        read_at: at(0),
        looks: 2,
        complete: true,
        total: Some(9),
        locator: Some("MTAw".to_owned()),
        rows: 4,
    };
    let progress = BulkProgress { running: Some(running), failed: 1, ..BulkProgress::default() };
    let text = serde_json::to_string(&progress).unwrap();
    assert_eq!(serde_json::from_str::<BulkProgress>(&text).unwrap(), progress);
    let anew = progress.anew();
    assert_eq!((anew.running, anew.failed, anew.lost), (None, 1, 1));
}

proptest! {
    #[test]
    fn sets_come_to_eight_megabytes_whatever_rows_weigh(bytes in 1usize..2_000_000) {
        let mut progress = BulkProgress::default();
        for _ in 0..8 {
            let rows = progress.rows_wanted() as usize;
            progress = progress.after_set(rows, rows.saturating_mul(bytes));
        }
        let rows = u64::from(progress.rows_wanted());
        prop_assert!(rows <= u64::from(MOST_ROWS) && rows >= 1);
        prop_assert!(rows == 1 || rows * bytes as u64 <= SET_BYTES);
        prop_assert!(rows == u64::from(MOST_ROWS) || (rows + 1) * (bytes as u64 + 1) > SET_BYTES / 2);
    }

    #[test]
    fn sets_that_were_too_large_shrink_to_a_single_row_and_no_further(first in 1u32..60_000) {
        let mut progress = BulkProgress { set_rows: Some(first), ..BulkProgress::default() };
        let mut steps = 0;
        while let Some(smaller) = progress.with_smaller_sets() {
            prop_assert!(smaller.rows_wanted() < progress.rows_wanted());
            progress = smaller;
            steps += 1;
        }
        prop_assert_eq!(progress.rows_wanted(), 1);
        prop_assert!(steps <= 8);
    }
}
