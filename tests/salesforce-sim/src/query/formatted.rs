//! Values as `FORMAT()` writes them for the user's locale, which is en_US here.

use crate::time::{DAY_MS, civil};
use crate::value::Cell;

/// A value as people read it; null stays null.
pub(super) fn formatted(cell: Cell<'_>) -> Option<String> {
    Some(match cell {
        Cell::Null | Cell::Blob(_) => return None,
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => grouped(&value.to_string()),
        Cell::Double(value) => grouped(&format!("{value:.2}")),
        Cell::Text(text) => text.to_owned(),
        Cell::Id(id) => id.to_string(),
        Cell::Date(day) => date(day),
        Cell::Instant(at) => format!("{}, {}", date(at.div_euclid(DAY_MS)), clock(at.rem_euclid(DAY_MS))),
        Cell::Time(millis) => clock(millis),
    })
}

fn date(day: i64) -> String {
    let (year, month, of_month) = civil(day);
    format!("{month}/{of_month}/{year}")
}

fn clock(millis: i64) -> String {
    let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
    let half = if hour < 12 { "AM" } else { "PM" };
    format!("{}:{minute:02} {half}", (hour + 11) % 12 + 1)
}

/// A number with a comma every three digits.
fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut text = sign.to_owned();
    for (place, digit) in whole.char_indices() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_commas_and_slashes() {
        assert_eq!(formatted(Cell::Int(-1_234_567)).unwrap(), "-1,234,567");
        assert_eq!(formatted(Cell::Double(1_234.5)).unwrap(), "1,234.50");
        let at = crate::time::parse_instant("2026-11-03T18:08:09Z").unwrap();
        assert_eq!(formatted(Cell::Instant(at)).unwrap(), "11/3/2026, 6:08 PM");
        assert_eq!(formatted(Cell::Time(0)).unwrap(), "12:00 AM");
        assert_eq!(formatted(Cell::Null), None);
    }
}
