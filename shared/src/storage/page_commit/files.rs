//! Bodies of files that the page's items name, and of those that they name no more.

use std::collections::BTreeSet;

use super::super::error::StoreError;
use super::super::files::{files_review, files_want};
use super::super::pool::TenantTx;
use super::super::related::Owner;
use super::Applied;
use crate::ids::ObjectId;
use crate::record::RecordState;
use crate::ticket::FileRow;

/// Asks for bodies that are wanted now, and for a second look at files that live items named before and do not now.
pub(super) async fn want(
    tx: &TenantTx<'_>,
    owner: Owner,
    object: ObjectId,
    applied: &[Applied<'_>],
    before: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let named: Vec<(&FileRow, bool)> = applied.iter().filter_map(named).collect();
    files_want(tx, owner, object, &named).await?;
    let now: BTreeSet<&str> = named.iter().map(|(file, _)| file.id.as_str()).collect();
    let left: Vec<&str> = before.iter().map(String::as_str).filter(|file| !now.contains(file)).collect();
    files_review(tx, owner, object, &left).await
}

/// The file of a live item, and whether its body may be another than the one that is here.
fn named<'a>(row: &'a Applied<'_>) -> Option<(&'a FileRow, bool)> {
    let file = row.message()?.file.as_ref().filter(|_| row.record.state == RecordState::Live)?;
    Some((file, file.is_own && !row.is_new() && !row.row.same_version))
}
