//! Values of terms: fields reached by paths, parts of dates, distances.

use crate::soql::plan::{DatePart, Distance, End, FieldPath, Term};
use crate::store::{Reader, Record};
use crate::time::{DAY_MS, civil, day_number};
use crate::value::{Cell, Value, owned};

/// Mean radius of the earth in kilometres, and kilometres in a mile.
const EARTH_KM: f64 = 6_371.0;
const MILE_KM: f64 = 1.609_344;

/// Hands the value of a term for a row to `use_it`.
pub(super) fn with_term<R>(
    reader: Reader<'_>,
    object: usize,
    record: &Record<'_>,
    term: &Term,
    use_it: impl FnOnce(Cell<'_>) -> R,
) -> R {
    match term {
        Term::Path(path) => with_cell(reader, object, record, path, use_it),
        Term::Part(part, path) => {
            let value = with_cell(reader, object, record, path, owned);
            use_it(part_of(*part, value.cell()))
        }
        Term::Distance(distance) => {
            let at = |path| number(&with_cell(reader, object, record, path, owned));
            match (at(&distance.latitude), at(&distance.longitude)) {
                (Some(latitude), Some(longitude)) => {
                    use_it(Cell::Double(far((latitude, longitude), distance)))
                }
                _ => use_it(Cell::Null),
            }
        }
    }
}

/// Hands the value at the end of a path from a row to `use_it`.
pub(super) fn with_cell<R>(
    reader: Reader<'_>,
    object: usize,
    record: &Record<'_>,
    path: &FieldPath,
    use_it: impl FnOnce(Cell<'_>) -> R,
) -> R {
    let Some((first, rest)) = path.hops.split_first() else {
        return with_end(reader, object, record, &path.end, use_it);
    };
    let Some((mut object, mut above)) = reader.parent(object, record, *first) else {
        return use_it(Cell::Null);
    };
    for hop in rest {
        match reader.parent(object, &above, *hop) {
            Some(next) => (object, above) = next,
            None => return use_it(Cell::Null),
        }
    }
    with_end(reader, object, &above, &path.end, use_it)
}

fn with_end<R>(
    reader: Reader<'_>,
    object: usize,
    record: &Record<'_>,
    end: &End,
    use_it: impl FnOnce(Cell<'_>) -> R,
) -> R {
    match end {
        End::Field(field) => reader.with(object, record, *field, use_it),
        End::Named(name) if name == "Type" => use_it(Cell::Text(type_name(reader, object))),
        End::Named(name) => match reader.store.catalog.objects[object].named_field(name) {
            Some(field) => reader.with(object, record, field, use_it),
            None => use_it(Cell::Null),
        },
    }
}

/// What `Owner.Type` says of an object: queues are rows of `Group`.
pub(super) fn type_name(reader: Reader<'_>, object: usize) -> &str {
    let name = reader.store.catalog.objects[object].name.as_str();
    if name == "Group" { "Queue" } else { name }
}

fn number(value: &Value) -> Option<f64> {
    if let Value::Double(number) = value { Some(*number) } else { None }
}

/// A part of a date or time. Weeks begin with the year, or with the month; days of the week with Sunday.
fn part_of(part: DatePart, cell: Cell<'_>) -> Cell<'static> {
    let (day, hour) = match cell {
        Cell::Instant(at) => (at.div_euclid(DAY_MS), at.rem_euclid(DAY_MS) / 3_600_000),
        Cell::Date(day) => (day, 0),
        _ => return Cell::Null,
    };
    let (year, month, of_month) = civil(day);
    let of_year = day - day_number(year, 1, 1) + 1;
    Cell::Int(match part {
        DatePart::CalendarYear | DatePart::FiscalYear => year,
        DatePart::CalendarQuarter | DatePart::FiscalQuarter => (i64::from(month) + 2) / 3,
        DatePart::CalendarMonth | DatePart::FiscalMonth => i64::from(month),
        DatePart::DayInMonth => i64::from(of_month),
        DatePart::DayInWeek => (day + 4).rem_euclid(7) + 1,
        DatePart::DayInYear => of_year,
        DatePart::DayOnly => return Cell::Date(day),
        DatePart::HourInDay => hour,
        DatePart::WeekInMonth => (i64::from(of_month) + 6) / 7,
        DatePart::WeekInYear => (of_year + 6) / 7,
    })
}

/// How far a place is from the point of a distance, along the earth.
fn far((latitude, longitude): (f64, f64), distance: &Distance) -> f64 {
    let (from, to) = (distance.from.0.to_radians(), latitude.to_radians());
    let east = (longitude - distance.from.1).to_radians();
    let half = ((to - from) / 2.0).sin().powi(2) + from.cos() * to.cos() * (east / 2.0).sin().powi(2);
    let kilometres = 2.0 * EARTH_KM * half.sqrt().min(1.0).asin();
    if distance.in_kilometres { kilometres } else { kilometres / MILE_KM }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part: DatePart, text: &str) -> Cell<'static> {
        part_of(part, Cell::Instant(crate::time::parse_instant(text).unwrap()))
    }

    #[test]
    fn parts_of_a_time_are_as_documented() {
        let at = "2026-11-22T18:08:09Z";
        for (wanted, value) in [
            (DatePart::CalendarYear, 2026),
            (DatePart::CalendarQuarter, 4),
            (DatePart::CalendarMonth, 11),
            (DatePart::DayInMonth, 22),
            (DatePart::DayInWeek, 1),
            (DatePart::DayInYear, 326),
            (DatePart::HourInDay, 18),
            (DatePart::WeekInMonth, 4),
            (DatePart::WeekInYear, 47),
        ] {
            assert_eq!(part(wanted, at), Cell::Int(value), "{wanted:?}");
        }
        assert_eq!(part_of(DatePart::DayOnly, Cell::Date(7)), Cell::Date(7));
        assert_eq!(part_of(DatePart::DayInYear, Cell::Null), Cell::Null);
    }

    #[test]
    fn distances_follow_the_earth() {
        let end = FieldPath { hops: Vec::new(), end: End::Field(0) };
        let from = |in_kilometres| Distance {
            latitude: end.clone(),
            longitude: end.clone(),
            from: (52.52, 13.405),
            in_kilometres,
        };
        let paris = (48.8566, 2.3522);
        assert!((far(paris, &from(true)) - 878.0).abs() < 3.0);
        assert!((far(paris, &from(false)) - 545.5).abs() < 3.0);
    }
}
