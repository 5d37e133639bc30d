//! Tickets leave whole when their time is over, are not read back by accident, and come back whole when something happens
//! to them again.

use base64::Engine as _;
use refrain_shared::clock::Clock;
use refrain_shared::ids::{ObjectId, SalesforceId};
use refrain_shared::job::ObjectSettings;
use refrain_shared::record::named::named;
use refrain_shared::retention::Policy;
use refrain_shared::storage::content::named::record_ask;
use refrain_shared::storage::content::retention::{WouldGo, retention_outlook};
use refrain_shared::storage::control::retention::retention_set;
use refrain_shared::storage::dispatch::jobs_reconcile;
use refrain_shared::storage::holds::hold_set;
use serde_json::json;

use crate::closure::old;
use crate::world::World;

/// A ticket's state and reason when it left.
const EXPIRED: &str = "2/2";
/// A record's, of a ticket that left.
const STUB: &str = "1/2";

async fn keep(world: &World, policy: Policy) {
    retention_set(&world.control, &world.scope, &policy).await.unwrap();
}

async fn month(world: &World) {
    keep(world, Policy::default()).await;
}

async fn state_of(world: &World, table: &str, id: &str) -> String {
    let sql = format!("SELECT concat_ws('/', state, reason) FROM {table} WHERE record_id = '{id}'");
    world.sql(&sql).await.into_iter().next().unwrap_or_else(|| "none".to_owned())
}

/// How many items of a ticket are here, and how many of those the ticket says.
async fn items_of(world: &World, ticket: &str) -> String {
    world
        .value(&format!(
            "SELECT (SELECT count(*) FROM messages WHERE ticket_record_id = '{ticket}') || '/' ||
                    (SELECT messages FROM tickets WHERE record_id = '{ticket}')"
        ))
        .await
}

async fn hold(world: &World, object: ObjectId, ticket: &str, reason: Option<&str>) {
    let record = SalesforceId::parse(ticket).unwrap();
    hold_set(&world.context.db, &world.scope, object, record, reason).await.unwrap().unwrap();
}

async fn outlook(world: &World, policy: Policy) -> WouldGo {
    let now = Clock::system().now();
    let outlook =
        retention_outlook(&world.context.db, &world.scope, policy.cut_offs(now), now).await.unwrap();
    outlook.would_go
}

/// The objects of the stories, loaded, with the jobs that then look after them.
async fn loaded(world: &World, objects: &[&str]) -> Vec<ObjectId> {
    let mut ids = Vec::new();
    for object in objects {
        ids.push(world.object(object, ObjectSettings { settle_s: 1, ..ObjectSettings::default() }).await);
    }
    world.run_until_quiet().await;
    jobs_reconcile(&world.context.db).await.unwrap();
    ids
}

/// Lets the jobs of retention run now, and whatever they make due.
async fn purge(world: &World) {
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'expire'").await;
    world.run_until_quiet().await;
}

/// Everything of the object is read once more by its increments.
async fn reread(world: &World) {
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '1000 days'").await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.run_until_quiet().await;
}

/// A case that was silent for so many days, with two comments and a file.
async fn silent_case(world: &World, days: i64) -> (String, [String; 3]) {
    let case = old(world, days, "Case", json!({"Subject": "Cannot log in", "Status": "New"})).await;
    let comment = |text| json!({"ParentId": case, "CommentBody": text});
    let first = old(world, days, "CaseComment", comment("first")).await;
    let second = old(world, days - 1, "CaseComment", comment("second")).await;
    let body = base64::engine::general_purpose::STANDARD.encode(b"a log");
    let file = json!({"ParentId": case, "Name": "log.txt", "ContentType": "text/plain", "Body": body});
    let file = old(world, days, "Attachment", file).await;
    (case, [first, second, file])
}

const OBJECTS: [&str; 4] = ["Case", "CaseComment", "Attachment", "Contact"];

/// What the numbers say that page commits keep, beside what counting gives.
async fn counts_hold(world: &World) {
    for (kept, counted) in [
        ("SELECT sum(live) FROM checkpoints", "SELECT count(*) FROM records WHERE state = 0"),
        ("SELECT sum(items) FROM checkpoints", "SELECT count(*) FROM messages WHERE state = 0"),
        ("SELECT tickets FROM tenant_feed", "SELECT count(*) FROM tickets WHERE state = 0"),
        ("SELECT shells FROM tenant_feed", "SELECT count(*) FROM tickets WHERE state = 1"),
    ] {
        assert_eq!(world.value(kept).await, world.value(counted).await, "{kept}");
    }
}

#[tokio::test]
async fn a_ticket_leaves_whole_when_its_time_is_over_and_a_held_one_when_its_hold_is_released() {
    let world = World::new("retention_leaves").await;
    let (gone, parts) = silent_case(&world, 40).await;
    let (held, _) = silent_case(&world, 40).await;
    let (young, _) = silent_case(&world, 20).await;
    let case = loaded(&world, &OBJECTS).await[0];
    let contacts = "SELECT count(*) FROM records WHERE record_id LIKE '003%' AND state = 0";
    let before = world.value(contacts).await;
    assert_ne!(before, "0");
    assert_eq!(items_of(&world, &gone).await, "3/2");
    hold(&world, case, &held, Some("graded")).await;
    let head: i64 = world.value("SELECT head FROM tenant_feed").await.parse().unwrap();
    // Nothing goes as long as everything is kept.
    purge(&world).await;
    assert_eq!(state_of(&world, "tickets", &gone).await, "0");

    month(&world).await;
    purge(&world).await;
    assert_eq!(state_of(&world, "tickets", &gone).await, EXPIRED);
    assert_eq!(items_of(&world, &gone).await, "0/0");
    for id in parts.iter().chain([&gone]) {
        assert_eq!(state_of(&world, "records", id).await, STUB);
        let left = "payload IS NOT NULL OR identities IS NOT NULL OR content_hash IS NOT NULL";
        let sql = format!("SELECT count(*) FROM records WHERE record_id = '{id}' AND ({left})");
        assert_eq!(world.value(&sql).await, "0");
    }
    let values = "number IS NOT NULL OR status IS NOT NULL OR owner_id IS NOT NULL OR opened_at IS NOT NULL";
    let sql = format!("SELECT count(*) FROM tickets WHERE record_id = '{gone}' AND ({values})");
    assert_eq!(world.value(&sql).await, "0");
    let bodies = format!(
        "SELECT (SELECT count(*) FROM files WHERE file_id = '{0}') + (SELECT count(*) FROM file_chunks WHERE file_id = '{0}')",
        parts[2]
    );
    assert_eq!(world.value(&bodies).await, "0", "its files' bodies are gone from the database");
    let told = format!("SELECT feed_seq > {head} FROM tickets WHERE record_id = '{gone}'");
    assert_eq!(world.value(&told).await, "t", "the feed tells that it left");
    let late = "SELECT count(*) FROM tickets WHERE state < 2 AND NOT held AND last_activity_at < now() - interval '30 days'";
    assert_eq!(world.value(late).await, "0");
    for stays in [&held, &young] {
        assert_eq!(state_of(&world, "tickets", stays).await, "0");
        assert_eq!(items_of(&world, stays).await, "3/2");
    }
    assert_eq!(world.value(contacts).await, before, "what others refer to is nobody's ticket");
    counts_hold(&world).await;

    hold(&world, case, &held, None).await;
    purge(&world).await;
    assert_eq!(state_of(&world, "tickets", &held).await, EXPIRED);
    assert_eq!(state_of(&world, "tickets", &young).await, "0");
    counts_hold(&world).await;
}

#[tokio::test]
async fn what_left_is_read_back_by_nothing_that_happens_to_others() {
    let mut world = World::new("retention_stays_away").await;
    world.run_ahead();
    let (gone, [comment, ..]) = silent_case(&world, 40).await;
    let case = loaded(&world, &OBJECTS).await[0];
    month(&world).await;
    purge(&world).await;
    let here = "SELECT count(*) FROM records WHERE state = 0";
    let left = world.value(here).await;
    let is_away = async |by: &str| {
        assert_eq!(state_of(&world, "tickets", &gone).await, EXPIRED, "{by}");
        assert_eq!(state_of(&world, "records", &gone).await, STUB, "{by}");
        assert_eq!(state_of(&world, "records", &comment).await, STUB, "{by}");
        assert_eq!(items_of(&world, &gone).await, "0/0", "{by}");
        assert_eq!(world.value(here).await, left, "{by}");
    };
    reread(&world).await;
    is_away("an increment with an overlap").await;

    // A mass update moves the stamp and nothing that people did.
    let was = salesforce_sim::time::rfc3339(world.org().clock.now_ms() - 40 * 86_400_000);
    world.change("Case", &gone, json!({"Priority": "High"})).await;
    let fields = json!({"fields": {"LastModifiedDate": was}, "touch": false});
    world.post(&format!("records/Case/{gone}"), fields).await;
    let expired = format!("SELECT expired FROM checkpoints WHERE object_id = {}", case.0);
    let before: u64 = world.value(&expired).await.parse().unwrap();
    world.pass().await;
    is_away("a mass update").await;
    assert!(world.value(&expired).await.parse::<u64>().unwrap() > before, "it is counted as what it is");

    // A file is nothing that anybody did to the ticket.
    let file =
        json!({"ParentId": gone, "Name": "later.txt", "ContentType": "text/plain", "Body": "bGF0ZXI="});
    let file = world.insert("Attachment", file).await;
    world.pass().await;
    assert_eq!(state_of(&world, "records", &file).await, STUB);
    is_away("a file").await;

    let asked = async || world.value("SELECT count(*) FROM job_attempts WHERE kind = 'related'").await;
    let before = asked().await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'sweep'").await;
    world.run_until_quiet().await;
    assert_ne!(world.value("SELECT count(*) FROM job_attempts WHERE kind = 'sweep'").await, "0");
    assert_eq!(asked().await, before, "a sweep asks for none of it");
    is_away("a sweep").await;

    // A person asks for it by its id: it and all of its children are read, and stay stubs.
    record_ask(&world.context.db, &world.scope, world.connection, &named(&gone).unwrap()).await.unwrap();
    world.run_until_quiet().await;
    is_away("a related job").await;
    counts_hold(&world).await;
}

#[tokio::test]
async fn a_first_load_keeps_the_tickets_inside_of_the_cut_off_and_all_of_theirs_in_any_order() {
    // Of three that are old, one was talked about lately.
    let lived = async |world: &World| {
        for _ in 0..2 {
            silent_case(world, 120).await;
        }
        let (case, _) = silent_case(world, 120).await;
        old(world, 5, "CaseComment", json!({"ParentId": case, "CommentBody": "still there"})).await;
    };
    let all = World::new("retention_first_all").await;
    lived(&all).await;
    loaded(&all, &["Case", "CaseComment", "EmailMessage"]).await;
    let inside =
        "SELECT count(*) FROM tickets WHERE state = 0 AND last_activity_at >= now() - interval '90 days'";
    let items = "SELECT count(*) FROM messages m WHERE state = 0 AND EXISTS (SELECT FROM tickets t WHERE t.record_id = m.ticket_record_id
                  AND t.state = 0 AND t.last_activity_at >= now() - interval '90 days')";
    let expected = (all.value(inside).await, all.value(items).await);
    let total = all.value("SELECT count(*) FROM tickets WHERE state = 0").await;
    assert!(expected.0 != "0" && expected.0 != total, "{} of {total}", expected.0);
    for (n, objects) in
        [["Case", "CaseComment", "EmailMessage"], ["EmailMessage", "CaseComment", "Case"]].iter().enumerate()
    {
        let world = World::new(&format!("retention_first_{n}")).await;
        lived(&world).await;
        keep(&world, Policy { ticket_days: 90, ..Policy::default() }).await;
        loaded(&world, objects).await;
        let live = "SELECT count(*) FROM tickets WHERE state = 0";
        assert_eq!(world.value(live).await, expected.0, "before any purge");
        assert_ne!(world.value("SELECT sum(expired) FROM checkpoints").await, "0");
        purge(&world).await;
        let here = async |sql: &str| world.value(sql).await;
        assert_eq!((here(live).await, here(items).await), expected);
        let strays = "SELECT count(*) FROM messages m WHERE state = 0 AND NOT EXISTS (SELECT FROM tickets t WHERE t.record_id = m.ticket_record_id AND t.state = 0)";
        assert_eq!(world.value(strays).await, all.value(strays).await, "nothing of other tickets stays");
        counts_hold(&world).await;
    }
}

#[tokio::test]
async fn what_happens_to_a_ticket_again_brings_it_back_whole() {
    let world = World::new("retention_again").await;
    let (written, parts) = silent_case(&world, 40).await;
    let (edited, _) = silent_case(&world, 40).await;
    loaded(&world, &OBJECTS).await;
    month(&world).await;
    purge(&world).await;
    for case in [&written, &edited] {
        assert_eq!(state_of(&world, "tickets", case).await, EXPIRED);
    }
    world.insert("CaseComment", json!({"ParentId": written, "CommentBody": "It happened again"})).await;
    world.change("Case", &edited, json!({"Status": "Working"})).await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.run_until_quiet().await;
    assert_eq!(state_of(&world, "tickets", &written).await, "0");
    assert_eq!(items_of(&world, &written).await, "4/3");
    assert_eq!(state_of(&world, "tickets", &edited).await, "0");
    assert_eq!(items_of(&world, &edited).await, "3/2");
    let body = format!("SELECT state FROM files WHERE file_id = '{}'", parts[2]);
    assert_eq!(world.value(&body).await, "1", "with the bodies of its files");
    let number = format!("SELECT number IS NOT NULL FROM tickets WHERE record_id = '{written}'");
    assert_eq!(world.value(&number).await, "t");
    counts_hold(&world).await;
    purge(&world).await;
    assert_eq!(items_of(&world, &written).await, "4/3", "and it stays");
}

#[tokio::test]
async fn what_is_said_in_a_session_of_a_ticket_that_left_brings_both_back() {
    let world = World::new("retention_session").await;
    let case = old(&world, 40, "Case", json!({"Subject": "A long chat"})).await;
    let session = old(&world, 40, "MessagingSession", json!({"CaseId": case, "Status": "Active"})).await;
    let entry = |seq: i64, days: i64| {
        let at = salesforce_sim::time::rfc3339(world.org().clock.now_ms() - days * 86_400_000);
        json!({"ConversationId": session, "Seq": seq, "ActorType": "EndUser", "EntryType": "Text",
            "Message": "Hello?", "EntryTime": at, "ServerReceivedTimestamp": at})
    };
    old(&world, 40, "ConversationEntry", entry(1, 40)).await;
    loaded(&world, &["Case", "MessagingSession", "ConversationEntry"]).await;
    month(&world).await;
    purge(&world).await;
    assert_eq!(state_of(&world, "tickets", &case).await, EXPIRED);
    assert_eq!(state_of(&world, "records", &session).await, STUB);

    world.insert("ConversationEntry", entry(2, 0)).await;
    world.sql("UPDATE jobs SET available_at = now() WHERE kind = 'incremental'").await;
    world.run_until_quiet().await;
    assert_eq!(state_of(&world, "tickets", &case).await, "0");
    assert_eq!(state_of(&world, "records", &session).await, "0");
    let entries = format!("SELECT count(*) FROM messages WHERE ticket_record_id = '{session}' AND state = 0");
    assert_eq!(world.value(&entries).await, "2");
    let said = format!("SELECT messages FROM tickets WHERE record_id = '{case}'");
    assert_eq!(world.value(&said).await, "2");
    counts_hold(&world).await;
}

#[tokio::test]
async fn a_preview_tells_what_then_goes_and_a_longer_policy_or_a_hold_brings_it_back() {
    let world = World::new("retention_preview").await;
    let (gone, _) = silent_case(&world, 40).await;
    let case = loaded(&world, &OBJECTS).await[0];
    let live = "SELECT count(*) FROM tickets WHERE state = 0";
    let before: i64 = world.value(live).await.parse().unwrap();
    assert_eq!(outlook(&world, Policy::LONGEST).await, WouldGo::default());
    let told = outlook(&world, Policy::default()).await;
    assert!(told.tickets > 0 && told.held == 0, "{told:?}");
    assert_eq!(world.value(live).await, before.to_string(), "a preview takes nothing");
    month(&world).await;
    purge(&world).await;
    assert_eq!(before - world.value(live).await.parse::<i64>().unwrap(), told.tickets);
    assert_eq!(outlook(&world, Policy::default()).await, WouldGo::default());

    hold(&world, case, &gone, Some("a complaint")).await;
    purge(&world).await;
    assert_eq!(
        (state_of(&world, "tickets", &gone).await.as_str(), items_of(&world, &gone).await.as_str()),
        ("0", "3/2")
    );
    keep(&world, Policy::LONGEST).await;
    purge(&world).await;
    assert_eq!(world.value(live).await, before.to_string(), "all that left is here again");
    counts_hold(&world).await;
    let asked = async || world.value("SELECT count(*) FROM job_attempts WHERE kind = 'related'").await;
    let before = asked().await;
    purge(&world).await;
    assert_eq!(asked().await, before, "and is asked for once");
}

#[tokio::test]
async fn a_purge_that_is_cut_off_after_each_commit_goes_on_where_it_was() {
    let mut world = World::new("retention_steps").await;
    for _ in 0..10 {
        silent_case(&world, 40).await;
    }
    loaded(&world, &["Case", "CaseComment"]).await;
    let told = outlook(&world, Policy::default()).await.tickets;
    assert!(told > 9, "{told}");
    month(&world).await;
    world.context.draining.cancel();
    world.sql("UPDATE jobs SET progress = '{\"each\": 3}', available_at = now() WHERE kind = 'expire'").await;
    assert!(world.turn().await);
    let expired = "SELECT count(*) FROM tickets WHERE expired";
    assert_eq!(world.value(expired).await, "3");
    counts_hold(&world).await;
    // The next worker dies in the middle of it: its lease runs out, and nothing of its chunk lasts.
    world
        .sql(
            "UPDATE jobs SET state = 2, fence = fence + 1, epoch = epoch + 1, lease_until = now() - interval '1 second' WHERE kind = 'expire'",
        )
        .await;
    refrain_shared::storage::dispatch::leases_reap(&world.context.db).await.unwrap();
    world.context.draining = tokio_util::sync::CancellationToken::new();
    world.run_until_quiet().await;
    assert_eq!(world.value(expired).await, told.to_string());
    counts_hold(&world).await;
}

#[tokio::test]
async fn a_body_that_was_loaded_long_ago_leaves_before_its_ticket_and_is_not_fetched_again() {
    let world = World::new("retention_bodies").await;
    let (case, [.., file]) = silent_case(&world, 3).await;
    loaded(&world, &OBJECTS).await;
    let body = async || {
        let sql = format!(
            "SELECT state || '/' || coalesce(reason, '') || '/' || (SELECT count(*) FROM file_chunks c WHERE c.file_id = f.file_id)
               FROM files f WHERE file_id = '{file}'"
        );
        world.value(&sql).await
    };
    assert_eq!(body().await, "1//1");
    keep(&world, Policy { attachment_days: 60, ..Policy::LONGEST }).await;
    world.sql("UPDATE files SET updated_at = now() - interval '61 days'").await;
    assert_ne!(outlook(&world, Policy { attachment_days: 60, ..Policy::LONGEST }).await.attachments, 0);
    purge(&world).await;
    assert_eq!(body().await, "2/expired/0");
    assert_eq!(items_of(&world, &case).await, "3/2", "what is known of the file stays");
    // Its record is written anew, with the same body.
    record_ask(&world.context.db, &world.scope, world.connection, &named(&case).unwrap()).await.unwrap();
    reread(&world).await;
    world.run_until_quiet().await;
    assert_eq!(world.value("SELECT count(*) FROM files WHERE state = 0").await, "0");
}

#[tokio::test]
async fn time_goes_on_while_the_connection_is_parked_or_the_object_switched_off() {
    let world = World::new("retention_parked").await;
    let (gone, _) = silent_case(&world, 40).await;
    loaded(&world, &["Case", "CaseComment"]).await;
    month(&world).await;
    let closed = |subject: String| {
        format!(
            "INSERT INTO gates (subject, reason, blocked_until) VALUES ('{subject}', 'parked', 'infinity')"
        )
    };
    world.sql(&closed(world.connection.0.to_string())).await;
    world.sql(&closed(world.org().identity.org_id.to_string())).await;
    world.sql("UPDATE object_syncs SET enabled = false").await;
    jobs_reconcile(&world.context.db).await.unwrap();
    assert_eq!(world.sql("SELECT DISTINCT kind FROM jobs").await, ["expire"]);
    purge(&world).await;
    assert_eq!(state_of(&world, "tickets", &gone).await, EXPIRED);
}
