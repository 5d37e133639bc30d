//! The functions of SOQL by name.

use super::plan::{Aggregate, DatePart};

/// The aggregate function of this (lower-case) name.
pub(super) fn aggregate(name: &str) -> Option<Aggregate> {
    Some(match name {
        "count" => Aggregate::Count,
        "count_distinct" => Aggregate::CountDistinct,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        "sum" => Aggregate::Sum,
        "avg" => Aggregate::Avg,
        _ => return None,
    })
}

/// The name of an aggregate function as messages show it.
pub(super) fn aggregate_name(function: Aggregate) -> &'static str {
    match function {
        Aggregate::Count => "COUNT",
        Aggregate::CountDistinct => "COUNT_DISTINCT",
        Aggregate::Min => "MIN",
        Aggregate::Max => "MAX",
        Aggregate::Sum => "SUM",
        Aggregate::Avg => "AVG",
    }
}

/// The date function of this (lower-case) name.
pub(super) fn date_part(name: &str) -> Option<DatePart> {
    Some(match name {
        "calendar_year" => DatePart::CalendarYear,
        "calendar_quarter" => DatePart::CalendarQuarter,
        "calendar_month" => DatePart::CalendarMonth,
        "fiscal_year" => DatePart::FiscalYear,
        "fiscal_quarter" => DatePart::FiscalQuarter,
        "fiscal_month" => DatePart::FiscalMonth,
        "day_in_month" => DatePart::DayInMonth,
        "day_in_week" => DatePart::DayInWeek,
        "day_in_year" => DatePart::DayInYear,
        "day_only" => DatePart::DayOnly,
        "hour_in_day" => DatePart::HourInDay,
        "week_in_month" => DatePart::WeekInMonth,
        "week_in_year" => DatePart::WeekInYear,
        _ => return None,
    })
}
