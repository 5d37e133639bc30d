//! Files of an object's items, held against the policy of today.

use std::sync::Arc;

use super::RecordKey;
use super::opened::{Opener, sealed};
use crate::catalog::{FilePolicy, LeftOut, Projection};
use crate::crypto::TenantKeys;
use crate::ids::SalesforceId;
use crate::storage::files::BodyState;
use crate::storage::records::ObjectKey;
use crate::storage::{StoreError, TenantTx};
use crate::ticket::FileRow;
use crate::ticket::project::file_of;

/// A file as its item names it, judged by a policy.
#[derive(Debug)]
pub struct Judged {
    /// The file, with what the policy says of it.
    pub file: FileRow,
    /// What is known of its body.
    pub state: BodyState,
}

/// The files of the next live items, in the order of the items' keys, and the last of those items; none at their end. Of a
/// body whose time is over no policy of files decides.
pub async fn files_judged(
    tx: &TenantTx<'_>,
    keys: Arc<TenantKeys>,
    key: ObjectKey,
    policy: &FilePolicy,
    (after, most): (&str, i64),
) -> Result<(Vec<Judged>, Option<String>), StoreError> {
    const SQL: &str = "-- files_judged
        SELECT m.record_id, f.state, r.field_set_id, r.payload
          FROM messages m
          JOIN files f ON f.tenant_id = m.tenant_id AND f.connection_id = m.connection_id AND f.file_id = m.file_id
          JOIN records r ON r.tenant_id = m.tenant_id AND r.connection_id = m.connection_id
               AND r.object_id = m.object_id AND r.record_id = m.record_id AND r.state = 0
         WHERE m.tenant_id = $1 AND m.connection_id = $2 AND m.object_id = $3 AND m.record_id > $4 AND m.state = 0
           AND m.file_id IS NOT NULL AND f.reason IS DISTINCT FROM $6
         ORDER BY m.record_id LIMIT $5";
    let opener = Opener::load(tx, keys).await?;
    let Projection::Message(fields) = opener.projection(key.object) else { return Ok((Vec::new(), None)) };
    let rows = tx
        .sql()
        .query(
            SQL,
            &[
                &tx.scope().tenant().0,
                &key.connection.0,
                &key.object.0,
                &after,
                &most,
                &LeftOut::Expired.word(),
            ],
        )
        .await
        .map_err(StoreError::at("files_judged"))?;
    let mut judged = Vec::with_capacity(rows.len());
    for row in &rows {
        let item =
            SalesforceId::parse(row.get(0)).map_err(|_| StoreError::Unreadable("messages.record_id"))?;
        let state = BodyState::from_number(row.get(1)).ok_or(StoreError::Unreadable("files.state"))?;
        let record = RecordKey { connection: key.connection, object: key.object, record: item };
        let file = opener.read(record, sealed(row, 2), |record| file_of(fields, policy, record))?;
        if let Some(file) = file.flatten() {
            judged.push(Judged { file, state });
        }
    }
    Ok((judged, rows.last().map(|row| row.get(0))))
}
