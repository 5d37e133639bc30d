//! A filter of an object: history is read under it, what changes is held against it here, and what leaves it, or is left out
//! by a changed one, leaves with all that belongs to it and comes back with it.

use std::collections::BTreeSet;

use refrain_shared::catalog::Filter;
use refrain_shared::ids::ObjectId;
use refrain_shared::job::ObjectSettings;
use refrain_shared::job::price::ReadBy;
use refrain_shared::storage::control::object_syncs::{ObjectSyncPatch, object_sync_update};
use refrain_shared::storage::dispatch::{Also, jobs_reconcile, leases_reap, object_trigger};
use serde_json::{Value, json};

use crate::bulk::{plan_only, prompt};
use crate::closure::old;
use crate::verify::{result, sweep};
use crate::world::World;

/// A record, or a ticket, outside of a filter.
const STUB: &str = "1/1";
const FILTERED: &str = "2/1";

fn under(filter: &Value) -> ObjectSettings {
    let filter: Filter = serde_json::from_value(filter.clone()).unwrap();
    ObjectSettings { settle_s: 1, filter: Some(filter), ..ObjectSettings::default() }
}

fn plain() -> ObjectSettings {
    ObjectSettings { settle_s: 1, ..ObjectSettings::default() }
}

fn origin(origins: &[&str]) -> Value {
    json!({"field": "Origin", "in": origins})
}

/// What the org has of an object, each record with all of its fields.
async fn truth(world: &World, object: &str) -> Vec<Value> {
    let url = format!("{}/orgs/{}/truth/{object}", world.sim.ready.control, world.sim.ready.orgs[0].org_id);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["deleted"] == false).map(|mut record| record["fields"].take()).collect()
}

/// The ids of those that pass.
async fn passing(world: &World, object: &str, passes: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let records = truth(world, object).await;
    let passing = records.iter().filter(|record| passes(record));
    passing.map(|record| record["Id"].as_str().unwrap().to_owned()).collect()
}

fn has_origin(origins: &'static [&'static str]) -> impl Fn(&Value) -> bool {
    move |record| record["Origin"].as_str().is_some_and(|origin| origins.contains(&origin))
}

async fn live(world: &World, object: ObjectId) -> BTreeSet<String> {
    let sql = format!("SELECT record_id FROM records WHERE object_id = {} AND state = 0", object.0);
    world.sql(&sql).await.into_iter().collect()
}

async fn state_of(world: &World, table: &str, id: &str) -> String {
    let sql = format!("SELECT concat_ws('/', state, reason) FROM {table} WHERE record_id = '{id}'");
    world.sql(&sql).await.into_iter().next().unwrap_or_else(|| "none".to_owned())
}

/// Every record read ended in one outcome; what is counted is what is here; and what is shown belongs to what is shown.
async fn is_sound(world: &World) {
    for (kept, counted) in [
        ("SELECT sum(live) FROM checkpoints", "SELECT count(*) FROM records WHERE state = 0"),
        ("SELECT sum(items) FROM checkpoints", "SELECT count(*) FROM messages WHERE state = 0"),
        ("SELECT tickets FROM tenant_feed", "SELECT count(*) FROM tickets WHERE state = 0"),
        ("SELECT shells FROM tenant_feed", "SELECT count(*) FROM tickets WHERE state = 1"),
    ] {
        assert_eq!(world.value(kept).await, world.value(counted).await, "{kept}");
    }
    for never in [
        "SELECT count(*) FROM records WHERE state = 1 AND (payload IS NOT NULL OR content_hash IS NOT NULL OR identities <> '')",
        "SELECT count(*) FROM tickets WHERE state = 2 AND reason = 1
            AND (number IS NOT NULL OR status IS NOT NULL OR owner_id IS NOT NULL OR NOT expired)",
        "SELECT count(*) FROM messages m JOIN tickets t ON t.record_id = m.ticket_record_id WHERE t.state = 2 AND t.reason = 1",
        "SELECT count(*) FROM tickets WHERE state = 1",
        "SELECT count(*) FROM checkpoints
          WHERE records_read <> written + unchanged + superseded + quarantined + suppressed + expired + filtered",
    ] {
        assert_eq!(world.value(never).await, "0", "{never}");
    }
}

async fn set_filter(world: &World, object: ObjectId, settings: ObjectSettings) {
    let patch = ObjectSyncPatch { settings: Some(settings), ..ObjectSyncPatch::default() };
    object_sync_update(&world.control, &world.scope, object, &patch).await.unwrap().unwrap();
    jobs_reconcile(&world.context.db).await.unwrap();
}

/// Has what changed read, and nothing else.
async fn increment(world: &World) {
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.run_until_quiet().await;
}

/// Has the standing jobs that ask Salesforce for nothing run.
async fn turn_without_calls(world: &World) {
    let before = world.org().calls().calls().count();
    world.run_until_quiet().await;
    assert_eq!(world.org().calls().calls().count(), before, "Salesforce was asked");
}

async fn load(world: &World, filter: &Value, others: &[&str]) -> Vec<ObjectId> {
    let mut ids = vec![world.object("Case", under(filter)).await];
    for object in others {
        ids.push(world.object(object, plain()).await);
    }
    world.run_until_quiet().await;
    world.settle().await;
    ids
}

#[tokio::test]
async fn a_first_load_reads_what_the_filter_holds_of_and_nothing_else_by_rest_and_by_bulk() {
    for way in [ReadBy::Rest, ReadBy::Bulk] {
        let world = prompt(World::with_cases("filter_first", 300).await);
        old(&world, 90, "Case", json!({"Subject": "Marked", "Origin": "it's \\ 'odd'"})).await;
        let filter = json!({"any": [origin(&["Web", "it's \\ 'odd'"]), {"field": "Priority", "is": "high"}]});
        // What changed lately is read whatever it is: not here.
        let settings = ObjectSettings { read_by: way, overlap_s: 0, ..under(&filter) };
        let case = world.object("Case", settings).await;
        world.run_until_quiet().await;
        let expected = passing(&world, "Case", |record| {
            has_origin(&["Web", "it's \\ 'odd'"])(record) || record["Priority"] == "High"
        })
        .await;
        let all = world.truth("Case");
        assert!(!expected.is_empty() && expected.len() < all, "{} of {all}", expected.len());
        assert_eq!(live(&world, case).await, expected, "{way:?}");
        assert_eq!(
            world.value("SELECT count(*) FROM records WHERE state = 1").await,
            "0",
            "nothing else came"
        );
        let counted = format!("SELECT expected <= {all} AND expected >= {} FROM checkpoints", expected.len());
        assert_eq!(world.value(&counted).await, "t");
        is_sound(&world).await;
    }
}

#[tokio::test]
async fn what_left_while_a_bulk_job_was_on_its_way_is_not_brought_back_by_its_results() {
    // The results are of when the job was made.
    let mut world = prompt(World::new("filter_late").await);
    world.run_ahead();
    let id = old(&world, 1, "Case", json!({"Subject": "Written", "Origin": "Email"})).await;
    let settings = ObjectSettings { read_by: ReadBy::Bulk, ..under(&origin(&["Email"])) };
    world.object("Case", settings).await;
    plan_only(&world).await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind = 'incremental'").await;
    let making = "SELECT count(*) FROM jobs WHERE kind = 'bulk' AND progress->'running' IS NULL";
    while world.value(making).await != "0" {
        assert!(world.turn().await);
    }
    world.change("Case", &id, json!({"Origin": "Phone"})).await;
    world.sql("UPDATE jobs SET available_at = now() + interval '1 hour' WHERE kind = 'bulk'").await;
    // Nothing was known of it: it is outside of the filter all the same.
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    while world.turn().await {}
    assert_eq!(state_of(&world, "records", &id).await, STUB);
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'bulk'").await;
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT state || ' ' || superseded FROM checkpoints").await, "current 1");
    assert_eq!(state_of(&world, "records", &id).await, STUB);
    is_sound(&world).await;
}

/// A case with two comments and a file that are older than anything that is read again.
async fn conversation(world: &World, origin: &str) -> (String, Vec<String>) {
    let case = old(world, 40, "Case", json!({"Subject": "Cannot log in", "Origin": origin})).await;
    let mut parts = Vec::new();
    for text in ["first", "second"] {
        parts.push(old(world, 40, "CaseComment", json!({"ParentId": case, "CommentBody": text})).await);
    }
    let file = json!({"ParentId": case, "Name": "log.txt", "ContentType": "text/plain", "Body": "YSBsb2c="});
    parts.push(old(world, 40, "Attachment", file).await);
    (case, parts)
}

#[tokio::test]
async fn what_leaves_the_filter_leaves_with_its_conversation_and_comes_back_with_it() {
    let mut world = World::new("filter_leaves").await;
    world.run_ahead();
    let (case, mut parts) = conversation(&world, "Email").await;
    load(&world, &origin(&["Email"]), &["CaseComment", "Attachment"]).await;
    assert_eq!(state_of(&world, "tickets", &case).await, "0");
    let files = format!("SELECT count(*) FROM files WHERE file_id = '{}'", parts[2]);
    assert_eq!(world.value(&files).await, "1");

    let head = "SELECT head FROM tenant_feed";
    world.change("Case", &case, json!({"Origin": "Phone"})).await;
    let before = world.value(head).await;
    increment(&world).await;
    assert_eq!(state_of(&world, "tickets", &case).await, FILTERED);
    assert_eq!(state_of(&world, "records", &case).await, STUB);
    for part in &parts {
        assert_eq!(state_of(&world, "records", part).await, STUB, "it went at once");
    }
    assert_eq!(world.value(&files).await, "0", "and so did the body of its file");
    let told = format!("SELECT feed_seq > {before} FROM tickets WHERE record_id = '{case}'");
    assert_eq!(world.value(&told).await, "t", "the feed says so");
    is_sound(&world).await;

    // What happens to it now is noted and shown to nobody.
    let before = world.value(head).await;
    world.change("Case", &case, json!({"Subject": "Still by telephone"})).await;
    parts.push(world.insert("CaseComment", json!({"ParentId": case, "CommentBody": "third"})).await);
    increment(&world).await;
    assert_eq!(state_of(&world, "records", &parts[3]).await, STUB);
    assert_eq!(world.value(head).await, before, "nothing changed for those who follow");
    is_sound(&world).await;

    world.change("Case", &case, json!({"Origin": "Email"})).await;
    increment(&world).await;
    assert_eq!(state_of(&world, "tickets", &case).await, "0");
    for part in &parts {
        assert_eq!(state_of(&world, "records", part).await, "0");
    }
    let shown = format!("SELECT count(*) FROM messages WHERE ticket_record_id = '{case}' AND state = 0");
    assert_eq!(world.value(&shown).await, "4");
    assert_eq!(world.value(&files).await, "1");
    is_sound(&world).await;
}

#[tokio::test]
async fn what_belongs_to_a_ticket_outside_of_the_filter_is_not_kept_in_any_order_of_the_objects() {
    let children = ["CaseComment", "EmailMessage", "MessagingSession", "ConversationEntry"];
    let mut kept = Vec::new();
    for first in [true, false] {
        let world = World::new("filter_children").await;
        if first {
            load(&world, &origin(&["Email"]), &children).await;
        } else {
            for object in children {
                world.object(object, plain()).await;
            }
            world.run_until_quiet().await;
            load(&world, &origin(&["Email"]), &[]).await;
        }
        world.pass().await;
        let cases = passing(&world, "Case", has_origin(&["Email"])).await;
        let of_kept = |record: &Value| record["ParentId"].as_str().is_some_and(|case| cases.contains(case));
        let comments = passing(&world, "CaseComment", of_kept).await;
        let comment = ObjectId(
            world
                .value("SELECT object_id FROM object_syncs WHERE api_name = 'CaseComment'")
                .await
                .parse()
                .unwrap(),
        );
        assert!(!comments.is_empty() && comments.len() < world.truth("CaseComment"));
        assert_eq!(live(&world, comment).await, comments);
        is_sound(&world).await;
        kept.push(world.value("SELECT count(*) FROM messages WHERE state = 0").await);
    }
    assert_eq!(kept[0], kept[1]);
}

#[tokio::test]
async fn a_session_outside_of_its_filter_takes_its_words_along_and_brings_them_back() {
    let mut world = World::new("filter_sessions").await;
    world.run_ahead();
    let case = old(&world, 40, "Case", json!({"Subject": "In a chat"})).await;
    let session = json!({"CaseId": case, "Status": "Ended"});
    let session = old(&world, 40, "MessagingSession", session).await;
    let mut words = Vec::new();
    for n in 0..2 {
        let at = salesforce_sim::time::rfc3339(world.org().clock.now_ms() - 40 * 86_400_000);
        let entry = json!({"ConversationId": session, "Message": format!("word {n}"), "ActorType": "EndUser", "EntryTime": at});
        words.push(old(&world, 40, "ConversationEntry", entry).await);
    }
    world.object("Case", plain()).await;
    world.object("ConversationEntry", plain()).await;
    world.object("MessagingSession", under(&json!({"not": {"field": "Status", "is": "error"}}))).await;
    world.run_until_quiet().await;
    world.settle().await;
    let said = format!("SELECT messages FROM tickets WHERE record_id = '{case}'");
    assert_eq!(world.value(&said).await, "2");
    world.change("MessagingSession", &session, json!({"Status": "Error"})).await;
    increment(&world).await;
    for id in words.iter().chain([&session]) {
        assert_eq!(state_of(&world, "records", id).await, STUB);
        let here = format!("SELECT count(*) FROM messages WHERE record_id = '{id}'");
        assert_eq!(world.value(&here).await, "0");
    }
    assert_eq!(world.value(&said).await, "0");
    is_sound(&world).await;
    world.change("MessagingSession", &session, json!({"Status": "Ended"})).await;
    increment(&world).await;
    assert_eq!(world.value(&said).await, "2");
    is_sound(&world).await;
}

#[tokio::test]
async fn a_changed_filter_lets_go_without_a_call_and_brings_back_all_that_it_holds_of() {
    let world = World::new("filter_changed").await;
    let (case, parts) = conversation(&world, "Email").await;
    let ids = load(&world, &origin(&["Email", "Web"]), &["CaseComment", "Attachment"]).await;
    assert_eq!(live(&world, ids[0]).await, passing(&world, "Case", has_origin(&["Email", "Web"])).await);

    // Narrower: also by a test that is no part of the filter before.
    set_filter(&world, ids[0], under(&origin(&["Web"]))).await;
    turn_without_calls(&world).await;
    assert_eq!(live(&world, ids[0]).await, passing(&world, "Case", has_origin(&["Web"])).await);
    assert_eq!(state_of(&world, "records", &parts[0]).await, STUB);
    is_sound(&world).await;

    // Back, before anybody looked at it: what was let go meanwhile is brought back.
    set_filter(&world, ids[0], under(&origin(&["Email", "Web"]))).await;
    world.run_until_quiet().await;
    assert_eq!(live(&world, ids[0]).await, passing(&world, "Case", has_origin(&["Email", "Web"])).await);
    assert_eq!(state_of(&world, "records", &parts[0]).await, "0");
    is_sound(&world).await;
    set_filter(&world, ids[0], under(&origin(&["Web"]))).await;
    world.run_until_quiet().await;
    increment(&world).await;
    is_sound(&world).await;

    // Wider, and beside what it was.
    set_filter(&world, ids[0], under(&origin(&["Email", "Phone"]))).await;
    world.run_until_quiet().await;
    assert_eq!(live(&world, ids[0]).await, passing(&world, "Case", has_origin(&["Email", "Phone"])).await);
    assert_eq!(state_of(&world, "tickets", &case).await, "0");
    for part in &parts {
        assert_eq!(state_of(&world, "records", part).await, "0", "its conversation is here");
    }
    is_sound(&world).await;

    // None at all.
    set_filter(&world, ids[0], plain()).await;
    world.run_until_quiet().await;
    assert_eq!(live(&world, ids[0]).await.len(), world.truth("Case"));
    assert_eq!(live(&world, ids[1]).await.len(), world.truth("CaseComment"));
    assert_eq!(world.value("SELECT count(*) FROM records WHERE state = 1").await, "0");
    assert_eq!(world.value("SELECT count(*) FROM checkpoints WHERE filter IS NOT NULL").await, "0");
    is_sound(&world).await;
}

#[tokio::test]
async fn what_others_led_to_from_before_history_comes_back_with_a_wider_filter() {
    let mut world = World::new("filter_beyond").await;
    world.run_ahead();
    let (case, parts) = conversation(&world, "Email").await;
    let month = |settings| ObjectSettings { history_days: Some(30), ..settings };
    let id = world.object("Case", month(under(&origin(&["Web"])))).await;
    world.object("CaseComment", month(plain())).await;
    let word = world.insert("CaseComment", json!({"ParentId": case, "CommentBody": "today"})).await;
    world.run_until_quiet().await;
    world.settle().await;
    increment(&world).await;
    assert_eq!(state_of(&world, "records", &case).await, STUB);
    assert_eq!(state_of(&world, "records", &word).await, STUB);
    set_filter(&world, id, month(under(&origin(&["Web", "Email"])))).await;
    increment(&world).await;
    assert_eq!(state_of(&world, "tickets", &case).await, "0");
    for part in [&word, &parts[0], &parts[1]] {
        assert_eq!(state_of(&world, "records", part).await, "0");
    }
    is_sound(&world).await;
}

#[tokio::test]
async fn a_changed_filter_that_is_cut_off_and_killed_goes_on_and_a_second_change_begins_anew() {
    let mut world = World::with_cases("filter_steps", 60).await;
    let ids = load(&world, &origin(&["Email", "Web", "Phone"]), &["CaseComment", "EmailMessage"]).await;
    set_filter(&world, ids[0], under(&origin(&["Web"]))).await;
    world.context.draining.cancel();
    for turn in 0..30 {
        if turn == 4 {
            set_filter(&world, ids[0], under(&origin(&["Phone", "Email"]))).await;
        }
        world.sql("UPDATE jobs SET available_at = now() WHERE state = 0").await;
        world.turn().await;
        // Between two commits a worker dies with its jobs in hand.
        world
            .sql("UPDATE jobs SET state = 2, fence = fence + 1, epoch = epoch + 1, crashes = 0, lease_until = now() - interval '1 second',
                          available_at = now()
                   WHERE kind IN ('reproject', 'expire', 'incremental') AND state = 0")
            .await;
        leases_reap(&world.context.db).await.unwrap();
    }
    world.context.draining = tokio_util::sync::CancellationToken::new();
    jobs_reconcile(&world.context.db).await.unwrap();
    world.pass().await;
    assert_eq!(live(&world, ids[0]).await, passing(&world, "Case", has_origin(&["Phone", "Email"])).await);
    let cases = live(&world, ids[0]).await;
    let of_kept = |record: &Value| record["ParentId"].as_str().is_some_and(|case| cases.contains(case));
    assert_eq!(live(&world, ids[1]).await, passing(&world, "CaseComment", of_kept).await);
    is_sound(&world).await;
}

#[tokio::test]
async fn a_scan_under_any_filter_finds_nothing_amiss_and_its_numbers_close() {
    let mut world = prompt(World::with_cases("filter_verify", 120).await);
    world.run_ahead();
    let case = world.object("Case", plain()).await;
    world.run_until_quiet().await;
    world.settle().await;
    let account =
        truth(&world, "Case").await.iter().find_map(|record| record["AccountId"].as_str().map(str::to_owned));
    let account = account.unwrap();
    // Half of the cases on either side of a moment and a priority without a case of its letters.
    let filters = [
        json!({"field": "Origin", "is": "EMAIL"}),
        json!({"not": {"field": "Origin", "in": ["Email", "web"]}}),
        json!({"field": "Type", "not_in": ["Problem"]}),
        json!({"not": {"field": "Type", "not_in": ["Problem"]}}),
        json!({"field": "Type", "is_null": true}),
        json!({"not": {"field": "ContactId", "is_null": true}}),
        json!({"field": "AccountId", "is": &account[..15]}),
        json!({"not": {"field": "AccountId", "is": account}}),
        json!({"field": "IsEscalated", "is": true}),
        json!({"not": {"field": "IsClosed", "in": [true]}}),
        json!({"field": "ClosedDate", "at_least": "2020-01-01T00:00:00Z"}),
        json!({"not": {"field": "ClosedDate", "at_least": "2026-10-01T00:00:00+02:00"}}),
        json!({"not": {"field": "ClosedDate", "below": "2026-10-01T00:00:00+02:00"}}),
        json!({"all": [{"field": "CreatedDate", "below": "2026-11-01T00:00:00Z"},
                       {"any": [{"field": "Priority", "is": "low"}, {"not": {"all": [origin(&["Phone"]), {"field": "IsClosed", "is": false}]}}]}]}),
        json!({"field": "Subject", "is": "nobody wrote this"}),
    ];
    for (n, filter) in filters.iter().enumerate() {
        let read_by = if n % 2 == 0 { ReadBy::Rest } else { ReadBy::Bulk };
        set_filter(&world, case, ObjectSettings { read_by, ..under(filter) }).await;
        increment(&world).await;
        assert_eq!(world.value("SELECT state FROM checkpoints").await, "current", "{filter}");
        sweep(&world).await;
        let found = result(&world).await;
        let live = live(&world, case).await.len();
        for amiss in ["lost", "stale", "undead", "missing", "extra", "unexplained", "ahead"] {
            assert_eq!(found[amiss], 0, "{amiss} {filter}: {found}");
        }
        assert_eq!((&found["here"], &found["kept"]), (&json!(live), &json!({})), "{filter}: {found}");
        let outside = found["filtered"].as_u64().unwrap() + found["there"].as_u64().unwrap();
        assert!(outside >= world.truth("Case") as u64, "{filter}: {found}");
        is_sound(&world).await;
    }
}

#[tokio::test]
async fn a_scan_finds_what_was_tampered_with_on_either_side_of_the_filter() {
    let mut world = prompt(World::with_cases("filter_tampered", 60).await);
    world.run_ahead();
    let case = load(&world, &origin(&["Email", "Web"]), &[]).await[0];
    set_filter(&world, case, under(&origin(&["Email"]))).await;
    increment(&world).await;
    let whole = passing(&world, "Case", has_origin(&["Email"])).await;
    for way in ["rest", "bulk"] {
        world
            .sql(&format!("UPDATE object_syncs SET settings = settings || '{{\"read_by\": \"{way}\"}}'"))
            .await;
        let taken = whole.first().unwrap();
        // One is left out that should be here, one is here that should be left out.
        world
            .sql(&format!(
                "UPDATE records SET state = 1, reason = 1, content_hash = NULL, payload = NULL WHERE record_id = '{taken}';
                 UPDATE records SET state = 0, reason = NULL, content_hash = '\\x00112233445566778899aabbccddeeff', payload = '\\x00'
                  WHERE record_id = (SELECT min(record_id) FROM records WHERE state = 1 AND record_id <> '{taken}')"
            ))
            .await;
        assert_ne!(live(&world, case).await, whole);
        sweep(&world).await;
        world.run_until_quiet().await;
        let found = result(&world).await;
        assert_eq!(
            (&found["undead"], &found["missing"], &found["unexplained"]),
            (&json!(1), &json!(1), &json!(0)),
            "{way}: {found}"
        );
        assert_eq!(live(&world, case).await, whole, "{way}");
        sweep(&world).await;
        assert_eq!(result(&world).await["undead"], 0);
    }
}

async fn ask_of(world: &World, object: ObjectId) -> Value {
    let sql = format!("SELECT coalesce(ask, 'null')::text FROM checkpoints WHERE object_id = {}", object.0);
    serde_json::from_str(&world.value(&sql).await).unwrap()
}

#[tokio::test]
async fn a_filter_that_cannot_be_asked_parks_its_object_with_why_and_how_to_mend_it() {
    let world = World::new("filter_wrong").await;
    let wrong = json!({"all": [{"field": "Description", "is": "x"}, {"field": "Nope__c", "is": 1}]});
    let case = world.object("Case", under(&wrong)).await;
    world.run_until_quiet().await;
    let ask = ask_of(&world, case).await;
    assert_eq!(ask["code"], "FILTER_NOT_USABLE", "{ask}");
    let told = ask.to_string();
    for part in ["cannot filter by Description", "no field Nope__c", "Check again"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(world.value("SELECT count(*) FROM records").await, "0", "nothing is kept that may be wrong");

    set_filter(&world, case, under(&origin(&["Email"]))).await;
    object_trigger(&world.context.db, &world.scope, case, Also::default()).await.unwrap();
    world.run_until_quiet().await;
    assert_eq!(live(&world, case).await, passing(&world, "Case", has_origin(&["Email"])).await);

    // A field that may not be seen any more judges nothing; what is here stays.
    let before = live(&world, case).await;
    world.hide(&[], &["Case.Origin"]);
    world.insert("Case", json!({"Subject": "By whatever way", "Origin": "Phone"})).await;
    increment(&world).await;
    assert_eq!(ask_of(&world, case).await["code"], "FILTER_NOT_USABLE");
    assert_eq!(live(&world, case).await, before);
    world.hide(&[], &[]);
    object_trigger(&world.context.db, &world.scope, case, Also::default()).await.unwrap();
    increment(&world).await;
    assert_eq!(ask_of(&world, case).await, Value::Null);
    assert_eq!(live(&world, case).await, passing(&world, "Case", has_origin(&["Email"])).await);
    is_sound(&world).await;
}
