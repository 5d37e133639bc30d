//! What makes reading in pages go wrong: sessions that end, stamps that are equal, rows that become visible late,
//! answers that are slow, records that change while they are read.

use harness::wait::eventually;
use serde_json::{Value, json};

use crate::DEADLINE;
use crate::kills::{SHAPE, in_mid_load};
use crate::simulator::{Shape, Simulated};
use crate::stack::Stack;
use crate::tenant::Tenant;

/// History of cases, whoever reads it.
const CASES_OF_HISTORY: &str = "FROM Case WHERE SystemModstamp >= 1970-01-01";

/// Ids of an object's live records in the order in which they are paged.
async fn in_order(simulated: &Simulated, object: &str) -> Vec<String> {
    let mut records = simulated.truth(object).await;
    records.retain(|record| record["deleted"] == false);
    records.sort_by_key(|record| (text(&record["stamp"]), text(&record["Id"])));
    records.iter().map(|record| text(&record["Id"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn update(simulated: &Simulated, object: &str, id: &str, body: Value) {
    simulated.control(&format!("records/{object}/{id}"), body).await;
}

/// The org's clock is past the second that it is in now, so that what is read from here on has a later Date.
async fn a_second_later(simulated: &Simulated) {
    let from = simulated.org.truth_summary().await.unwrap().now.timestamp();
    eventually(DEADLINE, "the org's next second", async || {
        (simulated.org.truth_summary().await.unwrap().now.timestamp() > from).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sessions_that_end_between_two_pages_cost_one_login_and_no_row() {
    let mut stack = Stack::running("session_ends", 0).await;
    let (tenant, gate) = in_mid_load(&mut stack, 2).await;
    let logins = tenant.simulated.org.calls().await.unwrap().token;
    tenant.simulated.control("sessions/expire", json!({})).await;
    // The locator has died with its session; the page is asked for by the last key instead.
    gate.open().await;
    tenant.assert_catches_up(&stack).await;
    assert_eq!(tenant.rows_read_again(&stack).await, 0);
    assert_eq!(
        tenant.simulated.org.calls().await.unwrap().token,
        logins + 1,
        "one login for the whole fleet"
    );
    let calls = tenant.simulated.calls().await;
    assert!(calls.iter().any(|call| call.status == 401), "a session had ended");
    let resumed = |soql: &str| soql.contains("FROM CaseHistory") && soql.contains("OR Id > '");
    assert!(calls.iter().any(|call| resumed(&call.soql) && call.status == 200), "the read went on by key");
    stack.finish(&[&tenant], &[]).await;
}

#[tokio::test]
async fn more_equal_stamps_than_a_page_holds_are_read_to_the_last() {
    let stack = Stack::running("equal_stamps", 2).await;
    let tenant = Tenant::connect(&stack, Shape { cases: 60, page_rows: 7, ..SHAPE }).await;
    tenant.assert_catches_up(&stack).await;
    let refused = tenant.rows_read_again(&stack).await;
    let (cases, comments) = ("FROM Case WHERE", "FROM CaseComment WHERE");
    let mass =
        |object: &str, field: &str| json!({"object": object, "count": 1000, "fields": {field: "touched"}});
    // Sessions end in the middle of the tie, so that reading must go on by id alone.
    let gates = [tenant.simulated.hold(cases, 3).await, tenant.simulated.hold(comments, 4).await];
    let touched = tenant.simulated.control("mass-update", mass("Case", "Reason")).await;
    assert!(touched["ids"].as_array().unwrap().len() > 3 * 7);
    tenant.simulated.control("mass-update", mass("CaseComment", "CommentBody")).await;
    a_second_later(&tenant.simulated).await;
    a_second_later(&tenant.simulated).await;
    tenant.sync_all(&stack).await;
    for gate in &gates {
        gate.reached().await;
    }
    tenant.simulated.control("sessions/expire", json!({})).await;
    for gate in &gates {
        gate.open().await;
    }
    tenant.assert_catches_up(&stack).await;
    assert_eq!(tenant.rows_read_again(&stack).await, refused);
    stack.finish(&[&tenant], &[]).await;
}

#[tokio::test]
async fn a_row_that_becomes_visible_behind_the_watermark_is_found_by_the_overlap() {
    let stack = Stack::running("late_commit", 2).await;
    let tenant = Tenant::connect(&stack, SHAPE).await;
    tenant.assert_catches_up(&stack).await;
    // Stamped now, visible in some seconds: a long transaction of the platform.
    let case = json!({"object": "Case", "fields": {"Subject": "Stamped early, committed late"}, "commit_delay_ms": 6000});
    let late = text(&tenant.simulated.control("records", case).await["id"]);
    let known = in_order(&tenant.simulated, "Contact").await.remove(0);
    let title = json!({"fields": {"Title": "Late riser"}, "commit_delay_ms": 6000});
    update(&tenant.simulated, "Contact", &known, title).await;
    tenant.caught_up(&stack).await;
    let visible = async || {
        let cases = tenant.simulated.truth("Case").await;
        cases.into_iter().find(|case| case["Id"].as_str() == Some(&late))
    };
    assert!(visible().await.is_none(), "the window has passed before the row could be seen");
    let case = eventually(DEADLINE, "the transaction to commit", visible).await;
    let watermark = tenant.object(&stack, "Case").await.watermark_at.unwrap();
    assert!(text(&case["stamp"]) < watermark.to_rfc3339(), "it is stamped behind the watermark");
    tenant.assert_catches_up(&stack).await;
    let late = stack.sql("SELECT sum(late) FROM checkpoints").await.remove(0).remove(0);
    assert!(late.parse::<u64>().unwrap() >= 2, "{late} rows were counted as late");
    stack.finish(&[&tenant], &[]).await;
}

#[tokio::test]
async fn a_slow_old_page_never_replaces_what_a_newer_read_has_brought() {
    let stack = Stack::running("slow_page", 2).await;
    let mut tenant = Tenant::without_objects(&stack, SHAPE).await;
    let subject = |word: &str| json!({"fields": {"Subject": word}});
    // The newest records of history also lie in the overlap of the first passes over changes.
    let order = in_order(&tenant.simulated, "Case").await;
    let (stamped, silent) = (&order[0], &order[1]);
    for id in [stamped, silent] {
        update(&tenant.simulated, "Case", id, subject("Old, and on the last page of history")).await;
    }
    a_second_later(&tenant.simulated).await;
    a_second_later(&tenant.simulated).await;
    let rows = u32::try_from(tenant.simulated.truth("Case").await.len()).unwrap();
    let gate = tenant.simulated.hold_answer(CASES_OF_HISTORY, rows.div_ceil(SHAPE.page_rows)).await;
    tenant.ask_for_objects(&stack).await;
    gate.reached().await;
    a_second_later(&tenant.simulated).await;
    update(&tenant.simulated, "Case", stamped, subject("Newer, with a newer stamp")).await;
    // As formulas and linked values change.
    let silently = json!({"fields": {"Subject": "Newer, with the same stamp"}, "touch": false});
    update(&tenant.simulated, "Case", silent, silently).await;
    tenant.changes_read(&stack, "Case").await;
    assert_eq!(tenant.object(&stack, "Case").await.state, "loading", "the old page is still on its way");
    gate.open().await;
    tenant.assert_catches_up(&stack).await;
    let superseded = stack.sql("SELECT sum(superseded) FROM checkpoints").await.remove(0).remove(0);
    assert!(superseded.parse::<u64>().unwrap() >= 2, "{superseded} rows were found to be old");
    stack.finish(&[&tenant], &[]).await;
}

#[tokio::test]
async fn messages_that_came_before_their_tickets_were_asked_for_find_them() {
    let stack = Stack::running("tickets_last", 2).await;
    let mut tenant = Tenant::without_objects(&stack, SHAPE).await;
    let is_ticket = |object: &str| ["Case", "Task"].contains(&object);
    tenant.ask_for(&stack, |object| !is_ticket(object)).await;
    tenant.assert_catches_up(&stack).await;
    tenant.ask_for(&stack, is_ticket).await;
    tenant.assert_catches_up(&stack).await;
    stack.finish(&[&tenant], &[]).await;
}

#[tokio::test]
async fn records_that_change_between_two_pages_are_neither_lost_nor_kept_old() {
    let stack = Stack::running("changing_records", 2).await;
    let mut tenant = Tenant::without_objects(&stack, SHAPE).await;
    let order = in_order(&tenant.simulated, "Case").await;
    let (read, unread) = (&order[..5], &order[order.len() - 5..]);
    let gate = tenant.simulated.hold(CASES_OF_HISTORY, 2).await;
    tenant.ask_for_objects(&stack).await;
    gate.reached().await;
    for ids in [read, unread] {
        let change = json!({"fields": {"Subject": "Changed between two pages", "Status": "Closed"}});
        update(&tenant.simulated, "Case", &ids[0], change).await;
        for (id, action) in [(&ids[1], "delete"), (&ids[2], "delete"), (&ids[2], "undelete")] {
            tenant.simulated.control(&format!("records/Case/{id}/{action}"), json!({})).await;
        }
        let merge = json!({"object": "Case", "winner": ids[3], "losers": [ids[4]]});
        tenant.simulated.control("merge", merge).await;
    }
    tenant.simulated.org.edit(40, 5).await.unwrap();
    gate.open().await;
    tenant.assert_catches_up(&stack).await;
    stack.finish(&[&tenant], &[]).await;
}
