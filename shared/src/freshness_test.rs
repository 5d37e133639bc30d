//! The sentence keeps its words and never claims more than the checkpoint.

use chrono::{Duration, NaiveDateTime};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn current() -> Progress<'static> {
    Progress {
        api_name: "Case",
        state: SyncState::Current,
        ask: None,
        watermark: Some(at("2026-11-23T14:02:40Z")),
        covered_from: Some(CoveredFrom::At(at("2026-10-24T00:00:00Z"))),
        expected: Some(5000),
        stored: 1200,
    }
}

#[test]
fn the_sentences_are_these() {
    let now = at("2026-11-23T14:06:00Z");
    let say = |progress: Progress<'_>| sentence(&progress, now);
    assert_eq!(say(current()), "Cases are complete from 24 Oct to 14:02 UTC (4 min ago).");
    assert_eq!(
        say(Progress { covered_from: Some(CoveredFrom::Start), ..current() }),
        "Cases are complete up to 14:02 UTC (4 min ago)."
    );
    assert_eq!(
        say(Progress { state: SyncState::Loading, covered_from: None, ..current() }),
        "Cases are still loading: 1,200 of 5,000."
    );
    assert_eq!(
        say(Progress { state: SyncState::Loading, ..current() }),
        "Cases are still loading: 1,200 of 5,000. Complete from 24 Oct to 14:02 UTC (4 min ago)."
    );
    let ask = UserMessage::new("object_no_read", "Salesforce refused access to Task.", "why", "fix");
    let parked = Progress { api_name: "Task", state: SyncState::Parked, ask: Some(&ask), ..current() };
    assert_eq!(say(parked), "Salesforce refused access to Task.");
    assert_eq!(
        say(Progress { api_name: "Task", state: SyncState::Absent, ..current() }),
        "Salesforce shows no Tasks: the org has no such object or no licence for it, or the integration user may not \
         read it. Grant Read on Task in the user's permission set if there should be some, then start the sync again."
    );
    assert_eq!(
        say(Progress { api_name: "Ping__c", state: SyncState::New, ..current() }),
        "Ping__c records wait for their first load."
    );
    assert_eq!(
        say(Progress { watermark: Some(at("2025-12-31T23:59:59Z")), ..current() }),
        "Cases are complete from 24 Oct to 31 Dec 2025 23:59 UTC (327 days ago)."
    );
}

/// The moment that a sentence names as its end.
fn claimed(sentence: &str, now: Timestamp) -> Timestamp {
    let (before, _) = sentence.rsplit_once(" UTC (").unwrap();
    let end = before.rsplit_once("to ").unwrap().1;
    let words: Vec<&str> = end.split(' ').collect();
    let text = match words.as_slice() {
        [time] => format!("{} {time}", now.format("%-d %b %Y")),
        [day, month, time] => format!("{day} {month} {} {time}", now.format("%Y")),
        _ => end.to_owned(),
    };
    NaiveDateTime::parse_from_str(&text, "%e %b %Y %H:%M").unwrap().and_utc()
}

proptest! {
    #[test]
    fn no_sentence_claims_past_the_watermark(
        watermark in 1_600_000_000i64..1_900_000_000,
        age in 0i64..100_000_000,
        start in proptest::option::of(0i64..100_000_000),
    ) {
        let watermark = Timestamp::from_timestamp(watermark, 0).unwrap();
        let now = watermark + Duration::seconds(age);
        let covered_from = start.map_or(CoveredFrom::Start, |s| CoveredFrom::At(watermark - Duration::seconds(s)));
        let progress = Progress { watermark: Some(watermark), covered_from: Some(covered_from), ..current() };
        prop_assert!(claimed(&sentence(&progress, now), now) <= watermark);
    }
}

#[test]
fn a_pause_says_since_when_and_by_whom() {
    let now = at("2026-11-28T14:30:10Z");
    assert_eq!(paused_sentence(at("2026-11-28T14:02:59Z"), "Ana", now), "Paused since 14:02 UTC by Ana.");
    assert_eq!(
        paused_sentence(at("2026-11-24T14:02:00Z"), "Ana", now),
        "Paused since 24 Nov 14:02 UTC by Ana."
    );
}
