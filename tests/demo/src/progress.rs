//! How far the first sync is: moving bars for people, plain lines for logs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use demo::refrain::ObjectStatus;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::voice::Voice;

/// How often a plain line is worth its place in a log.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// The display of one load.
pub(crate) struct Progress<'a> {
    voice: &'a Voice,
    started: Instant,
    bars: Option<(MultiProgress, BTreeMap<String, ProgressBar>)>,
    last_line: Option<Instant>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(voice: &'a Voice) -> Self {
        let bars = voice.canvas().map(|canvas| (MultiProgress::with_draw_target(canvas), BTreeMap::new()));
        Self { voice, started: Instant::now(), bars, last_line: None }
    }

    /// Shows how far each object is.
    pub(crate) fn show(&mut self, objects: &[ObjectStatus]) {
        let elapsed = self.started.elapsed();
        let Some((all, bars)) = &mut self.bars else {
            if self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
                self.last_line = Some(Instant::now());
                self.voice.step(&line(objects, elapsed));
            }
            return;
        };
        for object in objects {
            let bar = bars.entry(object.api_name.clone()).or_insert_with(|| {
                let style = ProgressStyle::with_template("{prefix:>14} {bar:30} {msg}");
                let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
                let bar = all.add(ProgressBar::new(1)).with_prefix(object.api_name.clone());
                bar.with_style(style.progress_chars("━╸ "))
            });
            bar.set_length(object.expected.unwrap_or(1).max(1));
            bar.set_position(if object.state == "current" {
                bar.length().unwrap_or(1)
            } else {
                read(object)
            });
            bar.set_message(message(object, elapsed));
        }
    }

    /// Leaves the last picture where it is.
    pub(crate) fn finish(self) {
        for bar in self.bars.into_iter().flat_map(|(_, bars)| bars.into_values()) {
            bar.abandon();
        }
    }
}

/// Records read, no more than there are: the overlap reads some twice.
fn read(object: &ObjectStatus) -> u64 {
    object.expected.map_or(0, |expected| object.records_read.min(expected))
}

fn message(object: &ObjectStatus, elapsed: Duration) -> String {
    let Some(expected) = object.expected else { return "planning".to_owned() };
    let read = read(object);
    let calls = object.api_calls;
    if object.state == "current" {
        return format!("{} records, {calls} API calls, complete", grouped(expected));
    }
    let rate = per_second(read, elapsed);
    let left = expected.saturating_sub(read).checked_div(rate);
    let left = left.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
    format!(
        "{} of {} records, {}/s, {calls} API calls, {left} left",
        grouped(read),
        grouped(expected),
        grouped(rate)
    )
}

fn line(objects: &[ObjectStatus], elapsed: Duration) -> String {
    let read: u64 = objects.iter().map(read).sum();
    let expected: u64 = objects.iter().filter_map(|object| object.expected).sum();
    let calls: u64 = objects.iter().map(|object| object.api_calls).sum();
    let complete = objects.iter().filter(|object| object.state == "current").count();
    format!(
        "{} of {} records, {}/s, {calls} API calls, {complete} of {} objects complete",
        grouped(read),
        grouped(expected),
        grouped(per_second(read, elapsed)),
        objects.len()
    )
}

/// Whole things a second.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / milliseconds
}

/// `12,345`
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(state: &str, expected: Option<u64>, records_read: u64) -> ObjectStatus {
        serde_json::from_value(serde_json::json!({
            "id": "obj_1", "api_name": "Case", "state": state, "ask": null, "freshness": "", "stored": 0,
            "set_aside": 0, "expected": expected, "records_read": records_read, "api_calls": 3,
            "watermark_at": null, "loaded_at": null
        }))
        .unwrap()
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn an_object_says_records_rate_calls_and_time_left() {
        let two = Duration::from_secs(2);
        assert_eq!(message(&object("new", None, 0), two), "planning");
        let loading = object("loading", Some(5_000), 2_000);
        assert_eq!(message(&loading, two), "2,000 of 5,000 records, 1,000/s, 3 API calls, 3 s left");
        let fresh = object("loading", Some(5_000), 0);
        assert_eq!(message(&fresh, two), "0 of 5,000 records, 0/s, 3 API calls, - left");
        assert_eq!(
            message(&object("current", Some(5_000), 6_000), two),
            "5,000 records, 3 API calls, complete"
        );
    }
}
