//! What a page leads to beyond itself: a ticket is kept with all of its conversation, and a message with its ticket,
//! however far back either lies.

use std::collections::{BTreeSet, HashSet};

use super::super::departures::items_wanted;
use super::super::error::StoreError;
use super::super::filters::items_go;
use super::super::followed::parents_gone;
use super::super::pool::TenantTx;
use super::super::records::ObjectKey;
use super::super::related::{
    ChildFields, Owner, children_again, children_wanted, feed_lock, named_before, parents_wanted, shells_left,
};
use super::checkpoint::CheckpointMove;
use super::expiry;
use super::gone::has_left;
use super::tickets::{Led, of_objects};
use super::unsettled::is_gone;
use super::{Applied, PageCommit};
use crate::clock::Timestamp;
use crate::ids::SalesforceId;
use crate::job::lease::Class;
use crate::record::RecordState;

/// Asks for the records that tickets lack, of shells for one, and for the children of what is new.
pub(super) async fn ask(
    tx: &TenantTx<'_>,
    page: &PageCommit<'_>,
    applied: &[Applied<'_>],
    led: Led,
) -> Result<(), StoreError> {
    let Led { mut wanted, gone } = led;
    let (owner, object) = (Owner::from(page.lease), page.lease.object);
    let is_ticket = page.parents.tickets.values().any(|ticket| *ticket == object);
    if is_ticket && matches!(page.moves, CheckpointMove::SliceDone { .. }) {
        // Whoever makes a shell holds this lock too: it is either seen here, or sees that this object is complete.
        feed_lock(tx).await?;
        wanted.extend(shells_left(tx, owner.connection, object).await?);
        wanted.extend(named_before(tx, owner.connection, object).await?);
    }
    parents_wanted(tx, owner, &wanted).await?;
    let_go_too_early(tx, owner, page, applied).await?;
    came_too_late(tx, owner, page, applied, &gone).await?;
    let new: Vec<(&str, Option<Timestamp>)> = applied.iter().filter_map(new_parent).collect();
    let changed: Vec<(&str, Option<Timestamp>)> =
        applied.iter().filter_map(|row| changed_parent(page, row)).map(|id| (id, None)).collect();
    let (by_calls, others): (ChildFields, ChildFields) =
        page.parents.children.iter().cloned().partition(|(child, _)| page.parents.by_calls.contains(child));
    let (by_parents, by_stamp): (ChildFields, ChildFields) =
        others.into_iter().partition(|(child, _)| page.parents.by_parents.contains(child));
    children_wanted(tx, owner, Class::Derived, object, &by_stamp, &new).await?;
    children_wanted(tx, owner, Class::Derived, object, &by_parents, &changed).await?;
    children_wanted(tx, owner, Class::Transcripts, object, &by_calls, &changed).await?;
    let key = ObjectKey { connection: owner.connection, object };
    let left = applied.iter().filter(|row| has_left(row));
    let left: Vec<_> = left.map(|row| (row.id.as_str(), row.record.order.stamp)).collect();
    parents_gone(tx, key, &left).await?;
    if is_ticket && applied.iter().any(|row| row.is_filtered() && row.is_bare()) {
        items_go(tx, object).await?;
    }
    let is_holder = page.parents.holders.values().any(|holder| *holder == object);
    if is_ticket || is_holder || page.parents.with_children.contains(&object) {
        follow_items(tx, owner, page, applied).await?;
    }
    Ok(())
}

/// The items of what left are looked at, one by one; of what came back, and of what a merge left its items to, all are
/// read: the platform moves and restores them, with or without a stamp. So are all of a document that left: nothing here
/// tells which links lead to it.
async fn follow_items(
    tx: &TenantTx<'_>,
    owner: Owner,
    page: &PageCommit<'_>,
    applied: &[Applied<'_>],
) -> Result<(), StoreError> {
    let is_holder = page.parents.holders.values().any(|holder| *holder == page.lease.object);
    // What is said in a session outside of the filter is not kept; a ticket's own items go without a call.
    let is_let_go = |row: &Applied<'_>| is_holder && row.is_filtered() && row.was != Some(1);
    let left = applied.iter().filter(|row| has_left(row) || is_let_go(row));
    let left: Vec<&str> = left.map(|row| row.id.as_str()).collect();
    items_wanted(tx, owner, &left).await?;
    let was_gone = |row: &&Applied<'_>| row.was.is_some_and(|was| was != 0);
    let returned = applied.iter().filter(|row| row.record.state == RecordState::Live).filter(was_gone);
    let mut parents: Vec<&str> = returned.map(|row| row.id.as_str()).collect();
    // One that was gone before may have come back and left again between two looks, and moved what belongs to it.
    let gone = || applied.iter().filter(|row| is_gone(row.record) && !row.row.same_version);
    parents.extend(gone().filter_map(|row| row.row.merged_into.as_ref()).map(SalesforceId::as_str));
    if page.parents.with_children.contains(&page.lease.object) {
        parents.extend(gone().map(|row| row.id.as_str()));
    }
    parents.sort_unstable();
    parents.dedup();
    children_again(tx, owner, page.lease.object, &page.parents.children, &parents).await
}

/// Items were read before what they belong to left, and come after everything else of it was looked at: they are looked at
/// as well. What that look brings is not looked at once more, be it as it may.
async fn came_too_late(
    tx: &TenantTx<'_>,
    owner: Owner,
    page: &PageCommit<'_>,
    applied: &[Applied<'_>],
    gone: &[String],
) -> Result<(), StoreError> {
    if gone.is_empty() || page.lease.params["gone"] == true {
        return Ok(());
    }
    let live = applied.iter().filter(|row| row.record.state == RecordState::Live);
    let parents: HashSet<&str> = live.filter_map(|row| Some(row.message()?.ticket_record.as_str())).collect();
    let late: Vec<&str> = gone.iter().map(String::as_str).filter(|id| parents.contains(id)).collect();
    items_wanted(tx, owner, &late).await
}

/// Items were let go with a ticket that has come back while their page was on its way: all of its items are read again.
async fn let_go_too_early(
    tx: &TenantTx<'_>,
    owner: Owner,
    page: &PageCommit<'_>,
    applied: &[Applied<'_>],
) -> Result<(), StoreError> {
    let parents: BTreeSet<String> = expiry::let_go(applied).map(|id| id.to_string()).collect();
    if parents.is_empty() {
        return Ok(());
    }
    let key = ObjectKey { connection: page.lease.connection, object: page.lease.object };
    for objects in [&page.parents.tickets, &page.parents.holders] {
        let parents = of_objects(objects, &parents);
        for (parent, id) in expiry::back_by_now(tx, key, &parents).await? {
            children_again(tx, owner, parent, &page.parents.children, &[&id]).await?;
        }
    }
    Ok(())
}

/// A record, new or changed, of which children may be looked for that no window brings. What is read back for new fields
/// has led to them before.
fn changed_parent<'a>(page: &PageCommit<'_>, row: &'a Applied<'_>) -> Option<&'a str> {
    let leads = row.ticket().is_some()
        || row.message().is_some_and(|message| message.holds)
        || page.parents.with_children.contains(&page.lease.object);
    (leads && !row.row.same_version && row.record.state == RecordState::Live).then(|| row.id.as_str())
}

/// A record that was not here before and to which items belong, with when it was opened.
fn new_parent<'a>(row: &'a Applied<'_>) -> Option<(&'a str, Option<Timestamp>)> {
    if !row.is_new() || row.record.state != RecordState::Live {
        return None;
    }
    let opened_at = match (row.ticket(), row.message()) {
        (Some(ticket), _) => ticket.opened_at,
        (None, Some(message)) if message.holds => Some(message.sent_at),
        (None, _) => return None,
    };
    Some((row.id.as_str(), opened_at))
}
