//! What is shown at the end of a pass: the table, a ticket with its conversation, the line for programs.

use std::time::Duration;

use demo::refrain::{Message, ObjectStatus, TicketDetail};
use demo::verify::{ObjectReport, Report, TicketReport};
use serde_json::{Value, json};

use crate::progress::grouped;

/// Characters of a message that are shown.
const SHOWN_TEXT: usize = 96;
/// Items of a conversation that are shown.
const SHOWN_ITEMS: usize = 8;

/// Object, in Salesforce, here, verified, API calls.
pub(crate) fn table(report: &Report, status: &[ObjectStatus]) -> String {
    let mut lines = vec![format!(
        "{:<16} {:>13} {:>10}   {:<28} {:>9}",
        "Object", "In Salesforce", "Here", "Verified", "API calls"
    )];
    for object in &report.objects {
        lines.push(format!(
            "{:<16} {:>13} {:>10}   {:<28} {:>9}",
            object.api_name,
            grouped(object.in_org_live),
            grouped(object.here_live - object.hidden_with_parent),
            verdict(object),
            grouped(calls(status, &object.api_name))
        ));
    }
    let tickets = &report.tickets;
    lines.push(String::new());
    lines.push(format!(
        "{} tickets with {} comments and e-mails; Salesforce has {} and {}: {}",
        grouped(tickets.here),
        grouped(tickets.messages_here),
        grouped(tickets.in_org),
        grouped(tickets.messages_in_org),
        if tickets.is_exact() { "verified, ticket by ticket" } else { "NOT THE SAME" }
    ));
    lines.extend(remarks(report));
    lines.join("\n")
}

fn verdict(object: &ObjectReport) -> String {
    if object.is_exact() {
        return format!("yes, {} values", grouped(object.values));
    }
    format!("NO: {} missing, {} extra, {} differ", object.missing, object.extra, object.different)
}

fn remarks(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for object in &report.objects {
        let name = &object.api_name;
        if object.drifted > 0 {
            lines.push(format!(
                "Note: {} values of {name} read through a lookup are older here; Salesforce does not stamp a child \
                 when its parent changes.",
                grouped(object.drifted)
            ));
        }
        if object.hidden_with_parent > 0 {
            lines.push(format!(
                "Note: {} records of {name} went to the recycle bin with their parent, without a stamp of their \
                 own; here they are hidden with it.",
                grouped(object.hidden_with_parent)
            ));
        }
        lines.extend(object.first_differences.iter().map(|difference| format!("  {name} {difference}")));
    }
    lines.extend(report.tickets.first_differences.iter().map(|difference| format!("  ticket {difference}")));
    lines
}

fn calls(status: &[ObjectStatus], api_name: &str) -> u64 {
    status.iter().find(|object| object.api_name == api_name).map_or(0, |object| object.api_calls)
}

/// A ticket as its people saw it.
pub(crate) fn conversation(detail: &TicketDetail) -> String {
    let ticket = &detail.ticket;
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![format!(
        "Ticket {} \"{}\" ({}, {} priority, by {})",
        word(&ticket.number),
        word(&ticket.subject),
        word(&ticket.status),
        word(&ticket.priority),
        word(&ticket.channel)
    )];
    if let Some(body) = &detail.body {
        lines.push(format!("    {}", short(body)));
    }
    lines.extend(detail.conversation.iter().take(SHOWN_ITEMS).map(item));
    let more = detail.conversation.len().saturating_sub(SHOWN_ITEMS);
    if more > 0 {
        lines.push(format!("    … and {more} more"));
    }
    lines.join("\n")
}

fn item(message: &Message) -> String {
    let arrow = match message.direction.as_str() {
        "inbound" => "→",
        "outbound" => "←",
        _ => "·",
    };
    format!(
        "  {arrow} {}  {:<7} {}: {}",
        message.sent_at.format("%d %b %H:%M"),
        message.kind,
        message.author.as_deref().unwrap_or("-"),
        short(message.text.as_deref().unwrap_or(""))
    )
}

/// One line, cut.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN_TEXT {
        return line;
    }
    let cut: String = line.chars().take(SHOWN_TEXT - 1).collect();
    format!("{}…", cut.trim_end())
}

/// What programs want to know.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    /// The last comparison.
    pub(crate) report: Report,
    /// The state of each object at that moment.
    pub(crate) status: Vec<ObjectStatus>,
    /// From the start of the demo to the end of the last comparison.
    pub(crate) seconds: Duration,
    /// From the start of the demo to the end of the first comparison.
    pub(crate) verified_after: Duration,
    /// From enabling the objects to the end of the first sync.
    pub(crate) first_sync: Duration,
    /// Records of the first sync.
    pub(crate) first_records: u64,
    /// Calls that the org counted.
    pub(crate) api_calls: u64,
    /// Bytes, one figure a worker.
    pub(crate) peak_memory: Vec<u64>,
    /// How many edits were made and found again, if any were.
    pub(crate) edits: u64,
    /// Addresses: API, database, broker.
    pub(crate) urls: [String; 3],
}

/// The line for programs.
pub(crate) fn json(numbers: &Numbers) -> Value {
    let [api, database, broker] = &numbers.urls;
    let objects: Vec<Value> =
        numbers.report.objects.iter().map(|object| json_object(object, &numbers.status)).collect();
    let rate = crate::progress::per_second(numbers.first_records, numbers.first_sync);
    let seconds = |time: Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
    json!({
        "verified": numbers.report.is_exact(),
        "objects": objects,
        "tickets": json_tickets(&numbers.report.tickets),
        "seconds": seconds(numbers.seconds),
        "verified_after_seconds": seconds(numbers.verified_after),
        "first_sync_seconds": seconds(numbers.first_sync),
        "records_per_second": rate,
        "api_calls": numbers.api_calls,
        "edits": numbers.edits,
        "worker_peak_rss_bytes": numbers.peak_memory,
        "api_url": api,
        "database_url": database,
        "broker_url": broker,
    })
}

fn json_object(object: &ObjectReport, status: &[ObjectStatus]) -> Value {
    json!({
        "object": object.api_name,
        "in_org": object.in_org_live,
        "here": object.here_live - object.hidden_with_parent,
        "deleted_in_org": object.in_org_deleted,
        "verified": object.is_exact(),
        "values_compared": object.values,
        "missing": object.missing,
        "extra": object.extra,
        "different": object.different,
        "drifted": object.drifted,
        "hidden_with_parent": object.hidden_with_parent,
        "api_calls": calls(status, &object.api_name),
    })
}

fn json_tickets(tickets: &TicketReport) -> Value {
    json!({
        "in_org": tickets.in_org,
        "here": tickets.here,
        "messages_in_org": tickets.messages_in_org,
        "messages_here": tickets.messages_here,
        "verified": tickets.is_exact(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_becomes_one_short_line() {
        assert_eq!(short("Hello\r\n\r\n  world"), "Hello world");
        let long = short(&"ü".repeat(500));
        assert_eq!(long.chars().count(), SHOWN_TEXT);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn the_table_says_no_where_something_differs() {
        let exact = ObjectReport {
            api_name: "Case".to_owned(),
            in_org_live: 1_200,
            here_live: 1_200,
            values: 7,
            ..ObjectReport::default()
        };
        let wrong = ObjectReport { api_name: "Task".to_owned(), missing: 2, ..ObjectReport::default() };
        let report = Report { objects: vec![exact, wrong], tickets: TicketReport::default() };
        let text = table(&report, &[]);
        assert!(text.contains("1,200      1,200   yes, 7 values"), "{text}");
        assert!(text.contains("NO: 2 missing, 0 extra, 0 differ"), "{text}");
        assert!(!report.is_exact());
    }
}
