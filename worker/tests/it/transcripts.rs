//! Transcripts: what was said where SOQL keeps no words, in a class of its own.

use refrain_shared::ids::{ObjectId, SalesforceId};
use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::content::RecordKey;
use refrain_shared::storage::content::conversation::conversation_list;
use refrain_shared::storage::keys::keys_load;
use serde_json::json;

use crate::world::World;

fn settings() -> ObjectSettings {
    ObjectSettings { settle_s: 0, ..ObjectSettings::default() }
}

/// Kind, direction and words of each item of a ticket.
async fn said(world: &World, case: (ObjectId, &str)) -> Vec<(String, String, String)> {
    let (_, keys) = keys_load(&world.context.db, &world.context.ring, &world.scope).await.unwrap();
    let key = RecordKey {
        connection: world.connection,
        object: case.0,
        record: SalesforceId::parse(case.1).unwrap(),
    };
    let items = conversation_list(&world.context.db, &world.scope, keys, key, None, 200).await.unwrap();
    let said = items.into_iter().filter(|item| item.kind == "entry");
    said.map(|item| (item.kind, item.direction, item.text.unwrap_or_default())).collect()
}

struct Talk {
    case: String,
    session: String,
    conversation: String,
}

/// A session of a new case in an enhanced channel.
async fn talk(world: &World, number: u32) -> Talk {
    let case = world.insert("Case", json!({"Subject": "A chat"})).await;
    let conversation = format!("d5a5b5c0-0000-4000-8000-{number:012}");
    let record = world.insert("Conversation", json!({"ConversationIdentifier": conversation})).await;
    let fields = json!({"CaseId": case, "ConversationId": record, "Status": "Active"});
    let session = world.insert("MessagingSession", fields).await;
    Talk { case, session, conversation }
}

async fn speak(world: &World, talk: &Talk, by_agent: bool, text: &str) {
    let body = json!({"text": text, "by_agent": by_agent, "related": talk.session});
    world.post(&format!("conversations/{}/entries", talk.conversation), body).await;
}

async fn end(world: &World, talk: &Talk) {
    let fields = json!({"Status": "Ended", "EndTime": "2026-01-02T10:10:00Z"});
    world.change("MessagingSession", &talk.session, fields).await;
}

fn entry(direction: &str, text: &str) -> (String, String, String) {
    ("entry".to_owned(), direction.to_owned(), text.to_owned())
}

#[tokio::test]
async fn a_session_that_ended_brings_its_transcript() {
    let world = World::new("transcripts").await;
    let case_object = world.object("Case", settings()).await;
    world.object("MessagingSession", settings()).await;
    world.object("ConversationTranscript", settings()).await;
    world.run_until_quiet().await;
    let one = talk(&world, 1).await;
    speak(&world, &one, false, "Hello?").await;
    world.pass().await;
    assert_eq!(said(&world, (case_object, &one.case)).await, [], "it goes on");

    speak(&world, &one, true, "How can I help?").await;
    end(&world, &one).await;
    world.pass().await;
    let both = [entry("inbound", "Hello?"), entry("outbound", "How can I help?")];
    assert_eq!(said(&world, (case_object, &one.case)).await, both);
    let counted = format!("SELECT messages FROM tickets WHERE record_id = '{}'", one.case);
    assert_eq!(world.value(&counted).await, "2");
    let classes =
        world.value("SELECT count(*) FROM jobs WHERE kind IN ('sweep', 'deleted') AND ask IS NOT NULL").await;
    assert_eq!(classes, "0", "nobody asks Salesforce for an object that it does not have");
}

#[tokio::test]
async fn what_ended_before_is_read_when_transcripts_are_wanted_and_a_spent_hour_is_waited_for() {
    let world = World::new("transcripts_before").await;
    let case_object = world.object("Case", settings()).await;
    world.object("MessagingSession", settings()).await;
    let (one, two) = (talk(&world, 1).await, talk(&world, 2).await);
    for talk in [&one, &two] {
        speak(&world, talk, false, "Hello?").await;
        end(&world, talk).await;
    }
    world.run_until_quiet().await;
    world.post("conversations/limit", json!({"per_hour": 0})).await;
    world.object("ConversationTranscript", settings()).await;
    world.run_until_quiet().await;
    assert_eq!(said(&world, (case_object, &one.case)).await, []);
    let waiting =
        world.value("SELECT count(*) FROM jobs WHERE reason = 'transcript_limit' AND class = 7").await;
    assert_ne!(waiting, "0");
    assert_eq!(world.value("SELECT count(*) FROM gates").await, "0", "nothing else waits for it");
    world.post("conversations/limit", json!({"per_hour": 1000})).await;
    world.pass().await;
    for talk in [&one, &two] {
        assert_eq!(said(&world, (case_object, &talk.case)).await, [entry("inbound", "Hello?")]);
    }
}

#[tokio::test]
async fn what_soql_tells_is_not_asked_for_again_and_entries_without_words_give_way() {
    let world = World::new("transcripts_once").await;
    let case_object = world.object("Case", settings()).await;
    world.object("MessagingSession", settings()).await;
    world.object("ConversationEntry", settings()).await;
    let (told, silent) = (talk(&world, 1).await, talk(&world, 2).await);
    for (talk, words) in [(&told, json!("Hello by SOQL")), (&silent, json!(null))] {
        let fields = json!({"ConversationId": talk.session, "ActorType": "EndUser", "EntryType": "Text",
            "Message": words, "EntryTime": "2026-01-02T10:00:00Z"});
        world.insert("ConversationEntry", fields).await;
        speak(&world, talk, false, "Hello by transcript").await;
        end(&world, talk).await;
    }
    world.run_until_quiet().await;
    world.object("ConversationTranscript", settings()).await;
    world.run_until_quiet().await;
    assert_eq!(said(&world, (case_object, &told.case)).await, [entry("inbound", "Hello by SOQL")]);
    assert_eq!(said(&world, (case_object, &silent.case)).await, [entry("inbound", "Hello by transcript")]);
}

#[tokio::test]
async fn words_leave_and_come_back_with_their_session() {
    let world = World::new("transcripts_gone").await;
    let case_object = world.object("Case", settings()).await;
    world.object("MessagingSession", settings()).await;
    world.object("ConversationTranscript", settings()).await;
    let (gone, kept) = (talk(&world, 1).await, talk(&world, 2).await);
    for talk in [&gone, &kept] {
        speak(&world, talk, false, "Hello?").await;
        end(&world, talk).await;
    }
    world.run_until_quiet().await;
    let hello = [entry("inbound", "Hello?")];
    assert_eq!(said(&world, (case_object, &gone.case)).await, hello);

    world.post(&format!("records/MessagingSession/{}/delete", gone.session), json!({})).await;
    world.pass().await;
    assert_eq!(world.value("SELECT count(*) FROM checkpoints WHERE state = 'parked'").await, "0");
    let live = |talk: &Talk| {
        format!("SELECT count(*) FROM messages WHERE ticket_record_id = '{}' AND state = 0", talk.session)
    };
    assert_eq!(world.value(&live(&gone)).await, "0");
    assert_eq!(world.value(&live(&kept)).await, "1");
    assert_eq!(said(&world, (case_object, &kept.case)).await, hello);

    world.post(&format!("records/MessagingSession/{}/undelete", gone.session), json!({})).await;
    world.pass().await;
    assert_eq!(said(&world, (case_object, &gone.case)).await, hello);
}

#[tokio::test]
async fn a_transcript_gives_way_to_what_soql_tells_later_and_counts_once() {
    let world = World::new("transcripts_later").await;
    let case_object = world.object("Case", settings()).await;
    world.object("MessagingSession", settings()).await;
    world.object("ConversationTranscript", settings()).await;
    world.run_until_quiet().await;
    let (told, silent) = (talk(&world, 1).await, talk(&world, 2).await);
    for talk in [&told, &silent] {
        speak(&world, talk, false, "Hello by transcript").await;
        end(&world, talk).await;
    }
    world.pass().await;
    assert_eq!(said(&world, (case_object, &told.case)).await, [entry("inbound", "Hello by transcript")]);

    world.object("ConversationEntry", settings()).await;
    for (talk, words) in [(&told, json!("Hello by SOQL")), (&silent, json!(null))] {
        let fields = json!({"ConversationId": talk.session, "ActorType": "EndUser", "EntryType": "Text",
            "Message": words, "EntryTime": "2026-01-02T10:00:00Z"});
        world.insert("ConversationEntry", fields).await;
    }
    world.run_until_quiet().await;
    world.pass().await;
    assert_eq!(said(&world, (case_object, &told.case)).await, [entry("inbound", "Hello by SOQL")]);
    assert_eq!(said(&world, (case_object, &silent.case)).await, [entry("inbound", "Hello by transcript")]);
    for talk in [&told, &silent] {
        let counted = format!(
            "SELECT messages || ' ' || customer_messages FROM tickets WHERE record_id = '{}'",
            talk.case
        );
        assert_eq!(world.value(&counted).await, "1 1", "what is shown is what is counted");
    }
}
