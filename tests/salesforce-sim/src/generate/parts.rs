//! The kinds of records that belong to a case, and how many of each a case has.

/// A kind of record that is derived from its case (entitlements, from an account).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    History,
    Comment,
    Mail,
    Relation,
    Task,
    Escalation,
    Attachment,
    Post,
    PostComment,
    Tracked,
    Document,
    FileVersion,
    Link,
    Transcript,
    TranscriptEvent,
    Visitor,
    EndUser,
    Session,
    Conversation,
    Participant,
    Entry,
    Call,
    Recording,
    Entitlement,
}

/// How many parts there are.
pub(super) const PARTS: usize = 24;

/// All parts, in the order of their numbers, with their objects and key prefixes.
pub(super) const ALL: [(Part, &str, [u8; 3]); PARTS] = [
    (Part::History, "CaseHistory", *b"017"),
    (Part::Comment, "CaseComment", *b"00a"),
    (Part::Mail, "EmailMessage", *b"02s"),
    (Part::Relation, "EmailMessageRelation", *b"0Sm"),
    (Part::Task, "Task", *b"00T"),
    (Part::Escalation, "Escalation__c", *b"a00"),
    (Part::Attachment, "Attachment", *b"00P"),
    (Part::Post, "FeedItem", *b"0D5"),
    (Part::PostComment, "FeedComment", *b"0D7"),
    (Part::Tracked, "FeedTrackedChange", *b"0D6"),
    (Part::Document, "ContentDocument", *b"069"),
    (Part::FileVersion, "ContentVersion", *b"068"),
    (Part::Link, "ContentDocumentLink", *b"06A"),
    (Part::Transcript, "LiveChatTranscript", *b"570"),
    (Part::TranscriptEvent, "LiveChatTranscriptEvent", *b"571"),
    (Part::Visitor, "LiveChatVisitor", *b"5LV"),
    (Part::EndUser, "MessagingEndUser", *b"0PA"),
    (Part::Session, "MessagingSession", *b"0Mw"),
    (Part::Conversation, "Conversation", *b"0dv"),
    (Part::Participant, "ConversationParticipant", *b"0dx"),
    (Part::Entry, "ConversationEntry", *b"0dw"),
    (Part::Call, "VoiceCall", *b"0LQ"),
    (Part::Recording, "VoiceCallRecording", *b"0LR"),
    (Part::Entitlement, "Entitlement", *b"550"),
];

impl Part {
    pub(super) fn prefix(self) -> [u8; 3] {
        ALL[self as usize].2
    }

    /// The part with this key prefix.
    pub(super) fn of(prefix: [u8; 3]) -> Option<Self> {
        ALL.iter().find(|(part, _, own)| *own == prefix && *part != Self::Entitlement).map(|(part, ..)| *part)
    }
}

/// How many records of each part a case has.
pub(super) type Counts = [u8; PARTS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_at_their_numbers() {
        for (place, (part, object, prefix)) in ALL.iter().enumerate() {
            assert_eq!(*part as usize, place);
            let catalog = crate::schema::Catalog::support_org();
            let index = catalog.index(object).unwrap();
            assert_eq!(&catalog.objects[index].prefix, prefix, "{object}");
        }
    }
}
