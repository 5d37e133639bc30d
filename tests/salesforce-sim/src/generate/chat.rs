//! Legacy chats: transcripts, their events and visitors.

use std::fmt::Write;

use super::born::{Column, Kind};
use super::child::{Child, belongs_to_case};
use super::parts::Part;
use super::random::Random;
use super::story::Story;
use super::{messaging, purpose, texts, voice};
use crate::value::Value;

/// How many chat, messaging and voice records a case has.
pub(super) fn count(story: &Story<'_>, random: &mut Random, set: &mut impl FnMut(Part, usize)) {
    let has = |part: Part| story.plan.has[part as usize];
    let (legacy, called) = (random.chance(0.5), random.chance(0.6));
    match story.origin {
        "Chat" if has(Part::Transcript) && (legacy || !has(Part::Session)) => {
            set(Part::Transcript, 1);
            set(Part::Visitor, 1);
            set(Part::TranscriptEvent, EVENTS.len());
        }
        "Chat" if has(Part::Session) => messaging::count(story, set),
        "Phone" if has(Part::Call) && called => voice::count(story, set),
        _ => {}
    }
}

/// What happens in a chat, and when: per cent of its length.
const EVENTS: [(&str, i64); 5] =
    [("ChatRequest", 0), ("PushAssignment", 1), ("Accept", 3), ("LeaveVisitor", 98), ("EndAgent", 100)];

/// A chat. Its record is made at the start and written again at the end.
pub(super) struct Chat<'b> {
    child: Child<'b>,
    lines: usize,
    seconds: i64,
    missed: bool,
}

impl<'b> From<Child<'b>> for Chat<'b> {
    fn from(child: Child<'b>) -> Self {
        let mut random = child.story.stream(purpose::CHAT);
        let missed = random.chance(0.08);
        let lines = if missed { 0 } else { 3 + random.below(25) };
        let seconds = 30 + 20 * i64::try_from(lines).unwrap_or(0);
        Self { child, lines, seconds, missed }
    }
}

impl Chat<'_> {
    fn start(&self) -> i64 {
        self.child.story.created
    }

    fn end(&self) -> i64 {
        (self.start() + self.seconds * 1_000).min(self.child.story.plan.now - 20_000)
    }

    fn body(&self) -> Option<String> {
        if self.missed {
            return None;
        }
        let story = &self.child.story;
        let mut started = Vec::new();
        crate::time::write_instant(&mut started, self.start());
        let started = String::from_utf8(started).unwrap_or_default();
        let mut body = format!(
            "<p align=\"center\">Chat Started: {started}</p><p align=\"center\">Chat Origin: Website</p>\
             <p align=\"center\">Agent {}</p>",
            story.agent().name
        );
        for line in 0..self.lines {
            let by_agent = line % 2 == 0;
            let mut random = story.stream_at(purpose::CHAT_TEXT, line);
            let said = texts::note(&mut random, story.language, by_agent).replace('<', "&lt;");
            let who = if by_agent { story.agent().name.as_str() } else { story.customer().first };
            let place = i64::try_from(line).unwrap_or(0) * 20 + 12;
            let (minutes, seconds) = (place / 60, place % 60);
            let after = if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m {seconds}s") };
            _ = write!(body, "( {after} ) {who}: {said}<br>");
        }
        Some(body)
    }

    fn number(&self, part: Part) -> u64 {
        self.child.story.part_id(part, 0).number().unwrap_or(0)
    }

    fn half(&self) -> Value {
        Value::Int(i64::try_from(self.lines / 2).unwrap_or(0))
    }
}

/// `LiveChatTranscript`.
pub(super) struct Transcripts;

impl Kind for Transcripts {
    belongs_to_case!("LiveChatTranscript", Part::Transcript, Chat);

    fn stamp(row: &Chat<'_>) -> i64 {
        row.end()
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| format!("{:08}", row.number(Part::Transcript)).into()),
        ("OwnerId", |row| row.child.story.agent().id.into()),
        ("CaseId", |row| row.child.story.id().into()),
        ("ContactId", |row| row.child.story.known.then(|| row.child.story.contact_id()).into()),
        ("AccountId", |row| {
            row.child.story.account().map(|account| row.child.story.plan.account_id(account)).into()
        }),
        ("LiveChatVisitorId", |row| row.child.story.part_id(Part::Visitor, 0).into()),
        ("Body", |row| row.body().into()),
        ("Status", |row| Value::Word(if row.missed { "Missed" } else { "Completed" })),
        ("EndedBy", |row| Value::Word(if row.lines % 3 == 0 { "Visitor" } else { "Agent" })),
        ("RequestTime", |row| Value::Instant(row.start())),
        ("StartTime", |row| if row.missed { Value::Null } else { Value::Instant(row.start() + 12_000) }),
        ("EndTime", |row| Value::Instant(row.end())),
        ("ChatDuration", |row| Value::Int(row.seconds)),
        ("WaitTime", |_| Value::Int(12)),
        ("OperatorMessageCount", |row| row.half()),
        ("VisitorMessageCount", |row| row.half()),
        ("AverageResponseTimeOperator", |_| Value::Int(20)),
        ("AverageResponseTimeVisitor", |_| Value::Int(20)),
        ("ChatKey", |row| crate::store::derive::uuid(row.child.story.part_id(Part::Transcript, 0)).into()),
        ("IpAddress", |row| {
            let mut random = row.child.story.stream(purpose::CHAT_ADDRESS);
            if random.chance(0.2) {
                format!("2001:db8::{:x}", random.below(65_536)).into()
            } else {
                format!("203.0.113.{}", random.below(256)).into()
            }
        }),
        ("Browser", |_| Value::Word("Firefox 128.0")),
        ("BrowserLanguage", |row| Value::Word(texts::LANGUAGES[row.child.story.language].code)),
        ("Platform", |_| Value::Word("Linux")),
        ("ScreenResolution", |_| Value::Word("1920x1080")),
        ("Location", |_| Value::Word("Berlin, Germany")),
        ("CreatedDate", |row| Value::Instant(row.start())),
        ("CreatedById", |row| row.child.story.plan.integration().into()),
        ("LastModifiedDate", |row| Value::Instant(row.end())),
        ("LastModifiedById", |row| row.child.story.agent().id.into()),
    ];
}

/// `LiveChatTranscriptEvent`: all of a chat are written when it closes, in one transaction.
pub(super) struct TranscriptEvents;

impl Kind for TranscriptEvents {
    belongs_to_case!("LiveChatTranscriptEvent", Part::TranscriptEvent, Chat);

    fn stamp(row: &Chat<'_>) -> i64 {
        row.end()
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("LiveChatTranscriptId", |row| row.child.story.part_id(Part::Transcript, 0).into()),
        ("Name", |row| {
            let id = row.child.story.part_id(Part::TranscriptEvent, row.child.place);
            format!("{:08}", id.number().unwrap_or(0)).into()
        }),
        ("Type", |row| Value::Word(EVENTS[row.child.place].0)),
        ("Time", |row| Value::Instant(row.start() + EVENTS[row.child.place].1 * row.seconds / 100 * 1_000)),
        ("AgentId", |row| (row.child.place > 0).then(|| row.child.story.agent().id).into()),
        ("CreatedDate", |row| Value::Instant(row.end())),
        ("CreatedById", |row| row.child.story.plan.integration().into()),
        ("LastModifiedDate", |row| Value::Instant(row.end())),
        ("LastModifiedById", |row| row.child.story.plan.integration().into()),
    ];
}

/// `LiveChatVisitor`.
pub(super) struct Visitors;

impl Kind for Visitors {
    belongs_to_case!("LiveChatVisitor", Part::Visitor, Chat);

    fn stamp(row: &Chat<'_>) -> i64 {
        row.start()
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| format!("{:08}", row.number(Part::Visitor)).into()),
        ("SessionKey", |row| crate::store::derive::uuid(row.child.story.part_id(Part::Visitor, 0)).into()),
        ("CreatedDate", |row| Value::Instant(row.start())),
        ("CreatedById", |row| row.child.story.plan.integration().into()),
        ("LastModifiedDate", |row| Value::Instant(row.start())),
        ("LastModifiedById", |row| row.child.story.plan.integration().into()),
    ];
}
