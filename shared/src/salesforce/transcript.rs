//! Transcripts through the Connect API: one conversation at a time.
//!
//! Salesforce means it for single conversations and counts it by the hour (503 when over), so whoever asks does so with
//! little at once and waits when refused.

use serde::Deserialize;

use super::client::{Ask, Client};
use super::error::SalesforceError;
use crate::catalog::transcript::TranscriptEntry;
use crate::clock::Timestamp;
use crate::ports::CallKind;

/// Entries in one answer, at most; the platform's own limit.
pub const MOST_ENTRIES: usize = 1_000;

/// A part of a transcript.
#[derive(Debug)]
pub struct TranscriptPage {
    /// In the order they were received.
    pub entries: Vec<TranscriptEntry>,
    /// Salesforce's clock at the answer.
    pub read_at: Timestamp,
    /// Where the next part begins, in milliseconds since 1970; `None` after the last.
    pub next_from: Option<i64>,
}

impl Client {
    /// The entries that were received from `from` on, in milliseconds since 1970. A conversation without a transcript is
    /// refused as not found.
    pub async fn transcript(&self, conversation: &str, from: i64) -> Result<TranscriptPage, SalesforceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            #[serde(default)]
            conversation_entries: Vec<TranscriptEntry>,
        }
        // An identifier is a UUID; nothing else may become part of a path.
        let identifier: String =
            conversation.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
        let path = self.data_path(&format!("/connect/conversation/{identifier}/entries"));
        let mut ask = Ask::get(path);
        ask.params = vec![
            ("queryDirection", "FromStart".to_owned()),
            ("recordLimit", MOST_ENTRIES.to_string()),
            ("startTimestamp", from.to_string()),
        ];
        let answer = self.call(CallKind::Transcript, ask).await?;
        let read_at = answer.read_at()?;
        let entries = answer.json::<Told>("a transcript")?.conversation_entries;
        let is_full = entries.len() >= MOST_ENTRIES;
        let last = entries.iter().map(|entry| entry.server_received_timestamp).max();
        // The same moment again: what was received in it may have been cut in two, and twice is the same as once.
        let next_from = last.filter(|last| is_full && *last > from);
        Ok(TranscriptPage { entries, read_at, next_from })
    }
}
