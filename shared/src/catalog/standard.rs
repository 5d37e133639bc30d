//! The table of the standard objects, in the order in which a first sync is most useful to people.

use std::sync::LazyLock;

use super::files::FileFields;
use super::registry::{
    Condition, Found, MessageFields, MessageKind, Projection, Role, StandardObject, TicketFields,
};
use super::transcript;

/// Per-viewer stamps: they move when somebody looks, which is no change of the record.
const VIEWER_FIELDS: &[&str] = &["LastViewedDate", "LastReferencedDate"];
/// What describes a feed's own bookkeeping; the rest of its posts were written by people.
const FEED_EVENTS: [&str; 10] = [
    "TrackedChange",
    "CreateRecordEvent",
    "ChangeStatusPost",
    "ActivityEvent",
    "AttachArticleEvent",
    "ApprovalPost",
    "CaseCommentPost",
    "EmailMessageEvent",
    "CallLogPost",
    "ContentPost",
];

/// The standard objects.
pub(super) static STANDARD_OBJECTS: LazyLock<Vec<StandardObject>> = LazyLock::new(|| {
    let mut objects = vec![case(), case_comment(), email_message(), case_feed(), feed_comment()];
    objects.extend([live_chat_transcript(), live_chat_transcript_event(), messaging_session()]);
    objects.extend([conversation_entry(), voice_call(), voice_call_recording(), case_history()]);
    objects.extend([contact(), user(), task(), attachment(), content_document(), content_document_link()]);
    objects.push(conversation_transcript());
    objects.extend([reference("Account", "001"), reference("Group", "00G"), reference("RecordType", "012")]);
    objects
});

fn path(path: &str) -> String {
    path.to_owned()
}

fn paths<const N: usize>(paths: [&str; N]) -> Vec<String> {
    paths.map(str::to_owned).to_vec()
}

fn is_true(path: &str) -> Condition {
    Condition { path: path.to_owned(), is: Vec::new() }
}

fn is<const N: usize>(path: &str, values: [&str; N]) -> Condition {
    Condition { path: path.to_owned(), is: paths(values) }
}

fn object(api_name: &'static str, key_prefix: &'static str, projection: Projection) -> StandardObject {
    let role = match &projection {
        Projection::Ticket(_) => Role::Ticket,
        Projection::Message(fields) if fields.kind == MessageKind::Event => Role::Event,
        Projection::Message(fields) if fields.kind == MessageKind::File => Role::File,
        Projection::Message(_) => Role::Message,
        Projection::Agent | Projection::Customer | Projection::None => Role::Reference,
    };
    StandardObject {
        api_name,
        role,
        projection,
        linked: &[],
        excluded: VIEWER_FIELDS,
        identities: &[],
        key_prefix,
        found: Found::ByStamp,
    }
}

fn reference(api_name: &'static str, key_prefix: &'static str) -> StandardObject {
    object(api_name, key_prefix, Projection::None)
}

/// A message of that kind, created by its author, which the customer may read.
fn message(kind: MessageKind) -> MessageFields {
    MessageFields {
        kind,
        event: None,
        parents: Vec::new(),
        sent_at: paths(["CreatedDate"]),
        author: "CreatedById".to_owned(),
        text: Vec::new(),
        html: None,
        subject: None,
        thread: None,
        incoming: None,
        public: None,
        same_as: None,
        holds: false,
        file: None,
    }
}

fn case() -> StandardObject {
    let fields = TicketFields {
        number: Some(path("CaseNumber")),
        subject: Some(path("Subject")),
        body: Some(path("Description")),
        status: Some(path("Status")),
        priority: Some(path("Priority")),
        channel: Some(path("Origin")),
        closed_at: Some(path("ClosedDate")),
        contact: Some(path("ContactId")),
    };
    StandardObject {
        linked: &["Owner.Name", "Owner.Type", "Contact.Name", "Account.Name", "RecordType.DeveloperName"],
        // `Comments` is a write-only convenience that reads as null.
        excluded: &["Comments", "LastViewedDate", "LastReferencedDate"],
        identities: &[
            "ContactId",
            "SuppliedEmail",
            "SuppliedPhone",
            "ContactEmail",
            "ContactPhone",
            "ContactMobile",
        ],
        ..object("Case", "500", Projection::Ticket(fields))
    }
}

fn task() -> StandardObject {
    let fields = TicketFields {
        number: None,
        subject: Some(path("Subject")),
        body: Some(path("Description")),
        status: Some(path("Status")),
        priority: Some(path("Priority")),
        channel: Some(path("TaskSubtype")),
        closed_at: Some(path("CompletedDateTime")),
        contact: Some(path("WhoId")),
    };
    StandardObject {
        linked: &["Owner.Name", "Who.Name", "Who.Type", "What.Name", "What.Type"],
        identities: &["WhoId", "OwnerId"],
        ..object("Task", "00T", Projection::Ticket(fields))
    }
}

fn case_comment() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["ParentId"]),
        text: paths(["CommentBody"]),
        public: Some(is_true("IsPublished")),
        ..message(MessageKind::Comment)
    };
    StandardObject {
        linked: &["CreatedBy.Name"],
        excluded: &[],
        identities: &["CreatedById"],
        ..object("CaseComment", "00a", Projection::Message(Box::new(fields)))
    }
}

fn email_message() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["ParentId", "RelatedToId", "ActivityId"]),
        sent_at: paths(["MessageDate", "CreatedDate"]),
        author: "FromAddress".to_owned(),
        text: paths(["TextBody", "Subject"]),
        html: Some(path("HtmlBody")),
        subject: Some(path("Subject")),
        thread: Some(path("ThreadIdentifier")),
        incoming: Some(is_true("Incoming")),
        public: Some(is_true("IsExternallyVisible")),
        // Its files belong to it.
        holds: true,
        ..message(MessageKind::Email)
    };
    StandardObject {
        identities: &["FromAddress", "ToAddress", "CcAddress", "BccAddress"],
        ..object("EmailMessage", "02s", Projection::Message(Box::new(fields)))
    }
}

fn case_history() -> StandardObject {
    let fields =
        MessageFields { parents: paths(["CaseId"]), text: paths(["Field"]), ..message(MessageKind::Event) };
    StandardObject {
        excluded: &[],
        identities: &["CreatedById"],
        ..object("CaseHistory", "017", Projection::Message(Box::new(fields)))
    }
}

/// Rows of the case's feed. Those that announce an e-mail or a comment give way to the e-mail or the comment itself.
fn case_feed() -> StandardObject {
    let fields = MessageFields {
        event: Some(is("Type", FEED_EVENTS)),
        parents: paths(["ParentId"]),
        text: paths(["Body", "Title"]),
        public: Some(is("Visibility", ["AllUsers"])),
        same_as: Some(path("RelatedRecordId")),
        ..message(MessageKind::Post)
    };
    StandardObject {
        linked: &["CreatedBy.Name"],
        identities: &["CreatedById"],
        ..object("CaseFeed", "0D5", Projection::Message(Box::new(fields)))
    }
}

fn feed_comment() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["ParentId", "FeedItemId"]),
        text: paths(["CommentBody"]),
        // A comment is seen by whoever sees its post. The comment itself does not say, so it counts as internal.
        public: Some(is("Visibility", ["AllUsers"])),
        thread: Some(path("FeedItemId")),
        ..message(MessageKind::Post)
    };
    StandardObject {
        linked: &["CreatedBy.Name"],
        identities: &["CreatedById"],
        ..object("FeedComment", "0D7", Projection::Message(Box::new(fields)))
    }
}

fn live_chat_transcript() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["CaseId"]),
        sent_at: paths(["StartTime", "RequestTime", "CreatedDate"]),
        author: "ContactId".to_owned(),
        text: paths(["Body"]),
        html: Some(path("Body")),
        holds: true,
        ..message(MessageKind::Chat)
    };
    StandardObject {
        linked: &["Owner.Name", "Contact.Name"],
        identities: &["ContactId", "OwnerId"],
        ..object("LiveChatTranscript", "570", Projection::Message(Box::new(fields)))
    }
}

fn live_chat_transcript_event() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["LiveChatTranscriptId"]),
        sent_at: paths(["Time", "CreatedDate"]),
        author: "AgentId".to_owned(),
        text: paths(["Detail", "Type"]),
        ..message(MessageKind::Event)
    };
    StandardObject {
        identities: &["AgentId"],
        ..object("LiveChatTranscriptEvent", "571", Projection::Message(Box::new(fields)))
    }
}

/// A session holds what was said in it and says nothing itself.
fn messaging_session() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["CaseId"]),
        sent_at: paths(["StartTime", "CreatedDate"]),
        author: "OwnerId".to_owned(),
        text: paths(["ChannelName", "ChannelType"]),
        holds: true,
        ..message(MessageKind::Event)
    };
    StandardObject {
        linked: &["Owner.Name"],
        identities: &["EndUserContactId", "OwnerId"],
        ..object("MessagingSession", "0Mw", Projection::Message(Box::new(fields)))
    }
}

fn conversation_entry() -> StandardObject {
    let fields = MessageFields {
        event: Some(is("EntryType", ["TransferRequest", "ParticipantChanged", "RoutingResult"])),
        parents: paths(["ConversationId"]),
        sent_at: paths(["ServerReceivedTimestamp", "EntryTime", "CreatedDate"]),
        author: "ActorId".to_owned(),
        text: paths(["Message"]),
        incoming: Some(is("ActorType", ["EndUser"])),
        ..message(MessageKind::Entry)
    };
    StandardObject {
        linked: &["Actor.Name"],
        identities: &["ActorId"],
        ..object("ConversationEntry", "0dw", Projection::Message(Box::new(fields)))
    }
}

fn voice_call() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["RelatedRecordId", "ActivityId"]),
        sent_at: paths(["CallStartDateTime", "CreatedDate"]),
        author: "UserId".to_owned(),
        text: paths(["Description"]),
        incoming: Some(is("CallType", ["Inbound", "Callback"])),
        holds: true,
        ..message(MessageKind::Call)
    };
    StandardObject {
        linked: &["User.Name"],
        identities: &["FromPhoneNumber", "ToPhoneNumber", "UserId"],
        ..object("VoiceCall", "0LQ", Projection::Message(Box::new(fields)))
    }
}

fn voice_call_recording() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["VoiceCallId"]),
        sent_at: paths(["UploadDateTime", "CreatedDate"]),
        author: "OwnerId".to_owned(),
        text: paths(["Name"]),
        ..message(MessageKind::Event)
    };
    object("VoiceCallRecording", "0LR", Projection::Message(Box::new(fields)))
}

/// A file of the old kind: its record has its body.
fn attachment() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["ParentId"]),
        text: paths(["Name"]),
        public: Some(is("IsPrivate", ["false"])),
        file: Some(FileFields {
            object: path("Attachment"),
            id: path("Id"),
            body: path("Body"),
            name: Some(path("Name")),
            bytes: Some(path("BodyLength")),
            media_type: Some(path("ContentType")),
            extension: None,
        }),
        ..message(MessageKind::File)
    };
    StandardObject {
        linked: &["CreatedBy.Name"],
        identities: &["CreatedById", "OwnerId"],
        ..object("Attachment", "00P", Projection::Message(Box::new(fields)))
    }
}

/// A file of today: the links to it are found when it changes.
fn content_document() -> StandardObject {
    StandardObject { found: Found::WithChildren, ..reference("ContentDocument", "069") }
}

/// What shares a file with a ticket, or with an item of one. The file is the document's newest version.
fn content_document_link() -> StandardObject {
    let fields = MessageFields {
        parents: paths(["LinkedEntityId", "ContentDocumentId"]),
        sent_at: paths(["ContentDocument.CreatedDate"]),
        author: "ContentDocument.CreatedById".to_owned(),
        text: paths(["ContentDocument.Title"]),
        public: Some(is("Visibility", ["AllUsers"])),
        file: Some(FileFields {
            object: path("ContentVersion"),
            id: path("ContentDocument.LatestPublishedVersionId"),
            body: path("VersionData"),
            name: Some(path("ContentDocument.Title")),
            bytes: Some(path("ContentDocument.ContentSize")),
            media_type: None,
            extension: Some(path("ContentDocument.FileExtension")),
        }),
        ..message(MessageKind::File)
    };
    StandardObject {
        linked: &[
            "ContentDocument.Title",
            "ContentDocument.FileExtension",
            "ContentDocument.FileType",
            "ContentDocument.ContentSize",
            "ContentDocument.LatestPublishedVersionId",
            "ContentDocument.CreatedDate",
            "ContentDocument.CreatedById",
            "ContentDocument.CreatedBy.Name",
        ],
        found: Found::ByParents,
        ..object("ContentDocumentLink", "06A", Projection::Message(Box::new(fields)))
    }
}

/// What was said in enhanced channels and in calls, where SOQL has no words. Kept only where it is asked for: each
/// transcript is a call of its own.
fn conversation_transcript() -> StandardObject {
    let fields = MessageFields {
        parents: paths([transcript::PARENT]),
        sent_at: paths(["SystemModstamp"]),
        author: "ActorId".to_owned(),
        text: paths(["Message"]),
        incoming: Some(is("ActorType", ["EndUser"])),
        ..message(MessageKind::Entry)
    };
    StandardObject {
        excluded: &[],
        identities: &["ActorId"],
        found: Found::ByCalls,
        ..object(transcript::API_NAME, transcript::KEY_PREFIX, Projection::Message(Box::new(fields)))
    }
}

fn contact() -> StandardObject {
    StandardObject {
        linked: &["Account.Name"],
        identities: &["Id", "Email", "Phone", "MobilePhone", "HomePhone", "OtherPhone", "AssistantPhone"],
        ..object("Contact", "003", Projection::Customer)
    }
}

fn user() -> StandardObject {
    StandardObject {
        linked: &["Profile.Name", "Manager.Name"],
        excluded: &["LastViewedDate", "LastReferencedDate", "LastLoginDate", "NumberOfFailedLogins"],
        identities: &["Id", "Email", "Username", "Phone", "MobilePhone"],
        ..object("User", "005", Projection::Agent)
    }
}
