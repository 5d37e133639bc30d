//! Transcripts of conversations: what was said in enhanced channels and in calls is told conversation by conversation,
//! not by SOQL. Here an object is made of it, so that everything past this table treats it like any other. All pure.

use serde::Deserialize;
use serde_json::json;

use super::FieldType;
use super::describe::{FieldDescribe, ObjectDescribe};
use super::field_set::Field;
use crate::clock::{Timestamp, format_instant};
use crate::ids::SalesforceId;

/// The object's name, which no object of Salesforce has: its own end with `__c` or are registered.
pub const API_NAME: &str = "ConversationTranscript";
/// What its records' ids begin with; no object of Salesforce's begins so.
pub const KEY_PREFIX: &str = "zzT";
/// The field by which an entry names its session or call.
pub const PARENT: &str = "ConversationId";

/// What of a record that holds a conversation leads to its transcript, read by one query.
pub const IDENTIFIER: &str = "Conversation.ConversationIdentifier";

/// Something that was said, as the Connect API tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TranscriptEntry {
    /// Its own id, of no table.
    pub identifier: String,
    /// What was said; missing where it was no plain text.
    #[serde(default)]
    pub message_text: Option<String>,
    /// Who said it.
    #[serde(default)]
    pub sender: Option<Sender>,
    /// When Salesforce received it, in milliseconds since 1970.
    pub server_received_timestamp: i64,
}

/// Who said something.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sender {
    /// `EndUser`, `Agent`, `Chatbot`, `System`, …
    #[serde(default)]
    pub role: Option<String>,
    /// A name, or an id of the person.
    #[serde(default)]
    pub subject: Option<String>,
}

const FIELDS: [(&str, &str, FieldType); 8] = [
    ("Id", "id", FieldType::Text),
    ("IsDeleted", "boolean", FieldType::Boolean),
    (PARENT, "reference", FieldType::Text),
    ("ActorType", "string", FieldType::Text),
    ("ActorId", "string", FieldType::Text),
    ("Message", "textarea", FieldType::Text),
    ("MessageIdentifier", "string", FieldType::Text),
    ("SystemModstamp", "datetime", FieldType::Datetime),
];

/// The object as a describe would show it.
#[must_use]
pub fn describe() -> ObjectDescribe {
    let fields = FIELDS.iter().map(|(name, kind, _)| FieldDescribe {
        name: (*name).to_owned(),
        kind: (*kind).to_owned(),
        filterable: true,
        sortable: true,
        calculated: false,
        case_sensitive: false,
        custom: false,
        length: 0,
        reference_to: if *name == PARENT {
            vec!["MessagingSession".to_owned(), "VoiceCall".to_owned()]
        } else {
            Vec::new()
        },
        relationship_name: None,
        polymorphic_foreign_key: *name == PARENT,
    });
    ObjectDescribe {
        name: API_NAME.to_owned(),
        key_prefix: Some(KEY_PREFIX.to_owned()),
        queryable: true,
        fields: fields.collect(),
    }
}

/// What its records hold.
#[must_use]
pub fn fields() -> Vec<Field> {
    FIELDS.iter().map(|(name, _, kind)| Field { path: (*name).to_owned(), kind: *kind }).collect()
}

/// An entry as a record in the JSON that a query would answer; `None` for a moment that no calendar has.
#[must_use]
pub fn record(holder: &SalesforceId, entry: &TranscriptEntry) -> Option<String> {
    let at = Timestamp::from_timestamp_millis(entry.server_received_timestamp)?;
    let sender = entry.sender.as_ref();
    let record = json!({
        "Id": id_of(&entry.identifier),
        "IsDeleted": false,
        PARENT: holder.as_str(),
        "ActorType": sender.and_then(|sender| sender.role.as_deref()),
        "ActorId": sender.and_then(|sender| sender.subject.as_deref()),
        "Message": entry.message_text,
        "MessageIdentifier": entry.identifier,
        "SystemModstamp": format_instant(at),
    });
    Some(record.to_string())
}

/// An id in Salesforce's form for something that has none: always the same for the same identifier.
fn id_of(identifier: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = blake3::hash(identifier.as_bytes());
    let mut number = u128::from_be_bytes(hash.as_bytes()[..16].try_into().unwrap_or_default());
    let mut id = KEY_PREFIX.to_owned();
    for _ in 0..12 {
        id.push(char::from(DIGITS[usize::try_from(number % 62).unwrap_or_default()]));
        number /= 62;
    }
    // In full, as every id is kept and shown.
    SalesforceId::parse(&id).map_or(id, |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_becomes_a_record_whose_id_follows_from_its_identifier() {
        let entry: TranscriptEntry = serde_json::from_value(json!({
            "identifier": "d5a5b5c0-0000-4000-8000-000000000001", "messageText": "Hello", "clientDuration": 0,
            "sender": {"role": "EndUser", "subject": "v2/iamessage/x"}, "serverReceivedTimestamp": 1_700_000_000_123_i64
        }))
        .unwrap();
        let holder = SalesforceId::parse("0Mw3000000D8cuI").unwrap();
        let one: serde_json::Value = serde_json::from_str(&record(&holder, &entry).unwrap()).unwrap();
        let id = SalesforceId::parse(one["Id"].as_str().unwrap()).unwrap();
        assert_eq!(id.key_prefix(), KEY_PREFIX);
        assert_eq!(one["Id"], json!(id.as_str()), "in full, as the key of its row is");
        assert_eq!(one["ConversationId"], json!(holder.as_str()));
        assert_eq!(one["SystemModstamp"], json!("2023-11-14T22:13:20.123Z"));
        let again = record(&holder, &entry).unwrap();
        assert_eq!(again, one.to_string());
        let other =
            TranscriptEntry { identifier: "d5a5b5c0-0000-4000-8000-000000000002".to_owned(), ..entry };
        assert_ne!(record(&holder, &other).unwrap(), again);
    }

    #[test]
    fn describe_and_fields_name_the_same() {
        let described = describe();
        assert!(fields().iter().all(|field| described.field(&field.path).is_some()));
        assert_eq!(described.cursor_field(), Some("SystemModstamp"));
    }
}
