//! Which of two reads wins: the statement's guard and `takes_place` are one rule.

use refrain_shared::ids::FieldSetId;
use refrain_shared::record::merge::takes_place;
use refrain_shared::record::{ReadOrder, RecordState, StateReason};
use refrain_shared::storage::page_commit::{PageCommit, PageCounts};
use refrain_shared::storage::records::records_known;
use serde_json::json;

use crate::fixture::{Store, Tenant, at, id};

/// Every order of a grid that has equal, older and newer values of each part.
fn orders(first_set: FieldSetId) -> Vec<ReadOrder> {
    let mut all = Vec::new();
    for stamp in [10, 20, 30] {
        for read_at in [15, 20, 40] {
            for set in [first_set, FieldSetId(first_set.0 + 1)] {
                all.push(ReadOrder { stamp: at(stamp), read_at: at(read_at), field_set: set });
            }
        }
    }
    all
}

const STATES: [RecordState; 3] = [
    RecordState::Live,
    RecordState::Tombstone(StateReason::Deleted),
    RecordState::Tombstone(StateReason::Merged),
];

/// What is read, and in which state.
type Read = (ReadOrder, RecordState);

#[tokio::test]
async fn the_upsert_lets_in_exactly_what_the_read_order_says() {
    let store = Store::open("merge_guard_grid").await;
    let acme = Tenant::make(&store).await;
    let lease = acme.lease(acme.case).await;
    let orders = orders(acme.case.field_set);
    let reads: Vec<Read> =
        orders.iter().flat_map(|order| STATES.iter().map(|state| (*order, *state))).collect();
    let pairs: Vec<(Read, Read)> =
        reads.iter().flat_map(|stored| reads.iter().map(|incoming| (*stored, *incoming))).collect();
    let page = |pick: fn(&(Read, Read)) -> Read| {
        let rows = pairs.iter().enumerate().map(|(n, pair)| {
            let mut row = acme.bare(acme.case, n, 0);
            (row.record.order, row.record.state) = pick(pair);
            row.record.sealed = row.record.sealed.filter(|_| row.record.state == RecordState::Live);
            row
        });
        acme.page(&lease, rows.collect())
    };
    let all = i64::try_from(pairs.len()).unwrap();
    assert_eq!(acme.commit(page(|(stored, _)| *stored)).await.unwrap(), all);

    let wins = |(stored, incoming): &(Read, Read)| takes_place(*incoming, *stored);
    let winners = i64::try_from(pairs.iter().filter(|pair| wins(pair)).count()).unwrap();
    assert_eq!(acme.commit(page(|(_, incoming)| *incoming)).await.unwrap(), winners);

    let ids: Vec<String> = (0..pairs.len()).map(|n| id("500", n).to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let known = records_known(&acme.db, &acme.scope, acme.key(acme.case), &ids).await.unwrap();
    for (n, pair) in pairs.iter().enumerate() {
        let (order, state) = if wins(pair) { pair.1 } else { pair.0 };
        let found = &known[&id("500", n)];
        assert_eq!(
            (found.order, found.state),
            (order, Some(state)),
            "stored {:?}, incoming {:?}",
            pair.0,
            pair.1
        );
    }
    let checkpoint = acme.checkpoint(acme.case).await;
    assert_eq!(checkpoint["written"], json!(all + winners));
    assert_eq!(checkpoint["superseded"], json!(all - winners));
    assert_eq!(checkpoint["records_read"], json!(all * 2));
}

#[tokio::test]
async fn a_slow_old_page_leaves_a_later_read_with_its_ticket_alone() {
    let store = Store::open("merge_guard_slow").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 20)]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 20)]).await;
    let content = "SELECT (SELECT jsonb_agg(to_jsonb(r)) FROM records r) AS records,
                          (SELECT jsonb_agg(to_jsonb(t)) FROM tickets t) AS tickets,
                          (SELECT jsonb_agg(to_jsonb(m)) FROM messages m) AS messages,
                          (SELECT head FROM tenant_feed) AS head";
    let before = acme.look_one(content).await;

    assert_eq!(acme.store(acme.case, vec![acme.case_row(1, 10)]).await, 0);
    assert_eq!(acme.store(acme.comment, vec![acme.comment_row(1, 2, 10)]).await, 0);
    assert_eq!(acme.look_one(content).await, before);
}

#[tokio::test]
async fn a_formula_read_anew_without_a_new_stamp_is_stored() {
    let store = Store::open("merge_guard_formula").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 20)]).await;
    let mut row = acme.case_row(1, 20);
    row.record = acme.record(acme.case, id("500", 1), 20, "another value");
    row.record.order.read_at = at(21);
    let hash = row.record.sealed.as_ref().unwrap().0;
    assert_eq!(acme.store(acme.case, vec![row]).await, 1);
    let known = records_known(&acme.db, &acme.scope, acme.key(acme.case), &[id("500", 1).as_str()]).await;
    assert_eq!(known.unwrap()[&id("500", 1)].hash, Some(hash));
}

#[tokio::test]
async fn every_record_of_a_page_is_counted_once() {
    let store = Store::open("merge_guard_counts").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 20)]).await;
    let lease = acme.lease(acme.case).await;
    let counts = PageCounts { unchanged: 3, superseded: 1, quarantined: 2, ..PageCounts::default() };
    let rows = vec![acme.case_row(1, 10), acme.case_row(2, 10)];
    assert_eq!(acme.commit(PageCommit { counts, ..acme.page(&lease, rows) }).await.unwrap(), 1);
    let counted =
        "SELECT records_read, written, unchanged, superseded, quarantined, suppressed FROM checkpoints
                    WHERE records_read > 0";
    assert_eq!(
        acme.look_one(counted).await,
        json!({"records_read": 9, "written": 2, "unchanged": 3, "superseded": 2, "quarantined": 2, "suppressed": 0})
    );
}
