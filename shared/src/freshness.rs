//! The one sentence that says how fresh an object is, the same in console, API and command line.
//!
//! Pure. It is made from the checkpoint, never from the last attempt, and it never claims a moment past the
//! watermark: times are cut down to the minute and ages are rounded up.

use crate::clock::Timestamp;
use crate::error::UserMessage;
use crate::job::SyncState;

/// From when on history is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoveredFrom {
    /// From the first record there is.
    Start,
    /// From this moment.
    At(Timestamp),
}

/// What the sentence is made from.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// API name of the object.
    pub api_name: &'a str,
    /// Where it stands.
    pub state: SyncState,
    /// What a person must do, when parked.
    pub ask: Option<&'a UserMessage>,
    /// Everything stamped before this is here.
    pub watermark: Option<Timestamp>,
    /// History is complete from here.
    pub covered_from: Option<CoveredFrom>,
    /// How many records the org counted.
    pub expected: Option<u64>,
    /// How many are here.
    pub stored: u64,
}

/// What people call the records of an object.
#[must_use]
pub fn plural(api_name: &str) -> String {
    let known = match api_name {
        "Case" => "Cases",
        "CaseComment" => "Case comments",
        "EmailMessage" => "E-mails",
        "CaseHistory" => "Case changes",
        "Contact" => "Contacts",
        "User" => "Users",
        "Task" => "Tasks",
        "RecordType" => "Record types",
        _ => return format!("{api_name} records"),
    };
    known.to_owned()
}

/// The sentence.
#[must_use]
pub fn sentence(progress: &Progress<'_>, now: Timestamp) -> String {
    let subject = plural(progress.api_name);
    match progress.state {
        SyncState::Parked => match progress.ask {
            Some(ask) => ask.what.clone(),
            None => format!("{subject} wait for a person."),
        },
        // Salesforce answers alike when there is no such object and when the user may not see it.
        SyncState::Absent => format!(
            "Salesforce shows no {subject}: the org has no such object or no licence for it, or the integration user \
             may not read it. Grant Read on {} in the user's permission set if there should be some, then start the \
             sync again.",
            progress.api_name
        ),
        SyncState::New => format!("{subject} wait for their first load."),
        SyncState::Loading => loading(&subject, progress, now),
        SyncState::Current => match (progress.covered_from, progress.watermark) {
            (Some(from), Some(to)) => format!("{subject} are complete {}.", span(from, to, now)),
            _ => format!("{subject} wait for their first load."),
        },
    }
}

/// What follows the sentence while reading is paused.
#[must_use]
pub fn paused_sentence(since: Timestamp, by: &str, now: Timestamp) -> String {
    let date =
        if since.date_naive() == now.date_naive() { String::new() } else { format!("{} ", day(since, now)) };
    format!("Paused since {date}{} UTC by {by}.", since.format("%H:%M"))
}

/// What follows the sentence while a part of history is read once more.
#[must_use]
pub fn resyncing_sentence(from: Timestamp, now: Timestamp) -> String {
    format!("What is stamped since {} is being read once more.", day(from, now))
}

fn loading(subject: &str, progress: &Progress<'_>, now: Timestamp) -> String {
    let stored = grouped(progress.stored);
    // The org may have grown since it counted, so the count is never shown as less than what is here.
    let amount = match progress.expected {
        Some(expected) => format!("{stored} of {}", grouped(expected.max(progress.stored))),
        None => format!("{stored} so far"),
    };
    match (progress.covered_from, progress.watermark) {
        (Some(from @ CoveredFrom::At(start)), Some(to)) if start < to => {
            format!("{subject} are still loading: {amount}. Complete {}.", span(from, to, now))
        }
        _ => format!("{subject} are still loading: {amount}."),
    }
}

/// `from 24 Oct to 14:02 UTC (4 min ago)`, or `up to …` when nothing is older.
fn span(from: CoveredFrom, to: Timestamp, now: Timestamp) -> String {
    let start = match from {
        CoveredFrom::Start => "up to".to_owned(),
        // The first whole day: one that is covered only in part is not claimed.
        CoveredFrom::At(at) if at.format("%H:%M:%S%.f").to_string() == "00:00:00" => {
            format!("from {} to", day(at, now))
        }
        CoveredFrom::At(at) => format!("from {} {} to", day(at, now), minute_after(at).format("%H:%M")),
    };
    let date = if to.date_naive() == now.date_naive() { String::new() } else { format!("{} ", day(to, now)) };
    format!("{start} {date}{} UTC ({})", to.format("%H:%M"), age(to, now))
}

fn minute_after(at: Timestamp) -> Timestamp {
    let down = at.timestamp().div_euclid(60) * 60;
    let exact = at == Timestamp::from_timestamp(down, 0).unwrap_or(at);
    Timestamp::from_timestamp(if exact { down } else { down + 60 }, 0).unwrap_or(at)
}

fn day(at: Timestamp, now: Timestamp) -> String {
    let same_year = at.format("%Y").to_string() == now.format("%Y").to_string();
    at.format(if same_year { "%-d %b" } else { "%-d %b %Y" }).to_string()
}

/// Rounded up, so that it never sounds fresher than it is.
fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = (now - at).num_seconds().max(0);
    let up = |unit: i64| (seconds + unit - 1) / unit;
    match seconds {
        0..60 => "less than a minute ago".to_owned(),
        60..=5400 => format!("{} min ago", up(60)),
        5401..=129_600 => format!("{} h ago", up(3600)),
        _ => format!("{} days ago", up(86_400)),
    }
}

/// `1,200`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
#[path = "freshness_test.rs"]
mod tests;
