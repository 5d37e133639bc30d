//! Deletions of every kind: into the bin and out of it, by a merge, without a trace; and what each does to a conversation.

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
