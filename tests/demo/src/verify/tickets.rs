//! The tickets that the records became: one for each live record of a ticket object, with as many messages as
//! the org has comments and e-mails for it.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use refrain_shared::storage::TenantTx;
use tokio_postgres::Row;

use super::objects::Walk;
use super::report::TicketReport;
use super::stored::{Store, Sync};

/// A ticket as it is stored.
#[derive(Debug, Clone)]
struct Ticket {
    id: String,
    live: bool,
    awaiting_parent: bool,
    messages: u64,
}

/// Compares all tickets of the connection.
pub(super) async fn compare(store: &Store, syncs: &[Sync], walks: &[Walk]) -> anyhow::Result<TicketReport> {
    const SQL: &str = "SELECT record_id, state, messages FROM tickets
        WHERE tenant_id = $1 AND connection_id = $2 AND object_id = ANY($3)";
    let objects: Vec<i32> =
        syncs.iter().filter(|sync| sync.role == "ticket").map(|sync| sync.object.0).collect();
    let mut client = store.db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &store.scope).await?;
    let rows = tx.sql().query(SQL, &[&store.scope.tenant().0, &store.connection.0, &objects]).await;
    let ticket = |row: &Row| Ticket {
        id: row.get(0),
        live: row.get::<_, i16>(1) == 0,
        awaiting_parent: row.get::<_, i16>(1) == 1,
        messages: u64::try_from(row.get::<_, i32>(2)).unwrap_or_default(),
    };
    let stored: Vec<Ticket> = rows.context("read the tickets")?.iter().map(ticket).collect();
    let org: HashSet<&str> = walks.iter().flat_map(|walk| walk.tickets.iter().map(String::as_str)).collect();
    let parents = walks.iter().flat_map(|walk| &walk.parents_of_messages);
    let holders: HashMap<&str, &[String]> = walks
        .iter()
        .flat_map(|walk| walk.holders.iter().map(|(id, named)| (id.as_str(), named.as_slice())))
        .collect();
    Ok(judged(&org, &said(&org, &holders, parents), &stored))
}

/// Messages of each ticket. A message belongs to the first of the records it names that is of a ticket's kind, or else
/// to the ticket of the session that it names first; ids of one kind share their first three characters.
fn said<'a>(
    tickets: &HashSet<&'a str>,
    holders: &HashMap<&str, &'a [String]>,
    parents: impl Iterator<Item = &'a Vec<String>>,
) -> HashMap<&'a str, u64> {
    let kinds: HashSet<&str> = tickets.iter().filter_map(|id| id.get(..3)).collect();
    let mut said = HashMap::new();
    for named in parents {
        let of_kind = |named: &'a [String]| {
            named.iter().find(|id| id.get(..3).is_some_and(|kind| kinds.contains(kind)))
        };
        let through = || of_kind(holders.get(named.first()?.as_str())?);
        if let Some(ticket) = of_kind(named).or_else(through) {
            *said.entry(ticket.as_str()).or_default() += 1;
        }
    }
    said
}

fn judged(org: &HashSet<&str>, said: &HashMap<&str, u64>, stored: &[Ticket]) -> TicketReport {
    let count = |id: &str| said.get(id).copied().unwrap_or_default();
    let mut report = TicketReport {
        in_org: org.len() as u64,
        messages_in_org: org.iter().map(|id| count(id)).sum(),
        ..TicketReport::default()
    };
    let mut seen = HashSet::new();
    for ticket in stored {
        report.awaiting_parent += u64::from(ticket.awaiting_parent);
        if !ticket.live {
            continue;
        }
        report.here += 1;
        report.messages_here += ticket.messages;
        if !org.contains(ticket.id.as_str()) {
            report.extra += 1;
            report.note(&ticket.id, "a live ticket here, not live in the org");
        } else if ticket.messages != count(&ticket.id) {
            report.miscounted += 1;
            report.note(&ticket.id, "another number of messages");
        }
        seen.insert(ticket.id.as_str());
    }
    let mut missing: Vec<&&str> = org.difference(&seen).collect();
    missing.sort_unstable();
    for id in missing {
        report.missing += 1;
        report.note(id, "live in the org, no live ticket here");
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(id: &str, messages: u64) -> Ticket {
        Ticket { id: id.to_owned(), live: true, awaiting_parent: false, messages }
    }

    fn named(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn a_message_counts_for_the_first_ticket_it_names() {
        let org = HashSet::from(["500A", "00TA"]);
        let parents =
            [&["500A"][..], &["001X", "500A"], &["003X"], &["00TA", "500A"], &["0MwA"], &["0MwB"]].map(named);
        let session = named(&["500A"]);
        let holders = HashMap::from([("0MwA", session.as_slice())]);
        let said = said(&org, &holders, parents.iter());
        assert_eq!((said["500A"], said["00TA"], said.len()), (3, 1, 2));
    }

    #[test]
    fn missing_extra_miscounted_and_waiting_tickets_are_found() {
        let org = HashSet::from(["500A", "500B", "500C"]);
        let said = HashMap::from([("500A", 2), ("500B", 1)]);
        let exact = judged(&org, &said, &[ticket("500A", 2), ticket("500B", 1), ticket("500C", 0)]);
        assert!(exact.is_exact());
        assert_eq!((exact.in_org, exact.here, exact.messages_in_org, exact.messages_here), (3, 3, 3, 3));

        let gone = Ticket { live: false, ..ticket("500C", 0) };
        let shell = Ticket { live: false, awaiting_parent: true, ..ticket("500E", 1) };
        let wrong = judged(&org, &said, &[ticket("500A", 1), gone, ticket("500D", 0), shell]);
        assert_eq!((wrong.missing, wrong.extra, wrong.miscounted, wrong.awaiting_parent), (2, 1, 1, 1));
        assert!(!wrong.is_exact());
    }
}
