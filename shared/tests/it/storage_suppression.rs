//! A person who must not come back does not, even when the request arrives while a page is under way.

use refrain_shared::ids::KeyId;
use refrain_shared::record::{RecordState, StateReason};
use refrain_shared::storage::StoreError;
use refrain_shared::storage::keys::{GateEpochs, suppressions_add, suppressions_load};
use refrain_shared::storage::page_commit::{PageCommit, PageRow};
use refrain_shared::ticket::{FacetValue, PersonRow, Projected};
use serde_json::json;

use crate::fixture::{Store, Tenant};

/// The row that the worker builds when it sees that the record names a suppressed person.
fn erased(mut row: PageRow) -> PageRow {
    row.record.state = RecordState::Stub(StateReason::Erased);
    row.record.sealed = None;
    row
}

async fn gate_now(acme: &Tenant) -> GateEpochs {
    let row = acme.look_one("SELECT suppression_epoch, mapping_epoch, data_key_id FROM tenant_gates").await;
    let number = |column: &str| row[column].as_i64().unwrap();
    GateEpochs {
        retention: acme.gate.retention,
        suppression: number("suppression_epoch"),
        mapping: number("mapping_epoch"),
        data_key: KeyId(i32::try_from(number("data_key_id")).unwrap()),
    }
}

#[tokio::test]
async fn a_suppression_that_comes_during_a_page_makes_it_plan_again() {
    let store = Store::open("suppression_race").await;
    let acme = Tenant::make(&store).await;
    let token = acme.keys.identity_token("email:ann@example.com");
    let row = || {
        let mut row = acme.case_row(1, 10);
        row.record.identities = token.to_vec();
        row
    };
    let lease = acme.lease(acme.case).await;
    let planned = acme.page(&lease, vec![row()]);
    suppressions_add(&acme.db, &acme.scope, &[token]).await.unwrap();

    let refused = acme.commit(planned).await;
    assert!(matches!(refused, Err(StoreError::GateMoved { what: "suppression" })), "{refused:?}");
    assert!(acme.look("SELECT record_id FROM records").await.is_empty());

    assert!(suppressions_load(&acme.db, &acme.scope).await.unwrap().contains(&token));
    let again = PageCommit { gate: gate_now(&acme).await, ..acme.page(&lease, vec![erased(row())]) };
    assert_eq!(acme.commit(again).await.unwrap(), 0, "a stub is not counted as written");
    let stored = "SELECT state, reason, payload, content_hash FROM records";
    let stub = json!({"state": 1, "reason": 5, "payload": null, "content_hash": null});
    assert_eq!(acme.look_one(stored).await, stub);
    let counts = "SELECT records_read, written, suppressed FROM checkpoints WHERE records_read > 0";
    assert_eq!(acme.look_one(counts).await, json!({"records_read": 1, "written": 0, "suppressed": 1}));
}

#[tokio::test]
async fn an_erased_case_leaves_nothing_of_itself_in_its_ticket() {
    let store = Store::open("suppression_ticket").await;
    let acme = Tenant::make(&store).await;
    let row = |stamp| {
        let mut row = acme.case_row(1, stamp);
        if let Projected::Ticket(ticket) = &mut row.projected {
            ticket.facets = vec![("name".to_owned(), FacetValue::Text("Ann".to_owned()))];
        }
        row
    };
    acme.store(acme.case, vec![row(10)]).await;
    acme.store(acme.case, vec![erased(row(20))]).await;
    let ticket =
        "SELECT state, reason, number, status, priority, channel, owner_id, contact_id, opened_at, closed_at
                    FROM tickets";
    assert_eq!(
        acme.look_one(ticket).await,
        json!({"state": 2, "reason": 5, "number": null, "status": null, "priority": null, "channel": null,
               "owner_id": null, "contact_id": null, "opened_at": null, "closed_at": null})
    );
    assert!(acme.look("SELECT facet FROM ticket_facets").await.is_empty());
}

#[tokio::test]
async fn an_erased_comment_is_gone_from_its_ticket_with_its_author() {
    let store = Store::open("suppression_comment").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 10)]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 20)]).await;
    acme.store(acme.comment, vec![erased(acme.comment_row(1, 1, 30))]).await;
    assert_eq!(
        acme.look_one("SELECT state, author_id FROM messages").await,
        json!({"state": 2, "author_id": null})
    );
    assert_eq!(acme.look_one("SELECT messages FROM tickets").await, json!({"messages": 0}));
}

#[tokio::test]
async fn an_erased_person_keeps_neither_account_nor_token() {
    let store = Store::open("suppression_person").await;
    let acme = Tenant::make(&store).await;
    let person = PersonRow { active: true, account_id: Some("001000000000001AAA".to_owned()), email: None };
    let rows = |stamp| {
        let (mut agent, mut customer) = (acme.bare(acme.case, 1, stamp), acme.bare(acme.case, 2, stamp));
        agent.projected = Projected::Agent(person.clone());
        customer.projected = Projected::Customer(person.clone());
        (agent.email_token, customer.email_token) = (Some([5; 16]), Some([6; 16]));
        vec![agent, customer]
    };
    acme.store(acme.case, rows(10)).await;
    acme.store(acme.case, rows(20).into_iter().map(erased).collect()).await;
    let gone = json!({"state": 2, "active": false, "email_token": null});
    assert_eq!(acme.look_one("SELECT state, active, email_token FROM agents").await, gone);
    let gone = json!({"state": 2, "account_id": null, "email_token": null});
    assert_eq!(acme.look_one("SELECT state, account_id, email_token FROM customers").await, gone);
}

#[tokio::test]
async fn the_same_token_twice_is_kept_once_and_raises_the_epoch_each_time() {
    let store = Store::open("suppression_twice").await;
    let acme = Tenant::make(&store).await;
    for _ in 0..2 {
        suppressions_add(&acme.db, &acme.scope, &[[3; 16], [4; 16]]).await.unwrap();
    }
    assert_eq!(suppressions_load(&acme.db, &acme.scope).await.unwrap().len(), 2);
    assert_eq!(gate_now(&acme).await.suppression, acme.gate.suppression + 2);
}
