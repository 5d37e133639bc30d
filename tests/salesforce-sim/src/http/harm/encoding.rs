//! Bodies in encodings that harm.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Answer;
use crate::org::faults::Encoding;

/// Zeroes of a bomb are compressed in blocks of this size.
const BLOCK: usize = 1 << 20;

/// A body that is small on the wire and becomes `bytes` long. It is made while it is sent.
pub(super) fn bomb(answer: &mut Answer, bytes: u64) {
    answer.body.clear();
    answer.headers.push(("Content-Encoding".into(), "gzip".to_owned()));
    answer.blocks = Some(Box::new(Bomb { left: bytes, encoder: Some(encoder()) }));
}

struct Bomb {
    left: u64,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

fn encoder() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::best())
}

impl Iterator for Bomb {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let zeroes = vec![b'0'; BLOCK];
        loop {
            let encoder = self.encoder.as_mut()?;
            let part = usize::try_from(self.left).unwrap_or(usize::MAX).min(BLOCK);
            if part == 0 {
                return self.encoder.take().map(finished);
            }
            encoder.write_all(&zeroes[..part]).expect("compressing into memory does not fail");
            self.left -= part as u64;
            let ready = std::mem::take(encoder.get_mut());
            if !ready.is_empty() {
                return Some(ready);
            }
        }
    }
}

fn finished(encoder: GzEncoder<Vec<u8>>) -> Vec<u8> {
    encoder.finish().expect("compressing into memory does not fail")
}

fn zipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = encoder();
    encoder.write_all(body).expect("compressing into memory does not fail");
    finished(encoder)
}

/// The other harms.
pub(super) fn encode(answer: &mut Answer, how: Encoding) {
    let (named, body) = match how {
        Encoding::Bomb => return,
        Encoding::Nested => ("gzip, gzip", zipped(&zipped(&answer.body))),
        // The head is right, and what follows is not deflate.
        Encoding::Garbage => ("gzip", [&zipped(b"")[..10], &[0xFF; 400]].concat()),
        Encoding::Unknown => ("zz-proprietary", std::mem::take(&mut answer.body)),
    };
    answer.body = body;
    answer.headers.push(("Content-Encoding".into(), named.to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_bomb_is_small_and_becomes_as_large_as_asked() {
        let mut answer = Answer::bytes(200, Vec::new());
        bomb(&mut answer, 20_000_000);
        let sent: Vec<u8> = answer.blocks.unwrap().flatten().collect();
        assert!(sent.len() < 100_000, "{} bytes on the wire", sent.len());
        let mut decoded = 0;
        let mut reader = flate2::read::GzDecoder::new(&sent[..]);
        let mut buffer = vec![0; 65_536];
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                read => decoded += read,
            }
        }
        assert_eq!(decoded, 20_000_000);
    }
}
