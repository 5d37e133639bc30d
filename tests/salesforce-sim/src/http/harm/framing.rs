//! Answers that break HTTP itself, byte by byte.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;

use super::Answer;
use crate::http::wire::{Act, Script};
use crate::org::faults::{Framing, Part};

/// The status line and headers of an answer, with these headers for its length.
fn head(answer: &Answer, length: &[(&str, &str)]) -> String {
    let reason =
        axum::http::StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason.unwrap_or("Unknown"));
    if let Some(content_type) = &answer.content_type {
        _ = write!(head, "Content-Type: {content_type}\r\n");
    }
    for (name, value) in &answer.headers {
        _ = write!(head, "{name}: {value}\r\n");
    }
    for (name, value) in length {
        _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("Connection: close\r\n\r\n");
    head
}

fn chunk(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}

/// An answer in a broken framing.
pub(super) fn broken(answer: &Answer, how: Framing) -> Script {
    const CHUNKED: (&str, &str) = ("Transfer-Encoding", "chunked");
    let body = &answer.body[..];
    let half = body.len() / 2;
    let length = body.len().to_string();
    let (lengths, sent) = match how {
        Framing::ShortLength => (vec![("Content-Length", half.to_string())], body.to_vec()),
        Framing::LongLength => (vec![("Content-Length", (body.len() + 1_000).to_string())], body.to_vec()),
        Framing::BothLengths => {
            let sent = [chunk(body), b"0\r\n\r\n".to_vec()].concat();
            (vec![("Content-Length", half.to_string()), (CHUNKED.0, CHUNKED.1.to_owned())], sent)
        }
        Framing::BadChunk => {
            let sent = [chunk(&body[..half]), b"zz\r\n".to_vec(), body[half..].to_vec()].concat();
            (vec![(CHUNKED.0, CHUNKED.1.to_owned())], sent)
        }
        Framing::NoLastChunk => (vec![(CHUNKED.0, CHUNKED.1.to_owned())], chunk(body)),
        // The bytes end where the last record does: what says whether there is more is missing.
        Framing::EarlyClose => (vec![("Content-Length", length)], body[..end_of_records(body)].to_vec()),
    };
    let lengths: Vec<(&str, &str)> = lengths.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Script::from([Act::Write(Bytes::from([head(answer, &lengths).into_bytes(), sent].concat()))])
}

/// Where the last record of a page ends, or half of any other body.
fn end_of_records(body: &[u8]) -> usize {
    body.iter().rposition(|byte| *byte == b']').unwrap_or(body.len() / 2)
}

/// A true answer, a few bytes at a time.
pub(super) fn slow(answer: &Answer, part: Part, bytes: usize, every: Duration) -> Script {
    let length = answer.body.len().to_string();
    let head = Bytes::from(head(answer, &[("Content-Length", &length)]));
    let body = Act::Trickle(Bytes::from(answer.body.clone()), bytes, every);
    let head = match part {
        Part::Head => Act::Trickle(head, bytes, every),
        Part::Body => Act::Write(head),
    };
    Script::from([head, body])
}

/// A true head, and a body that never ends.
pub(super) fn endless(answer: &Answer) -> Script {
    let head = Act::Write(Bytes::from(head(answer, &[("Transfer-Encoding", "chunked")])));
    let start = Act::Write(Bytes::from(chunk(br#"{"totalSize":1,"done":true,"records":["#)));
    Script::from([head, start, Act::WriteForEver(Bytes::from(chunk(&[b' '; 4_096])))])
}
