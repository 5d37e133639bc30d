//! Files of a case and its mails: attachments of the old kind, and documents with their versions and links.

use std::fmt::Write;

use md5::{Digest, Md5};

use super::born::{Column, Kind};
use super::child::{Child, belongs_to_case};
use super::parts::Part;
use super::random::Random;
use super::story::Story;
use super::{purpose, texts};
use crate::id::SfId;
use crate::value::Value;

/// Extension, file type as the platform names it, content type.
const TYPES: [(&str, &str, &str); 6] = [
    ("txt", "TEXT", "text/plain"),
    ("csv", "CSV", "text/csv"),
    ("png", "PNG", "image/png"),
    ("pdf", "PDF", "application/pdf"),
    ("log", "LOG", "text/plain"),
    ("json", "JSON", "application/json"),
];
const NAMES: [&str; 6] = ["screenshot", "invoice", "Rechnung März", "error report", "注文書", "logs"];

/// How many file records a case has.
pub(super) fn count(story: &Story<'_>, random: &mut Random, mails: usize, set: &mut impl FnMut(Part, usize)) {
    let attachments = random.around(0.12 * story.size).min(6);
    let documents = random.around(0.15 * story.size).min(6);
    set(Part::Attachment, attachments);
    set(Part::Document, documents);
    set(Part::FileVersion, (0..documents).map(|document| versions(story, document)).sum());
    set(Part::Link, (0..documents).map(|document| links(story, document, mails)).sum());
}

/// How many versions a document has.
fn versions(story: &Story<'_>, document: usize) -> usize {
    1 + usize::from(story.stream_at(purpose::FILE_VERSIONS, document).chance(0.2))
}

/// Who sees a document: its owner, the case, and sometimes a mail.
fn links(story: &Story<'_>, document: usize, mails: usize) -> usize {
    2 + usize::from(mail_of(story, purpose::FILE_MAIL, document, mails).is_some())
}

/// The mail that a file came with.
fn mail_of(story: &Story<'_>, purpose: u64, file: usize, mails: usize) -> Option<usize> {
    let mut random = story.stream_at(purpose, file);
    (mails > 0 && random.chance(0.5)).then(|| random.below(mails))
}

/// Whether a mail has files.
pub(super) fn belong_to_mail(story: &Story<'_>, mail: usize) -> bool {
    let mails = story.count(Part::Mail);
    let came_with =
        |purpose, count| (0..count).any(|file| mail_of(story, purpose, file, mails) == Some(mail));
    came_with(purpose::ATTACHMENT_MAIL, story.count(Part::Attachment))
        || came_with(purpose::FILE_MAIL, story.count(Part::Document))
}

/// What is in a file.
struct Content {
    extension: &'static str,
    file_type: &'static str,
    mime: &'static str,
    title: String,
    size: usize,
    random: Random,
}

impl Content {
    fn draw(mut random: Random) -> Self {
        let (extension, file_type, mime) = *random.pick(&TYPES);
        let title = format!("{} {}", random.pick(&NAMES), random.below(10_000));
        let size = if random.chance(0.01) { 300_000 } else { 80 + random.below(6_000) };
        Self { extension, file_type, mime, title, size, random }
    }

    /// Exactly `size` bytes that are the same each time.
    fn bytes(&self) -> Vec<u8> {
        let mut random = self.random.clone();
        let mut bytes: Vec<u8> = match self.extension {
            "png" => b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
            "pdf" => b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec(),
            _ => Vec::new(),
        };
        while bytes.len() < self.size {
            if matches!(self.extension, "png" | "pdf") {
                bytes.extend(random.number().to_le_bytes());
            } else {
                bytes.extend(texts::note(&mut random, 0, true).as_bytes());
                bytes.extend(b"\r\n");
            }
        }
        bytes.truncate(self.size);
        bytes
    }

    fn length(&self) -> Value {
        Value::Int(i64::try_from(self.size).unwrap_or(i64::MAX))
    }
}

/// The check sum of a file's bytes, as the platform gives it.
pub fn checksum(bytes: &[u8]) -> Value {
    let digest = Md5::digest(bytes);
    let mut text = String::with_capacity(32);
    for byte in digest {
        _ = write!(text, "{byte:02x}");
    }
    text.into()
}

/// An attachment.
pub(super) struct Attachment<'b> {
    child: Child<'b>,
    at: i64,
}

impl<'b> From<Child<'b>> for Attachment<'b> {
    fn from(child: Child<'b>) -> Self {
        let at = child.story.after(&mut child.stream(purpose::ATTACHMENT));
        Self { child, at }
    }
}

impl Attachment<'_> {
    fn content(&self) -> Content {
        Content::draw(self.child.stream(purpose::ATTACHMENT_CONTENT))
    }

    fn owner(&self) -> SfId {
        self.child.story.agent().id
    }
}

/// `Attachment`.
pub(super) struct Attachments;

impl Kind for Attachments {
    belongs_to_case!("Attachment", Part::Attachment, Attachment);

    fn stamp(row: &Attachment<'_>) -> i64 {
        row.at
    }

    fn blob(row: &Attachment<'_>) -> Option<Vec<u8>> {
        Some(row.content().bytes())
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("ParentId", |row| {
            let story = &row.child.story;
            let mail = mail_of(story, purpose::ATTACHMENT_MAIL, row.child.place, story.count(Part::Mail));
            mail.map_or_else(|| story.id(), |mail| story.part_id(Part::Mail, mail)).into()
        }),
        ("Name", |row| {
            let content = row.content();
            format!("{}.{}", content.title, content.extension).into()
        }),
        ("ContentType", |row| Value::Word(row.content().mime)),
        ("BodyLength", |row| row.content().length()),
        ("IsPrivate", |row| row.child.stream(purpose::ATTACHMENT_PRIVATE).chance(0.05).into()),
        ("OwnerId", |row| row.owner().into()),
        ("CreatedDate", |row| Value::Instant(row.at)),
        ("CreatedById", |row| row.owner().into()),
        ("LastModifiedDate", |row| Value::Instant(row.at)),
        ("LastModifiedById", |row| row.owner().into()),
    ];
}

/// A version of a document.
pub(super) struct FileVersion<'b> {
    story: Story<'b>,
    document: usize,
    version: usize,
    at: i64,
}

impl<'b> FileVersion<'b> {
    fn new(story: Story<'b>, document: usize, version: usize) -> Self {
        let first = story.after(&mut story.stream_at(purpose::FILE, document));
        let later = if version == 0 { 0 } else { 1_800_000 };
        let at = (first + later).min((story.plan.now - 20_000).max(first));
        Self { story, document, version, at }
    }

    fn newest(story: Story<'b>, document: usize) -> Self {
        let last = versions(&story, document) - 1;
        Self::new(story, document, last)
    }

    fn content(&self) -> Content {
        let file = self.document * 8 + self.version;
        Content::draw(self.story.stream_at(purpose::FILE_CONTENT, file))
    }

    /// The first version names the document for good.
    fn title(&self) -> String {
        Content::draw(self.story.stream_at(purpose::FILE_CONTENT, self.document * 8)).title
    }

    /// Where a version of this case stands among all of them.
    fn place(&self) -> usize {
        let before: usize = (0..self.document).map(|document| versions(&self.story, document)).sum();
        before + self.version
    }

    fn owner(&self) -> SfId {
        self.story.agent().id
    }

    fn document_id(&self) -> SfId {
        self.story.part_id(Part::Document, self.document)
    }

    fn id(&self) -> SfId {
        self.story.part_id(Part::FileVersion, self.place())
    }
}

impl<'b> From<Child<'b>> for FileVersion<'b> {
    fn from(child: Child<'b>) -> Self {
        let (mut document, mut left) = (0, child.place);
        while left >= versions(&child.story, document) {
            left -= versions(&child.story, document);
            document += 1;
        }
        Self::new(child.story, document, left)
    }
}

/// `ContentVersion`.
pub(super) struct FileVersions;

impl Kind for FileVersions {
    belongs_to_case!("ContentVersion", Part::FileVersion, FileVersion);

    fn stamp(row: &FileVersion<'_>) -> i64 {
        row.at
    }

    fn blob(row: &FileVersion<'_>) -> Option<Vec<u8>> {
        Some(row.content().bytes())
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("ContentDocumentId", |row| row.document_id().into()),
        ("IsLatest", |row| (row.version + 1 == versions(&row.story, row.document)).into()),
        ("VersionNumber", |row| (row.version + 1).to_string().into()),
        ("Title", |row| row.title().into()),
        ("PathOnClient", |row| format!("{}.{}", row.title(), row.content().extension).into()),
        ("FileType", |row| Value::Word(row.content().file_type)),
        ("FileExtension", |row| Value::Word(row.content().extension)),
        ("ContentSize", |row| row.content().length()),
        ("ContentSizeLong", |row| row.content().length()),
        ("Checksum", |row| checksum(&row.content().bytes())),
        ("IsMajorVersion", |row| (row.version == 0).into()),
        ("VersionDataUrl", |row| {
            format!("https://files.example.com/sfc/servlet.shepherd/version/download/{}", row.id()).into()
        }),
        ("FirstPublishLocationId", |row| row.story.id().into()),
        ("ContentModifiedDate", |row| Value::Instant(row.at)),
        ("ContentModifiedById", |row| row.owner().into()),
        ("OwnerId", |row| row.owner().into()),
        ("CreatedDate", |row| Value::Instant(row.at)),
        ("CreatedById", |row| row.owner().into()),
        ("LastModifiedDate", |row| Value::Instant(row.at)),
        ("LastModifiedById", |row| row.owner().into()),
    ];
}

/// A document: what its newest version says.
pub(super) struct Document<'b> {
    newest: FileVersion<'b>,
}

impl<'b> From<Child<'b>> for Document<'b> {
    fn from(child: Child<'b>) -> Self {
        Self { newest: FileVersion::newest(child.story, child.place) }
    }
}

/// `ContentDocument`.
pub(super) struct Documents;

impl Kind for Documents {
    belongs_to_case!("ContentDocument", Part::Document, Document);

    fn stamp(row: &Document<'_>) -> i64 {
        row.newest.at
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("Title", |row| row.newest.title().into()),
        ("LatestPublishedVersionId", |row| row.newest.id().into()),
        ("FileType", |row| Value::Word(row.newest.content().file_type)),
        ("FileExtension", |row| Value::Word(row.newest.content().extension)),
        ("ContentSize", |row| row.newest.content().length()),
        ("ContentModifiedDate", |row| Value::Instant(row.newest.at)),
        ("OwnerId", |row| row.newest.owner().into()),
        ("CreatedDate", |row| {
            let first = &row.newest;
            Value::Instant(first.story.after(&mut first.story.stream_at(purpose::FILE, first.document)))
        }),
        ("CreatedById", |row| row.newest.owner().into()),
        ("LastModifiedDate", |row| Value::Instant(row.newest.at)),
        ("LastModifiedById", |row| row.newest.owner().into()),
    ];
}

/// Who sees a document.
pub(super) struct Link<'b> {
    newest: FileVersion<'b>,
    /// 0 the owner, 1 the case, 2 a mail.
    which: usize,
}

impl<'b> From<Child<'b>> for Link<'b> {
    fn from(child: Child<'b>) -> Self {
        let mails = child.story.count(Part::Mail);
        let (mut document, mut left) = (0, child.place);
        while left >= links(&child.story, document, mails) {
            left -= links(&child.story, document, mails);
            document += 1;
        }
        Self { newest: FileVersion::newest(child.story, document), which: left }
    }
}

/// `ContentDocumentLink`.
pub(super) struct Links;

impl Kind for Links {
    belongs_to_case!("ContentDocumentLink", Part::Link, Link);

    fn stamp(row: &Link<'_>) -> i64 {
        row.newest.at
    }

    const COLUMNS: &'static [(&'static str, Column<Self>)] = &[
        ("ContentDocumentId", |row| row.newest.document_id().into()),
        ("LinkedEntityId", |row| {
            let story = &row.newest.story;
            let mail = || mail_of(story, purpose::FILE_MAIL, row.newest.document, story.count(Part::Mail));
            match row.which {
                0 => row.newest.owner().into(),
                1 => story.id().into(),
                _ => mail().map(|mail| story.part_id(Part::Mail, mail)).into(),
            }
        }),
        ("ShareType", |row| Value::Word(if row.which == 0 { "I" } else { "V" })),
        ("Visibility", |_| Value::Word("AllUsers")),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_size_and_check_sum() {
        let content = Content::draw(Random::new(5));
        assert_eq!(content.bytes().len(), content.size);
        assert_eq!(content.bytes(), content.bytes());
        assert_eq!(checksum(b"abc"), Value::Word("900150983cd24fb0d6963f7d28e17f72"));
    }
}
