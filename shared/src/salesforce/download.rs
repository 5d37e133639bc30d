//! Bodies of files, streamed: what a record's base64 field holds, as the bytes it stands for.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::client::{Ask, Client, a_new_session_may_help};
use super::error::SalesforceError;
use super::http::Streaming;
use super::soql::{FieldPath, ObjectName};
use crate::ids::SalesforceId;
use crate::ports::CallKind;

/// A body to be streamed.
#[derive(Debug, Clone)]
pub struct Download {
    /// The object of the record that has it.
    pub object: ObjectName,
    /// That record.
    pub record: SalesforceId,
    /// Its field.
    pub field: FieldPath,
    /// What is longer is broken off with [`SalesforceError::BodyTooLarge`].
    pub most_bytes: usize,
}

impl Client {
    /// Sends the body piece by piece.
    ///
    /// A receiver that is closed ends the call: whoever closed it knows why. After an error what was sent is no whole
    /// body.
    pub async fn download(
        &self,
        download: &Download,
        into: &mpsc::Sender<Bytes>,
    ) -> Result<(), SalesforceError> {
        let Download { object, record, field, most_bytes } = download;
        let path = format!("/sobjects/{}/{record}/{}", object.as_str(), field.as_str());
        let ask = Ask::get(self.data_path(&path));
        let stream = Streaming { into, most_bytes: *most_bytes };
        let session = self.session().await?;
        match self.attempt_streaming(CallKind::File, &session, &ask, stream).await {
            // A refusal comes before the first piece.
            Err(error) if a_new_session_may_help(&error) => {
                let session = self.renew(session.generation).await?;
                self.attempt_streaming(CallKind::File, &session, &ask, stream).await.map(drop)
            }
            answered => answered.map(drop),
        }
    }
}
