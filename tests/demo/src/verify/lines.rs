//! Ground truth as it comes over the wire: one line a record, in order of id.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A record of the org as the integration user may see it.
#[derive(Debug, Deserialize)]
pub(super) struct Truth<'a> {
    /// 18 characters.
    #[serde(rename = "Id", borrow)]
    pub(super) id: &'a str,
    /// The value that orders changes, RFC 3339.
    #[serde(borrow)]
    pub(super) stamp: &'a str,
    /// In the recycle bin.
    pub(super) deleted: bool,
    /// Every visible field, as REST writes it.
    #[serde(borrow)]
    pub(super) fields: HashMap<&'a str, &'a RawValue>,
}

impl<'a> Truth<'a> {
    pub(super) fn read(line: &'a [u8]) -> anyhow::Result<Self> {
        serde_json::from_slice(line).context("read a record of the ground truth")
    }

    /// The JSON of a field; `null` when it is not there.
    pub(super) fn raw(&self, field: &str) -> &'a str {
        self.fields.get(field).map_or("null", |value| value.get())
    }
}

/// Cuts a stream of bytes into lines.
pub(super) struct Lines<S> {
    source: S,
    buffer: Vec<u8>,
    /// Everything before this was given out.
    from: usize,
    /// Everything before this is known to hold no line end.
    searched: usize,
}

impl<S, B, E> Lines<S>
where
    S: Stream<Item = Result<B, E>> + Unpin,
    B: AsRef<[u8]>,
    E: std::error::Error + Send + Sync + 'static,
{
    pub(super) fn new(source: S) -> Self {
        Self { source, buffer: Vec::new(), from: 0, searched: 0 }
    }

    /// The next line without its end.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<&[u8]>> {
        loop {
            if let Some(length) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let (start, end) = (self.from, self.searched + length);
                self.from = end + 1;
                self.searched = end + 1;
                return Ok(Some(&self.buffer[start..end]));
            }
            self.buffer.drain(..self.from);
            self.from = 0;
            self.searched = self.buffer.len();
            let Some(chunk) = self.source.next().await else {
                ensure!(self.buffer.is_empty(), "the ground truth ends in the middle of a line");
                return Ok(None);
            };
            self.buffer.extend_from_slice(chunk.context("read the ground truth")?.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::Lines;

    #[tokio::test]
    async fn lines_are_whole_however_the_bytes_are_cut() {
        for size in 1..8 {
            let text = b"{}\n{\"a\":1}\n\nlast\n";
            let chunks: Vec<Result<&[u8], Infallible>> = text.chunks(size).map(Ok).collect();
            let mut lines = Lines::new(stream::iter(chunks));
            let mut seen = Vec::new();
            while let Some(line) = lines.next().await.unwrap() {
                seen.push(String::from_utf8(line.to_vec()).unwrap());
            }
            assert_eq!(seen, ["{}", "{\"a\":1}", "", "last"]);
        }
    }

    #[tokio::test]
    async fn a_cut_off_answer_is_an_error_and_not_a_shorter_truth() {
        let mut lines = Lines::new(stream::iter([Ok::<_, Infallible>(b"{}\n{\"a\"")]));
        assert!(lines.next().await.unwrap().is_some());
        assert!(lines.next().await.is_err());
    }
}
