//! The standard objects, as data: which role each plays and which of its fields carry the meaning.
//!
//! A custom object gets the same description from its object sync's settings, so nothing past the
//! [table](super::standard) may ask for an object by name.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::files::FileFields;
use super::standard::STANDARD_OBJECTS;
use crate::job::ObjectSettings;

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
    /// A file of a ticket.
    File,
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
            Self::File => "file",
            Self::Reference => "reference",
        }
    }

    /// Reads the closed word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ticket, Self::Message, Self::Event, Self::File, Self::Reference]
            .into_iter()
            .find(|role| role.word() == word)
    }
}

/// How records of an object become rows that QA works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// A row of `tickets`.
    Ticket(TicketFields),
    /// A row of `messages`.
    Message(Box<MessageFields>),
    /// A row of `agents`.
    Agent,
    /// A row of `customers`.
    Customer,
    /// Kept as a record only.
    None,
}

impl Projection {
    /// How an object is projected in this role: as the standard objects are, or as its settings say.
    ///
    /// A standard object in another role than its own is projected by its settings alone, like a custom one; a role
    /// for which nothing is known keeps the records and shows no rows.
    #[must_use]
    pub fn of(api_name: &str, role: Role, settings: &ObjectSettings) -> Self {
        let standard = StandardObject::find(api_name).filter(|object| object.role == role);
        match role {
            Role::Ticket => settings.ticket.clone().map(Self::Ticket),
            Role::Message | Role::Event | Role::File => {
                settings.message.clone().map(|fields| Self::Message(Box::new(fields)))
            }
            Role::Reference => None,
        }
        .or_else(|| standard.map(|object| object.projection.clone()))
        .unwrap_or(Self::None)
    }
}

/// Which paths of a ticket object feed the standard columns of a ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TicketFields {
    /// Human number; people see the id where there is none.
    pub number: Option<String>,
    /// Subject line; opened from the sealed record.
    pub subject: Option<String>,
    /// Opening text; opened from the sealed record.
    pub body: Option<String>,
    /// Status as the org names it.
    pub status: Option<String>,
    /// Priority as the org names it.
    pub priority: Option<String>,
    /// Channel by which it came.
    pub channel: Option<String>,
    /// Moment of closing.
    pub closed_at: Option<String>,
    /// Who is the customer's contact.
    pub contact: Option<String>,
}

impl TicketFields {
    /// The paths that are read for these columns.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        let Self { number, subject, body, status, priority, channel, closed_at, contact } = self;
        [number, subject, body, status, priority, channel, closed_at, contact].into_iter().flatten()
    }

    /// Lets go of the paths that are not to be kept.
    pub fn retain(&mut self, is_kept: impl Fn(&String) -> bool) {
        let Self { number, subject, body, status, priority, channel, closed_at, contact } = self;
        for path in [number, subject, body, status, priority, channel, closed_at, contact] {
            path.take_if(|path| !is_kept(path));
        }
    }
}

/// Which paths of a message or event object feed a row of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageFields {
    /// What kind of item it is.
    pub kind: MessageKind,
    /// Records of which this holds are events whatever `kind` says.
    #[serde(default)]
    pub event: Option<Condition>,
    /// Paths that may name the ticket, or an item that belongs to one; first match wins.
    pub parents: Vec<String>,
    /// When it was said, first non-null wins.
    #[serde(default = "created_date")]
    pub sent_at: Vec<String>,
    /// Who said it.
    #[serde(default = "created_by")]
    pub author: String,
    /// The text as plain text, first non-null wins.
    #[serde(default)]
    pub text: Vec<String>,
    /// The text as HTML, if there is one.
    #[serde(default)]
    pub html: Option<String>,
    /// The subject line, if there is one.
    #[serde(default)]
    pub subject: Option<String>,
    /// What ties messages of one thread together.
    #[serde(default)]
    pub thread: Option<String>,
    /// Holds when the customer sent it.
    #[serde(default)]
    pub incoming: Option<Condition>,
    /// Holds when the customer may read it; without it, the customer always may.
    #[serde(default)]
    pub public: Option<Condition>,
    /// Names the record that says the same in another object: while that one is here, this is not shown.
    #[serde(default)]
    pub same_as: Option<String>,
    /// Items of other objects belong to it, and through it to its ticket: a session, a call, a chat, an e-mail.
    #[serde(default)]
    pub holds: bool,
    /// The file that it is.
    #[serde(default)]
    pub file: Option<FileFields>,
}

fn created_date() -> Vec<String> {
    vec!["CreatedDate".to_owned()]
}

fn created_by() -> String {
    "CreatedById".to_owned()
}

impl MessageFields {
    /// The paths that are read for these columns.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        let conditions = [&self.event, &self.incoming, &self.public].into_iter().flatten();
        let singles = [&self.html, &self.subject, &self.thread, &self.same_as].into_iter().flatten();
        let lists = [&self.parents, &self.sent_at, &self.text].into_iter().flatten();
        let file = self.file.iter().flat_map(FileFields::paths);
        lists
            .chain(singles)
            .chain(file)
            .chain([&self.author])
            .chain(conditions.map(|condition| &condition.path))
    }
}

/// A test of one value of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The path of the value.
    pub path: String,
    /// Holds when the value is one of these; without any, when it is true.
    #[serde(default)]
    pub is: Vec<String>,
}

/// What an item of a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// A comment on the ticket.
    Comment,
    /// An e-mail.
    Email,
    /// A post of the ticket's feed, or an answer to one.
    Post,
    /// A chat, as one transcript.
    Chat,
    /// What one side said in a messaging session or a call.
    Entry,
    /// A telephone call.
    Call,
    /// A file.
    File,
    /// A change of the ticket, or something else that happened to it.
    Event,
}

impl MessageKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Comment,
        Self::Email,
        Self::Post,
        Self::Chat,
        Self::Entry,
        Self::Call,
        Self::File,
        Self::Event,
    ];

    /// The closed word in SQL and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Email => "email",
            Self::Post => "post",
            Self::Chat => "chat",
            Self::Entry => "entry",
            Self::Call => "call",
            Self::File => "file",
            Self::Event => "event",
        }
    }
}

/// A standard object that Refrain knows.
#[derive(Debug, Clone)]
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
    /// How its records are found.
    pub found: Found,
}

/// How an object's records are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// By their stamps.
    ByStamp,
    /// By their stamps; and whatever names one of them is looked for again when it changes.
    WithChildren,
    /// By what they belong to alone: Salesforce answers no other question.
    ByParents,
    /// By calls of their own for each record that they belong to; Salesforce has no such object.
    ByCalls,
}

impl Found {
    /// Whether what they belong to leads to them, and no window.
    #[must_use]
    pub fn is_by_parents(self) -> bool {
        matches!(self, Self::ByParents | Self::ByCalls)
    }
}

impl StandardObject {
    /// The object of that API name.
    #[must_use]
    pub fn find(api_name: &str) -> Option<&'static Self> {
        STANDARD_OBJECTS.iter().find(|object| object.api_name == api_name)
    }

    /// The object whose ids begin like this.
    #[must_use]
    pub fn of_prefix(prefix: &str) -> Option<&'static Self> {
        STANDARD_OBJECTS.iter().find(|object| object.key_prefix == prefix)
    }
}

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
        for object in STANDARD_OBJECTS.iter() {
            assert_eq!(StandardObject::find(object.api_name).map(|o| o.key_prefix), Some(object.key_prefix));
            let same = STANDARD_OBJECTS.iter().filter(|o| o.key_prefix == object.key_prefix).count();
            assert_eq!(same, 1, "{}", object.api_name);
            let own = Projection::of(object.api_name, object.role, &ObjectSettings::default());
            assert_eq!(own, object.projection);
        }
        assert!(StandardObject::find("case").is_none());
    }

    #[test]
    fn settings_decide_where_they_say_something_and_in_a_role_that_is_not_an_objects_own() {
        let mut settings = ObjectSettings::default();
        assert_eq!(Projection::of("Ping__c", Role::Ticket, &settings), Projection::None);
        assert_eq!(Projection::of("LiveChatTranscript", Role::Ticket, &settings), Projection::None);
        let fields = TicketFields { subject: Some("Name".to_owned()), ..TicketFields::default() };
        settings.ticket = Some(fields.clone());
        assert_eq!(Projection::of("Ping__c", Role::Ticket, &settings), Projection::Ticket(fields.clone()));
        assert_eq!(Projection::of("Case", Role::Ticket, &settings), Projection::Ticket(fields));
        assert_eq!(Projection::of("Ping__c", Role::Reference, &settings), Projection::None);
    }
}
