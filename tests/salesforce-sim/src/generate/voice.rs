//! Voice calls and their recordings.

use super::born::{Column, Kind};
use super::child::{Child, belongs_to_case};
use super::messaging::Line;
use super::parts::Part;
use super::story::Story;
use super::{purpose, texts};
use crate::value::Value;

/// How many records a case has that came in by a call.
pub(super) fn count(story: &Story<'_>, set: &mut impl FnMut(Part, usize)) {
    set(Part::Call, 1);
    set(Part::Conversation, 1);
    set(Part::Participant, 2);
    set(Part::Recording, usize::from(is_recorded(story)));
}

fn is_recorded(story: &Story<'_>) -> bool {
    story.stream(purpose::CALL_RECORDED).chance(0.5)
}

fn seconds(story: &Story<'_>) -> i64 {
    20 + i64::try_from(story.stream(purpose::CALL).below(1_500)).unwrap_or(0)
}

/// When the line went dead.
pub(super) fn ended(story: &Story<'_>) -> i64 {
    (story.created + seconds(story) * 1_000).min(story.plan.now - 20_000)
}

/// What was said. Some calls leave no transcript at all.
pub(super) fn lines(story: &Story<'_>) -> Vec<Line> {
    let mut random = story.stream(purpose::CALL_LINES);
    if random.chance(0.3) {
        return Vec::new();
    }
    let count = 4 + random.below(20);
    let said = |place: usize| {
        let by_agent = place.is_multiple_of(2);
        let text = texts::note(&mut story.stream_at(purpose::CALL_TEXT, place), story.language, by_agent);
        let share = i64::try_from(place * 1_000 / count).unwrap_or(0);
        Line { at: story.created + seconds(story) * share, by_agent, text }
    };
    (0..count).map(said).collect()
}

/// A call.
pub(super) struct Call<'b> {
    child: Child<'b>,
}

impl<'b> From<Child<'b>> for Call<'b> {
    fn from(child: Child<'b>) -> Self {
        Self { child }
    }
}

impl Call<'_> {
    fn story(&self) -> &Story<'_> {
        &self.child.story
    }
}

/// `VoiceCall`.
pub(super) struct Calls;

impl Kind for Calls {
    belongs_to_case!("VoiceCall", Part::Call, Call);

    fn stamp(row: &Call<'_>) -> i64 {
        ended(row.story())
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| format!("VC-{:08}", row.story().part_id(Part::Call, 0).number().unwrap_or(0)).into()),
        ("OwnerId", |row| row.story().agent().id.into()),
        ("UserId", |row| row.story().agent().id.into()),
        ("CallType", |row| {
            let kinds = ["Inbound", "Callback", "Transfer"];
            Value::Word(row.story().stream(purpose::CALL_TYPE).pick_skewed::<&str>(&kinds))
        }),
        ("CallStartDateTime", |row| Value::Instant(row.story().created)),
        ("CallQueuedDateTime", |row| Value::Instant(row.story().created)),
        ("CallAcceptDateTime", |row| Value::Instant(row.story().created + 8_000)),
        ("CallConnectDateTime", |row| Value::Instant(row.story().created + 8_000)),
        ("CallEndDateTime", |row| Value::Instant(ended(row.story()))),
        ("CallDurationInSeconds", |row| Value::Int(seconds(row.story()))),
        ("CallDisposition", |_| Value::Word("completed")),
        ("CallStatus", |_| Value::Word("completed")),
        ("CallSubtype", |_| Value::Word("PSTN")),
        ("CallOrigin", |_| Value::Word("Telephony")),
        ("FromPhoneNumber", |row| row.story().customer().phone.clone().into()),
        ("ToPhoneNumber", |_| Value::Word("+49 30 5550000")),
        ("RelatedRecordId", |row| row.story().id().into()),
        ("ConversationId", |row| row.story().part_id(Part::Conversation, 0).into()),
        ("CallRecordingId", |row| {
            is_recorded(row.story()).then(|| row.story().part_id(Part::Recording, 0)).into()
        }),
        ("IsRecorded", |row| is_recorded(row.story()).into()),
        ("VendorType", |_| Value::Word("ContactCenter")),
        ("VendorCallKey", |row| crate::store::derive::uuid(row.story().part_id(Part::Call, 0)).into()),
        ("QueueName", |row| Value::text(&row.story().plan.stored.queues[0].name)),
        ("NumberOfHolds", |row| Value::Int(seconds(row.story()) / 400)),
        ("LongestHoldDuration", |row| Value::Int(seconds(row.story()) / 400 * 31)),
        ("CustomerSentimentScore", |row| {
            let score = row.story().stream(purpose::CALL_MOOD).below(200);
            Value::Double(super::ratio(i64::try_from(score).unwrap_or(0)) / 100.0 - 1.0)
        }),
        ("RecipientId", |row| row.story().part_id(Part::Participant, 1).into()),
        ("CallerId", |row| row.story().part_id(Part::Participant, 0).into()),
        ("CreatedDate", |row| Value::Instant(row.story().created)),
        ("CreatedById", |row| row.story().plan.integration().into()),
        ("LastModifiedDate", |row| Value::Instant(ended(row.story()))),
        ("LastModifiedById", |row| row.story().agent().id.into()),
    ];
}

/// `VoiceCallRecording`.
pub(super) struct Recordings;

impl Kind for Recordings {
    belongs_to_case!("VoiceCallRecording", Part::Recording, Call);

    fn stamp(row: &Call<'_>) -> i64 {
        ended(row.story())
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Name", |row| {
            format!("Recording {}", row.story().part_id(Part::Recording, 0).number().unwrap_or(0)).into()
        }),
        ("OwnerId", |row| row.story().agent().id.into()),
        ("VoiceCallId", |row| row.story().part_id(Part::Call, 0).into()),
        ("DurationInSeconds", |row| Value::Int(seconds(row.story()))),
        ("IsConsented", |_| Value::Bool(true)),
        ("UploadDateTime", |row| Value::Instant(ended(row.story()))),
        ("CreatedDate", |row| Value::Instant(ended(row.story()))),
        ("CreatedById", |row| row.story().plan.integration().into()),
        ("LastModifiedDate", |row| Value::Instant(ended(row.story()))),
        ("LastModifiedById", |row| row.story().plan.integration().into()),
    ];
}
