//! The objects that are kept fresh, and how.

use serde_json::json;

use crate::refrain::NewObject;

/// What is read, in the order in which it is most useful, and the role of what Refrain does not know by itself.
pub const OBJECTS: [(&str, Option<&str>); 22] = [
    ("Case", None),
    ("CaseComment", None),
    ("EmailMessage", None),
    ("CaseFeed", None),
    ("FeedComment", None),
    ("LiveChatTranscript", None),
    ("LiveChatTranscriptEvent", None),
    ("MessagingSession", None),
    ("ConversationEntry", None),
    ("VoiceCall", None),
    ("VoiceCallRecording", None),
    ("CaseHistory", None),
    ("Attachment", None),
    ("ContentDocument", None),
    ("ContentDocumentLink", None),
    ("Contact", None),
    ("User", None),
    ("Task", None),
    ("Account", None),
    ("Group", None),
    ("RecordType", None),
    ("Escalation__c", Some("reference")),
];

/// Each of [`OBJECTS`], read every so many seconds. The simulator's commits settle at once, so windows end close to
/// its clock.
pub fn wanted(interval_s: u32) -> impl Iterator<Item = NewObject> {
    OBJECTS.into_iter().map(move |(api_name, role)| {
        let facets = if api_name == "Case" {
            json!([{"name": "product_area", "path": "Product_Area__c", "as": "text"}])
        } else {
            json!([])
        };
        let settings = json!({"settle_s": 1, "overlap_s": 30, "facets": facets});
        NewObject { api_name: api_name.to_owned(), role, interval_s, settings }
    })
}
