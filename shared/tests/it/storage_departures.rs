//! Records of which nothing is told but that they are gone: what stays of them, and which of their items are looked at.

use refrain_shared::job::related::MOST_IDS;
use refrain_shared::record::{RecordState, StateReason};
use refrain_shared::storage::page_commit::PageRow;
use refrain_shared::ticket::{FacetValue, PersonRow, Projected};
use serde_json::{Value, json};

use crate::fixture::{Store, Tenant, at, gone, id};

/// The row as the log of deletions, or a sweep, tells of it: by its id alone.
fn bare(row: PageRow, state: RecordState, stamp: i64) -> PageRow {
    let mut row = gone(row, stamp);
    row.record.state = state;
    row.projected = Projected::Gone;
    row
}

const DELETED: RecordState = RecordState::Tombstone(StateReason::Deleted);
const MERGED: RecordState = RecordState::Tombstone(StateReason::Merged);
const HIDDEN: RecordState = RecordState::Stub(StateReason::NotVisible);

/// A case with a facet.
fn case(tenant: &Tenant, n: usize) -> PageRow {
    let mut row = tenant.case_row(n, 5);
    if let Projected::Ticket(ticket) = &mut row.projected {
        ticket.facets.push(("area".to_owned(), FacetValue::Text("Billing".to_owned())));
    }
    row
}

async fn ticket(tenant: &Tenant, n: usize) -> Value {
    let sql = format!(
        "SELECT state, reason, number, status, owner_id, contact_id, opened_at IS NOT NULL AS opened, merged_into, feed_seq,
                (SELECT count(*) FROM ticket_facets f WHERE f.record_id = t.record_id) AS facets
           FROM tickets t WHERE record_id = '{}'",
        id("500", n)
    );
    tenant.look_one(&sql).await
}

async fn feed(tenant: &Tenant) -> Value {
    tenant.look_one("SELECT head, tickets, shells FROM tenant_feed").await
}

/// Objects that are read, so that their records may be asked for.
async fn loaded(store: &Store) {
    store.execute("UPDATE checkpoints SET state = 'current'").await;
}

/// The lists of ids that are to be looked at because what they belong to left.
async fn looked_at(tenant: &Tenant) -> Vec<Value> {
    let sql = "SELECT object_id, params FROM jobs WHERE kind = 'related' ORDER BY job_id";
    tenant.look(sql).await
}

#[tokio::test]
async fn a_ticket_that_is_only_known_to_be_gone_keeps_its_values_and_changes_its_state() {
    let store = Store::open("departures_ticket").await;
    let (acme, other) = (Tenant::make(&store).await, Tenant::make(&store).await);
    for tenant in [&acme, &other] {
        tenant.store(tenant.case, vec![case(tenant, 1), case(tenant, 2)]).await;
    }
    let (before, others) = (ticket(&acme, 1).await, other.everything().await);
    let mut merged = bare(acme.case_row(1, 5), MERGED, 9);
    merged.merged_into = Some(id("500", 2));
    acme.store(acme.case, vec![merged]).await;
    let mut expected = before.clone();
    expected["state"] = json!(2);
    expected["reason"] = json!(12);
    expected["merged_into"] = json!(id("500", 2).as_str());
    expected["feed_seq"] = json!(3);
    expected["facets"] = json!(0);
    assert_eq!(ticket(&acme, 1).await, expected);
    assert_eq!(feed(&acme).await, json!({"head": 3, "tickets": 1, "shells": 0}));
    assert_eq!(ticket(&acme, 2).await["state"], 0);
    assert_eq!(other.everything().await, others, "the other tenant has a case of the same id");

    // It comes back as it is read then, with what it is filtered by.
    let mut back = case(&acme, 1);
    (back.record.order.stamp, back.record.order.read_at) = (at(20), at(20));
    acme.store(acme.case, vec![back]).await;
    let ticket = ticket(&acme, 1).await;
    assert_eq!(
        (&ticket["state"], &ticket["facets"], &ticket["merged_into"]),
        (&json!(0), &json!(1), &json!(null))
    );
    assert_eq!(feed(&acme).await["tickets"], 2);
}

#[tokio::test]
async fn of_what_may_not_be_seen_any_more_no_value_stays() {
    let store = Store::open("departures_hidden").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![case(&acme, 1)]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 10)]).await;
    acme.store(acme.case, vec![bare(acme.case_row(1, 5), HIDDEN, 9)]).await;
    acme.store(acme.comment, vec![bare(acme.comment_row(1, 1, 10), HIDDEN, 19)]).await;
    let ticket = ticket(&acme, 1).await;
    let shown = ["number", "status", "owner_id", "contact_id"].map(|column| &ticket[column]);
    assert_eq!(
        (&ticket["state"], &ticket["reason"], &ticket["opened"]),
        (&json!(2), &json!(3), &json!(false))
    );
    assert_eq!(shown, [&Value::Null; 4]);
    assert_eq!(
        acme.look_one("SELECT state, author_id, ticket_record_id FROM messages").await,
        json!({"state": 2, "author_id": null, "ticket_record_id": id("500", 1).as_str()})
    );
    let left = "SELECT count(*) AS n FROM records WHERE payload IS NOT NULL OR content_hash IS NOT NULL";
    assert_eq!(acme.look_one(left).await["n"], 0);
}

#[tokio::test]
async fn people_who_are_gone_keep_their_token_and_those_out_of_sight_do_not() {
    let store = Store::open("departures_people").await;
    let acme = Tenant::make(&store).await;
    let person = |n| {
        let mut row = acme.bare(acme.case, n, 5);
        let email = Some("ann@example.com".to_owned());
        row.projected = Projected::Agent(PersonRow { active: true, account_id: None, email });
        row.email_token = Some([7; 16]);
        row
    };
    acme.store(acme.case, vec![person(1), person(2)]).await;
    acme.store(acme.case, vec![bare(person(1), DELETED, 9), bare(person(2), HIDDEN, 9)]).await;
    assert_eq!(
        acme.look("SELECT state, email_token IS NOT NULL AS known FROM agents ORDER BY record_id").await,
        [json!({"state": 2, "known": true}), json!({"state": 2, "known": false})]
    );
}

#[tokio::test]
async fn what_was_never_here_becomes_a_tombstone_that_counts_for_nothing() {
    let store = Store::open("departures_unknown").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![bare(acme.case_row(1, 5), DELETED, 9)]).await;
    acme.store(acme.comment, vec![bare(acme.comment_row(1, 1, 10), DELETED, 9)]).await;
    assert_eq!(ticket(&acme, 1).await["state"], 2);
    assert_eq!(feed(&acme).await["tickets"], 0);
    for object in [acme.case, acme.comment] {
        let checkpoint = acme.checkpoint(object).await;
        assert_eq!((&checkpoint["live"], &checkpoint["items"]), (&json!(0), &json!(0)));
    }
}

#[tokio::test]
async fn items_of_what_left_are_looked_at_one_by_one_and_only_once() {
    let store = Store::open("departures_items").await;
    let (acme, other) = (Tenant::make(&store).await, Tenant::make(&store).await);
    loaded(&store).await;
    for tenant in [&acme, &other] {
        tenant.store(tenant.case, vec![tenant.case_row(1, 5), tenant.case_row(2, 5)]).await;
        let comments = [(1, 1), (2, 1), (3, 2), (4, 1)].map(|(n, of)| tenant.comment_row(n, of, 10));
        tenant.store(tenant.comment, comments.into()).await;
        tenant.store(tenant.history, vec![tenant.event_row(1, 1, 10)]).await;
    }
    // One is gone already, and one object is not read now.
    acme.store(acme.comment, vec![gone(acme.comment_row(4, 1, 10), 12)]).await;
    store
        .execute(&format!(
            "UPDATE checkpoints SET state = 'parked', ask = '{{}}' WHERE object_id = {}",
            acme.history.id.0
        ))
        .await;
    acme.store(acme.case, vec![bare(acme.case_row(1, 5), DELETED, 20)]).await;
    let ids = [1, 2].map(|n| id("00a", n).to_string());
    let wanted = json!({"object_id": acme.comment.id.0, "params": {"field": "Id", "gone": true, "ids": ids}});
    assert_eq!(looked_at(&acme).await, [wanted]);
    assert!(looked_at(&other).await.is_empty());

    // Told again, and by another witness, it leaves nothing more to look at.
    acme.store(acme.case, vec![bare(acme.case_row(1, 5), DELETED, 30)]).await;
    acme.store(acme.case, vec![gone(acme.case_row(1, 5), 40)]).await;
    assert_eq!(looked_at(&acme).await.len(), 1);
}

#[tokio::test]
async fn an_item_that_comes_after_its_ticket_left_is_looked_at_too() {
    let store = Store::open("departures_late").await;
    let acme = Tenant::make(&store).await;
    loaded(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 5), acme.case_row(2, 5)]).await;
    acme.store(acme.case, vec![gone(acme.case_row(1, 5), 20)]).await;
    assert!(looked_at(&acme).await.is_empty(), "nothing is here of it");
    // Its page was read before the case left.
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 10), acme.comment_row(2, 2, 10)]).await;
    let ids = [id("00a", 1).to_string()];
    let wanted = json!({"object_id": acme.comment.id.0, "params": {"field": "Id", "gone": true, "ids": ids}});
    assert_eq!(looked_at(&acme).await, [wanted]);
    // One that is gone as well leaves nothing to look at.
    acme.store(acme.comment, vec![gone(acme.comment_row(1, 1, 10), 30)]).await;
    assert_eq!(looked_at(&acme).await.len(), 1);
}

#[tokio::test]
async fn many_items_of_what_left_are_looked_at_in_several_jobs() {
    let store = Store::open("departures_many").await;
    let acme = Tenant::make(&store).await;
    loaded(&store).await;
    let most = MOST_IDS;
    acme.store(acme.case, vec![acme.case_row(1, 5)]).await;
    acme.store(acme.comment, (0..=most).map(|n| acme.comment_row(n, 1, 10)).collect()).await;
    acme.store(acme.case, vec![gone(acme.case_row(1, 5), 20)]).await;
    let lists = looked_at(&acme).await;
    let mut ids: Vec<&str> = lists
        .iter()
        .flat_map(|list| list["params"]["ids"].as_array().unwrap())
        .map(|id| id.as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((lists.len(), ids.len()), (2, most + 1));
}

#[tokio::test]
async fn what_came_back_and_was_merged_between_two_looks_leads_to_the_items_of_its_survivor() {
    let store = Store::open("departures_merged").await;
    let mut acme = Tenant::make(&store).await;
    loaded(&store).await;
    acme.parents.children = vec![(acme.comment.id, "ParentId".to_owned())];
    let describe = json!({"fields": [{"name": "ParentId", "referenceTo": ["Case"]}]});
    let (object, tenant) = (acme.comment.id.0, acme.id());
    store
        .execute(&format!(
            "INSERT INTO describes (object_id, tenant_id, body, linked, fetched_at)
             VALUES ({object}, '{tenant}', '{describe}', '[]', now())"
        ))
        .await;
    acme.store(acme.case, vec![acme.case_row(1, 5), acme.case_row(2, 5)]).await;
    acme.store(acme.case, vec![bare(acme.case_row(1, 5), DELETED, 20)]).await;
    assert!(looked_at(&acme).await.is_empty());
    let mut merged = bare(acme.case_row(1, 5), MERGED, 30);
    merged.merged_into = Some(id("500", 2));
    acme.store(acme.case, vec![merged]).await;
    let wanted = json!({"object_id": object, "params": {"field": "ParentId", "ids": [id("500", 2)]}});
    assert_eq!(looked_at(&acme).await, [wanted]);
}
