//! Decimal numbers as text, in one spelling: REST's `47.0`, Bulk's `4.7E1` and a plain `47` are the same value.
//!
//! Never through a binary float: money has up to 18 digits.

use std::cmp::Ordering;

/// Longest run of zeros that an exponent may unfold to; beyond it the number stays in exponent form.
const MAX_UNFOLD: i64 = 40;

/// The canonical spelling of a JSON or CSV number, or `None` if it is none.
#[must_use]
pub fn canonical_decimal(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let trimmed = digits.trim_start_matches('0');
    let significant = trimmed.trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let scale = scale - i64::try_from(trimmed.len() - significant.len()).ok()?;
    let sign = if negative { "-" } else { "" };
    Some(format!("{sign}{}", place_point(significant, scale)))
}

/// How two numbers in their canonical spelling stand to each other; `None` when one of them is none.
#[must_use]
pub fn compare_decimals(a: &str, b: &str) -> Option<Ordering> {
    let ((a_sign, a), (b_sign, b)) = (parts(a)?, parts(b)?);
    Some(a_sign.cmp(&b_sign).then_with(|| if a_sign < 0 { b.cmp(&a) } else { a.cmp(&b) }))
}

/// A number's sign, and then the place of its first digit and its digits, which compare like the number without its sign.
fn parts(text: &str) -> Option<(i8, (i64, String))> {
    let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (mantissa, exponent) = match unsigned.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let leading = i64::try_from(digits.len() - significant.len()).ok()?;
    let significant = significant.trim_end_matches('0').to_owned();
    if significant.is_empty() {
        return Some((0, (0, significant)));
    }
    let place = i64::try_from(whole.len()).ok()?.checked_add(exponent)? - leading;
    Some((sign, (place, significant)))
}

/// Writes `digits × 10^-scale`; digits have no zeros at either end.
fn place_point(digits: &str, scale: i64) -> String {
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    if scale <= 0 && -scale <= MAX_UNFOLD {
        let zeros = usize::try_from(-scale).unwrap_or(0);
        return format!("{digits}{}", "0".repeat(zeros));
    }
    if scale > 0 && scale < length {
        let (whole, fraction) = digits.split_at(usize::try_from(length - scale).unwrap_or(0));
        return format!("{whole}.{fraction}");
    }
    if scale >= length && scale - length <= MAX_UNFOLD {
        let zeros = usize::try_from(scale - length).unwrap_or(0);
        return format!("0.{}{digits}", "0".repeat(zeros));
    }
    format!("{digits}e{}", -scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{canonical_decimal, compare_decimals};

    #[test]
    fn every_spelling_of_a_value_becomes_one() {
        for (given, canonical) in [
            ("47.0", "47"),
            ("4.7E1", "47"),
            ("47", "47"),
            ("0047.50", "47.5"),
            ("-0.0", "0"),
            ("1e-7", "0.0000001"),
            ("1234567890123456.78", "1234567890123456.78"),
            ("50000.00", "50000"),
            ("1.0E300", "1e300"),
            ("-2.5e-60", "-25e-61"),
        ] {
            assert_eq!(canonical_decimal(given).as_deref(), Some(canonical), "{given}");
        }
        for none in ["", "-", ".", "N/A", "1,5", "0x10", "1e", "1e99999999999999999999"] {
            assert_eq!(canonical_decimal(none), None, "{none}");
        }
    }

    #[test]
    fn numbers_are_compared_by_their_value_and_not_by_their_spelling() {
        let ordered = [
            "-1e300", "-100", "-99.5", "-2", "-0.001", "0", "25e-61", "0.09", "0.1", "2", "10", "10.01",
            "1e45",
        ];
        for (a, one) in ordered.iter().enumerate() {
            for (b, other) in ordered.iter().enumerate() {
                assert_eq!(compare_decimals(one, other), Some(a.cmp(&b)), "{one} and {other}");
            }
        }
        assert_eq!(compare_decimals("1", "true"), None);
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_a_fixed_point_and_keeps_the_value(whole in 0u64..1_000_000, cents in 0u32..10_000, exponent in -6i32..6) {
            let text = format!("{whole}.{cents:04}e{exponent}");
            let once = canonical_decimal(&text).unwrap();
            prop_assert_eq!(canonical_decimal(&once), Some(once.clone()));
            let (given, kept): (f64, f64) = (text.parse().unwrap(), once.parse().unwrap());
            prop_assert!((given - kept).abs() <= given.abs() * 1e-12);
        }
    }
}
