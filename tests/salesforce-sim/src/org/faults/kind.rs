//! What can go wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What goes wrong. A fault either takes the place of the true answer, or spoils it, or does something to the
/// org while the call is made.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// This answer instead of the true one, without the platform's headers.
    Status {
        /// HTTP status.
        status: u16,
        /// Body.
        #[serde(default)]
        body: String,
        /// `Content-Type`.
        #[serde(default)]
        content_type: Option<String>,
        /// Further headers, such as `Retry-After` or `Location`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// An error body of the platform.
    Error {
        /// HTTP status.
        status: u16,
        /// `errorCode`, or `error` on OAuth paths.
        code: String,
        /// `message`, or `error_description` on OAuth paths.
        message: String,
    },
    /// The connection closes without an answer; the call is not carried out.
    Close,
    /// The call is carried out, and the connection closes without an answer.
    LostAnswer,
    /// The body ends early.
    Truncate {
        /// Bytes of the body (as sent, so maybe compressed) that still arrive.
        after: usize,
        /// Further bytes for each hit after the first, to try every place.
        #[serde(default)]
        step: usize,
    },
    /// The true answer, late.
    Delay {
        /// By how many real milliseconds.
        ms: u64,
    },
    /// 200 with JSON that does not parse.
    Malformed,
    /// 200 with a web page.
    Html,
    /// The true answer, made once a gate opens.
    Hold {
        /// The gate's name.
        gate: String,
    },
    /// What was true when the call came, sent once a gate opens: an answer that was slow on its way.
    HoldAnswer {
        /// The gate's name.
        gate: String,
    },
    /// One record of the page has a field of an impossible type, or no id.
    BadRecord {
        /// The field; without it the record loses its id.
        #[serde(default)]
        field: Option<String>,
    },
    /// The true answer behind a web address that says so: a redirect.
    Redirect {
        /// HTTP status.
        #[serde(default = "found")]
        status: u16,
        /// Scheme and host; the path and its parameters are kept.
        to: String,
    },
    /// The session of the call ends before it is looked at.
    EndSession,
    /// All refresh tokens and sessions of the call's user end.
    RevokeGrants,
    /// The call's user is frozen.
    FreezeUser,
    /// The `Sforce-Limit-Info` header lies.
    Usage {
        /// What it says instead; absent for no header at all.
        #[serde(default)]
        text: Option<String>,
    },
    /// Another app uses up part of the allowance.
    Spend {
        /// Calls it makes.
        calls: u64,
    },
    /// Every query cursor of the org dies.
    ExpireCursors,
    /// Pages of a query come in the wrong way.
    Pages {
        /// How.
        how: Paging,
    },
    /// People edit records while the call is made.
    Edits {
        /// How many edits.
        count: usize,
        /// Which ones.
        #[serde(default)]
        seed: u64,
    },
    /// Calls of the control API are made before this call is answered.
    Steps {
        /// The calls, in order.
        steps: Vec<Step>,
    },
    /// The true body in a framing that breaks HTTP.
    Framing {
        /// How.
        how: Framing,
    },
    /// The true answer, a few bytes at a time.
    Slow {
        /// From the status line on, or only the body.
        #[serde(default)]
        part: Part,
        /// Bytes at a time.
        #[serde(default = "one_byte")]
        bytes: usize,
        /// Real milliseconds between them.
        every_ms: u64,
    },
    /// The true head, and a body that never ends.
    Endless,
    /// The true body in an encoding that harms.
    Encoding {
        /// How.
        how: Encoding,
        /// Size when decoded, for a bomb.
        #[serde(default = "ten_gigabytes")]
        bytes: u64,
    },
    /// The true body, dressed as something else.
    Disguise {
        /// As what.
        how: Disguise,
    },
    /// Valid JSON of the wrong shape.
    Shape {
        /// How.
        how: Shape,
    },
    /// The true JSON with one random change of its structure, a new one each time.
    Mutate {
        /// Which changes.
        seed: u64,
    },
    /// One field of the page's middle record holds this JSON text, valid or not.
    RawValue {
        /// The field.
        field: String,
        /// JSON text; absent to leave the field out.
        #[serde(default)]
        json: Option<String>,
        /// Bytes in hexadecimal instead, for what no JSON text can hold.
        #[serde(default)]
        hex: Option<String>,
    },
    /// Ids come in the form of 15 characters.
    ShortIds,
    /// A new bulk job will fail.
    JobFailure {
        /// Its `errorMessage`.
        message: String,
    },
}

fn found() -> u16 {
    302
}

fn one_byte() -> usize {
    1
}

fn ten_gigabytes() -> u64 {
    10 << 30
}

/// How the pages of a query go wrong. Applies to next-page calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// This page is left out: the next one comes in its place.
    Missing,
    /// This page comes twice.
    Repeated,
    /// This page and the next change places.
    Swapped,
    /// A record is twice on this page.
    TwiceARecord,
}

/// How the framing of an answer is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// `Content-Length` is smaller than the body.
    ShortLength,
    /// `Content-Length` is larger than the body, and the connection closes.
    LongLength,
    /// `Content-Length` and `Transfer-Encoding` contradict each other.
    BothLengths,
    /// A chunk's size is no number.
    BadChunk,
    /// The last chunk is missing and the connection closes.
    NoLastChunk,
    /// Neither length nor chunks, and the connection closes after the last record.
    EarlyClose,
}

/// Where slowness begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// With the status line.
    Head,
    /// After the head.
    #[default]
    Body,
}

/// How an encoding harms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// A small gzip body that becomes enormous.
    Bomb,
    /// gzip inside gzip, both named.
    Nested,
    /// Not gzip although it says so.
    Garbage,
    /// An encoding that nobody knows.
    Unknown,
}

/// What a true body is dressed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disguise {
    /// A byte order mark leads.
    ByteOrderMark,
    /// UTF-16 with a byte order mark.
    Utf16,
    /// The header names Latin-1, the body is UTF-8.
    WrongCharset,
    /// The platform's XML form of a query answer or an error.
    Xml,
    /// The platform's login page, with 200.
    LoginPage,
}

/// How the shape of an answer is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `records` is null.
    NullRecords,
    /// `totalSize` is far from the truth.
    WrongTotal,
    /// Not done, and no way on.
    NoNextUrl,
    /// The way on leads to another host.
    ForeignNextUrl,
    /// The way on leads to another resource.
    OtherNextUrl,
    /// Records have no `attributes`.
    NoAttributes,
    /// A key occurs twice in a record.
    DuplicateKeys,
    /// An array inside an array, a hundred thousand deep.
    DeepNesting,
    /// A number beyond any double.
    HugeNumber,
    /// A text of fifty megabytes.
    HugeText,
    /// Done, although there is a next page.
    DoneTooEarly,
}

/// A call of the control API, below the org's address.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `faults` or `records/Case/{id}/delete`.
    pub post: String,
    /// Its body.
    #[serde(default = "empty_object")]
    pub body: Value,
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}
