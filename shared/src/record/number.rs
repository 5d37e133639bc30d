//! Decimal numbers as text, in one spelling: REST's `47.0`, Bulk's `4.7E1` and a plain `47` are the same value.
//!
//! Never through a binary float: money has up to 18 digits.

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

    use super::canonical_decimal;

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
