//! Messaging: sessions, the people in them, conversations and what was said.

use super::born::{Column, Kind};
use super::child::{Child, belongs_to_case};
use super::parts::Part;
use super::story::Story;
use super::{purpose, texts, voice};
use crate::id::SfId;
use crate::store::{Spoken, derive};
use crate::value::Value;

/// How many records a case has that came in by message.
pub(super) fn count(story: &Story<'_>, set: &mut impl FnMut(Part, usize)) {
    for part in [Part::Session, Part::EndUser, Part::Conversation] {
        set(part, 1);
    }
    set(Part::Participant, 2);
    set(Part::Entry, if Keeping::of(story) == Keeping::Nothing { 0 } else { lines(story) });
}

/// What becomes of the words of a session in the object `ConversationEntry`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// Standard channels keep them.
    Words,
    /// Enhanced channels of some regions keep a row without them.
    Blank,
    /// Those of others keep nothing; only the transcript has the words.
    Nothing,
}

impl Keeping {
    fn of(story: &Story<'_>) -> Self {
        match (channel(story).2, story.number % 2) {
            (false, _) => Self::Words,
            (true, 0) => Self::Blank,
            (true, _) => Self::Nothing,
        }
    }
}

/// The channel of a session, its message type, and whether it is an enhanced one.
fn channel(story: &Story<'_>) -> (SfId, &'static str, bool) {
    let channels = &story.plan.stored.channels;
    channels[story.stream(purpose::CHANNEL).below(channels.len())]
}

fn lines(story: &Story<'_>) -> usize {
    4 + story.stream(purpose::SESSION_LINES).below(16)
}

/// One thing said: when (milliseconds), by whom, what.
pub(super) struct Line {
    pub(super) at: i64,
    pub(super) by_agent: bool,
    pub(super) text: String,
}

fn line(story: &Story<'_>, place: usize) -> Line {
    let mut random = story.stream_at(purpose::SESSION_TEXT, place);
    let by_agent = place % 2 == 1;
    let text = texts::note(&mut random, story.language, by_agent);
    let millis = i64::try_from(random.below(1_000)).unwrap_or(0);
    let at = story.created + i64::try_from(place).unwrap_or(0) * 25_000 + 3_000 + millis;
    Line { at: at.min(story.plan.now - 40_000), by_agent, text }
}

/// When the last word was said.
fn ended(story: &Story<'_>) -> i64 {
    let last = line(story, lines(story) - 1).at;
    last - last.rem_euclid(1_000)
}

/// When the agent closed the tab: entries are written then, all at once.
fn wrapped_up(story: &Story<'_>) -> i64 {
    (ended(story) + 600_000).min(story.plan.now - 20_000)
}

/// A record of a session.
pub(super) struct Session<'b> {
    child: Child<'b>,
}

impl<'b> From<Child<'b>> for Session<'b> {
    fn from(child: Child<'b>) -> Self {
        Self { child }
    }
}

impl Session<'_> {
    fn story(&self) -> &Story<'_> {
        &self.child.story
    }

    fn conversation(&self) -> SfId {
        self.story().part_id(Part::Conversation, 0)
    }

    fn is_call(&self) -> bool {
        self.story().count(Part::Call) > 0
    }

    /// When the conversation ended, whatever its kind.
    fn over(&self) -> i64 {
        if self.is_call() { voice::ended(self.story()) } else { ended(self.story()) }
    }

    fn number(&self, part: Part) -> u64 {
        self.story().part_id(part, self.child.place).number().unwrap_or(0)
    }

    fn half(&self) -> Value {
        Value::Int(i64::try_from(lines(self.story()) / 2).unwrap_or(0))
    }
}

/// `MessagingSession`.
pub(super) struct Sessions;

impl Kind for Sessions {
    belongs_to_case!("MessagingSession", Part::Session, Session);

    fn stamp(row: &Session<'_>) -> i64 {
        wrapped_up(row.story())
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| format!("MS-{:08}", row.number(Part::Session)).into()),
        ("OwnerId", |row| row.story().agent().id.into()),
        ("CaseId", |row| row.story().id().into()),
        ("MessagingChannelId", |row| channel(row.story()).0.into()),
        ("MessagingEndUserId", |row| row.story().part_id(Part::EndUser, 0).into()),
        ("EndUserContactId", |row| row.story().known.then(|| row.story().contact_id()).into()),
        ("EndUserAccountId", |row| {
            row.story().account().map(|account| row.story().plan.account_id(account)).into()
        }),
        ("ConversationId", |row| row.conversation().into()),
        ("Status", |_| Value::Word("Ended")),
        ("Origin", |_| Value::Word("InboundInitiated")),
        ("AgentType", |_| Value::Word("Agent")),
        ("EndedByType", |_| Value::Word("Agent")),
        ("ChannelType", |row| Value::Word(channel(row.story()).1)),
        ("ChannelName", |row| Value::Word(channel(row.story()).1)),
        ("StartTime", |row| Value::Instant(row.story().created)),
        ("AcceptTime", |row| Value::Instant(row.story().created + 9_000)),
        ("EndTime", |row| Value::Instant(ended(row.story()))),
        ("AgentMessageCount", |row| row.half()),
        ("EndUserMessageCount", |row| row.half()),
        ("SessionKey", |row| derive::uuid(row.story().part_id(Part::Session, 0)).into()),
        ("PreviewDetails", |row| line(row.story(), 0).text.chars().take(100).collect::<String>().into()),
        ("CreatedDate", |row| Value::Instant(row.story().created)),
        ("CreatedById", |row| row.story().plan.integration().into()),
        ("LastModifiedDate", |row| Value::Instant(wrapped_up(row.story()))),
        ("LastModifiedById", |row| row.story().agent().id.into()),
    ];
}

/// `MessagingEndUser`.
pub(super) struct EndUsers;

impl Kind for EndUsers {
    belongs_to_case!("MessagingEndUser", Part::EndUser, Session);

    fn stamp(row: &Session<'_>) -> i64 {
        row.story().created
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| row.story().customer().name().into()),
        ("OwnerId", |row| row.story().agent().id.into()),
        ("MessagingChannelId", |row| channel(row.story()).0.into()),
        ("MessageType", |row| Value::Word(channel(row.story()).1)),
        ("MessagingPlatformKey", |row| row.story().customer().phone.clone().into()),
        ("ContactId", |row| row.story().known.then(|| row.story().contact_id()).into()),
        ("AccountId", |row| row.story().account().map(|account| row.story().plan.account_id(account)).into()),
        ("CreatedDate", |row| Value::Instant(row.story().created)),
        ("CreatedById", |row| row.story().plan.integration().into()),
        ("LastModifiedDate", |row| Value::Instant(row.story().created)),
        ("LastModifiedById", |row| row.story().plan.integration().into()),
    ];
}

/// `Conversation`, of a session or a call.
pub(super) struct Conversations;

impl Kind for Conversations {
    belongs_to_case!("Conversation", Part::Conversation, Session);

    fn stamp(row: &Session<'_>) -> i64 {
        row.over()
    }

    fn spoken(row: &Session<'_>) -> Vec<Spoken> {
        let story = row.story();
        let all: Vec<Line> = if row.is_call() {
            voice::lines(story)
        } else {
            (0..lines(story)).map(|place| line(story, place)).collect()
        };
        let related = if row.is_call() { Part::Call } else { Part::Session };
        let spoken = |(place, line): (usize, Line)| Spoken {
            identifier: derive::uuid(SfId::new(
                *b"0dw",
                story.plan.pod,
                u64::from(story.number) * 64 + place as u64,
            )),
            at: line.at,
            by_agent: line.by_agent,
            text: line.text,
            related: story.part_id(related, 0),
        };
        all.into_iter().enumerate().map(spoken).collect()
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] =
        &[
            ("Name", |row| format!("{:08}", row.number(Part::Conversation)).into()),
            ("ConversationIdentifier", |row| derive::uuid(row.conversation()).into()),
            ("ConversationChannelId", |row| {
                if row.is_call() { Value::Null } else { channel(row.story()).0.into() }
            }),
            ("StartTime", |row| Value::Instant(row.story().created)),
            ("EndTime", |row| Value::Instant(row.over())),
            ("CreatedDate", |row| Value::Instant(row.story().created)),
            ("CreatedById", |row| row.story().plan.integration().into()),
            ("LastModifiedDate", |row| Value::Instant(row.over())),
            ("LastModifiedById", |row| row.story().plan.integration().into()),
        ];
}

/// `ConversationParticipant`: the customer, then the agent.
pub(super) struct Participants;

impl Kind for Participants {
    belongs_to_case!("ConversationParticipant", Part::Participant, Session);

    fn stamp(row: &Session<'_>) -> i64 {
        row.over()
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| format!("{:08}", row.number(Part::Participant)).into()),
        ("ConversationId", |row| row.conversation().into()),
        ("ParticipantEntityId", |row| {
            let end_user = row.story().count(Part::EndUser) > 0;
            match (row.child.place, end_user) {
                (0, true) => row.story().part_id(Part::EndUser, 0).into(),
                (0, false) => Value::Null,
                _ => row.story().agent().id.into(),
            }
        }),
        ("ParticipantDisplayName", |row| {
            let story = row.story();
            if row.child.place == 0 {
                story.customer().name().into()
            } else {
                Value::text(&story.agent().name)
            }
        }),
        ("AppType", |row| Value::Word(if row.child.place == 0 { "ThirdParty" } else { "Agent" })),
        ("ParticipantRole", |row| Value::Word(if row.child.place == 0 { "EndUser" } else { "Agent" })),
        ("JoinedTime", |row| Value::Instant(row.story().created)),
        ("LeftTime", |row| Value::Instant(row.over())),
        ("CreatedDate", |row| Value::Instant(row.story().created)),
        ("CreatedById", |row| row.story().plan.integration().into()),
        ("LastModifiedDate", |row| Value::Instant(row.over())),
        ("LastModifiedById", |row| row.story().plan.integration().into()),
    ];
}

/// `ConversationEntry`.
pub(super) struct Entries;

impl Kind for Entries {
    belongs_to_case!("ConversationEntry", Part::Entry, Session);

    fn stamp(row: &Session<'_>) -> i64 {
        wrapped_up(row.story())
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("ConversationId", |row| row.story().part_id(Part::Session, 0).into()),
        ("Seq", |row| Value::Int(i64::try_from(row.child.place).unwrap_or(0) + 1)),
        ("EntryType", |_| Value::Word("Text")),
        ("EntryTime", |row| {
            let at = line(row.story(), row.child.place).at;
            Value::Instant(at - at.rem_euclid(1_000))
        }),
        ("EntryTimeMilliSecs", |row| Value::Int(line(row.story(), row.child.place).at.rem_euclid(1_000))),
        ("ServerReceivedTimestamp", |row| {
            let at = line(row.story(), row.child.place).at;
            Value::Instant(at - at.rem_euclid(1_000))
        }),
        ("ActorId", |row| {
            let by_agent = row.child.place % 2 == 1;
            row.story().part_id(Part::Participant, usize::from(by_agent)).into()
        }),
        ("ActorName", |row| {
            let story = row.story();
            if row.child.place % 2 == 1 {
                Value::text(&story.agent().name)
            } else {
                story.customer().name().into()
            }
        }),
        ("ActorType", |row| Value::Word(if row.child.place % 2 == 1 { "Agent" } else { "EndUser" })),
        ("Message", |row| {
            let kept = Keeping::of(row.story()) == Keeping::Words;
            kept.then(|| line(row.story(), row.child.place).text).into()
        }),
        ("MessageIdentifier", |row| derive::uuid(row.story().part_id(Part::Entry, row.child.place)).into()),
        ("MessageStatus", |_| Value::Word("Read")),
        ("CreatedDate", |row| Value::Instant(wrapped_up(row.story()))),
        ("CreatedById", |row| row.story().agent().id.into()),
        ("LastModifiedDate", |row| Value::Instant(wrapped_up(row.story()))),
        ("LastModifiedById", |row| row.story().agent().id.into()),
    ];
}
