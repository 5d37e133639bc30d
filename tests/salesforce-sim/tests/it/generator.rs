//! Generated orgs (the library is used directly: two whole orgs are compared).

use std::collections::HashMap;
use std::sync::Arc;

use salesforce_sim::generate::{self, Recipe, edits};
use salesforce_sim::id::SfId;
use salesforce_sim::schema::Catalog;
use salesforce_sim::store::write::When;
use salesforce_sim::store::{State, Store};
use salesforce_sim::value::Cell;

const NOW: i64 = 1_795_000_000_000;

fn org(cases: usize, seed: u64) -> Store {
    org_with_mails(cases, seed, 0)
}

fn org_with_mails(cases: usize, seed: u64, mail_characters: usize) -> Store {
    let mut store = Store::new(Arc::new(Catalog::support_org()), *b"Rf");
    let org_id = SfId::new(*b"00D", *b"Rf", 1);
    let recipe =
        Recipe { cases, seed, mail_characters, now: NOW, username: "user@example.com".to_owned(), org_id };
    generate::fill(&mut store, &recipe);
    store
}

fn printed(store: &Store) -> String {
    let tables = store.tables.iter().map(|(_, table)| {
        let row = |handle| {
            let record = table.record(handle).unwrap();
            format!("{} {:?} {} {:?}", record.id, record.state(), record.stamp(), record.values())
        };
        table.handles().map(row).collect::<Vec<String>>().join("\n")
    });
    tables.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_seed_makes_the_same_org_every_time() {
    assert_eq!(printed(&org(300, 5)), printed(&org(300, 5)));
    assert_ne!(printed(&org(50, 5)), printed(&org(50, 6)));
}

#[test]
fn an_org_has_the_promised_shape() {
    let store = org(2_500, 1);
    let count = |name: &str| store.table(name).len();
    let per_case = |name: &str| count(name) * 100 / count("Case");
    assert_eq!(count("Case"), 2_500);
    assert!((200..300).contains(&per_case("CaseComment")), "{}", per_case("CaseComment"));
    assert!((160..250).contains(&per_case("EmailMessage")), "{}", per_case("EmailMessage"));
    assert!((320..520).contains(&per_case("CaseHistory")), "{}", per_case("CaseHistory"));
    assert!((40..=201).contains(&count("User")));
    assert!(count("Contact") >= 1_500 && count("Task") > 1_000 && count("RecordType") == 6);
    let cases = store.table("Case");
    let deleted = cases.handles().filter(|handle| cases.state(*handle) == Some(State::Deleted)).count();
    assert!(deleted > 10, "{deleted}");
}

#[test]
fn mails_are_as_long_as_wanted() {
    let (short, long) = (org(100, 5), org_with_mails(100, 5, 5_000));
    let bodies = |store: &Store| -> Vec<usize> {
        let mails = store.table("EmailMessage");
        let body = mails.schema.slot("TextBody");
        let length = |handle| match mails.record(handle).unwrap().cell(body) {
            Cell::Text(text) => text.len(),
            other => panic!("{other:?}"),
        };
        mails.handles().map(length).collect()
    };
    assert!(bodies(&short).iter().any(|length| *length < 1_000));
    assert!(bodies(&long).iter().all(|length| *length >= 5_000));
    assert!(bodies(&long).iter().any(|length| *length < 6_000), "not all are pasted logs");
}

#[test]
fn a_small_org_can_be_edited_though_it_lacks_some_objects() {
    for seed in 1..20 {
        let mut store = org(20, seed);
        let when = When::at(NOW + 60_000, store.table("User").id(0));
        let edited = edits::edit(&mut store, 200, seed, when);
        assert!(edited.created.contains_key("Case"), "{seed}: {edited:?}");
    }
}

#[test]
fn one_second_holds_more_than_a_page() {
    for cases in [2_000, 2_500] {
        let store = org(cases, 3);
        let mut largest = 0;
        for name in ["Case", "CaseHistory"] {
            let table = store.table(name);
            let mut ties: HashMap<i64, usize> = HashMap::new();
            for handle in table.handles() {
                *ties.entry(table.record(handle).unwrap().stamp()).or_default() += 1;
            }
            largest = largest.max(ties.values().copied().max().unwrap());
        }
        assert!(largest > 2_000, "{cases} cases: {largest}");
    }
}

#[test]
fn stamps_lie_in_the_past_and_sizes_are_skewed() {
    let store = org(1_000, 2);
    let mails = store.table("EmailMessage");
    let parent = mails.schema.slot("ParentId");
    let mut sizes: HashMap<SfId, usize> = HashMap::new();
    for handle in mails.handles() {
        let mail = mails.record(handle).unwrap();
        assert!(mail.stamp() <= NOW && mail.stamp() % 1_000 == 0);
        *sizes.entry(mail.id_at(parent).unwrap()).or_default() += 1;
    }
    let largest = sizes.values().max().unwrap();
    assert!(*largest >= 20, "{largest}");
    assert!(sizes.len() < 950, "some cases have no mail: {}", sizes.len());
}
