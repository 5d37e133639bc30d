//! From an answer to bytes on a wire: headers, compression, streaming, cuts.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;

use super::Answer;
use super::answer::Blocks;
use crate::time;

/// Smaller bodies are not worth compressing.
const LEAST_COMPRESSED: usize = 1_000;

/// What the client and the faults ask of an answer's bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// Simulated time, for the `Date` header.
    pub now: i64,
    /// Whether the client takes gzip.
    pub gzip: bool,
    /// After how many bytes the body breaks off.
    pub cut: Option<usize>,
}

/// Makes the response. `sent` is told the bytes of the body: at once, or when a streamed body has ended.
pub(super) fn respond(
    mut answer: Answer,
    manner: Manner,
    sent: impl FnOnce(usize) + Send + 'static,
) -> Response<Body> {
    let blocks = answer.blocks.take();
    let large = blocks.is_some() || answer.body.len() > LEAST_COMPRESSED;
    let compress = manner.gzip && large && !answer.names("Content-Encoding");
    let mut builder = Response::builder()
        .status(answer.status)
        .header(header::DATE, time::http_date(manner.now))
        .header(header::VARY, "Accept-Encoding")
        .header(header::CACHE_CONTROL, "no-cache,must-revalidate,max-age=0,no-store,private");
    if let Some(content_type) = &answer.content_type {
        builder = builder.header(header::CONTENT_TYPE, content_type);
    }
    if compress {
        builder = builder.header(header::CONTENT_ENCODING, "gzip");
    }
    for (name, value) in &answer.headers {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            builder = builder.header(&**name, value);
        }
    }
    let body = if let Some(blocks) = blocks {
        streamed(blocks, compress, manner.cut, sent)
    } else {
        let body = if compress { compressed(&answer.body) } else { Bytes::from(answer.body) };
        let length = body.len();
        sent(length);
        match manner.cut {
            Some(after) if after < length => {
                builder = builder.header(header::CONTENT_LENGTH, length);
                broken_off(futures_util::stream::iter([Ok(body.slice(..after))]))
            }
            _ => Body::from(body),
        }
    };
    builder.body(body).unwrap_or_else(|_| {
        // Only an injected header can be impossible; a test should see that it was.
        let mut refused = Response::new(Body::from("an injected header cannot be sent"));
        *refused.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        refused
    })
}

fn compressed(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("compressing into memory does not fail").into()
}

/// Blocks as one gzip stream.
struct Zipped {
    blocks: Blocks,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Iterator for Zipped {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let encoder = self.encoder.as_mut()?;
            let Some(block) = self.blocks.next() else {
                return self
                    .encoder
                    .take()
                    .map(|encoder| encoder.finish().expect("compressing into memory does not fail"));
            };
            encoder.write_all(&block).expect("compressing into memory does not fail");
            let ready = std::mem::take(encoder.get_mut());
            if !ready.is_empty() {
                return Some(ready);
            }
        }
    }
}

/// Tells how many bytes went out, also when the client leaves early.
struct Tally<F: FnOnce(usize)> {
    bytes: usize,
    sent: Option<F>,
}

impl<F: FnOnce(usize)> Tally<F> {
    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
    }
}

impl<F: FnOnce(usize)> Drop for Tally<F> {
    fn drop(&mut self) {
        if let Some(sent) = self.sent.take() {
            sent(self.bytes);
        }
    }
}

fn streamed(
    blocks: Blocks,
    compress: bool,
    cut: Option<usize>,
    sent: impl FnOnce(usize) + Send + 'static,
) -> Body {
    let blocks: Blocks = if compress {
        let encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        Box::new(Zipped { blocks, encoder })
    } else {
        blocks
    };
    let mut tally = Tally { bytes: 0, sent: Some(sent) };
    let mut left = cut.unwrap_or(usize::MAX);
    let counted = blocks.map_while(move |mut block| {
        if left == 0 {
            return None;
        }
        block.truncate(left);
        left -= block.len();
        tally.add(block.len());
        Some(Ok(Bytes::from(block)))
    });
    let stream = futures_util::stream::iter(counted);
    if cut.is_some() { broken_off(stream) } else { Body::from_stream(stream) }
}

/// A body that sends its bytes and then breaks the connection. The pause lets what was sent reach the socket:
/// a connection that breaks at once takes its buffers with it.
fn broken_off(start: impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    let end = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    Body::from_stream(start.chain(futures_util::stream::once(end)))
}
