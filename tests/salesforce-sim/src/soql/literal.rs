//! Relative dates and currency amounts. Relative dates use UTC: the simulator's users live there.

use crate::time::{DAY_MS, civil, day_number};

const PLAIN: [&str; 3] = ["YESTERDAY", "TODAY", "TOMORROW"];
const UNITS: [&str; 7] = ["DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "FISCAL_QUARTER", "FISCAL_YEAR"];

/// `USD5000`, `EUR12.5`: an ISO currency code before a number (upper-case input).
pub(super) fn currency(word: &str) -> Option<f64> {
    let (code, amount) = word.split_at_checked(3)?;
    let letters = code.bytes().all(|byte| byte.is_ascii_uppercase());
    if letters && amount.starts_with(|c: char| c.is_ascii_digit()) { amount.parse().ok() } else { None }
}

/// Whether the word is a relative date, given whether `:n` follows it.
pub(super) fn is_relative(word: &str, counted: bool) -> bool {
    range(word, counted.then_some(1), 0).is_some()
}

/// The half-open range of milliseconds that a relative date means at `now`.
pub(super) fn range(word: &str, count: Option<i64>, now: i64) -> Option<(i64, i64)> {
    let today = now.div_euclid(DAY_MS);
    let days = |from: i64, to: i64| Some((from * DAY_MS, to * DAY_MS));
    let Some(count) = count else {
        if let Some(place) = PLAIN.iter().position(|plain| *plain == word) {
            let from = today - 1 + i64::try_from(place).ok()?;
            return days(from, from + 1);
        }
        if word == "LAST_90_DAYS" {
            return days(today - 90, today + 1);
        }
        if word == "NEXT_90_DAYS" {
            return days(today + 1, today + 91);
        }
        let (when, unit) = word.split_once('_')?;
        if unit == "DAY" || !UNITS.contains(&unit) {
            return None;
        }
        let step = match when {
            "LAST" => -1,
            "THIS" => 0,
            "NEXT" => 1,
            _ => return None,
        };
        let start = shift(start_of(unit, today), unit, step);
        return days(start, shift(start, unit, 1));
    };
    let unit_of = |prefix: &str, suffix: &str| {
        let unit = word.strip_prefix(prefix)?.strip_suffix(suffix)?.strip_suffix('S')?;
        UNITS.contains(&unit).then(|| unit.to_owned())
    };
    if let Some(unit) = unit_of("LAST_N_", "") {
        let end = if unit == "DAY" { today + 1 } else { start_of(&unit, today) };
        let start = if unit == "DAY" { today - count } else { shift(end, &unit, -count) };
        return days(start, end);
    }
    if let Some(unit) = unit_of("NEXT_N_", "") {
        let start = shift(start_of(&unit, today), &unit, 1);
        return days(start, shift(start, &unit, count));
    }
    let unit = unit_of("N_", "_AGO")?;
    let start = shift(start_of(&unit, today), &unit, -count);
    days(start, shift(start, &unit, 1))
}

fn start_of(unit: &str, day: i64) -> i64 {
    let (year, month, _) = civil(day);
    match unit {
        "WEEK" => day - (day + 4).rem_euclid(7),
        "MONTH" => day_number(year, month, 1),
        "QUARTER" | "FISCAL_QUARTER" => day_number(year, (month - 1) / 3 * 3 + 1, 1),
        "YEAR" | "FISCAL_YEAR" => day_number(year, 1, 1),
        _ => day,
    }
}

fn shift(start: i64, unit: &str, steps: i64) -> i64 {
    let months = match unit {
        "MONTH" => 1,
        "QUARTER" | "FISCAL_QUARTER" => 3,
        "YEAR" | "FISCAL_YEAR" => 12,
        "WEEK" => return start + 7 * steps,
        _ => return start + steps,
    };
    let (year, month, _) = civil(start);
    let total = year * 12 + i64::from(month) - 1 + months * steps;
    day_number(total.div_euclid(12), u8::try_from(total.rem_euclid(12) + 1).unwrap_or(1), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(word: &str, count: Option<i64>) -> ((i64, u8, u8), (i64, u8, u8)) {
        let now = crate::time::parse_instant("2026-11-23T18:08:09Z").unwrap();
        let (from, to) = range(word, count, now).unwrap();
        (civil(from / DAY_MS), civil(to / DAY_MS))
    }

    #[test]
    fn ranges_are_half_open() {
        assert_eq!(dates("TODAY", None), ((2026, 11, 23), (2026, 11, 24)));
        assert_eq!(dates("LAST_MONTH", None), ((2026, 10, 1), (2026, 11, 1)));
        assert_eq!(dates("THIS_WEEK", None), ((2026, 11, 22), (2026, 11, 29)));
        assert_eq!(dates("LAST_N_DAYS", Some(3)), ((2026, 11, 20), (2026, 11, 24)));
        assert_eq!(dates("N_MONTHS_AGO", Some(12)), ((2025, 11, 1), (2025, 12, 1)));
    }

    #[test]
    fn other_words_are_not_dates() {
        assert!(!is_relative("BOB", false));
        assert!(!is_relative("BOB", true));
        assert!(!is_relative("LAST_N_DAYS", false));
        assert_eq!(currency("USD5000"), Some(5_000.0));
        assert_eq!(currency("LAST"), None);
    }
}
