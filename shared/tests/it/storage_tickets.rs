//! Tickets are the same whatever the order in which their pages commit.

use std::collections::BTreeSet;

use refrain_shared::job::Lease;
use refrain_shared::storage::StoreError;
use refrain_shared::storage::page_commit::{PageCommit, PageRow};
use refrain_shared::ticket::Projected;
use serde_json::{Value, json};

use crate::fixture::{Pause, Store, Tenant, at, gone, id};

/// All tickets, without what tells tenants and orders of commits apart.
async fn tickets(tenant: &Tenant) -> Vec<Value> {
    tenant
        .look(
            "SELECT to_jsonb(t) - '{tenant_id,connection_id,object_id,feed_seq}'::text[] AS ticket
               FROM tickets t ORDER BY record_id",
        )
        .await
}

/// What a person sees of one ticket.
async fn ticket(tenant: &Tenant, n: usize) -> Value {
    let sql = format!(
        "SELECT state, messages, customer_messages, extract(epoch FROM last_message_at)::bigint AS said,
                extract(epoch FROM last_activity_at)::bigint AS active FROM tickets WHERE record_id = '{}'",
        id("500", n)
    );
    tenant.look_one(&sql).await
}

fn seen(state: i16, messages: i32, said: Option<i64>, active: i64) -> Value {
    json!({"state": state, "messages": messages, "customer_messages": messages,
           "said": said.map(|said| at(said).timestamp()), "active": at(active).timestamp()})
}

#[tokio::test]
async fn case_page_and_comment_page_give_the_same_tickets_in_both_orders() {
    let store = Store::open("tickets_both_orders").await;
    let (one, two) = (Tenant::make(&store).await, Tenant::make(&store).await);
    let cases = |tenant: &Tenant| vec![tenant.case_row(1, 10), tenant.case_row(2, 90)];
    let comments = |tenant: &Tenant| {
        vec![tenant.comment_row(1, 1, 20), tenant.comment_row(2, 1, 30), tenant.comment_row(3, 2, 40)]
    };
    one.store(one.case, cases(&one)).await;
    one.store(one.comment, comments(&one)).await;
    two.store(two.comment, comments(&two)).await;
    two.store(two.case, cases(&two)).await;

    assert_eq!(tickets(&one).await, tickets(&two).await);
    assert_eq!(ticket(&one, 1).await, seen(0, 2, Some(30), 30));
    assert_eq!(
        ticket(&one, 2).await,
        seen(0, 1, Some(40), 90),
        "the record was active after its last message"
    );
}

#[tokio::test]
async fn messages_that_came_before_their_object_was_a_ticket_belong_to_it_all_the_same() {
    let store = Store::open("tickets_enabled_late").await;
    let (early, late) = (Tenant::make(&store).await, Tenant::make(&store).await);
    let comments = |tenant: &Tenant| vec![tenant.comment_row(1, 1, 20), tenant.comment_row(2, 2, 30)];
    early.store(early.case, vec![early.case_row(1, 10), early.case_row(2, 15)]).await;
    early.store(early.comment, comments(&early)).await;

    let mut alone = late.clone();
    alone.parents.tickets.clear();
    alone.store(alone.comment, comments(&alone)).await;
    assert_eq!(tickets(&late).await, Vec::<Value>::new(), "nothing is a ticket yet");
    late.store(late.case, vec![late.case_row(1, 10), late.case_row(2, 15)]).await;

    assert_eq!(tickets(&early).await, tickets(&late).await);
    assert_eq!(ticket(&late, 1).await, seen(0, 1, Some(20), 20));
    let feed =
        late.look("SELECT head = (SELECT max(feed_seq) FROM tickets) AS newest FROM tenant_feed").await;
    assert_eq!(feed, [json!({"newest": true})]);
}

/// The pages of one story: two cases, a change of the first, a comment that moves between them, one that is deleted, and
/// an event. Each object's pages, shuffled in every way, must tell the same story.
fn story(tenant: &Tenant) -> Vec<Vec<PageRow>> {
    let moved = |stamp, of_case| {
        let mut row = tenant.comment_row(1, of_case, stamp);
        if let Projected::Message(message) = &mut row.projected {
            message.sent_at = at(20);
        }
        row
    };
    vec![
        vec![tenant.case_row(1, 10), tenant.case_row(2, 15)],
        vec![tenant.case_row(1, 12)],
        vec![moved(20, 1), tenant.comment_row(2, 1, 25), tenant.comment_row(3, 2, 30)],
        vec![moved(50, 2), gone(tenant.comment_row(2, 1, 25), 51)],
        vec![tenant.event_row(1, 1, 70)],
    ]
}

#[tokio::test]
async fn every_order_of_the_pages_tells_the_same_story() {
    let store = Store::open("tickets_every_order").await;
    let mut first: Option<Vec<Value>> = None;
    for order in permutations(5) {
        let tenant = Tenant::make(&store).await;
        let objects = [tenant.case, tenant.case, tenant.comment, tenant.comment, tenant.history];
        let mut pages: Vec<Option<Vec<PageRow>>> = story(&tenant).into_iter().map(Some).collect();
        for page in &order {
            tenant.store(objects[*page], pages[*page].take().unwrap()).await;
        }
        let told = tickets(&tenant).await;
        match &first {
            None => {
                assert_eq!(
                    ticket(&tenant, 1).await,
                    seen(0, 0, None, 12),
                    "its messages moved away and went"
                );
                assert_eq!(ticket(&tenant, 2).await, seen(0, 2, Some(30), 30));
                first = Some(told);
            }
            Some(first) => assert_eq!(&told, first, "in the order {order:?}"),
        }
    }
}

/// The pages of a story about cases that are never read: comments come to case 1 and case 3 and leave them, for case 2
/// or for none. Shuffled in every way.
fn moving_story(tenant: &Tenant) -> Vec<Vec<PageRow>> {
    let said_at = |mut row: PageRow, said| {
        if let Projected::Message(message) = &mut row.projected {
            message.sent_at = at(said);
        }
        row
    };
    let mut unlinked = tenant.comment_row(3, 3, 60);
    unlinked.projected = Projected::Unlinked;
    vec![
        vec![tenant.comment_row(1, 1, 20), tenant.comment_row(2, 1, 21)],
        vec![said_at(tenant.comment_row(1, 2, 50), 20)],
        vec![said_at(tenant.comment_row(2, 2, 51), 21)],
        vec![tenant.comment_row(3, 3, 30)],
        vec![unlinked],
    ]
}

#[tokio::test]
async fn a_shell_whose_last_item_left_is_gone_in_every_order_and_the_feed_says_so() {
    let store = Store::open("tickets_emptied").await;
    for order in permutations(5) {
        let tenant = Tenant::make(&store).await;
        let mut pages: Vec<Option<Vec<PageRow>>> = moving_story(&tenant).into_iter().map(Some).collect();
        let mut shown = BTreeSet::new();
        for page in &order {
            tenant.store(tenant.comment, pages[*page].take().unwrap()).await;
            let shells = tenant.look("SELECT record_id FROM tickets WHERE state = 1").await;
            shown.extend(shells.iter().map(|row| row["record_id"].to_string()));
        }
        let told = tenant.look("SELECT record_id FROM tickets WHERE state <> 2").await;
        assert_eq!(told, [json!({"record_id": id("500", 2)})], "in the order {order:?}");
        assert_eq!(ticket(&tenant, 2).await, seen(1, 2, Some(21), 21), "in the order {order:?}");
        // Whoever was shown a shell learns that it went, and nobody is told of one that never was.
        let gone = tenant.look("SELECT record_id, reason FROM tickets WHERE state = 2 ORDER BY 1").await;
        for row in &gone {
            assert_eq!(row["reason"], json!(21), "in the order {order:?}");
            assert!(shown.remove(&row["record_id"].to_string()), "in the order {order:?}: {row}");
        }
        assert_eq!(shown.len(), 1, "in the order {order:?}: only case 2 is still shown of {shown:?}");
        let feed = tenant.look_one("SELECT head, (SELECT count(*) FROM tickets WHERE feed_seq > head) AS beyond FROM tenant_feed").await;
        assert_eq!(feed["beyond"], json!(0));
    }
}

#[tokio::test]
async fn an_emptied_shell_comes_back_with_its_record_or_with_another_item() {
    let store = Store::open("tickets_emptied_back").await;
    let acme = Tenant::make(&store).await;
    let state = async |n| ticket(&acme, n).await["state"].clone();
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 20), acme.comment_row(2, 2, 21)]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 3, 30), acme.comment_row(2, 3, 31)]).await;
    assert_eq!((state(1).await, state(2).await), (json!(2), json!(2)));
    acme.store(acme.comment, vec![acme.comment_row(3, 1, 40)]).await;
    acme.store(acme.case, vec![acme.case_row(2, 5)]).await;
    assert_eq!(ticket(&acme, 1).await, seen(1, 1, Some(40), 40));
    assert_eq!(ticket(&acme, 2).await, seen(0, 0, None, 5));
}

#[tokio::test]
async fn a_deleted_case_stays_a_tombstone_whatever_its_items_do() {
    let store = Store::open("tickets_dead_case").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![gone(acme.case_row(1, 5), 9)]).await;
    let state =
        async || acme.look_one("SELECT state, reason FROM tickets WHERE record_id LIKE '%1AA_'").await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 20)]).await;
    assert_eq!(state().await, json!({"state": 2, "reason": 11}));
    acme.store(acme.comment, vec![acme.comment_row(1, 2, 30)]).await;
    assert_eq!(state().await, json!({"state": 2, "reason": 11}), "not the shell's reason");
}

fn permutations(of: usize) -> Vec<Vec<usize>> {
    if of == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(of - 1);
    let insert = |place: usize| {
        shorter.iter().map(move |order| {
            let mut order = order.clone();
            order.insert(place, of - 1);
            order
        })
    };
    (0..of).flat_map(insert).collect()
}

#[tokio::test]
async fn a_comment_before_its_case_makes_a_shell_that_the_case_fills() {
    let store = Store::open("tickets_shell").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 20)]).await;
    assert_eq!(ticket(&acme, 1).await, seen(1, 1, Some(20), 20));
    acme.store(acme.case, vec![acme.case_row(1, 10)]).await;
    assert_eq!(ticket(&acme, 1).await, seen(0, 1, Some(20), 20));
}

#[tokio::test]
async fn a_comment_that_changes_its_case_is_counted_at_the_new_one_only() {
    let store = Store::open("tickets_moved").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 5), acme.case_row(2, 6)]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 20), acme.comment_row(2, 1, 10)]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 2, 30)]).await;
    assert_eq!(ticket(&acme, 1).await, seen(0, 1, Some(10), 10));
    assert_eq!(ticket(&acme, 2).await, seen(0, 1, Some(30), 30));
}

#[tokio::test]
async fn a_comment_that_belongs_to_no_ticket_any_more_leaves_its_ticket() {
    let store = Store::open("tickets_unlinked").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 5)]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 20)]).await;
    let mut row = acme.comment_row(1, 1, 30);
    row.projected = Projected::Unlinked;
    acme.store(acme.comment, vec![row]).await;
    assert_eq!(ticket(&acme, 1).await, seen(0, 0, None, 5));
}

#[tokio::test]
async fn a_deleted_comment_lowers_the_count_and_an_undeleted_one_raises_it() {
    let store = Store::open("tickets_deleted").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 5)]).await;
    acme.store(acme.comment, vec![acme.comment_row(1, 1, 20), acme.comment_row(2, 1, 30)]).await;
    acme.store(acme.comment, vec![gone(acme.comment_row(2, 1, 30), 40)]).await;
    assert_eq!(ticket(&acme, 1).await, seen(0, 1, Some(20), 20));
    acme.store(acme.comment, vec![acme.comment_row(2, 1, 50)]).await;
    assert_eq!(ticket(&acme, 1).await, seen(0, 2, Some(50), 50));
}

#[tokio::test]
async fn a_deleted_case_is_a_tombstone_that_keeps_its_place_in_the_feed() {
    let store = Store::open("tickets_tombstone").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 5)]).await;
    acme.store(acme.case, vec![gone(acme.case_row(1, 5), 9)]).await;
    assert_eq!(
        acme.look_one("SELECT state, reason, feed_seq FROM tickets").await,
        json!({"state": 2, "reason": 11, "feed_seq": 2})
    );
}

#[tokio::test]
async fn an_event_is_no_activity_of_a_ticket_with_a_record_but_makes_a_shell() {
    let store = Store::open("tickets_event").await;
    let acme = Tenant::make(&store).await;
    acme.store(acme.case, vec![acme.case_row(1, 10)]).await;
    acme.store(acme.history, vec![acme.event_row(1, 1, 500), acme.event_row(2, 2, 500)]).await;
    let with_record = json!({"state": 0, "messages": 0, "customer_messages": 0, "said": null, "active": at(10).timestamp()});
    assert_eq!(ticket(&acme, 1).await, with_record);
    assert_eq!(ticket(&acme, 2).await, seen(1, 0, None, 500));
}

#[tokio::test]
async fn events_in_either_order_make_the_same_shell() {
    let store = Store::open("tickets_event_shell").await;
    let (one, two) = (Tenant::make(&store).await, Tenant::make(&store).await);
    for (tenant, order) in [(&one, [100, 300]), (&two, [300, 100])] {
        for sent in order {
            let n = usize::try_from(sent).unwrap();
            tenant.store(tenant.history, vec![tenant.event_row(n, 1, sent)]).await;
        }
    }
    assert_eq!(ticket(&one, 1).await, seen(1, 0, None, 300));
    assert_eq!(tickets(&one).await, tickets(&two).await);
}

#[tokio::test]
async fn a_shell_lasts_as_long_as_an_item_of_it_lives() {
    let store = Store::open("tickets_dead_shell").await;
    let acme = Tenant::make(&store).await;
    let state = async || acme.look("SELECT state, reason FROM tickets WHERE record_id LIKE '%1AA_'").await;
    acme.store(acme.comment, vec![gone(acme.comment_row(1, 1, 20), 60)]).await;
    assert_eq!(state().await, [json!(null); 0], "nobody is told of one that never was");
    acme.store(acme.comment, vec![acme.comment_row(2, 1, 70), acme.comment_row(3, 1, 80)]).await;
    acme.store(acme.comment, vec![gone(acme.comment_row(2, 1, 70), 90)]).await;
    assert_eq!(ticket(&acme, 1).await, seen(1, 1, Some(80), 80));
    acme.store(acme.comment, vec![gone(acme.comment_row(3, 1, 80), 91)]).await;
    assert_eq!(state().await, [json!({"state": 2, "reason": 21})]);
    assert_eq!(
        acme.look_one("SELECT tickets, shells FROM tenant_feed").await,
        json!({"tickets": 0, "shells": 0})
    );
    // Out of the recycle bin again.
    acme.store(acme.comment, vec![acme.comment_row(3, 1, 95)]).await;
    assert_eq!(ticket(&acme, 1).await, seen(1, 1, Some(95), 95));
}

type Outcome = tokio::task::JoinHandle<Result<i64, StoreError>>;

fn commit_apart(tenant: &Tenant, lease: &Lease, rows: Vec<PageRow>, before_commit: fn()) -> Outcome {
    let (tenant, lease) = (tenant.clone(), lease.clone());
    tokio::spawn(
        async move { tenant.commit(PageCommit { before_commit, ..tenant.page(&lease, rows) }).await },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_case_page_that_meets_a_paused_comment_page_waits_and_gives_the_same_tickets() {
    static PAUSE: Pause = Pause::new();
    let store = Store::open("tickets_paused").await;
    let (one, two) = (Tenant::make(&store).await, Tenant::make(&store).await);
    let comments = |tenant: &Tenant| vec![tenant.comment_row(1, 1, 20), tenant.comment_row(2, 1, 30)];
    one.store(one.comment, comments(&one)).await;
    one.store(one.case, vec![one.case_row(1, 10)]).await;

    let (first, second) = (two.lease(two.comment).await, two.lease(two.case).await);
    let paused = commit_apart(&two, &first, comments(&two), || PAUSE.stop());
    PAUSE.reached().await;
    let waits = commit_apart(&two, &second, vec![two.case_row(1, 10)], || {});
    store.until_waiting(1).await;
    PAUSE.release();
    assert_eq!(paused.await.unwrap().unwrap(), 2);
    assert_eq!(waits.await.unwrap().unwrap(), 1);
    assert_eq!(tickets(&one).await, tickets(&two).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pages_that_wrote_their_rows_and_wait_for_the_feed_count_each_other_in() {
    let store = Store::open("tickets_feed_race").await;
    let acme = Tenant::make(&store).await;
    let leases =
        [acme.lease(acme.comment).await, acme.lease(acme.comment).await, acme.lease(acme.case).await];
    let mut owner = store.owner().await;
    let feed = owner.transaction().await.unwrap();
    feed.execute("SELECT FROM tenant_feed FOR UPDATE", &[]).await.unwrap();
    // All three have written their records and messages, and none sees the others'.
    let pages = [
        commit_apart(&acme, &leases[0], vec![acme.comment_row(1, 1, 20)], || {}),
        commit_apart(&acme, &leases[1], vec![acme.comment_row(2, 1, 30)], || {}),
        commit_apart(&acme, &leases[2], vec![acme.case_row(1, 10)], || {}),
    ];
    store.until_waiting(3).await;
    feed.commit().await.unwrap();
    for page in pages {
        assert_eq!(page.await.unwrap().unwrap(), 1);
    }
    assert_eq!(ticket(&acme, 1).await, seen(0, 2, Some(30), 30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pages_that_share_records_in_opposite_orders_never_wait_in_a_circle() {
    let store = Store::open("tickets_no_deadlock").await;
    let acme = Tenant::make(&store).await;
    let mut pages = Vec::new();
    for round in 0..12_i64 {
        let mut rows: Vec<PageRow> = (0..40).map(|n| acme.comment_row(n, n % 7, 100 + round)).collect();
        if round % 2 == 0 {
            rows.reverse();
        }
        let lease = acme.lease(acme.comment).await;
        pages.push(commit_apart(&acme, &lease, rows, || {}));
        let lease = acme.lease(acme.case).await;
        let mut rows: Vec<PageRow> = (0..7).map(|n| acme.case_row(n, 10 + round)).collect();
        if round % 3 == 0 {
            rows.reverse();
        }
        pages.push(commit_apart(&acme, &lease, rows, || {}));
    }
    for page in pages {
        page.await.unwrap().unwrap();
    }
    for n in 0..7 {
        let comments = i32::try_from((0..40).filter(|comment| comment % 7 == n).count()).unwrap();
        assert_eq!(ticket(&acme, n).await, seen(0, comments, Some(111), 111));
    }
}
