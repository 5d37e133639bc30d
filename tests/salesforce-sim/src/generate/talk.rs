//! Comments and e-mails of a case.

use super::blueprint::Owner;
use super::born::{Column, Kind};
use super::child::{Child, belongs_to_case};
use super::parts::Part;
use super::{files, purpose, texts};
use crate::id::SfId;
use crate::value::Value;

/// A comment.
pub(super) struct Comment<'b> {
    child: Child<'b>,
    at: i64,
    by_agent: bool,
}

impl<'b> From<Child<'b>> for Comment<'b> {
    fn from(child: Child<'b>) -> Self {
        let mut random = child.stream(purpose::COMMENT);
        let at = child.story.after(&mut random);
        let by_agent = random.chance(0.6);
        Self { child, at, by_agent }
    }
}

impl Comment<'_> {
    fn by(&self) -> SfId {
        if self.by_agent { self.child.story.agent().id } else { self.child.story.plan.integration() }
    }

    pub(super) fn body(&self) -> String {
        let mut random = self.child.stream(purpose::COMMENT_BODY);
        let english = self.by_agent && random.chance(0.5);
        let language = if english { 0 } else { self.child.story.language };
        texts::note(&mut random, language, self.by_agent)
    }

    fn is_published(&self) -> bool {
        self.child.stream(purpose::COMMENT_PUBLISHED).chance(0.4)
    }
}

/// `CaseComment`.
pub(super) struct Comments;

impl Kind for Comments {
    belongs_to_case!("CaseComment", Part::Comment, Comment);

    fn stamp(row: &Comment<'_>) -> i64 {
        row.at
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("ParentId", |row| row.child.story.id().into()),
        ("IsPublished", |row| row.is_published().into()),
        ("CommentBody", |row| row.body().into()),
        ("CreatedDate", |row| Value::Instant(row.at)),
        ("CreatedById", |row| row.by().into()),
        ("LastModifiedDate", |row| Value::Instant(row.at)),
        ("LastModifiedById", |row| row.by().into()),
    ];
}

/// An e-mail; every other one comes from the customer.
pub(super) struct Mail<'b> {
    pub(super) child: Child<'b>,
    pub(super) at: i64,
    pub(super) incoming: bool,
}

impl<'b> From<Child<'b>> for Mail<'b> {
    fn from(child: Child<'b>) -> Self {
        let at = child.story.after(&mut child.stream(purpose::MAIL));
        let incoming = child.place.is_multiple_of(2);
        Self { child, at, incoming }
    }
}

/// Where the org's own mail comes from.
const SUPPORT: &str = "support@support.example.com";

impl Mail<'_> {
    /// What the writer wrote, without the quoted mail.
    fn own_words(&self, place: usize) -> String {
        let mut random = self.child.story.stream_at(purpose::MAIL_TEXT, place);
        let (language, plan) = (self.child.story.language, self.child.story.plan);
        let mut text = texts::message(&mut random, language, !place.is_multiple_of(2));
        texts::lengthen(&mut random, language, &mut text, plan.mail_characters);
        text
    }

    fn text(&self) -> String {
        let mut text = self.own_words(self.child.place);
        if let Some(before) = self.child.place.checked_sub(1) {
            texts::quote(&mut text, &self.own_words(before));
        }
        text
    }

    fn has_html(&self) -> bool {
        self.child.stream(purpose::MAIL_HTML).chance(0.8)
    }

    fn subject(&self) -> String {
        let subject = self.child.story.subject();
        if self.child.place == 0 { subject } else { format!("Re: {subject}") }
    }

    fn by(&self) -> SfId {
        if self.incoming { self.child.story.plan.integration() } else { self.child.story.agent().id }
    }

    fn addresses(&self) -> [Value; 2] {
        let customer = Value::text(&self.child.story.customer().email);
        let support = Value::Word(SUPPORT);
        if self.incoming { [customer, support] } else { [support, customer] }
    }
}

/// `EmailMessage`.
pub(super) struct Mails;

impl Kind for Mails {
    belongs_to_case!("EmailMessage", Part::Mail, Mail);

    fn stamp(row: &Mail<'_>) -> i64 {
        row.at
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("ParentId", |row| row.child.story.id().into()),
        ("RelatedToId", |row| row.child.story.id().into()),
        ("Subject", |row| row.subject().into()),
        ("Name", |row| row.subject().into()),
        ("FromName", |row| {
            if row.incoming { row.child.story.customer().name().into() } else { Value::Word("Support") }
        }),
        ("FromAddress", |row| row.addresses()[0].clone()),
        ("ToAddress", |row| row.addresses()[1].clone()),
        ("CcAddress", |row| {
            let copied = row.child.stream(purpose::MAIL_COPY).chance(0.08);
            if copied {
                Value::Word("\"Doe; Jane\" <jane@example.com>; team@example.org")
            } else {
                Value::Null
            }
        }),
        ("TextBody", |row| row.text().into()),
        ("HtmlBody", |row| {
            let mut random = row.child.stream(purpose::MAIL_MARKUP);
            row.has_html().then(|| texts::html(&mut random, &row.text())).into()
        }),
        ("Incoming", |row| row.incoming.into()),
        ("Status", |row| {
            let words = if row.incoming { ["0", "1", "2"] } else { ["3", "3", "3"] };
            Value::Word(row.child.stream(purpose::MAIL_STATUS).pick::<&str>(&words))
        }),
        ("MessageDate", |row| Value::Instant(row.at)),
        ("HasAttachment", |row| files::belong_to_mail(&row.child.story, row.child.place).into()),
        ("MessageIdentifier", |row| {
            let reference = row.child.stream(purpose::MAIL_REFERENCE).number();
            format!("<{reference:016x}@mail.example.com>").into()
        }),
        ("ReplyToEmailMessageId", |row| {
            let before = row.child.place.checked_sub(1);
            before.map(|place| row.child.story.part_id(Part::Mail, place)).into()
        }),
        ("CreatedDate", |row| Value::Instant(row.at)),
        ("CreatedById", |row| row.by().into()),
        ("LastModifiedDate", |row| Value::Instant(row.at)),
        ("LastModifiedById", |row| row.by().into()),
    ];
}

/// One end of an e-mail.
pub(super) struct Relation<'b> {
    mail: Mail<'b>,
    is_from: bool,
}

impl<'b> From<Child<'b>> for Relation<'b> {
    fn from(child: Child<'b>) -> Self {
        let (mail, is_from) = (child.place / 2, child.place.is_multiple_of(2));
        Self { mail: Mail::from(Child { place: mail, ..child }), is_from }
    }
}

impl Relation<'_> {
    /// The customer is at the end that the mail came from, or went to.
    fn is_customer(&self) -> bool {
        self.is_from == self.mail.incoming
    }

    fn agent(&self) -> &Owner {
        self.mail.child.story.agent()
    }
}

/// `EmailMessageRelation`.
pub(super) struct Relations;

impl Kind for Relations {
    belongs_to_case!("EmailMessageRelation", Part::Relation, Relation);

    fn stamp(row: &Relation<'_>) -> i64 {
        row.mail.at
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("EmailMessageId", |row| row.mail.child.story.part_id(Part::Mail, row.mail.child.place).into()),
        ("RelationId", |row| {
            let story = &row.mail.child.story;
            if row.is_customer() {
                story.known.then(|| story.contact_id()).into()
            } else {
                row.agent().id.into()
            }
        }),
        ("RelationType", |row| Value::Word(if row.is_from { "FromAddress" } else { "ToAddress" })),
        ("RelationAddress", |row| row.mail.addresses()[usize::from(!row.is_from)].clone()),
        ("RelationObjectType", |row| match (row.is_customer(), row.mail.child.story.known) {
            (true, true) => Value::Word("Contact"),
            (true, false) => Value::Null,
            (false, _) => Value::Word("User"),
        }),
        ("CreatedDate", |row| Value::Instant(row.mail.at)),
        ("CreatedById", |row| row.mail.by().into()),
    ];
}
