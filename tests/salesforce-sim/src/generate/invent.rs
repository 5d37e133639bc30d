//! Values for custom fields that nobody described: of the right type, often empty, sometimes hostile.

use super::random::Random;
use super::texts;
use crate::schema::Kind;
use crate::time::DAY_MS;
use crate::value::Value;

/// A value of a kind; half of them are null.
pub(super) fn value(random: &mut Random, kind: Kind, words: &[String], length: u32, now: i64) -> Value {
    if kind == Kind::Boolean {
        return Value::Bool(random.chance(0.3));
    }
    if random.chance(0.5) {
        return Value::Null;
    }
    let whole = i64::try_from(random.below(1_000_000)).unwrap_or(0);
    match kind {
        Kind::Picklist | Kind::Combobox if !words.is_empty() => Value::text(random.pick::<String>(words)),
        Kind::MultiPicklist if !words.is_empty() => {
            let (first, second) = (random.below(words.len()), random.below(words.len()));
            let set = [first.min(second), first.max(second)].map(|place| words[place].as_str());
            if set[0] == set[1] { Value::text(set[0]) } else { Value::text(&set.join(";")) }
        }
        Kind::Int | Kind::Long => Value::Int(whole),
        Kind::Double | Kind::Percent | Kind::Currency => Value::Double(super::ratio(whole) / 100.0),
        Kind::Date => Value::Date(now.div_euclid(DAY_MS) - whole % 4_000),
        Kind::Datetime => Value::Instant(now - whole * 1_000),
        Kind::Time => Value::Time(whole % 86_400 * 1_000),
        Kind::Email => Value::text(&format!("person{whole}@example.com")),
        Kind::Phone => Value::text(&format!("+49 30 {whole:07}")),
        Kind::Url => Value::text(&format!("https://www.example.com/{whole}")),
        Kind::String | Kind::Textarea => {
            let text = texts::note(random, 0, true);
            Value::text(&text.chars().take(length as usize).collect::<String>())
        }
        _ => Value::Null,
    }
}
