//! Record ids: fifteen case-sensitive characters plus three that protect them where case is lost.
//!
//! Layout: key prefix (3), pod (2), reserved `0`, number (9, base 62). Numbers grow, and the digits sort as
//! ASCII does, so a table that appends rows is also sorted by id; the store relies on that.

use std::fmt;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECK: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// An 18-character record id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SfId([u8; 18]);

impl SfId {
    /// Builds the id of row `number` of the object with this key prefix.
    pub fn new(prefix: [u8; 3], pod: [u8; 2], number: u64) -> Self {
        let mut raw = [b'0'; 15];
        raw[..3].copy_from_slice(&prefix);
        raw[3..5].copy_from_slice(&pod);
        let mut rest = number;
        for slot in raw[6..].iter_mut().rev() {
            *slot = DIGITS[usize::try_from(rest % 62).unwrap_or(0)];
            rest /= 62;
        }
        Self::with_check(raw)
    }

    /// Reads a 15- or 18-character id. The three check characters of a long id are not trusted but
    /// computed again, as the platform does for ids that lost their case.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if !(bytes.len() == 15 || bytes.len() == 18) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut raw = [0; 15];
        raw.copy_from_slice(&bytes[..15]);
        Some(Self::with_check(raw))
    }

    fn with_check(raw: [u8; 15]) -> Self {
        let mut full = [0; 18];
        full[..15].copy_from_slice(&raw);
        for (chunk, check) in raw.chunks_exact(5).zip(&mut full[15..]) {
            let bits =
                chunk.iter().enumerate().map(|(bit, byte)| usize::from(byte.is_ascii_uppercase()) << bit);
            *check = CHECK[bits.sum::<usize>()];
        }
        Self(full)
    }

    /// The key prefix, which tells the object.
    pub fn prefix(&self) -> [u8; 3] {
        [self.0[0], self.0[1], self.0[2]]
    }

    /// The two characters that tell which org made it.
    pub fn pod(&self) -> [u8; 2] {
        [self.0[3], self.0[4]]
    }

    /// The row number it was made from; `None` for an id of another make.
    pub fn number(&self) -> Option<u64> {
        if self.0[5] != b'0' {
            return None;
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => byte - b'a' + 36,
        };
        Some(self.0[6..15].iter().fold(0, |all, byte| all * 62 + u64::from(digit(*byte))))
    }

    /// All 18 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is built from ASCII characters only")
    }

    /// The 15-character form, as access tokens carry it.
    pub fn short(&self) -> &str {
        &self.as_str()[..15]
    }

    /// The bytes of the 18-character form.
    pub fn as_bytes(&self) -> &[u8; 18] {
        &self.0
    }
}

impl fmt::Debug for SfId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for SfId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_characters_agree_with_recorded_ids() {
        for full in ["0011Y00003HVMu4QAH", "500i000000171NZAAY", "003i0000006zgVJAAY", "0051U000005O0HBQA0"] {
            assert_eq!(SfId::parse(&full[..15]).unwrap().as_str(), full);
        }
    }

    #[test]
    fn ids_sort_by_number() {
        let ids: Vec<SfId> = (0..5_000).map(|n| SfId::new(*b"500", *b"Rf", n * 37)).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_tells_its_number() {
        for number in [0, 1, 61, 62, 123_456_789] {
            let id = SfId::new(*b"500", *b"Rf", number);
            assert_eq!((id.prefix(), id.pod(), id.number()), (*b"500", *b"Rf", Some(number)));
        }
        assert_eq!(
            SfId::parse("0011Y00003HVMu4").unwrap().number(),
            Some(
                3 * 62_u64.pow(5)
                    + 17 * 62_u64.pow(4)
                    + 31 * 62_u64.pow(3)
                    + 22 * 62_u64.pow(2)
                    + 56 * 62
                    + 4
            )
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "500", "500i000000171NZA", "500i000000171N'", "500i000000171NZAAYx"] {
            assert_eq!(SfId::parse(text), None);
        }
    }
}
