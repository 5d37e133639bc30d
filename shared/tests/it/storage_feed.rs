//! The changes feed: dense, in commit order, and complete for whoever follows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use refrain_shared::storage::page_commit::PageRow;
use serde_json::json;

use crate::fixture::{Store, Tenant};

const TASKS: usize = 8;
const PAGES: usize = 10;

/// Commits ten pages that make and change tickets, some of them shared with other tasks.
async fn write(acme: Tenant, task: usize) {
    let (cases, comments) = (acme.lease(acme.case).await, acme.lease(acme.comment).await);
    for page in 0..PAGES {
        let n = task * PAGES + page;
        let stamp = i64::try_from(n).unwrap();
        let (lease, rows): (_, Vec<PageRow>) = if page % 2 == 0 {
            (&cases, vec![acme.case_row(1000 + n, stamp), acme.case_row(2000 + n, stamp)])
        } else {
            (&comments, (0..4).map(|k| acme.comment_row(n * 4 + k, 1000 + k * PAGES, stamp)).collect())
        };
        acme.commit(acme.page(lease, rows)).await.unwrap();
    }
}

/// Follows the feed as a reader of the API does, until the writers are done and nothing is left.
async fn follow(acme: Tenant, done: Arc<AtomicBool>) -> BTreeMap<String, i64> {
    let mut cursor = 0;
    let mut seen = BTreeMap::new();
    loop {
        let last = done.load(Ordering::SeqCst);
        let sql = format!(
            "SELECT record_id, feed_seq FROM tickets WHERE feed_seq > {cursor} ORDER BY feed_seq LIMIT 7"
        );
        let rows = acme.look(&sql).await;
        if rows.is_empty() && last {
            return seen;
        }
        for row in rows {
            cursor = row["feed_seq"].as_i64().unwrap();
            seen.insert(row["record_id"].as_str().unwrap().to_owned(), cursor);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_follows_the_feed_under_concurrent_commits_misses_no_change() {
    let store = Store::open("feed_follow").await;
    let acme = Tenant::make(&store).await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2).map(|_| tokio::spawn(follow(acme.clone(), Arc::clone(&done)))).collect();
    let writers: Vec<_> = (0..TASKS).map(|task| tokio::spawn(write(acme.clone(), task))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);

    let tickets = acme.look("SELECT record_id, feed_seq FROM tickets").await;
    let stored: BTreeMap<String, i64> = tickets
        .iter()
        .map(|row| (row["record_id"].as_str().unwrap().to_owned(), row["feed_seq"].as_i64().unwrap()))
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), stored);
    }
    let head = acme.look_one("SELECT head FROM tenant_feed").await["head"].as_i64().unwrap();
    let sequences: BTreeSet<i64> = stored.values().copied().collect();
    assert_eq!(sequences.len(), stored.len(), "no two tickets share a number");
    assert_eq!(sequences.last(), Some(&head), "the newest change is at the head");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_commits_number_their_tickets_without_a_gap() {
    let store = Store::open("feed_dense").await;
    let acme = Tenant::make(&store).await;
    let writers: Vec<_> = (0..TASKS)
        .map(|task| {
            let acme = acme.clone();
            tokio::spawn(async move {
                let lease = acme.lease(acme.case).await;
                for page in 0..PAGES {
                    // Each ticket is written once, so that every number stays to be seen.
                    let first = (task * PAGES + page) * 3;
                    let rows = (first..first + 3).map(|n| acme.case_row(n, 10)).collect();
                    acme.commit(acme.page(&lease, rows)).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let tickets = TASKS * PAGES * 3;
    let summary = "SELECT count(DISTINCT feed_seq) AS numbers, min(feed_seq) AS first, max(feed_seq) AS last,
                          (SELECT head FROM tenant_feed) AS head FROM tickets";
    assert_eq!(
        acme.look_one(summary).await,
        json!({"numbers": tickets, "first": 1, "last": tickets, "head": tickets})
    );
}

#[tokio::test]
async fn a_commit_that_changes_no_ticket_leaves_the_feed_alone() {
    let store = Store::open("feed_still").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.bare(acme.case, 1, 10)]).await;
    assert_eq!(acme.look_one("SELECT head FROM tenant_feed").await, json!({"head": 0}));
}
