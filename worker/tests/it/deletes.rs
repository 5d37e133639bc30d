//! Deletions of every kind: into the bin and out of it, by a merge, without a trace; and what each does to a conversation.

use refrain_shared::clock::Clock;
use refrain_shared::job::lease::Class;
use serde_json::json;

use crate::world::World;

/// State and reason of a ticket or record: `0`, or `2` with the reason's number.
async fn state_of(world: &World, table: &str, id: &str) -> String {
    let sql = format!("SELECT concat_ws('/', state, reason) FROM {table} WHERE record_id = '{id}'");
    world.sql(&sql).await.into_iter().next().unwrap_or_else(|| "none".to_owned())
}

/// Live items of a ticket, with what the ticket says of their number.
async fn items_of(world: &World, ticket: &str) -> String {
    world
        .value(&format!(
            "SELECT (SELECT count(*) FROM messages WHERE ticket_record_id = '{ticket}' AND state = 0) || '/' ||
                    coalesce((SELECT messages FROM tickets WHERE record_id = '{ticket}'), 0)"
        ))
        .await
}

async fn case_with_comments(world: &World, comments: usize) -> (String, Vec<String>) {
    let case = world.insert("Case", json!({"Subject": "Cannot log in", "Status": "New"})).await;
    let mut ids = Vec::new();
    for n in 0..comments {
        let said = json!({"ParentId": case, "CommentBody": format!("comment {n}")});
        ids.push(world.insert("CaseComment", said).await);
    }
    (case, ids)
}

const DELETED: &str = "2/11";
const MERGED: &str = "2/12";
const PURGED: &str = "2/13";

#[tokio::test]
async fn a_hard_deletion_is_found_in_the_log_and_takes_the_conversation_along() {
    let mut world = World::new("deletes_hard").await;
    world.run_ahead();
    let (case, comments) = case_with_comments(&world, 2).await;
    let objects = world.loaded(&["Case", "CaseComment"]).await;
    assert_eq!(items_of(&world, &case).await, "2/2");
    world.act("Case", &case, "purge").await;
    // Nothing but the ticket's own deletion tells of its comments here.
    let others = format!("DELETE FROM jobs WHERE kind = 'sweep' OR unique_key = 'deleted/{}'", objects[1].0);
    world.sql(&others).await;
    world.pass().await;
    assert_eq!(state_of(&world, "records", &case).await, DELETED);
    assert_eq!(state_of(&world, "tickets", &case).await, DELETED);
    for comment in &comments {
        assert_eq!(state_of(&world, "records", comment).await, PURGED);
    }
    assert_eq!(items_of(&world, &case).await, "0/0");
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE kind = 'related'").await, "0");
    assert_eq!(
        world.value(&format!("SELECT live FROM checkpoints WHERE object_id = {}", objects[0].0)).await,
        world.truth("Case").to_string()
    );
}

#[tokio::test]
async fn what_leaves_the_bin_comes_back_with_its_conversation() {
    let mut world = World::new("deletes_bin").await;
    world.run_ahead();
    let (case, comments) = case_with_comments(&world, 2).await;
    // No deletion moves the stamp of a history, and no return does.
    let history = world.insert("CaseHistory", json!({"CaseId": case, "Field": "Status"})).await;
    world.loaded(&["Case", "CaseComment", "CaseHistory"]).await;
    world.act("Case", &case, "delete").await;
    world.pass().await;
    assert_eq!(state_of(&world, "tickets", &case).await, DELETED);
    assert_eq!(state_of(&world, "records", &comments[0]).await, DELETED);
    assert_eq!(state_of(&world, "records", &history).await, DELETED);
    assert_eq!(items_of(&world, &case).await, "0/0");

    world.act("Case", &case, "undelete").await;
    world.pass().await;
    assert_eq!(state_of(&world, "tickets", &case).await, "0");
    assert_eq!(state_of(&world, "records", &comments[1]).await, "0");
    assert_eq!(state_of(&world, "records", &history).await, "0");
    let messages = format!("SELECT messages FROM tickets WHERE record_id = '{case}'");
    assert_eq!(world.value(&messages).await, "2");
    // The log was asked all along and named the deletion; the undeletion came later.
    assert_ne!(world.value("SELECT count(*) FROM job_attempts WHERE kind = 'deleted'").await, "0");
}

#[tokio::test]
async fn a_merge_names_the_survivor_who_has_all_messages_though_their_stamps_stood_still() {
    let mut world = World::new("deletes_merge").await;
    world.run_ahead();
    let ((winner, _), (loser, comments)) =
        (case_with_comments(&world, 1).await, case_with_comments(&world, 2).await);
    world.loaded(&["Case", "CaseComment"]).await;
    for comment in &comments {
        let path = format!("records/CaseComment/{comment}");
        world.post(&path, json!({"fields": {"ParentId": winner}, "touch": false})).await;
    }
    world.change("Case", &loser, json!({"MasterRecordId": winner})).await;
    world.act("Case", &loser, "delete").await;
    world.pass().await;
    assert_eq!(state_of(&world, "tickets", &loser).await, MERGED);
    let into = format!("SELECT merged_into FROM tickets WHERE record_id = '{loser}'");
    assert_eq!(world.value(&into).await, winner);
    assert_eq!(items_of(&world, &winner).await, "3/3");
    assert_eq!(items_of(&world, &loser).await, "0/0");
}

#[tokio::test]
async fn what_was_deleted_with_its_fields_emptied_keeps_its_values_and_changes_its_state() {
    let mut world = World::new("deletes_emptied").await;
    world.run_ahead();
    let (case, comments) = case_with_comments(&world, 2).await;
    world.loaded(&["Case", "CaseComment"]).await;
    let values = format!(
        "SELECT concat_ws('|', number, status, priority, owner_id, opened_at) FROM tickets WHERE record_id = '{case}'"
    );
    let before = world.value(&values).await;
    assert!(before.contains("New"), "{before}");
    world.change("CaseComment", &comments[0], json!({"ParentId": null, "CommentBody": null})).await;
    world.act("CaseComment", &comments[0], "delete").await;
    world.pass().await;
    let item = format!("SELECT state || ticket_record_id FROM messages WHERE record_id = '{}'", comments[0]);
    assert_eq!(world.value(&item).await, format!("2{case}"));
    assert_eq!(items_of(&world, &case).await, "1/1");

    world.change("Case", &case, json!({"Status": null, "Priority": null, "OwnerId": null})).await;
    world.act("Case", &case, "delete").await;
    world.pass().await;
    assert_eq!(state_of(&world, "tickets", &case).await, DELETED);
    assert_eq!(world.value(&values).await, before);
}

#[tokio::test]
async fn archived_tasks_stay() {
    let mut world = World::new("deletes_archived").await;
    world.run_ahead();
    let tasks = world.loaded(&["Task"]).await;
    let live = format!("SELECT count(*) FROM records WHERE object_id = {} AND state = 0", tasks[0].0);
    let before = world.value(&live).await;
    let archived = world.post("archive", json!({"days": 1})).await["archived"].as_u64().unwrap();
    assert!(archived > 0, "nothing was archived, so nothing is proved");
    world.pass().await;
    world.pass().await;
    assert_eq!(world.value(&live).await, before);
    assert_eq!(before, world.truth("Task").to_string());
    assert_ne!(world.value("SELECT count(*) FROM job_attempts WHERE kind = 'sweep'").await, "0");
}

#[tokio::test]
async fn a_log_that_was_cleared_leads_to_a_sweep_which_finds_what_it_forgot() {
    let mut world = World::new("deletes_cleared").await;
    world.run_ahead();
    let (case, _) = case_with_comments(&world, 1).await;
    world.loaded(&["Case", "CaseComment"]).await;
    world.act("Case", &case, "purge").await;
    let purged = salesforce_sim::time::rfc3339(world.org().clock.now_ms() + 60_000);
    world.post("replication", json!({"purged_before": purged})).await;
    // Sweeps are days away, and only the log's gap calls for one.
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'deleted'").await;
    world.run_until_quiet().await;
    assert_eq!(state_of(&world, "tickets", &case).await, PURGED);
    assert_eq!(items_of(&world, &case).await, "0/0");
}

/// Takes cases away without a trace, some minutes apart by the org's clock; gives their ids.
async fn purged_apart(world: &World, cases: usize, minutes: i64) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..cases {
        ids.push(world.insert("Case", json!({"Subject": "Soon to go"})).await);
    }
    world.run_until_quiet().await;
    world.pass().await;
    for id in &ids {
        world.act("Case", id, "purge").await;
        let url = format!("{}/clock/advance", world.sim.ready.control);
        let by = json!({"ms": minutes * 60_000});
        reqwest::Client::new().post(url).json(&by).send().await.unwrap().error_for_status().unwrap();
    }
    ids
}

/// Calls for the log of deletions, by how they ended.
fn asked_for_the_log(world: &World, status: u16) -> usize {
    let org = world.org();
    let calls = org.calls();
    calls.calls().filter(|call| call.path.ends_with("/deleted/") && call.status == status).count()
}

#[tokio::test]
async fn more_deletions_than_one_answer_holds_are_asked_for_in_shorter_spans() {
    let mut world = World::new("deletes_many").await;
    world.run_ahead();
    world.loaded(&["Case"]).await;
    // Nothing but the log tells of them here, and it is followed to the end of the org's hour.
    world.sql("DELETE FROM jobs WHERE kind = 'sweep'").await;
    let ids = purged_apart(&world, 6, 8).await;
    world.context.clock = Clock::from_fn(|| Clock::system().now() + chrono::Duration::minutes(50));
    world.post("replication", json!({"most_ids": 2})).await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'deleted'").await;
    world.run_until_quiet().await;
    for id in &ids {
        assert_eq!(state_of(&world, "records", id).await, DELETED);
        assert_eq!(state_of(&world, "tickets", id).await, DELETED);
    }
    assert!(asked_for_the_log(&world, 400) >= 2, "an answer that would hold more is refused");
    assert!(asked_for_the_log(&world, 200) >= 3, "at most two in each");
    let followed = "SELECT ((progress->>'covered')::timestamptz >= now() + interval '40 minutes') || ' ' ||
        ((progress->>'since')::timestamptz < now() - interval '30 minutes') FROM jobs WHERE kind = 'deleted'";
    assert_eq!(world.value(followed).await, "true true", "to its end and without a gap");
}

#[tokio::test]
async fn more_deletions_at_once_than_one_answer_holds_lead_to_a_sweep() {
    let mut world = World::new("deletes_at_once").await;
    world.run_ahead();
    world.loaded(&["Case"]).await;
    let ids = purged_apart(&world, 6, 0).await;
    // No sweep has looked since.
    world.sql("UPDATE jobs SET progress = '{}' WHERE kind = 'sweep'").await;
    world.post("replication", json!({"most_ids": 2})).await;
    let sweeps = async || world.value("SELECT count(*) FROM job_attempts WHERE kind = 'sweep'").await;
    let before = sweeps().await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'deleted'").await;
    world.run_until_quiet().await;
    for id in &ids {
        assert_eq!(state_of(&world, "tickets", id).await, PURGED);
    }
    assert_ne!(sweeps().await, before);
    // What is deleted from then on is in the log again, whatever this machine's clock says.
    world.post("replication", json!({"most_ids": 1000})).await;
    let id = purged_apart(&world, 1, 0).await.remove(0);
    world.sql("DELETE FROM jobs WHERE kind = 'sweep'; UPDATE jobs SET available_at = now() WHERE kind = 'deleted'").await;
    world.run_until_quiet().await;
    assert_eq!(state_of(&world, "tickets", &id).await, DELETED);
}

#[tokio::test]
async fn a_history_that_was_looked_for_and_is_there_outdates_what_told_of_its_deletion_before() {
    let mut world = World::new("deletes_unstamped").await;
    world.run_ahead();
    let (case, _) = case_with_comments(&world, 0).await;
    let objects = world.loaded(&["Case", "CaseHistory"]).await;
    world.change("Case", &case, json!({"Status": "Closed"})).await;
    world.pass().await;
    // Whoever told of the deletion asked before the case came back, and is slower to say so.
    world.sql("UPDATE records SET read_at = read_at - interval '1 hour'").await;
    let look = format!(
        "INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, params)
         SELECT tenant_id, connection_id, object_id, org_id, 'related', {}, jsonb_build_object('field', 'CaseId', 'ids', jsonb_build_array('{case}'))
           FROM jobs WHERE object_id = {} AND kind = 'incremental'",
        Class::Derived.number(),
        objects[1].0
    );
    world.sql(&look).await;
    world.run_until_quiet().await;
    let histories = format!(
        "SELECT count(*) > 0 AND bool_and(r.read_at > now() - interval '30 minutes' AND r.state = 0)
           FROM messages m JOIN records r USING (tenant_id, connection_id, object_id, record_id)
          WHERE m.ticket_record_id = '{case}' AND m.object_id = {}",
        objects[1].0
    );
    assert_eq!(world.value(&histories).await, "t", "when they were seen last is known");
}
