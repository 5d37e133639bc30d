//! Reads that differ in whether a record is there, and nothing that tells which of them is right.

use refrain_shared::record::{RecordState, StateReason};
use refrain_shared::storage::page_commit::PageRow;
use refrain_shared::ticket::Projected;
use serde_json::{Value, json};

use crate::fixture::{Store, Tenant, at, id};

/// The row as a look at its id finds it missing: its stamp is what it was.
fn unanswered(mut row: PageRow, read_at: i64) -> PageRow {
    row.record.state = RecordState::Tombstone(StateReason::Purged);
    row.record.sealed = None;
    row.projected = Projected::Gone;
    read(row, read_at)
}

fn read(mut row: PageRow, read_at: i64) -> PageRow {
    row.record.order.read_at = at(read_at);
    row
}

/// The lists of ids that are looked at once more, and that none of them is due at once.
async fn looked_at(tenant: &Tenant) -> Vec<Value> {
    let sql = "SELECT object_id, params -> 'ids' AS ids, params -> 'gone' AS gone, available_at > created_at AS later
                 FROM jobs WHERE kind = 'related' ORDER BY job_id";
    tenant.look(sql).await
}

fn events(tenant: &Tenant, n: usize) -> Value {
    let ids = [id("017", n).to_string()];
    json!({"object_id": tenant.history.id.0, "ids": ids, "gone": true, "later": true})
}

#[tokio::test]
async fn two_reads_of_one_second_that_differ_are_followed_by_a_third() {
    let store = Store::open("unsettled_second").await;
    let acme = Tenant::make(&store).await;
    let event = |n, read_at| read(acme.event_row(n, 1, 5), read_at);
    acme.store(acme.history, vec![event(1, 300), event(2, 300), event(3, 300)]).await;
    acme.store(acme.history, vec![event(1, 300), unanswered(event(2, 300), 900)]).await;
    assert!(looked_at(&acme).await.is_empty(), "neither the same again nor one that was here for long");
    // One leaves and comes back within a second, and whichever commits later wins: that proves nothing.
    acme.store(acme.history, vec![unanswered(event(1, 0), 300)]).await;
    assert_eq!(looked_at(&acme).await, [events(&acme, 1)]);
    acme.store(acme.history, vec![event(2, 900)]).await;
    assert_eq!(looked_at(&acme).await, [events(&acme, 1), events(&acme, 2)]);
    // The third look agrees with what is here, or is the first of another round.
    acme.store(acme.history, vec![event(2, 903), unanswered(event(1, 0), 303)]).await;
    assert_eq!(looked_at(&acme).await.len(), 2);
}

#[tokio::test]
async fn a_read_that_is_kept_out_by_one_of_the_same_minute_is_followed_by_a_third() {
    let store = Store::open("unsettled_kept_out").await;
    let acme = Tenant::make(&store).await;
    let event = |n, read_at| read(acme.event_row(n, 1, 5), read_at);
    acme.store(acme.history, vec![event(1, 300), event(2, 300), event(3, 300)]).await;
    // Its Date is older, but the other query may have begun before it.
    assert_eq!(acme.store(acme.history, vec![unanswered(event(1, 0), 290)]).await, 0);
    assert_eq!(looked_at(&acme).await, [events(&acme, 1)]);
    assert_eq!(acme.store(acme.history, vec![unanswered(event(2, 0), 100), event(3, 290)]).await, 0);
    assert_eq!(looked_at(&acme).await.len(), 1, "no query takes that long; and the same differs in nothing");
    // A stamp that moved tells.
    let newer = read(acme.event_row(3, 1, 6), 300);
    acme.store(acme.history, vec![newer]).await;
    acme.store(acme.history, vec![unanswered(event(3, 0), 300)]).await;
    assert_eq!(looked_at(&acme).await.len(), 1);
}

#[tokio::test]
async fn items_of_what_came_back_while_they_were_looked_at_are_looked_at_again() {
    let store = Store::open("unsettled_back").await;
    let acme = Tenant::make(&store).await;
    let event = |n, of_case| acme.event_row(n, of_case, 5);
    acme.store(acme.case, vec![read(acme.case_row(1, 5), 990), read(acme.case_row(2, 5), 5)]).await;
    acme.store(acme.history, vec![event(1, 1), event(2, 2), event(3, 3)]).await;
    // The case is back; whoever read its items found them unchanged, for this look had not ended.
    let mut lease = acme.lease(acme.history).await;
    lease.params = json!({"field": "Id", "gone": true});
    let rows = |read_at| (1..=3).map(|n| unanswered(event(n, n), read_at)).collect();
    acme.commit(acme.page(&lease, rows(1000))).await.unwrap();
    assert_eq!(looked_at(&acme).await, [events(&acme, 1)], "one case was read long before, one is not here");
    // An item may be gone by itself: the same once more settles it.
    acme.commit(acme.page(&lease, rows(1003))).await.unwrap();
    assert_eq!(looked_at(&acme).await.len(), 1);
}
