//! The sealed envelope: what the stored bytes are, and what they are bound to.
//!
//! ```text
//! format (1) │ key id (4, big endian) │ compression (1) │ dictionary id (4) │ nonce (12) │ ciphertext │ tag (16)
//! ```
//!
//! Associated data: format, tenant, logical column, row key, key id, compression, dictionary. A value moved
//! to another row, column or tenant does not open. Nonces are random: a data key is rotated long before
//! 2^32 values, NIST's bound for random 96-bit nonces (SP 800-38D §8.3).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use super::CryptoError;
use crate::ids::{KeyId, TenantId};

const FORMAT: u8 = 1;
const HEADER: usize = 1 + 4 + 1 + 4;
const TAG: usize = 16;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// Level 1 and no dictionary: measured as the best price for records of 1 to 12 kB.
const ZSTD_LEVEL: i32 = 1;
/// Below this a frame is larger than what it compresses.
const COMPRESS_FROM: usize = 64;
/// No value of ours unpacks to more; a larger claim is damage or an attack.
const LARGEST: usize = 256 << 20;

/// Where a sealed value lives; bound to it as associated data.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Whose it is.
    pub tenant: TenantId,
    /// Logical column, `table.column`: stable even when the table is renamed.
    pub column: &'a str,
    /// The row's key after the tenant, in the table's own order.
    pub row: &'a [u8],
}

/// An AES-256-GCM key ready for use.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// Takes 32 bytes of key material.
    pub fn new(material: &[u8; 32]) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, material).expect("32 bytes are an AES-256 key");
        Self(LessSafeKey::new(unbound))
    }
}

/// Compresses and seals a value for its place, appending the envelope to `out`.
pub fn seal(
    key: &SealingKey,
    key_id: KeyId,
    place: &Place<'_>,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CryptoError> {
    let packed = pack(value);
    let (compression, body) = match &packed {
        Some(packed) => (ZSTD, packed.as_slice()),
        None => (PLAIN, value),
    };
    let mut header = [0u8; HEADER];
    header[0] = FORMAT;
    header[1..5].copy_from_slice(&key_id.0.to_be_bytes());
    header[5] = compression;
    let mut nonce = [0u8; NONCE_LEN];
    rand::fill(&mut nonce).map_err(|_| CryptoError::NoRandom)?;

    out.reserve(HEADER + NONCE_LEN + body.len() + TAG);
    out.extend_from_slice(&header);
    out.extend_from_slice(&nonce);
    let start = out.len();
    out.extend_from_slice(body);
    let aad = associated_data(header, place);
    let tag = key
        .0
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut out[start..])
        .map_err(|_| CryptoError::NoRandom)?;
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

/// The key that an envelope was sealed under.
pub fn key_id(envelope: &[u8]) -> Result<KeyId, CryptoError> {
    let header = header(envelope)?;
    Ok(KeyId(i32::from_be_bytes([header[1], header[2], header[3], header[4]])))
}

/// Opens an envelope that stands at this place.
pub fn open(key: &SealingKey, place: &Place<'_>, envelope: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let header = header(envelope)?;
    let (nonce, body) = envelope[HEADER..].split_at(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::UnknownFormat)?;
    let mut body = body.to_vec();
    let aad = associated_data(header, place);
    let length =
        key.0.open_in_place(nonce, Aad::from(aad), &mut body).map_err(|_| CryptoError::DoesNotOpen)?.len();
    body.truncate(length);
    match header[5] {
        PLAIN => Ok(body),
        ZSTD => unpack(&body),
        _ => Err(CryptoError::UnknownFormat),
    }
}

fn header(envelope: &[u8]) -> Result<[u8; HEADER], CryptoError> {
    if envelope.len() < HEADER + NONCE_LEN + TAG || envelope[0] != FORMAT || envelope[6..HEADER] != [0; 4] {
        return Err(CryptoError::UnknownFormat);
    }
    envelope[..HEADER].try_into().map_err(|_| CryptoError::UnknownFormat)
}

/// Lengths are written before what they measure, so that no two places give the same bytes.
fn associated_data(header: [u8; HEADER], place: &Place<'_>) -> Vec<u8> {
    let mut aad = Vec::with_capacity(HEADER + 16 + 8 + place.column.len() + place.row.len());
    aad.extend_from_slice(&header);
    aad.extend_from_slice(place.tenant.0.as_bytes());
    for part in [place.column.as_bytes(), place.row] {
        aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
        aad.extend_from_slice(part);
    }
    aad
}

thread_local! {
    /// A compression context costs more to make than a record costs to compress.
    static PACKER: std::cell::RefCell<Option<zstd::bulk::Compressor<'static>>> = const { std::cell::RefCell::new(None) };
}

/// `None` when compressing gains nothing.
fn pack(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() < COMPRESS_FROM {
        return None;
    }
    PACKER.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        let packed = slot.as_mut()?.compress(value).ok()?;
        (packed.len() < value.len()).then_some(packed)
    })
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let size = zstd::zstd_safe::get_frame_content_size(body)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| *size <= LARGEST)
        .ok_or(CryptoError::UnknownFormat)?;
    zstd::bulk::decompress(body, size).map_err(|_| CryptoError::UnknownFormat)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(tenant: TenantId) -> Place<'static> {
        Place { tenant, column: "records.payload", row: b"row-1" }
    }

    #[test]
    fn a_sealed_value_opens_at_its_own_place_only() {
        let key = SealingKey::new(&[7; 32]);
        let tenant = TenantId::generate();
        let mut sealed = Vec::new();
        seal(&key, KeyId(3), &place(tenant), b"hello", &mut sealed).unwrap();
        assert_eq!(key_id(&sealed).unwrap(), KeyId(3));
        assert_eq!(open(&key, &place(tenant), &sealed).unwrap(), b"hello");

        let elsewhere = [
            Place { row: b"row-2", ..place(tenant) },
            Place { column: "tickets.fields", ..place(tenant) },
            place(TenantId::generate()),
        ];
        for other in elsewhere {
            assert!(matches!(open(&key, &other, &sealed), Err(CryptoError::DoesNotOpen)));
        }
        let other_key = SealingKey::new(&[8; 32]);
        assert!(matches!(open(&other_key, &place(tenant), &sealed), Err(CryptoError::DoesNotOpen)));
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let key = SealingKey::new(&[7; 32]);
        let tenant = TenantId::generate();
        let mut sealed = Vec::new();
        seal(&key, KeyId(3), &place(tenant), &b"a long enough text ".repeat(20), &mut sealed).unwrap();
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(open(&key, &place(tenant), &damaged).is_err(), "byte {at}");
        }
        assert!(matches!(open(&key, &place(tenant), &sealed[..20]), Err(CryptoError::UnknownFormat)));
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let key = SealingKey::new(&[1; 32]);
            let place = place(TenantId(uuid::Uuid::nil()));
            let mut sealed = Vec::new();
            seal(&key, KeyId(1), &place, &value, &mut sealed).unwrap();
            prop_assert_eq!(open(&key, &place, &sealed).unwrap(), value);
        }
    }
}
