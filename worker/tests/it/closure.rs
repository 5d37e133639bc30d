//! What is kept is whole: a message brings its ticket, a ticket its messages, however far back either lies; and history
//! reaches further back when a person asks for it.

use refrain_shared::job::ObjectSettings;
use refrain_shared::record::named::named;
use refrain_shared::storage::content::named::{Asked, record_ask};
use serde_json::json;

use crate::world::World;

/// Of history, the last thirty days.
pub(crate) fn month() -> ObjectSettings {
    ObjectSettings { settle_s: 1, history_days: Some(30), ..ObjectSettings::default() }
}

/// A record stamped so many days ago; its id.
pub(crate) async fn old(world: &World, days: i64, object: &str, mut fields: serde_json::Value) -> String {
    let at = salesforce_sim::time::rfc3339(world.org().clock.now_ms() - days * 86_400_000);
    if object != "EmailMessage" {
        fields["CreatedDate"] = json!(at);
    }
    let body = json!({"object": object, "fields": fields, "stamp": at});
    world.post("records", body).await["id"].as_str().unwrap().to_owned()
}

async fn state_of(world: &World, ticket: &str) -> String {
    let states = world.sql(&format!("SELECT state FROM tickets WHERE record_id = '{ticket}'")).await;
    states.into_iter().next().unwrap_or_else(|| "none".to_owned())
}

async fn messages_of(world: &World, ticket: &str) -> String {
    world
        .value(&format!("SELECT count(*) FROM messages WHERE ticket_record_id = '{ticket}' AND state = 0"))
        .await
}

fn comment(case: &str, text: &str) -> serde_json::Value {
    json!({"ParentId": case, "CommentBody": text})
}

#[tokio::test]
async fn an_email_of_yesterday_brings_its_old_case_with_the_whole_conversation() {
    let world = World::new("closure_parent").await;
    let case = old(&world, 300, "Case", json!({"Subject": "An old one"})).await;
    let silent = old(&world, 300, "Case", json!({"Subject": "Nobody wrote"})).await;
    for days in [290, 280] {
        old(&world, days, "CaseComment", comment(&case, "long ago")).await;
    }
    for object in ["Case", "CaseComment"] {
        world.object(object, month()).await;
    }
    world.run_until_quiet().await;
    assert_eq!(
        (state_of(&world, &case).await.as_str(), state_of(&world, &silent).await.as_str()),
        ("none", "none")
    );

    old(&world, 1, "CaseComment", comment(&case, "yesterday")).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '2 days'").await;
    world.pass().await;
    assert_eq!(state_of(&world, &case).await, "0");
    assert_eq!(messages_of(&world, &case).await, "3");
    assert_eq!(state_of(&world, &silent).await, "none");
    assert_eq!(world.value("SELECT count(*) FROM tickets WHERE state = 1").await, "0");
}

#[tokio::test]
async fn shells_and_old_messages_are_found_whichever_object_is_enabled_first() {
    let world = World::new("closure_order").await;
    let case = old(&world, 300, "Case", json!({"Subject": "An old one"})).await;
    old(&world, 290, "CaseComment", comment(&case, "long ago")).await;
    old(&world, 2, "CaseComment", comment(&case, "lately")).await;
    // The message's page makes a shell while nothing is known of cases.
    world.object("CaseComment", month()).await;
    world.run_until_quiet().await;
    assert_eq!(messages_of(&world, &case).await, "1");
    world.object("Case", month()).await;
    world.run_until_quiet().await;
    assert_eq!(
        (state_of(&world, &case).await.as_str(), messages_of(&world, &case).await.as_str()),
        ("0", "2")
    );
    // A third object comes when the ticket has long been here.
    old(&world, 200, "CaseHistory", json!({"CaseId": case, "Field": "Status"})).await;
    world.object("CaseHistory", month()).await;
    world.run_until_quiet().await;
    let before = world.org().clock.now_ms();
    assert!(before > 0);
    let count = format!("SELECT count(*) FROM messages WHERE ticket_record_id = '{case}' AND kind = 'event'");
    assert_ne!(world.value(&count).await, "0");
}

#[tokio::test]
async fn history_reaches_further_back_when_it_is_asked_for() {
    let world = World::new("closure_further").await;
    let case = old(&world, 300, "Case", json!({"Subject": "An old one"})).await;
    let object = world.object("Case", month()).await;
    world.run_until_quiet().await;
    assert_eq!(state_of(&world, &case).await, "none");
    let days = |days: &str| {
        format!(
            "UPDATE object_syncs SET settings = jsonb_set(settings, '{{history_days}}', '{days}') WHERE object_id = {}",
            object.0
        )
    };
    world.sql(&days("365")).await;
    world.pass().await;
    assert_eq!(state_of(&world, &case).await, "0");
    assert_eq!(world.value("SELECT state FROM checkpoints").await, "current");
    world
        .sql(&format!(
            "UPDATE object_syncs SET settings = settings - 'history_days' WHERE object_id = {}",
            object.0
        ))
        .await;
    world.pass().await;
    assert_eq!(world.value("SELECT covered_from FROM checkpoints").await, "-infinity");
    assert_eq!(world.value("SELECT live FROM checkpoints").await, world.truth("Case").to_string());
}

#[tokio::test]
async fn a_ticket_that_cannot_be_seen_stays_a_shell_and_is_not_asked_for_again() {
    let world = World::new("closure_hidden").await;
    let case = old(&world, 300, "Case", json!({"Subject": "Hidden"})).await;
    for object in ["Case", "CaseComment"] {
        world.object(object, month()).await;
    }
    world.run_until_quiet().await;
    old(&world, 1, "CaseComment", comment(&case, "yesterday")).await;
    world.post(&format!("records/Case/{case}/purge"), json!({})).await;
    world.sql("UPDATE checkpoints SET watermark_at = watermark_at - interval '2 days'").await;
    world.pass().await;
    let related = || world.value("SELECT count(*) FROM job_attempts WHERE kind = 'related'");
    let asked = related().await;
    world.pass().await;
    assert_eq!(related().await, asked);
    assert_eq!(world.value("SELECT count(*) FROM jobs WHERE kind = 'related'").await, "0");
}

#[tokio::test]
async fn a_record_that_a_person_asks_for_is_read_anew_with_its_children() {
    let world = World::new("closure_one").await;
    let all = || ObjectSettings { settle_s: 1, ..ObjectSettings::default() };
    let case = old(&world, 300, "Case", json!({"Subject": "An old one"})).await;
    old(&world, 299, "CaseComment", comment(&case, "long ago")).await;
    for object in ["Case", "CaseComment"] {
        world.object(object, all()).await;
    }
    world.run_until_quiet().await;
    // Changed without a stamp, as formulas are: no window brings it.
    let url = format!("records/Case/{case}");
    world.post(&url, json!({"fields": {"Priority": "High"}, "touch": false})).await;
    world.sql(&format!("DELETE FROM messages WHERE ticket_record_id = '{case}'")).await;
    world.sql("DELETE FROM records WHERE record_id LIKE '00a%'").await;
    let ask = async |words: &str| {
        let named = named(words).unwrap();
        record_ask(&world.context.db, &world.scope, world.connection, &named).await.unwrap()
    };
    let number = world.value(&format!("SELECT number FROM tickets WHERE record_id = '{case}'")).await;
    assert!(matches!(ask(number.trim_start_matches('0')).await, Asked::Record(_, id) if id.as_str() == case));
    world.run_until_quiet().await;
    let priority = format!("SELECT priority FROM tickets WHERE record_id = '{case}'");
    assert_eq!(world.value(&priority).await, "High");
    assert_eq!(messages_of(&world, &case).await, "1");
}

#[tokio::test]
async fn a_number_that_is_not_known_here_is_asked_for_at_salesforce() {
    let world = World::new("closure_number").await;
    let number = "90000017";
    let case = old(&world, 300, "Case", json!({"Subject": "An old one", "CaseNumber": number})).await;
    old(&world, 299, "CaseComment", comment(&case, "long ago")).await;
    for object in ["Case", "CaseComment"] {
        world.object(object, month()).await;
    }
    world.run_until_quiet().await;
    assert_eq!(state_of(&world, &case).await, "none");
    for (asked, found) in [("90000018", "none"), (number, "0")] {
        let named = named(asked).unwrap();
        let answer = record_ask(&world.context.db, &world.scope, world.connection, &named).await.unwrap();
        assert_eq!(answer, Asked::Number(asked.to_owned()));
        world.run_until_quiet().await;
        assert_eq!(state_of(&world, &case).await, found);
    }
    assert_eq!(messages_of(&world, &case).await, "1", "its messages came with it");
}
