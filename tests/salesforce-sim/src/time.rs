//! Instants and dates as plain numbers, and their written forms.
//!
//! An instant is milliseconds since 1970 UTC, a date is days since then. Rendering a page writes tens of
//! thousands of instants, so the civil-calendar arithmetic is done here instead of through a formatter.
//! Nothing in this module reads a clock; see [`crate::clock`].

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// Year, month and day of a day number (days since 1970-01-01, proleptic Gregorian calendar).
pub fn civil(day: i64) -> (i64, u8, u8) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = u8::try_from(day_of_year - (153 * shifted_month + 2) / 5 + 1).unwrap_or(1);
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let month = u8::try_from(month).unwrap_or(1);
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_month)
}

/// Day number of a civil date; the inverse of [`civil`].
pub fn day_number(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn push_digits(out: &mut Vec<u8>, value: i64, width: usize) {
    let mut digits = [b'0'; 8];
    let mut rest = value.unsigned_abs();
    for slot in digits[..width].iter_mut().rev() {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend_from_slice(&digits[..width]);
}

/// Appends `2026-11-23`.
pub fn write_date(out: &mut Vec<u8>, day: i64) {
    let (year, month, day) = civil(day);
    push_digits(out, year, 4);
    out.push(b'-');
    push_digits(out, i64::from(month), 2);
    out.push(b'-');
    push_digits(out, i64::from(day), 2);
}

/// Appends `2026-11-23T18:08:09.000+0000`: the platform's REST form, whose offset has no colon.
pub fn write_instant(out: &mut Vec<u8>, millis: i64) {
    write_date(out, millis.div_euclid(DAY_MS));
    let of_day = millis.rem_euclid(DAY_MS);
    out.push(b'T');
    push_digits(out, of_day / 3_600_000, 2);
    out.push(b':');
    push_digits(out, of_day / 60_000 % 60, 2);
    out.push(b':');
    push_digits(out, of_day / 1_000 % 60, 2);
    out.push(b'.');
    push_digits(out, of_day % 1_000, 3);
    out.extend_from_slice(b"+0000");
}

/// Appends `13:45:00.000Z`, from milliseconds since midnight.
pub fn write_time(out: &mut Vec<u8>, millis: i64) {
    for (unit, modulus) in [(3_600_000, 24), (60_000, 60), (1_000, 60)] {
        push_digits(out, millis / unit % modulus, 2);
        out.push(if unit == 1_000 { b'.' } else { b':' });
    }
    push_digits(out, millis % 1_000, 3);
    out.push(b'Z');
}

/// Reads `13:45:00` with or without a fraction and a `Z` as milliseconds since midnight.
pub fn parse_time(text: &str) -> Option<i64> {
    let time = chrono::NaiveTime::parse_from_str(text.trim_end_matches('Z'), "%H:%M:%S%.f").ok()?;
    Some(time.signed_duration_since(chrono::NaiveTime::MIN).num_milliseconds())
}

/// RFC 3339 in UTC with milliseconds, the form of the control API.
pub fn rfc3339(millis: i64) -> String {
    instant(millis).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `2026-11-23T10:00:00Z`, as user information has it.
pub fn rfc3339_seconds(millis: i64) -> String {
    instant(millis).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The form of HTTP's `Date` and `Last-Modified` headers (whole seconds).
pub fn http_date(millis: i64) -> String {
    instant(millis).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads an HTTP date such as `Tue, 23 Mar 2015 00:00:00 GMT`; a wrong weekday is forgiven.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let without_day = text.split_once(", ").map_or(text, |(_, rest)| rest);
    let without_zone = without_day.trim_end_matches(" GMT").trim_end_matches(" UTC");
    chrono::NaiveDateTime::parse_from_str(without_zone, "%d %b %Y %H:%M:%S")
        .ok()
        .map(|at| at.and_utc().timestamp_millis())
}

/// Reads an instant with any offset; `+0000` without a colon is accepted too.
pub fn parse_instant(text: &str) -> Option<i64> {
    let normal = text.replacen('t', "T", 1).replace('z', "Z");
    DateTime::parse_from_rfc3339(&normal)
        .or_else(|_| DateTime::parse_from_str(&normal, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .ok()
        .map(|at| at.timestamp_millis())
}

/// Reads `2026-11-23` as a day number.
pub fn parse_date(text: &str) -> Option<i64> {
    if text.len() != 10 {
        return None;
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

fn instant(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rest_form_has_three_decimals_and_no_colon_in_the_offset() {
        let mut out = Vec::new();
        write_instant(&mut out, 1_365_108_742_000);
        assert_eq!(String::from_utf8(out).unwrap(), "2013-04-04T20:52:22.000+0000");
    }

    #[test]
    fn times_of_day_have_three_decimals() {
        let mut out = Vec::new();
        write_time(&mut out, parse_time("13:45:09.5Z").unwrap());
        assert_eq!(String::from_utf8(out).unwrap(), "13:45:09.500Z");
    }

    #[test]
    fn http_dates_survive_a_round_trip() {
        assert_eq!(http_date(1_365_108_742_000), "Thu, 04 Apr 2013 20:52:22 GMT");
        assert_eq!(parse_http_date("Thu, 04 Apr 2013 20:52:22 GMT"), Some(1_365_108_742_000));
        assert_eq!(parse_http_date("Tue, 23 Mar 2015 00:00:00 GMT"), Some(1_427_068_800_000));
    }

    proptest! {
        #[test]
        fn civil_and_day_number_are_inverse(day in -200_000_i64..800_000) {
            let (year, month, day_of_month) = civil(day);
            prop_assert_eq!(day_number(year, month, day_of_month), day);
        }

        #[test]
        fn instants_agree_with_chrono(millis in -2_000_000_000_000_i64..20_000_000_000_000) {
            let mut out = Vec::new();
            write_instant(&mut out, millis);
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(parse_instant(&text), Some(millis));
        }
    }
}
