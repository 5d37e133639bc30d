//! Chats, messaging sessions and voice calls, and where their words are.

use serde_json::{Value, json};

use crate::support::{Sim, small};

async fn some() -> Sim {
    Sim::with(salesforce_sim::OrgOptions { cases: 300, ..small() }).await
}

/// A conversation in which something was said, as its identifier and the record it belongs to.
async fn conversation(sim: &Sim, object: &str) -> (String, String) {
    let soql = format!("SELECT Id, ConversationId FROM {object} WHERE ConversationId != NULL");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for session in sim.query(&soql).await["records"].as_array().unwrap() {
        let of = text(&session["ConversationId"]);
        let soql = format!("SELECT ConversationIdentifier FROM Conversation WHERE Id = '{of}'");
        let identifier = text(&sim.query(&soql).await["records"][0]["ConversationIdentifier"]);
        if entries(sim, &identifier, "").await.0 == 200 {
            return (identifier, text(&session["Id"]));
        }
    }
    panic!("nothing was said in any {object}");
}

async fn entries(sim: &Sim, identifier: &str, more: &str) -> (u16, Value) {
    sim.get(&format!("/services/data/v66.0/connect/conversation/{identifier}/entries?{more}")).await
}

#[tokio::test]
async fn the_words_of_a_messaging_session_come_from_its_transcript() {
    let sim = some().await;
    let (identifier, session) = conversation(&sim, "MessagingSession").await;
    let (status, transcript) = entries(&sim, &identifier, "queryDirection=FromStart&recordLimit=1000").await;
    assert_eq!(status, 200, "{transcript}");
    let said = transcript["conversationEntries"].as_array().unwrap();
    assert!(!said.is_empty());
    for entry in said {
        assert!(entry["messageText"].is_string() && entry["sender"]["role"].is_string());
        assert_eq!(entry["relatedRecords"][0], json!(session));
    }
    let times: Vec<i64> =
        said.iter().map(|entry| entry["serverReceivedTimestamp"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());
    let (_, last) = entries(&sim, &identifier, "recordLimit=1").await;
    assert_eq!(last["conversationEntries"][0]["serverReceivedTimestamp"], json!(times.last().unwrap()));
    for (parameters, expected) in
        [("recordLimit=0", 400), ("recordLimit=1001", 400), ("queryDirection=Sideways", 400)]
    {
        assert_eq!(entries(&sim, &identifier, parameters).await.0, expected, "{parameters}");
    }
    assert_eq!(entries(&sim, "00000000-0000-4000-a000-000000000000", "").await.0, 404);
}

#[tokio::test]
async fn people_go_on_talking_and_words_are_redacted() {
    let sim = some().await;
    let (identifier, session) = conversation(&sim, "MessagingSession").await;
    let path = format!("/conversations/{identifier}/entries");
    let said = sim.control(&path, json!({"text": "my card is 4111", "related": session})).await;
    let (_, last) = entries(&sim, &identifier, "recordLimit=1").await;
    let last = &last["conversationEntries"][0];
    assert_eq!((&last["messageText"], &last["identifier"]), (&json!("my card is 4111"), &said["identifier"]));
    let redaction = json!({"conversationEntriesUpdates": [
        {"identifier": said["identifier"], "messageText": "[removed]"}]});
    let url = sim.url(&format!("/services/data/v66.0/connect/conversation/{identifier}/entries"));
    let sent = sim.http.patch(url).bearer_auth(&sim.token).json(&redaction).send().await.unwrap();
    assert!(sent.status().is_success(), "{}", sent.status());
    let (_, last) = entries(&sim, &identifier, "recordLimit=1").await;
    assert_eq!(last["conversationEntries"][0]["messageText"], "[removed]");
}

#[tokio::test]
async fn transcripts_have_an_hourly_limit_of_their_own() {
    let sim = some().await;
    let (identifier, _) = conversation(&sim, "VoiceCall").await;
    sim.advance(3_600_001).await;
    sim.control("/conversations/limit", json!({"per_hour": 2})).await;
    assert_eq!(entries(&sim, &identifier, "").await.0, 200);
    assert_eq!(entries(&sim, &identifier, "").await.0, 200);
    let (status, refused) = entries(&sim, &identifier, "").await;
    assert_eq!((status, &refused[0]["errorCode"]), (503, &json!("REQUEST_LIMIT_EXCEEDED")));
    assert_eq!(sim.ask("SELECT Id FROM Case LIMIT 1").await.0, 200, "other calls go on");
    sim.advance(3_600_001).await;
    assert_eq!(entries(&sim, &identifier, "").await.0, 200);
}

#[tokio::test]
async fn entries_are_records_too_and_need_a_permission() {
    let sim = some().await;
    let page = sim
        .query("SELECT Id, ConversationId, Conversation.Type, EntryType, Seq, Message FROM ConversationEntry")
        .await;
    let all = page["records"].as_array().unwrap();
    assert!(!all.is_empty());
    assert!(all.iter().all(|entry| entry["ConversationId"].is_string() && entry["EntryType"].is_string()));
    let (identifier, _) = conversation(&sim, "MessagingSession").await;
    let (status, refused) = sim.ask("SELECT Id FROM ConversationEntry WHERE Message = 'x'").await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALID_FIELD")));
    sim.control("/permissions", json!({"conversation_entries": false})).await;
    assert_eq!(sim.ask("SELECT Id FROM ConversationEntry").await.1[0]["errorCode"], "INVALID_TYPE");
    assert_eq!(entries(&sim, &identifier, "").await.0, 403);
}

#[tokio::test]
async fn a_chat_has_its_words_in_one_text_and_its_events_beside() {
    let sim = some().await;
    let page = sim
        .query("SELECT Id, CaseId, Case.CaseNumber, Status, Body, OwnerId FROM LiveChatTranscript WHERE Status = 'Completed' LIMIT 5")
        .await;
    let chat = page["records"][0].clone();
    assert!(chat["Body"].as_str().unwrap().contains("<p"), "{chat}");
    let id = chat["Id"].as_str().unwrap();
    let events = sim
        .query(&format!(
            "SELECT Type, Time FROM LiveChatTranscriptEvent WHERE LiveChatTranscriptId = '{id}' ORDER BY Time"
        ))
        .await;
    assert!(events["totalSize"].as_u64() > Some(1), "{events}");
    let below = format!(
        "SELECT Id, (SELECT Type FROM LiveChatTranscriptEvents) FROM LiveChatTranscript WHERE Id = '{id}'"
    );
    assert_eq!(
        sim.query(&below).await["records"][0]["LiveChatTranscriptEvents"]["totalSize"],
        events["totalSize"]
    );
}

#[tokio::test]
async fn a_voice_call_has_recordings_and_a_transcript() {
    let sim = some().await;
    let recording = sim
        .query("SELECT Id, VoiceCallId, VoiceCall.CallType FROM VoiceCallRecording LIMIT 1")
        .await["records"][0]
        .clone();
    assert!(recording["VoiceCall"]["CallType"].is_string(), "{recording}");
    let (identifier, call) = conversation(&sim, "VoiceCall").await;
    let (status, transcript) = entries(&sim, &identifier, "").await;
    assert_eq!(status, 200, "{transcript}");
    assert_eq!(transcript["conversationEntries"][0]["relatedRecords"][0], json!(call));
}
