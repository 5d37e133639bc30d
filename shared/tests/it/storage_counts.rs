//! The numbers that page commits keep are those that counting would give.

use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use refrain_shared::record::{RecordState, StateReason};
use refrain_shared::retention::MOST_DAYS;
use refrain_shared::storage::chunks::ChunkStore;
use refrain_shared::storage::content::status::status_get;
use refrain_shared::storage::expiry::{Expire, Expired, tickets_expire};
use refrain_shared::storage::page_commit::PageRow;
use refrain_shared::ticket::Projected;
use serde_json::{Value, json};

use crate::fixture::{Store, Tenant, at, gone};

/// What is kept, and what counting gives.
async fn both(tenant: &Tenant) -> (Value, Value) {
    let kept = tenant.look_one(
        "SELECT (SELECT jsonb_object_agg(object_id, live) FROM checkpoints) AS live,
                (SELECT sum(items) FROM checkpoints)::bigint AS items, tickets, shells FROM tenant_feed",
    );
    let counted = tenant.look_one(
        "SELECT (SELECT jsonb_object_agg(c.object_id, (SELECT count(*) FROM records r WHERE r.object_id = c.object_id AND state = 0))
                   FROM checkpoints c) AS live,
                (SELECT count(*) FROM messages WHERE state = 0) AS items,
                (SELECT count(*) FROM tickets WHERE state = 0) AS tickets,
                (SELECT count(*) FROM tickets WHERE state = 1) AS shells",
    );
    tokio::join!(kept, counted)
}

/// What happens to a record in one page.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Case(usize),
    Comment(usize, usize),
    Event(usize, usize),
    Unlinked(usize),
}

/// How the row comes: alive, deleted, or as a stub.
#[derive(Debug, Clone, Copy)]
enum As {
    Live,
    Deleted,
    Stub,
}

fn a_row() -> impl Strategy<Value = (Fate, As, i64)> {
    let fate = prop_oneof![
        (0..6usize).prop_map(Fate::Case),
        (0..8usize, 0..6usize).prop_map(|(n, of)| Fate::Comment(n, of)),
        (0..4usize, 0..6usize).prop_map(|(n, of)| Fate::Event(n, of)),
        (0..8usize).prop_map(Fate::Unlinked),
    ];
    // Stamps repeat and go back: old pages come after newer ones.
    (fate, prop_oneof![4 => Just(As::Live), 2 => Just(As::Deleted), 1 => Just(As::Stub)], 0..40i64)
}

fn row(tenant: &Tenant, (fate, how, stamp): (Fate, As, i64)) -> PageRow {
    let mut row = match fate {
        Fate::Case(n) => tenant.case_row(n, stamp),
        Fate::Comment(n, of) => tenant.comment_row(n, of, stamp),
        Fate::Event(n, of) => tenant.event_row(n, of, stamp),
        Fate::Unlinked(n) => {
            let row = tenant.comment_row(n, 0, stamp);
            PageRow { projected: Projected::Unlinked, ..row }
        }
    };
    match how {
        As::Live => {}
        As::Deleted => row = gone(row, stamp),
        As::Stub => {
            row = gone(row, stamp);
            row.record.state = RecordState::Stub(StateReason::Erased);
        }
    }
    row
}

/// Lets the older half of the tickets go.
async fn purge(tenant: &Tenant) {
    let lease = tenant.lease(tenant.case).await;
    let mut client = tenant.db.tenant().await.unwrap();
    let expire = Expire {
        why: refrain_shared::record::StateReason::Expired,
        lease: &lease,
        now: at(20) + TimeDelta::days(i64::from(MOST_DAYS)),
        each: 100,
        shells: true,
        chunks: &ChunkStore::default(),
        progress: &json!({}),
        before_commit: || {},
    };
    assert_ne!(tickets_expire(&mut client, &expire).await.unwrap(), Expired::Moved);
}

#[tokio::test]
async fn what_is_kept_is_what_counting_gives_after_any_pages() {
    let store = Store::open("counts_any").await;
    let mut runner = TestRunner::deterministic();
    let pages = prop::collection::vec(prop::collection::vec(a_row(), 1..8), 1..25);
    for _ in 0..24 {
        let tenant = Tenant::make(&store).await;
        let pages = pages.new_tree(&mut runner).unwrap().current();
        for page in &pages {
            for object in [tenant.case, tenant.comment, tenant.history] {
                let belongs = |fate: &Fate| match fate {
                    Fate::Case(_) => tenant.case.id,
                    Fate::Comment(..) | Fate::Unlinked(_) => tenant.comment.id,
                    Fate::Event(..) => tenant.history.id,
                };
                let mut rows: Vec<PageRow> = Vec::new();
                for one in page.iter().filter(|(fate, ..)| belongs(fate) == object.id) {
                    let row = row(&tenant, *one);
                    rows.retain(|other| other.record.id != row.record.id);
                    rows.push(row);
                }
                if !rows.is_empty() {
                    tenant.store(object, rows).await;
                }
            }
            let (kept, counted) = both(&tenant).await;
            assert_eq!(kept, counted, "{pages:?}");
            purge(&tenant).await;
            let (kept, counted) = both(&tenant).await;
            assert_eq!(kept, counted, "after a purge: {pages:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pages_at_the_same_moment_are_counted_right() {
    let store = Store::open("counts_at_once").await;
    let acme = Tenant::make(&store).await;
    let mut pages = Vec::new();
    for round in 0..10_i64 {
        for object in [acme.case, acme.comment] {
            let tenant = acme.clone();
            pages.push(tokio::spawn(async move {
                let rows = (0..20).map(|n| {
                    let row = if object.id == tenant.case.id {
                        tenant.case_row(n % 8, 10 + round)
                    } else {
                        tenant.comment_row(n, n % 8, 10 + round)
                    };
                    if (n + usize::try_from(round).unwrap()) % 3 == 0 { gone(row, 10 + round) } else { row }
                });
                let mut seen = std::collections::HashSet::new();
                let rows = rows.filter(|row| seen.insert(row.record.id)).collect();
                tenant.store(object, rows).await;
            }));
        }
    }
    for page in pages {
        page.await.unwrap();
    }
    let (kept, counted) = both(&acme).await;
    assert_eq!(kept, counted);
}

#[tokio::test]
async fn the_status_tells_what_is_kept() {
    let store = Store::open("counts_status").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 1), acme.case_row(2, 1), gone(acme.case_row(3, 1), 1)]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 2), acme.comment_row(2, 9, 2)]).await;
    let status = status_get(&acme.db, &acme.scope).await.unwrap();
    assert_eq!((status.tickets, status.awaiting_parent, status.messages), (2, 1, 2));
    let stored: Vec<i64> = status.objects.iter().map(|object| object.stored).collect();
    assert_eq!(stored, [2, 2, 0]);
    assert_eq!(json!(status.objects.len()), json!(3));
}
