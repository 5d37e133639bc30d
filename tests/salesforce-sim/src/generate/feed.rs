//! The feed of a case: posts, comments on them, tracked changes.

use super::born::{Column, Kind};
use super::child::{Child, belongs_to_case};
use super::parts::Part;
use super::random::Random;
use super::story::Story;
use super::{purpose, texts};
use crate::id::SfId;
use crate::value::Value;

/// How many feed records a case has: what people posted, then what the platform did.
pub(super) fn count(
    story: &Story<'_>,
    random: &mut Random,
    [comments, mails]: [usize; 2],
    set: &mut impl FnMut(Part, usize),
) {
    let written = random.around(0.5 * story.size).min(40);
    let closed = usize::from(story.life().closed.is_some());
    set(Part::Post, written + usize::from(mails > 0) + usize::from(comments > 0) + closed);
    set(Part::PostComment, (0..written).map(|post| replies(story, post)).sum());
    set(Part::Tracked, closed);
}

/// How many comments a post has.
fn replies(story: &Story<'_>, post: usize) -> usize {
    match story.stream_at(purpose::POST_REPLIES, post).below(10) {
        0..6 => 0,
        6..9 => 1,
        _ => 2,
    }
}

/// What a post is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// Somebody wrote it.
    Words,
    Mail,
    Comment,
    Closing,
}

/// A feed item.
pub(super) struct Post<'b> {
    child: Child<'b>,
    about: About,
    at: i64,
}

impl<'b> From<Child<'b>> for Post<'b> {
    fn from(child: Child<'b>) -> Self {
        let story = &child.story;
        let count = |part| story.count(part);
        // The last posts tell of the first mail, the first comment and the closing, as far as there are any.
        let mut events = [None; 3];
        let all = [
            (count(Part::Mail) > 0, About::Mail),
            (count(Part::Comment) > 0, About::Comment),
            (story.life().closed.is_some(), About::Closing),
        ];
        for (slot, (_, about)) in events.iter_mut().zip(all.into_iter().filter(|(is, _)| *is)) {
            *slot = Some(about);
        }
        let told = events.iter().flatten().count();
        let written = count(Part::Post).saturating_sub(told);
        let about = child.place.checked_sub(written).and_then(|place| events[place]).unwrap_or(About::Words);
        let at = match about {
            About::Words => story.after(&mut story.stream_at(purpose::POST, child.place)),
            About::Mail => story.after(&mut story.stream_at(purpose::MAIL, 0)),
            About::Comment => story.after(&mut story.stream_at(purpose::COMMENT, 0)),
            About::Closing => story.life().closed.unwrap_or(story.created),
        };
        Self { child, about, at }
    }
}

impl Post<'_> {
    fn replies(&self) -> usize {
        if self.about == About::Words { replies(&self.child.story, self.child.place) } else { 0 }
    }

    /// The last comment moves the post.
    fn modified(&self) -> i64 {
        match self.replies() {
            0 => self.at,
            count => reply_at(&self.child.story, self.at, count - 1),
        }
    }

    fn kind(&self) -> &'static str {
        match self.about {
            About::Mail => "EmailMessageEvent",
            About::Comment => "CaseCommentPost",
            About::Closing => "TrackedChange",
            About::Words => match self.child.stream(purpose::POST_KIND).below(12) {
                0 => "LinkPost",
                1 => "QuestionPost",
                _ => "TextPost",
            },
        }
    }

    fn related(&self) -> Option<SfId> {
        match self.about {
            About::Mail => Some(self.child.story.part_id(Part::Mail, 0)),
            About::Comment => Some(self.child.story.part_id(Part::Comment, 0)),
            _ => None,
        }
    }

    fn body(&self) -> Option<String> {
        let story = &self.child.story;
        match self.about {
            About::Words => {
                Some(texts::note(&mut self.child.stream(purpose::POST_TEXT), story.language, true))
            }
            About::Mail => Some(story.subject()),
            About::Comment | About::Closing => None,
        }
    }

    fn by(&self) -> SfId {
        self.child.story.agent().id
    }
}

fn reply_at(story: &Story<'_>, post_at: i64, place: usize) -> i64 {
    let later = (i64::try_from(place).unwrap_or(0) + 1) * 3_600_000;
    (post_at + later).min((story.plan.now - 20_000).max(post_at))
}

/// `FeedItem`, and `CaseFeed` through it.
pub(super) struct Posts;

impl Kind for Posts {
    belongs_to_case!("FeedItem", Part::Post, Post);

    fn stamp(row: &Post<'_>) -> i64 {
        row.modified()
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("ParentId", |row| row.child.story.id().into()),
        ("Type", |row| Value::Word(row.kind())),
        ("Body", |row| row.body().into()),
        ("Title", |row| if row.kind() == "LinkPost" { Value::Word("Help centre") } else { Value::Null }),
        ("LinkUrl", |row| {
            if row.kind() == "LinkPost" {
                Value::Word("https://help.example.com/articles/42")
            } else {
                Value::Null
            }
        }),
        ("HasLink", |row| (row.kind() == "LinkPost").into()),
        ("RelatedRecordId", |row| row.related().into()),
        ("CommentCount", |row| Value::Int(i64::try_from(row.replies()).unwrap_or(0))),
        ("LikeCount", |row| {
            Value::Int(i64::try_from(row.child.stream(purpose::POST_LIKES).below(3)).unwrap_or(0))
        }),
        ("Visibility", |row| {
            Value::Word(if row.about == About::Mail { "AllUsers" } else { "InternalUsers" })
        }),
        ("Revision", |_| Value::Int(1)),
        ("InsertedById", |row| row.by().into()),
        ("CreatedDate", |row| Value::Instant(row.at)),
        ("CreatedById", |row| row.by().into()),
        ("LastModifiedDate", |row| Value::Instant(row.modified())),
    ];
}

/// A comment on a post.
pub(super) struct Reply<'b> {
    post: Post<'b>,
    place: usize,
    /// Its own place among the case's comments.
    overall: usize,
}

impl<'b> From<Child<'b>> for Reply<'b> {
    fn from(child: Child<'b>) -> Self {
        let overall = child.place;
        let (mut post, mut left) = (0, overall);
        while left >= replies(&child.story, post) {
            left -= replies(&child.story, post);
            post += 1;
        }
        Self { post: Post::from(Child { place: post, ..child }), place: left, overall }
    }
}

impl Reply<'_> {
    fn at(&self) -> i64 {
        reply_at(&self.post.child.story, self.post.at, self.place)
    }

    fn by(&self) -> SfId {
        let agents = &self.post.child.story.plan.stored.agents;
        self.post.child.story.stream_at(purpose::REPLY_AUTHOR, self.overall).pick(agents).id
    }
}

/// `FeedComment`.
pub(super) struct Replies;

impl Kind for Replies {
    belongs_to_case!("FeedComment", Part::PostComment, Reply);

    fn stamp(row: &Reply<'_>) -> i64 {
        row.at()
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("FeedItemId", |row| row.post.child.story.part_id(Part::Post, row.post.child.place).into()),
        ("ParentId", |row| row.post.child.story.id().into()),
        ("CommentBody", |row| {
            let mut random = row.post.child.story.stream_at(purpose::REPLY_TEXT, row.overall);
            texts::note(&mut random, 0, true).into()
        }),
        ("CommentType", |_| Value::Word("TextComment")),
        ("Revision", |_| Value::Int(1)),
        ("InsertedById", |row| row.by().into()),
        ("CreatedDate", |row| Value::Instant(row.at())),
        ("CreatedById", |row| row.by().into()),
    ];
}

/// A tracked change: that the case was closed.
pub(super) struct Tracked<'b> {
    child: Child<'b>,
}

impl<'b> From<Child<'b>> for Tracked<'b> {
    fn from(child: Child<'b>) -> Self {
        Self { child }
    }
}

/// `FeedTrackedChange`.
pub(super) struct TrackedChanges;

impl Kind for TrackedChanges {
    belongs_to_case!("FeedTrackedChange", Part::Tracked, Tracked);

    fn stamp(row: &Tracked<'_>) -> i64 {
        row.child.story.life().closed.unwrap_or(row.child.story.created)
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("FeedItemId", |row| {
            let last = row.child.story.count(Part::Post).saturating_sub(1);
            row.child.story.part_id(Part::Post, last).into()
        }),
        ("FieldName", |_| Value::Word("Case.Status")),
        ("OldValue", |row| {
            let changes = &row.child.story.life().changes;
            let closing = changes.iter().rev().find(|change| change.new == Value::Word("Closed"));
            closing.map_or(Value::Null, |change| change.old.clone())
        }),
        ("NewValue", |_| Value::Word("Closed")),
    ];
}
