//! The standard objects, as data: which role each plays and which of its fields carry the meaning.
//!
//! A custom object gets the same description from its object sync's settings, so nothing past this table
//! may ask for an object by name.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// What an object is to a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A ticket of its own.
    Ticket,
    /// A message of a ticket's conversation.
    Message,
    /// Something that happened to a ticket.
    Event,
    /// Read for what others refer to.
    Reference,
}

impl Role {
    /// The closed word in SQL and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Message => "message",
            Self::Event => "event",
            Self::Reference => "reference",
        }
    }
}

/// How records of an object become rows that QA works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// A row of `tickets`.
    Ticket(TicketFields),
    /// A row of `messages`.
    Message(MessageFields),
    /// A row of `agents`.
    Agent,
    /// A row of `customers`.
    Customer,
    /// Kept as a record only.
    None,
}

/// Which paths of a ticket object feed the standard columns of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketFields {
    /// Human number; falls back to the id.
    pub number: Option<&'static str>,
    /// Subject line; opened from the sealed record.
    pub subject: &'static str,
    /// Opening text; opened from the sealed record.
    pub body: &'static str,
    /// Status as the org names it.
    pub status: &'static str,
    /// Priority as the org names it.
    pub priority: &'static str,
    /// Channel by which it came.
    pub channel: Option<&'static str>,
    /// Moment of closing.
    pub closed_at: &'static str,
    /// Who is the customer's contact.
    pub contact: &'static str,
}

/// Which paths of a message or event object feed a row of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageFields {
    /// What kind of item it is.
    pub kind: MessageKind,
    /// Paths that may name the ticket, first match wins.
    pub parents: &'static [&'static str],
    /// When it was said, first non-null wins.
    pub sent_at: &'static [&'static str],
    /// Who said it.
    pub author: &'static str,
    /// The text as plain text, first non-null wins.
    pub text: &'static [&'static str],
    /// The text as HTML, if there is one.
    pub html: Option<&'static str>,
    /// A boolean path that is true when the customer sent it.
    pub incoming: Option<&'static str>,
    /// A boolean path that is true when the customer may read it.
    pub public: Option<&'static str>,
}

/// What an item of a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// A comment on the ticket.
    Comment,
    /// An e-mail.
    Email,
    /// A change of the ticket.
    Event,
}

impl MessageKind {
    /// The closed word in SQL and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Email => "email",
            Self::Event => "event",
        }
    }
}

/// A standard object that Refrain knows.
#[derive(Debug, Clone, Copy)]
pub struct StandardObject {
    /// API name.
    pub api_name: &'static str,
    /// Role by default.
    pub role: Role,
    /// How its records are projected.
    pub projection: Projection,
    /// Parent paths that are read along by default.
    pub linked: &'static [&'static str],
    /// Fields that are never read: write-only conveniences and noise that changes without meaning.
    pub excluded: &'static [&'static str],
    /// Paths whose values name a person; their keyed tokens answer data requests.
    pub identities: &'static [&'static str],
    /// Key prefix, for objects whose describe gives none and as a check for the rest.
    pub key_prefix: &'static str,
}

impl StandardObject {
    /// The object of that API name.
    #[must_use]
    pub fn find(api_name: &str) -> Option<&'static Self> {
        STANDARD_OBJECTS.iter().find(|object| object.api_name == api_name)
    }
}

/// Per-viewer stamps: they move when somebody looks, which is no change of the record.
const VIEWER_FIELDS: &[&str] = &["LastViewedDate", "LastReferencedDate"];

/// The standard objects in the order in which a first sync is most useful to people.
pub const STANDARD_OBJECTS: &[StandardObject] = &[
    StandardObject {
        api_name: "Case",
        role: Role::Ticket,
        projection: Projection::Ticket(TicketFields {
            number: Some("CaseNumber"),
            subject: "Subject",
            body: "Description",
            status: "Status",
            priority: "Priority",
            channel: Some("Origin"),
            closed_at: "ClosedDate",
            contact: "ContactId",
        }),
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
        key_prefix: "500",
    },
    StandardObject {
        api_name: "CaseComment",
        role: Role::Message,
        projection: Projection::Message(MessageFields {
            kind: MessageKind::Comment,
            parents: &["ParentId"],
            sent_at: &["CreatedDate"],
            author: "CreatedById",
            text: &["CommentBody"],
            html: None,
            incoming: None,
            public: Some("IsPublished"),
        }),
        linked: &["CreatedBy.Name"],
        excluded: &[],
        identities: &["CreatedById"],
        key_prefix: "00a",
    },
    StandardObject {
        api_name: "EmailMessage",
        role: Role::Message,
        projection: Projection::Message(MessageFields {
            kind: MessageKind::Email,
            parents: &["ParentId", "RelatedToId", "ActivityId"],
            sent_at: &["MessageDate", "CreatedDate"],
            author: "FromAddress",
            text: &["TextBody", "Subject"],
            html: Some("HtmlBody"),
            incoming: Some("Incoming"),
            public: Some("IsExternallyVisible"),
        }),
        linked: &[],
        excluded: VIEWER_FIELDS,
        identities: &["FromAddress", "ToAddress", "CcAddress", "BccAddress"],
        key_prefix: "02s",
    },
    StandardObject {
        api_name: "CaseHistory",
        role: Role::Event,
        projection: Projection::Message(MessageFields {
            kind: MessageKind::Event,
            parents: &["CaseId"],
            sent_at: &["CreatedDate"],
            author: "CreatedById",
            text: &["Field"],
            html: None,
            incoming: None,
            public: None,
        }),
        linked: &[],
        excluded: &[],
        identities: &["CreatedById"],
        key_prefix: "017",
    },
    StandardObject {
        api_name: "Contact",
        role: Role::Reference,
        projection: Projection::Customer,
        linked: &["Account.Name"],
        excluded: VIEWER_FIELDS,
        identities: &["Id", "Email", "Phone", "MobilePhone", "HomePhone", "OtherPhone", "AssistantPhone"],
        key_prefix: "003",
    },
    StandardObject {
        api_name: "User",
        role: Role::Reference,
        projection: Projection::Agent,
        linked: &["Profile.Name", "Manager.Name"],
        excluded: &["LastViewedDate", "LastReferencedDate", "LastLoginDate", "NumberOfFailedLogins"],
        identities: &["Id", "Email", "Username", "Phone", "MobilePhone"],
        key_prefix: "005",
    },
    StandardObject {
        api_name: "Task",
        role: Role::Ticket,
        projection: Projection::Ticket(TicketFields {
            number: None,
            subject: "Subject",
            body: "Description",
            status: "Status",
            priority: "Priority",
            channel: Some("TaskSubtype"),
            closed_at: "CompletedDateTime",
            contact: "WhoId",
        }),
        linked: &["Owner.Name", "Who.Name", "Who.Type", "What.Name", "What.Type"],
        excluded: VIEWER_FIELDS,
        identities: &["WhoId", "OwnerId"],
        key_prefix: "00T",
    },
    StandardObject {
        api_name: "RecordType",
        role: Role::Reference,
        projection: Projection::None,
        linked: &[],
        excluded: &[],
        identities: &[],
        key_prefix: "012",
    },
];

/// Key prefixes of everything a message may belong to: the standard ticket objects, whether they are synced yet or not,
/// and a connection's `own` ticket objects. So a message names the same record whichever object is enabled first.
#[must_use]
pub fn ticket_kinds<'a>(own: impl Iterator<Item = &'a String>) -> HashSet<String> {
    let standard = STANDARD_OBJECTS.iter().filter(|object| object.role == Role::Ticket);
    standard.map(|object| object.key_prefix.to_owned()).chain(own.cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_found_by_its_name_and_no_prefix_stands_twice() {
        for object in STANDARD_OBJECTS {
            assert_eq!(StandardObject::find(object.api_name).map(|o| o.key_prefix), Some(object.key_prefix));
            let same = STANDARD_OBJECTS.iter().filter(|o| o.key_prefix == object.key_prefix).count();
            assert_eq!(same, 1, "{}", object.api_name);
        }
        assert!(StandardObject::find("case").is_none());
    }
}
