//! The message that tells a worker of a published job: versioned, small, and free of customer content.
//!
//! A message is a hint. The jobs table decides: a worker that gets one takes the lease by job and epoch, and
//! an older epoch matches nothing. So a message may be lost or come twice without harm.

use serde::{Deserialize, Serialize};

use super::lease::Class;
use crate::ids::{JobId, TenantId};

/// The version that this build writes, and the newest one it reads.
pub const VERSION: u64 = 1;

/// One published job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Whose job it is.
    pub tenant: TenantId,
    /// Which database holds it; 0 as long as there is one.
    pub shard: u16,
    /// The job.
    pub job: JobId,
    /// The publication: a message of an older one is stale.
    pub epoch: i64,
    /// Its queue.
    pub class: Class,
    /// W3C trace parent of the span that published it.
    pub trace: Option<String>,
}

/// What a message turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A job to lease.
    Envelope(Envelope),
    /// Written by a newer build; a newer worker will take the job when it is published again.
    NewerVersion(u64),
    /// Not one of ours: the reason, without any of the message's content.
    Undecodable(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u64,
    tenant: TenantId,
    shard: u16,
    job: JobId,
    epoch: i64,
    class: Class,
    trace: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

impl Envelope {
    /// The trace that the message belongs to: what its publisher's lines and its worker's have in common. `None` without
    /// a trace parent, or with one that has not the form of version 00.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        let hexadecimal = |text: &str, digits| {
            text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let mut parts = self.trace.as_deref()?.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let formed =
            version == "00" && hexadecimal(trace, 32) && hexadecimal(span, 16) && hexadecimal(flags, 2);
        (formed && parts.next().is_none() && trace.bytes().any(|b| b != b'0')).then_some(trace)
    }

    /// The bytes of the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            v: VERSION,
            tenant: self.tenant,
            shard: self.shard,
            job: self.job,
            epoch: self.epoch,
            class: self.class,
            trace: self.trace.clone(),
        };
        serde_json::to_vec(&wire).expect("a struct of numbers and strings is always JSON")
    }

    /// Reads a message. The version is read first, so that a newer form is told apart from damage.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Decoded {
        /// A message of ours is below 300 bytes; a larger one is not read at all.
        const LARGEST: usize = 4096;
        if bytes.len() > LARGEST {
            return Decoded::Undecodable("larger than any message of ours");
        }
        let Ok(Version { v }) = serde_json::from_slice(bytes) else {
            return Decoded::Undecodable("no JSON object with a version");
        };
        if v > VERSION {
            return Decoded::NewerVersion(v);
        }
        match serde_json::from_slice::<Wire>(bytes) {
            Ok(wire) if v == VERSION => Decoded::Envelope(Self {
                tenant: wire.tenant,
                shard: wire.shard,
                job: wire.job,
                epoch: wire.epoch,
                class: wire.class,
                trace: wire.trace,
            }),
            Ok(_) => Decoded::Undecodable("a version that never was"),
            Err(_) => Decoded::Undecodable("fields are missing or have another form"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            tenant: TenantId(uuid::Uuid::nil()),
            shard: 0,
            job: JobId(1),
            epoch: 4,
            class: Class::Incremental,
            trace: None,
        }
    }

    #[test]
    fn the_wire_form_of_version_one_is_fixed() {
        let bytes = envelope().encode();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            r#"{"v":1,"tenant":"ten_00000000000000000000000000000000","shard":0,"job":"job_1","epoch":4,"class":"incremental","trace":null}"#
        );
        assert_eq!(Envelope::decode(&bytes), Decoded::Envelope(envelope()));
    }

    #[test]
    fn only_a_well_formed_trace_parent_names_a_trace() {
        let with = |trace: &str| Envelope { trace: Some(trace.to_owned()), ..envelope() };
        let good = with("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(good.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(Envelope::decode(&good.encode()), Decoded::Envelope(good));
        for bad in [
            "",
            "words",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(with(bad).trace_id(), None, "{bad}");
        }
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        assert_eq!(Envelope::decode(br#"{"v":2,"anything":[]}"#), Decoded::NewerVersion(2));
        for damaged in
            [&b""[..], b"{}", b"[1]", b"\xff", br#"{"v":0}"#, br#"{"v":1,"tenant":"x"}"#, br#"{"v":-1}"#]
        {
            assert!(matches!(Envelope::decode(damaged), Decoded::Undecodable(_)), "{damaged:?}");
        }
        assert!(matches!(Envelope::decode(&[b' '; 5000]), Decoded::Undecodable(_)));
    }
}
