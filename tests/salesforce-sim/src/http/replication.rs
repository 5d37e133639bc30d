//! `/sobjects/{object}/updated` and `/deleted`: which records changed, and which are gone.
//!
//! Seconds are ignored. What is covered ends where the oldest running transaction began, for what it writes will be
//! stamped before it can be seen.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Answer;
use super::data::{Call, Context};
use super::sobjects::visible_object;
use crate::org::replication::Replication;
use crate::query::{self, Sight};
use crate::soql::{self, Asker};
use crate::store::{Handle, Reader, State, Store};
use crate::time;

const MINUTE_MS: i64 = 60_000;

/// Which list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Created, changed or undeleted.
    Updated,
    /// Deleted, also when gone from the recycle bin.
    Deleted,
}

/// A time span in whole minutes, both ends inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: i64,
    end: i64,
}

fn refused(message: &str) -> Answer {
    Answer::error(400, "INVALID_REPLICATION_DATE", message)
}

impl Span {
    fn of(params: &HashMap<String, String>) -> Result<Self, Answer> {
        let moment = |name: &str| -> Result<i64, Answer> {
            let text = params.get(name).ok_or_else(|| refused(&format!("{name} date is missing")))?;
            // A plus sign in an unescaped offset arrives as a blank.
            let at = time::parse_instant(&text.replace(' ', "+"));
            let at =
                at.ok_or_else(|| refused(&format!("{name} date is no ISO 8601 date and time: {text}")))?;
            Ok(at - at.rem_euclid(MINUTE_MS))
        };
        Ok(Self { start: moment("start")?, end: moment("end")? })
    }

    fn check(self, change: Change, settings: Replication, now: i64) -> Result<(), Answer> {
        let least = if change == Change::Deleted { MINUTE_MS } else { 0 };
        if self.start + least >= self.end {
            let message = match change {
                Change::Updated => "startDate must be before endDate",
                Change::Deleted => "startDate must be at least one minute before endDate",
            };
            return Err(refused(message));
        }
        let reach = if change == Change::Deleted { settings.deleted_ms } else { settings.updated_ms };
        // A whole minute of grace: the client cut the seconds off.
        if self.start < now - reach - MINUTE_MS {
            return Err(refused("startDate before org replication enabled date"));
        }
        if change == Change::Deleted && settings.purged_before.is_some_and(|purged| self.start < purged) {
            return Err(refused("startDate is before the oldest deletion that is still known"));
        }
        Ok(())
    }
}

/// `/sobjects/{object}/updated?start=&end=` and its sister.
pub(super) fn changes(context: Context<'_>, call: Call<'_>, name: &str, change: Change) -> Answer {
    match listed(context, call, name, change) {
        Ok(answer) | Err(answer) => answer,
    }
}

fn listed(context: Context<'_>, call: Call<'_>, name: &str, change: Change) -> Result<Answer, Answer> {
    let store = context.org.records();
    let object = visible_object(context, &store, name).ok_or_else(Answer::not_found)?;
    let schema = &store.catalog.objects[object];
    if !schema.can("replicate") {
        let message = format!("entity type {} does not support replication", schema.name);
        return Err(Answer::error(400, "INVALID_TYPE_FOR_OPERATION", &message));
    }
    let settings = *context.org.replication();
    let span = Span::of(call.params)?;
    span.check(change, settings, context.now)?;
    let pending = store.tables.iter().filter_map(|(_, table)| table.oldest_pending()).min();
    let covered = span.end.min(context.now - settings.lag_ms).min(pending.unwrap_or(i64::MAX));
    let covered = covered - covered.rem_euclid(MINUTE_MS);
    let answer = match change {
        Change::Updated => updated(context, &store, object, span)
            .map(|ids| (ids.len(), json!({"ids": ids, "latestDateCovered": written(covered)})))?,
        Change::Deleted => {
            let gone = deleted(context, &store, object, span);
            let earliest = settings.purged_before.unwrap_or(context.now - settings.deleted_ms);
            let earliest = earliest - earliest.rem_euclid(MINUTE_MS);
            let body = json!({"deletedRecords": gone, "earliestDateAvailable": written(earliest),
                "latestDateCovered": written(covered)});
            (gone.len(), body)
        }
    };
    if answer.0 > settings.most_ids {
        let message = format!("exceeded {} ids in result, please use a smaller time span", settings.most_ids);
        return Err(Answer::error(400, "EXCEEDED_ID_LIMIT", &message));
    }
    Ok(Answer::json(200, &answer.1))
}

fn written(millis: i64) -> Value {
    let mut text = Vec::new();
    time::write_instant(&mut text, millis);
    json!(String::from_utf8_lossy(&text))
}

/// Ids of live records stamped inside the span. The field is the one the platform takes: the newest there is.
fn updated(context: Context<'_>, store: &Store, object: usize, span: Span) -> Result<Vec<String>, Answer> {
    let schema = &store.catalog.objects[object];
    let stamps = ["SystemModstamp", "LastModifiedDate", "CreatedDate"];
    let Some(stamp) = stamps.into_iter().find(|name| schema.field(name).is_some()) else {
        return Ok(Vec::new());
    };
    let (from, to) = (time::rfc3339(span.start), time::rfc3339(span.end));
    let statement = format!(
        "SELECT Id FROM {} WHERE {stamp} >= {from} AND {stamp} <= {to} ORDER BY {stamp}",
        schema.name
    );
    let permissions = context.permissions();
    let user = context.session.grant.user;
    let asker = Asker { catalog: &store.catalog, permissions: &permissions, user, now: context.now };
    let query = soql::parse(&statement).map_err(Answer::from)?;
    let plan = soql::resolve(&statement, &query, asker).map_err(Answer::from)?;
    let sight = Sight { reader: Reader::now(store), permissions: &permissions, with_deleted: false };
    let rows = query::rows(&plan, sight);
    Ok(rows.iter().map(|handle| store.tables[object].id(handle).to_string()).collect())
}

/// Deletions inside the span. For a history object the platform lists those of every history object.
fn deleted(context: Context<'_>, store: &Store, object: usize, span: Span) -> Vec<Value> {
    let is_history = |object: usize| store.catalog.objects[object].trait_value("history").is_some();
    let objects = (0..store.catalog.objects.len())
        .filter(|other| *other == object || (is_history(object) && is_history(*other)));
    let mut gone: Vec<(i64, String)> = Vec::new();
    for object in objects {
        let table = &store.tables[object];
        for handle in table.handles() {
            if let Some(at) = deleted_at(context, store, object, handle)
                && (span.start..=span.end).contains(&at)
            {
                gone.push((at, table.id(handle).to_string()));
            }
        }
    }
    gone.sort_unstable();
    gone.into_iter().map(|(at, id)| json!({"id": id, "deletedDate": written(at)})).collect()
}

/// When a record was deleted, if it is.
fn deleted_at(context: Context<'_>, store: &Store, object: usize, handle: Handle) -> Option<i64> {
    let table = &store.tables[object];
    if !matches!(table.state(handle)?, State::Deleted | State::Purged) {
        return None;
    }
    let last = table.record(handle)?;
    let permissions = context.permissions();
    let sees = |reader| {
        let sight = Sight { reader, permissions: &permissions, with_deleted: true };
        sight.sees(object, handle)
    };
    let stamped = store.catalog.objects[object].field("SystemModstamp").is_some();
    let when = |record: &crate::store::Record<'_>| {
        if stamped { record.stamp() } else { record.committed_at() - record.committed_at().rem_euclid(1_000) }
    };
    if last.state() == State::Deleted {
        return sees(Reader::now(store)).then(|| when(&last));
    }
    // Gone for good: deleted when it went into the bin, if it ever was in there.
    let before = Reader::as_of(store, last.committed_at() - 1);
    match before.record(object, handle) {
        Some(was) if was.state() == State::Deleted => sees(before).then(|| when(&was)),
        Some(_) => sees(before).then(|| when(&last)),
        // It came and went within a millisecond.
        None => Some(when(&last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: &str, end: &str) -> Result<Span, Answer> {
        let pairs = [("start", start), ("end", end)];
        Span::of(&pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    }

    #[test]
    fn seconds_are_cut_off_and_offsets_understood() {
        let cut = span("2026-01-31T12:30:15 00:00", "2026-01-31T13:31:59.999Z").unwrap();
        let whole = span("2026-01-31T12:30:00Z", "2026-01-31T14:31:00+01:00").unwrap();
        assert_eq!(cut, whole);
        assert!(span("yesterday", "2026-01-31T12:30:15Z").is_err());
    }
}
