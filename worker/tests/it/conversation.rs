//! A ticket's conversation over all channels: in order, each item once, with its author's side; whatever order the
//! pages come in. And objects that nobody knows but the tenant.

use refrain_shared::catalog::{MessageFields, Role, TicketFields};
use refrain_shared::ids::{ObjectId, SalesforceId};
use refrain_shared::job::ObjectSettings;
use refrain_shared::storage::content::RecordKey;
use refrain_shared::storage::content::conversation::{Item, conversation_list};
use refrain_shared::storage::keys::keys_load;
use serde_json::json;

use crate::world::World;

/// What was said is read at once: the simulator commits without delay.
fn settings() -> ObjectSettings {
    ObjectSettings { settle_s: 1, ..ObjectSettings::default() }
}

async fn items(world: &World, object: ObjectId, ticket: &str) -> Vec<Item> {
    let (_, keys) = keys_load(&world.context.db, &world.context.ring, &world.scope).await.unwrap();
    let key =
        RecordKey { connection: world.connection, object, record: SalesforceId::parse(ticket).unwrap() };
    conversation_list(&world.context.db, &world.scope, keys, key, None, 200).await.unwrap()
}

fn said(items: &[Item]) -> Vec<(&str, &str)> {
    items.iter().map(|item| (item.kind.as_str(), item.text.as_deref().unwrap_or_default())).collect()
}

async fn counted(world: &World, ticket: &str) -> String {
    world
        .value(&format!(
            "SELECT messages || '/' || customer_messages FROM tickets WHERE record_id = '{ticket}'"
        ))
        .await
}

async fn new_case(world: &World) -> String {
    world.insert("Case", json!({"Subject": "Cannot log in"})).await
}

#[tokio::test]
async fn what_was_said_in_a_session_belongs_to_the_sessions_ticket_and_moves_with_it() {
    let world = World::new("conversation_session").await;
    let case = world.object("Case", settings()).await;
    // Entries first: their session is not here, so they belong to nobody yet.
    world.object("ConversationEntry", settings()).await;
    let (first, second) = (new_case(&world).await, new_case(&world).await);
    let session = world.insert("MessagingSession", json!({"CaseId": first, "Status": "Ended"})).await;
    for (seq, actor, text) in [(1, "EndUser", "Hello?"), (2, "Agent", "How can I help?")] {
        let entry = json!({"ConversationId": session, "Seq": seq, "ActorType": actor, "EntryType": "Text",
            "Message": text, "EntryTime": format!("2026-01-02T10:00:0{seq}Z"),
            "ServerReceivedTimestamp": format!("2026-01-02T10:00:0{seq}Z")});
        world.insert("ConversationEntry", entry).await;
    }
    world.run_until_quiet().await;
    assert_eq!(counted(&world, &first).await, "0/0");

    world.object("MessagingSession", settings()).await;
    world.run_until_quiet().await;
    assert_eq!(counted(&world, &first).await, "2/1");
    let items_there = items(&world, case, &first).await;
    let words: Vec<_> = said(&items_there).into_iter().filter(|(kind, _)| *kind == "entry").collect();
    assert_eq!(words, [("entry", "Hello?"), ("entry", "How can I help?")]);
    let entry = items_there.iter().find(|item| item.kind == "entry").unwrap();
    assert_eq!((entry.part_of.as_deref(), entry.direction.as_str()), (Some(session.as_str()), "inbound"));

    world.change("MessagingSession", &session, json!({"CaseId": second})).await;
    world.pass().await;
    assert_eq!((counted(&world, &first).await, counted(&world, &second).await), ("0/0".into(), "2/1".into()));
    assert!(!items(&world, case, &first).await.iter().any(|item| item.kind == "entry"));
}

#[tokio::test]
async fn an_email_that_the_feed_announces_is_shown_once_and_the_announcement_stands_in_for_it() {
    let world = World::new("conversation_once").await;
    let case = world.object("Case", settings()).await;
    world.object("CaseFeed", settings()).await;
    let ticket = new_case(&world).await;
    let mail = json!({"ParentId": ticket, "Subject": "Re: login", "TextBody": "It works now", "Incoming": true,
        "FromAddress": "ann@example.com", "Status": "0", "MessageDate": "2026-01-02T10:00:00Z"});
    let mail = world.insert("EmailMessage", mail).await;
    let announcement = json!({"ParentId": ticket, "Type": "EmailMessageEvent", "Title": "Re: login",
        "RelatedRecordId": mail, "Visibility": "AllUsers"});
    world.insert("FeedItem", announcement).await;
    let post = json!({"ParentId": ticket, "Type": "TextPost", "Body": "Seen this before", "Visibility": "InternalUsers"});
    world.insert("FeedItem", post).await;
    world.run_until_quiet().await;
    let of_feed = |items: &[Item]| {
        let mut shown: Vec<_> = said(items).iter().map(|(kind, text)| format!("{kind}: {text}")).collect();
        shown.retain(|shown| shown.contains("login") || shown.contains("Seen") || shown.contains("works"));
        shown.sort();
        shown
    };
    assert_eq!(of_feed(&items(&world, case, &ticket).await), ["event: Re: login", "post: Seen this before"]);
    assert_eq!(counted(&world, &ticket).await, "1/0");

    world.object("EmailMessage", settings()).await;
    world.run_until_quiet().await;
    let shown = items(&world, case, &ticket).await;
    assert_eq!(of_feed(&shown), ["email: It works now", "post: Seen this before"]);
    assert_eq!(counted(&world, &ticket).await, "2/1");
    let mail = shown.iter().find(|item| item.kind == "email").unwrap();
    assert_eq!((mail.subject.as_deref(), mail.direction.as_str()), (Some("Re: login"), "inbound"));
}

#[tokio::test]
async fn authors_are_agents_or_customers_by_their_record_or_their_address() {
    let world = World::new("conversation_authors").await;
    let case = world.object("Case", settings()).await;
    for object in ["EmailMessage", "CaseComment", "Contact", "User"] {
        world.object(object, settings()).await;
    }
    let ticket = new_case(&world).await;
    world.insert("Contact", json!({"LastName": "Berg", "Email": "ann.berg@example.com"})).await;
    for (from, text) in [("Ann.Berg@example.com", "From Ann"), ("nobody@example.com", "From nobody")] {
        let mail = json!({"ParentId": ticket, "TextBody": text, "Incoming": true, "FromAddress": from,
            "Status": "0", "MessageDate": "2026-01-02T10:00:00Z"});
        world.insert("EmailMessage", mail).await;
    }
    world.insert("CaseComment", json!({"ParentId": ticket, "CommentBody": "From us"})).await;
    world.run_until_quiet().await;
    let items = items(&world, case, &ticket).await;
    let side = |text: &str| items.iter().find(|item| item.text.as_deref() == Some(text)).unwrap().author_is;
    assert_eq!(side("From Ann"), Some("customer"));
    assert_eq!(side("From nobody"), None);
    assert_eq!(side("From us"), Some("agent"));
}

#[tokio::test]
async fn a_custom_object_becomes_tickets_and_another_their_messages_by_settings_alone() {
    let world = World::new("conversation_custom").await;
    let ticket = TicketFields {
        number: Some("Name".to_owned()),
        subject: Some("Case__r.Subject".to_owned()),
        ..TicketFields::default()
    };
    let settings_of_ticket = ObjectSettings { ticket: Some(ticket), ..settings() };
    let escalation = world.object_as("Escalation__c", Role::Ticket, settings_of_ticket).await;
    let message: MessageFields = serde_json::from_value(
        json!({"kind": "comment", "parents": ["WhatId"], "text": ["Subject"], "sent_at": ["CreatedDate"]}),
    )
    .unwrap();
    let case = new_case(&world).await;
    let record = world.insert("Escalation__c", json!({"Case__c": case})).await;
    let settings_of_message = ObjectSettings { message: Some(message), ..settings() };
    world.object_as("Task", Role::Message, settings_of_message).await;
    world
        .insert("Task", json!({"WhatId": record, "Subject": "Call them back", "Status": "Not Started"}))
        .await;
    world.run_until_quiet().await;
    assert_eq!(said(&items(&world, escalation, &record).await), [("comment", "Call them back")]);
    assert_eq!(counted(&world, &record).await, "1/0");
    let number = world.value(&format!("SELECT number FROM tickets WHERE record_id = '{record}'")).await;
    assert!(!number.is_empty());
}

#[tokio::test]
async fn a_comment_to_a_post_that_is_edited_or_deleted_is_followed_although_its_stamp_orders_nothing() {
    let world = World::new("conversation_feed").await;
    let settings = || ObjectSettings { settle_s: 0, ..settings() };
    let case = world.object("Case", settings()).await;
    for object in ["CaseFeed", "FeedComment"] {
        world.object(object, settings()).await;
    }
    let id = new_case(&world).await;
    let post = json!({"ParentId": id, "Type": "TextPost", "Body": "Seen this before?"});
    let post = world.insert("FeedItem", post).await;
    let mut comments = Vec::new();
    for text in ["first", "second", "third"] {
        let fields = json!({"ParentId": id, "FeedItemId": post, "CommentBody": text});
        comments.push(world.insert("FeedComment", fields).await);
    }
    world.run_until_quiet().await;
    let texts = async || {
        let items = items(&world, case, &id).await;
        let mut texts: Vec<String> = items.into_iter().filter_map(|item| item.text).collect();
        texts.retain(|text| ["first", "second", "third", "edited"].contains(&text.as_str()));
        texts.sort();
        texts
    };
    assert_eq!(texts().await, ["first", "second", "third"]);
    world.change("FeedComment", &comments[0], json!({"CommentBody": "edited"})).await;
    world.post(&format!("records/FeedComment/{}/delete", comments[1]), json!({})).await;
    world.pass().await;
    assert_eq!(texts().await, ["edited", "third"]);
}
