//! Tickets whose time is over, against pages that know better or worse: nothing is lost, nothing stays, and only the
//! tenant's own goes.

use refrain_shared::clock::Timestamp;
use refrain_shared::job::Lease;
use refrain_shared::record::{RecordState, StateReason};
use refrain_shared::retention::Policy;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::chunks::ChunkStore;
use refrain_shared::storage::control::retention::retention_set;
use refrain_shared::storage::expiry::{Expire, Expired, tickets_expire};
use refrain_shared::storage::page_commit::{PageCommit, PageRow, page_commit};
use refrain_shared::ticket::Projected;
use serde_json::{Value, json};

use crate::fixture::{Pause, Store, Tenant, at, id};

const DAY: i64 = 86_400;

/// A tenant whose tickets are kept for a month, with all history read.
async fn monthly(store: &Store) -> Tenant {
    let mut tenant = Tenant::make(store).await;
    retention_set(&store.control, &tenant.scope, &Policy::default()).await.unwrap();
    tenant.gate.retention = Policy::default();
    let current = format!("UPDATE checkpoints SET state = 'current' WHERE tenant_id = '{}'", tenant.id());
    store.execute(&current).await;
    tenant
}

/// What the object's job would do at this moment.
async fn purge_under(tenant: &Tenant, lease: &Lease, now: Timestamp) -> Result<Expired, StoreError> {
    let mut client = tenant.db.tenant().await?;
    let expire = Expire {
        why: refrain_shared::record::StateReason::Expired,
        lease,
        now,
        each: 100,
        shells: true,
        chunks: &ChunkStore::default(),
        progress: &json!({}),
        before_commit: || {},
    };
    tickets_expire(&mut client, &expire).await
}

async fn purge(tenant: &Tenant, days: i64) -> Expired {
    let lease = tenant.lease(tenant.case).await;
    purge_under(tenant, &lease, at(days * DAY)).await.unwrap()
}

/// Commits rows that were read so many days later than the tests' day began.
async fn store_at(tenant: &Tenant, days: i64, rows: Vec<PageRow>) {
    let is_case = rows.iter().any(|row| row.record.id.key_prefix() == "500");
    let object = if is_case { tenant.case } else { tenant.comment };
    let lease = tenant.lease(object).await;
    let page = PageCommit { read_at: at(days * DAY), ..tenant.page(&lease, rows) };
    tenant.commit(page).await.unwrap();
}

/// The row as a page brings it that lets it go.
fn let_go(mut row: PageRow) -> PageRow {
    row.record.state = RecordState::Stub(StateReason::Expired);
    row.record.sealed = None;
    if let Projected::Message(message) = &row.projected {
        row.projected = Projected::LetGo { of: message.ticket_record };
    }
    row
}

async fn ticket(tenant: &Tenant, n: usize) -> Value {
    let sql =
        format!("SELECT state, reason, expired, messages FROM tickets WHERE record_id = '{}'", id("500", n));
    tenant.look_one(&sql).await
}

fn left() -> Value {
    json!({"state": 2, "reason": 2, "expired": true, "messages": 0})
}

/// Records that jobs are to read by reference: the object and the field that names them.
async fn asked(tenant: &Tenant) -> Vec<Value> {
    tenant.look("SELECT object_id, params->>'field' AS field, params->'ids' AS ids FROM jobs WHERE kind = 'related'").await
}

async fn live(tenant: &Tenant) -> Value {
    tenant
        .look_one(
            "SELECT (SELECT count(*) FROM records WHERE state = 0) AS records, (SELECT count(*) FROM messages) AS items,
                    (SELECT sum(live)::int FROM checkpoints) AS kept_records, (SELECT sum(items)::int FROM checkpoints) AS kept_items,
                    tickets, shells FROM tenant_feed",
        )
        .await
}

fn numbers(records: i64, items: i64, tickets: i64, shells: i64) -> Value {
    json!({"records": records, "items": items, "kept_records": records, "kept_items": items, "tickets": tickets,
        "shells": shells})
}

#[tokio::test]
async fn a_page_planned_under_another_policy_changes_nothing() {
    let store = Store::open("expiry_policy").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    retention_set(&store.control, &acme.scope, &Policy::default()).await.unwrap();
    let refused = acme.commit(acme.page(&lease, vec![acme.case_row(1, 0)])).await;
    assert!(matches!(refused, Err(StoreError::GateMoved { what: "retention" })), "{refused:?}");
    assert!(acme.look("SELECT record_id FROM records").await.is_empty());
}

#[tokio::test]
async fn what_is_due_leaves_in_one_commit_and_another_tenants_stays() {
    let store = Store::open("expiry_due").await;
    let (acme, umbra) = (monthly(&store).await, monthly(&store).await);
    for tenant in [&acme, &umbra] {
        store_at(tenant, 0, vec![tenant.case_row(1, 0), tenant.case_row(2, 20 * DAY)]).await;
        store_at(
            tenant,
            0,
            vec![tenant.comment_row(1, 1, 5), tenant.comment_row(2, 2, 6), tenant.comment_row(3, 1, 7)],
        )
        .await;
    }
    let others = umbra.everything().await;
    assert_eq!(purge(&acme, 29).await, Expired::Nothing, "its time is not over");
    assert_eq!(purge(&acme, 31).await, Expired::Left { tickets: 1, records: 3 });
    assert_eq!(ticket(&acme, 1).await, left());
    assert_eq!(ticket(&acme, 2).await, json!({"state": 0, "reason": null, "expired": false, "messages": 1}));
    assert_eq!(live(&acme).await, numbers(2, 1, 1, 0));
    assert_eq!(purge(&acme, 31).await, Expired::Nothing, "once is enough");
    assert_eq!(umbra.everything().await, others);
}

#[tokio::test]
async fn a_purge_under_an_older_fence_changes_nothing() {
    let store = Store::open("expiry_fence").await;
    let acme = monthly(&store).await;
    store_at(&acme, 0, vec![acme.case_row(1, 0)]).await;
    let lease = acme.lease(acme.case).await;
    store.execute("UPDATE jobs SET fence = fence + 1").await;
    let before = acme.everything().await;
    let refused = purge_under(&acme, &lease, at(31 * DAY)).await;
    assert!(matches!(refused, Err(StoreError::FenceLost)), "{refused:?}");
    assert_eq!(acme.everything().await, before);
}

#[tokio::test]
async fn a_purge_that_dies_before_its_commit_changes_nothing_and_the_next_does_it_all() {
    let store = Store::open("expiry_killed").await;
    let acme = monthly(&store).await;
    store_at(&acme, 0, vec![acme.case_row(1, 0)]).await;
    store_at(&acme, 0, vec![acme.comment_row(1, 1, 5)]).await;
    let lease = acme.lease(acme.case).await;
    let before = acme.everything().await;
    let dying = tokio::spawn({
        let acme = acme.clone();
        async move {
            let mut client = acme.db.tenant().await.unwrap();
            let expire = Expire {
                why: refrain_shared::record::StateReason::Expired,
                lease: &lease,
                now: at(31 * DAY),
                each: 100,
                shells: true,
                chunks: &ChunkStore::default(),
                progress: &json!({}),
                before_commit: || panic!("killed"),
            };
            tickets_expire(&mut client, &expire).await
        }
    });
    assert!(dying.await.unwrap_err().is_panic());
    assert_eq!(acme.everything().await, before);
    assert_eq!(purge(&acme, 31).await, Expired::Left { tickets: 1, records: 2 });
}

#[tokio::test]
async fn an_item_that_came_by_an_old_page_goes_with_the_next_purge() {
    let store = Store::open("expiry_late").await;
    let acme = monthly(&store).await;
    store_at(&acme, 0, vec![acme.case_row(1, 0)]).await;
    purge(&acme, 31).await;
    // Planned while the ticket was here.
    store_at(&acme, 31, vec![acme.comment_row(1, 1, 5)]).await;
    assert_eq!(ticket(&acme, 1).await["expired"], json!(false), "something of it is here");
    assert_eq!(ticket(&acme, 1).await["reason"], json!(2), "and it stays gone");
    assert!(asked(&acme).await.is_empty());
    assert_eq!(purge(&acme, 31).await, Expired::Left { tickets: 0, records: 1 });
    assert_eq!(ticket(&acme, 1).await, left());
    assert_eq!(live(&acme).await, numbers(0, 0, 0, 0));
}

#[tokio::test]
async fn a_word_inside_of_the_cut_off_makes_a_ticket_that_left_a_shell_whose_record_is_asked_for() {
    let store = Store::open("expiry_word").await;
    let acme = monthly(&store).await;
    store_at(&acme, 0, vec![acme.case_row(1, 0)]).await;
    purge(&acme, 31).await;
    store_at(&acme, 32, vec![acme.comment_row(1, 1, 32 * DAY)]).await;
    assert_eq!(ticket(&acme, 1).await, json!({"state": 1, "reason": null, "expired": false, "messages": 1}));
    let wanted = json!({"object_id": acme.case.id.0, "field": "Id", "ids": [id("500", 1)]});
    assert_eq!(asked(&acme).await, [wanted]);
    assert_eq!(live(&acme).await, numbers(1, 1, 0, 1));
    // It is not purged while it is talked about, and is once nobody answered for a month.
    assert_eq!(purge(&acme, 61).await, Expired::Nothing);
    assert_eq!(purge(&acme, 63).await, Expired::Left { tickets: 1, records: 1 });
    assert_eq!(ticket(&acme, 1).await, left());
}

#[tokio::test]
async fn a_ticket_that_a_page_lets_go_although_it_is_talked_about_is_a_shell_and_asked_for() {
    let store = Store::open("expiry_talked").await;
    let acme = monthly(&store).await;
    store_at(&acme, 32, vec![acme.comment_row(1, 1, 30 * DAY)]).await;
    store.execute("DELETE FROM jobs").await;
    // The page did not know of the comment; its case was silent for a month.
    store_at(&acme, 32, vec![let_go(acme.case_row(1, 0)), let_go(acme.case_row(2, 0))]).await;
    assert_eq!(ticket(&acme, 1).await, json!({"state": 1, "reason": null, "expired": false, "messages": 1}));
    assert_eq!(ticket(&acme, 2).await, left());
    let wanted = json!({"object_id": acme.case.id.0, "field": "Id", "ids": [id("500", 1)]});
    assert_eq!(asked(&acme).await, [wanted]);
    assert_eq!(live(&acme).await, numbers(1, 1, 0, 1));
    let counts = format!(
        "SELECT records_read, written, expired FROM checkpoints WHERE object_id = {}",
        acme.case.id.0
    );
    assert_eq!(acme.look_one(&counts).await, json!({"records_read": 2, "written": 0, "expired": 2}));
}

#[tokio::test]
async fn items_that_a_page_lets_go_after_their_ticket_came_back_are_read_anew() {
    let store = Store::open("expiry_back").await;
    let mut acme = monthly(&store).await;
    acme.parents.children = vec![(acme.comment.id, "ParentId".to_owned())];
    let describe = json!({"fields": [{"name": "ParentId", "referenceTo": ["Case"]}]});
    store
        .execute(&format!(
            "INSERT INTO describes (object_id, tenant_id, body, linked, fetched_at) VALUES ({}, '{}', '{describe}', '[]', now())",
            acme.comment.id.0,
            acme.id()
        ))
        .await;
    store_at(&acme, 31, vec![acme.case_row(1, 31 * DAY)]).await;
    assert!(asked(&acme).await.is_empty());
    store_at(&acme, 31, vec![let_go(acme.comment_row(1, 1, 5))]).await;
    let wanted = json!({"object_id": acme.comment.id.0, "field": "ParentId", "ids": [id("500", 1)]});
    assert_eq!(asked(&acme).await, [wanted]);
}

#[tokio::test]
async fn a_ticket_that_comes_back_asks_for_its_items_even_if_its_own_record_was_never_here() {
    let store = Store::open("expiry_shell").await;
    let mut acme = monthly(&store).await;
    acme.parents.children = vec![(acme.comment.id, "ParentId".to_owned())];
    let describe = json!({"fields": [{"name": "ParentId", "referenceTo": ["Case"]}]});
    store
        .execute(&format!(
            "INSERT INTO describes (object_id, tenant_id, body, linked, fetched_at) VALUES ({}, '{}', '{describe}', '[]', now())",
            acme.comment.id.0,
            acme.id()
        ))
        .await;
    store_at(&acme, 0, vec![acme.comment_row(1, 1, 5)]).await;
    assert_eq!(purge(&acme, 31).await, Expired::Left { tickets: 1, records: 1 });
    store.execute("DELETE FROM jobs").await;
    store_at(&acme, 31, vec![acme.case_row(1, 31 * DAY)]).await;
    let wanted = json!({"object_id": acme.comment.id.0, "field": "ParentId", "ids": [id("500", 1)]});
    assert_eq!(asked(&acme).await, [wanted]);
    assert_eq!(live(&acme).await, numbers(1, 0, 1, 0));
}

/// A page with one more comment on the case, held at its last moment while a purge waits for it; gives what the purge did.
async fn meeting(store: &Store, acme: &Tenant, (said, pause): (i64, fn()), reached: &Pause) -> Expired {
    store_at(acme, 0, vec![acme.case_row(1, 0)]).await;
    store_at(acme, 0, vec![acme.comment_row(1, 1, 5)]).await;
    let (page_lease, purge_lease) = (acme.lease(acme.comment).await, acme.lease(acme.case).await);
    let paused = tokio::spawn({
        let acme = acme.clone();
        async move {
            let rows = vec![acme.comment_row(2, 1, said)];
            let page =
                PageCommit { read_at: at(31 * DAY), before_commit: pause, ..acme.page(&page_lease, rows) };
            let mut client = acme.db.tenant().await.unwrap();
            page_commit(&mut client, page).await.map(|counts| counts.written)
        }
    });
    reached.reached().await;
    let purging = tokio::spawn({
        let acme = acme.clone();
        async move { purge_under(&acme, &purge_lease, at(31 * DAY)).await }
    });
    store.until_waiting(1).await;
    reached.release();
    assert_eq!(paused.await.unwrap().unwrap(), 1);
    purging.await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_purge_that_meets_a_page_with_a_new_word_takes_nothing() {
    static PAUSE: Pause = Pause::new();
    let store = Store::open("expiry_paused").await;
    let acme = monthly(&store).await;
    assert_eq!(meeting(&store, &acme, (31 * DAY, || PAUSE.stop()), &PAUSE).await, Expired::Moved);
    assert_eq!(ticket(&acme, 1).await, json!({"state": 0, "reason": null, "expired": false, "messages": 2}));
    assert_eq!(live(&acme).await, numbers(3, 2, 1, 0));
    assert_eq!(purge(&acme, 31).await, Expired::Nothing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_purge_that_meets_a_page_with_an_old_word_takes_it_along_the_next_time() {
    static PAUSE: Pause = Pause::new();
    let store = Store::open("expiry_paused_old").await;
    let acme = monthly(&store).await;
    assert_eq!(meeting(&store, &acme, (6, || PAUSE.stop()), &PAUSE).await, Expired::Moved);
    assert_eq!(live(&acme).await, numbers(3, 2, 1, 0), "none of it was done");
    assert_eq!(purge(&acme, 31).await, Expired::Left { tickets: 1, records: 3 });
    assert_eq!(live(&acme).await, numbers(0, 0, 0, 0));
}
