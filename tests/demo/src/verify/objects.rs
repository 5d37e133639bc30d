//! One object: the org's records and ours, side by side in order of id.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, ensure};
use futures_util::{Stream, StreamExt, TryStreamExt};
use refrain_shared::ids::ObjectId;
use refrain_shared::storage::TenantTx;
use tokio_postgres::types::ToSql;

use super::lines::{Lines, Truth};
use super::links::Parents;
use super::report::ObjectReport;
use super::stored::{Field, FieldSets, Holding, Store, Stored, Sync};
use super::values::{is_nothing, moment, same, text};
use crate::org::Org;

/// Fields that Refrain says it does not read: moments of looking, write-only conveniences, counters of logins.
const NEVER_READ: [&str; 5] =
    ["LastViewedDate", "LastReferencedDate", "Comments", "LastLoginDate", "NumberOfFailedLogins"];
/// An object whose live records are messages: the fields that may name their ticket, in order; and the field and the
/// values of those that only tell of something that happened.
struct Messages {
    object: &'static str,
    parents: &'static [&'static str],
    not: Option<(&'static str, &'static [&'static str])>,
}

const fn messages(object: &'static str, parents: &'static [&'static str]) -> Messages {
    Messages { object, parents, not: None }
}

const MESSAGES: [Messages; 7] = [
    messages("CaseComment", &["ParentId"]),
    messages("EmailMessage", &["ParentId", "RelatedToId", "ActivityId"]),
    messages("FeedComment", &["ParentId"]),
    messages("LiveChatTranscript", &["CaseId"]),
    messages("VoiceCall", &["RelatedRecordId", "ActivityId"]),
    Messages {
        object: "CaseFeed",
        parents: &["ParentId"],
        not: Some((
            "Type",
            &[
                "TrackedChange",
                "CreateRecordEvent",
                "ChangeStatusPost",
                "ActivityEvent",
                "AttachArticleEvent",
                "ApprovalPost",
                "CaseCommentPost",
                "EmailMessageEvent",
                "CallLogPost",
                "ContentPost",
            ],
        )),
    },
    Messages {
        object: "ConversationEntry",
        parents: &["ConversationId"],
        not: Some(("EntryType", &["TransferRequest", "ParticipantChanged", "RoutingResult"])),
    },
];
/// Objects whose records hold what was said in them, with the fields that may name their ticket.
const HOLDERS: [(&str, &[&str]); 3] = [
    ("MessagingSession", &["CaseId"]),
    ("VoiceCall", &["RelatedRecordId", "ActivityId"]),
    ("LiveChatTranscript", &["CaseId"]),
];

/// What a walk over an object found.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) object: ObjectId,
    pub(super) report: ObjectReport,
    /// Ids of the org's live records, when the object is a ticket.
    pub(super) tickets: HashSet<String>,
    /// Ids that each live message names as its ticket, in order of precedence.
    pub(super) parents_of_messages: Vec<Vec<String>>,
    /// Live sessions, calls and chats with the ids that each names as its ticket.
    pub(super) holders: HashMap<String, Vec<String>>,
}

/// Walks over one object.
pub(super) async fn walk(org: &Org, store: &Store, sync: &Sync, parents: &Parents) -> anyhow::Result<Walk> {
    const SQL: &str = "SELECT record_id, modstamp, state, field_set_id, payload FROM records
        WHERE tenant_id = $1 AND connection_id = $2 AND object_id = $3 ORDER BY record_id";
    let mut client = store.db.tenant().await?;
    let tx = TenantTx::begin(&mut client, &store.scope).await?;
    // The rows are taken as slowly as they are compared.
    tx.sql().batch_execute("SET LOCAL statement_timeout = 0").await.context("lift the time limit")?;
    let sets = store.field_sets(&tx, sync.object).await?;
    let key: [&(dyn ToSql + std::marker::Sync); 3] =
        [&store.scope.tenant().0, &store.connection.0, &sync.object.0];
    let rows = tx.sql().query_raw(SQL, key).await.context("read the stored records")?;
    let stored =
        rows.map_err(anyhow::Error::from).map(|row| row.and_then(|row| store.opened(sync.object, &row)));
    let mut judge = Judge::new(sync, &sets, parents);
    let lines = Lines::new(org.truth(&sync.api_name).await?);
    side_by_side(lines, std::pin::pin!(stored), &mut judge)
        .await
        .with_context(|| format!("compare {}", sync.api_name))?;
    Ok(judge.walk)
}

async fn side_by_side<L, B, E>(
    mut lines: Lines<L>,
    mut stored: impl Stream<Item = anyhow::Result<Stored>> + Unpin,
    judge: &mut Judge<'_>,
) -> anyhow::Result<()>
where
    L: Stream<Item = Result<B, E>> + Unpin,
    B: AsRef<[u8]>,
    E: std::error::Error + Send + std::marker::Sync + 'static,
{
    let mut here = stored.try_next().await?;
    let mut last = String::new();
    while let Some(line) = lines.next().await? {
        let truth = Truth::read(line)?;
        ensure!(*last < *truth.id, "the ground truth is not in order of id at {}", truth.id);
        truth.id.clone_into(&mut last);
        while let Some(row) = here.take_if(|row| *row.id < *truth.id) {
            judge.only_here(&row);
            here = stored.try_next().await?;
        }
        match here.take_if(|row| *row.id == *truth.id) {
            None => judge.only_in_org(&truth),
            Some(row) => {
                judge.on_both_sides(&truth, &row)?;
                here = stored.try_next().await?;
            }
        }
    }
    while let Some(row) = here {
        judge.only_here(&row);
        here = stored.try_next().await?;
    }
    Ok(())
}

/// Decides on each pair and keeps the count.
struct Judge<'a> {
    sets: &'a FieldSets,
    /// The fields of each set by name, for what the org has and we lack.
    names: HashMap<i32, HashSet<&'a str>>,
    parents: &'a Parents,
    is_ticket: bool,
    messages: Option<&'static Messages>,
    holder: Option<&'static [&'static str]>,
    walk: Walk,
}

impl<'a> Judge<'a> {
    fn new(sync: &Sync, sets: &'a FieldSets, parents: &'a Parents) -> Self {
        let names = |fields: &'a Vec<Field>| fields.iter().map(|field| field.path.as_str()).collect();
        Self {
            sets,
            names: sets.iter().map(|(id, fields)| (*id, names(fields))).collect(),
            parents,
            is_ticket: sync.role == "ticket",
            messages: MESSAGES.iter().find(|messages| messages.object == sync.api_name),
            holder: HOLDERS.iter().find(|(name, _)| *name == sync.api_name).map(|(_, paths)| *paths),
            walk: Walk {
                object: sync.object,
                report: ObjectReport { api_name: sync.api_name.clone(), ..ObjectReport::default() },
                tickets: HashSet::new(),
                parents_of_messages: Vec::new(),
                holders: HashMap::new(),
            },
        }
    }

    fn count(&mut self, truth: &Truth<'_>) {
        if truth.deleted {
            self.walk.report.in_org_deleted += 1;
            return;
        }
        self.walk.report.in_org_live += 1;
        if self.is_ticket {
            self.walk.tickets.insert(truth.id.to_owned());
        }
        let named = |paths: &[&str]| -> Vec<String> {
            paths.iter().filter_map(|path| text(truth.raw(path)).map(std::borrow::Cow::into_owned)).collect()
        };
        if let Some(paths) = self.holder {
            self.walk.holders.insert(truth.id.to_owned(), named(paths));
        }
        if let Some(Messages { parents, not, .. }) = self.messages {
            let happened = not.is_some_and(|(field, values)| {
                text(truth.raw(field)).is_some_and(|value| values.contains(&value.as_ref()))
            });
            if !happened {
                self.walk.parents_of_messages.push(named(parents));
            }
        }
    }

    fn only_here(&mut self, row: &Stored) {
        match row.holding {
            Holding::Live { .. } => {
                self.walk.report.here_live += 1;
                self.walk.report.extra += 1;
                self.walk.report.note(&row.id, "live here, not in the org", Vec::new());
            }
            // A tombstone outlives the recycle bin.
            Holding::Tombstone => self.walk.report.here_deleted += 1,
            Holding::Stub => {}
        }
    }

    fn only_in_org(&mut self, truth: &Truth<'_>) {
        self.count(truth);
        self.walk.report.missing += 1;
        let what = if truth.deleted { "in the recycle bin, unknown here" } else { "in the org, not here" };
        self.walk.report.note(truth.id, what, Vec::new());
    }

    fn on_both_sides(&mut self, truth: &Truth<'_>, row: &Stored) -> anyhow::Result<()> {
        self.count(truth);
        let report = &mut self.walk.report;
        match (&row.holding, truth.deleted) {
            (Holding::Tombstone, true) => report.here_deleted += 1,
            (Holding::Tombstone | Holding::Stub, false) => {
                report.here_deleted += u64::from(row.holding == Holding::Tombstone);
                report.missing += 1;
                report.note(truth.id, "live in the org, not here", Vec::new());
            }
            (Holding::Stub, true) => {
                report.missing += 1;
                report.note(truth.id, "in the recycle bin, no tombstone here", Vec::new());
            }
            (Holding::Live { .. }, true) => {
                report.here_live += 1;
                if went_with_its_parent(truth, self.parents) {
                    report.hidden_with_parent += 1;
                } else {
                    report.extra += 1;
                    report.note(truth.id, "in the recycle bin, live here", Vec::new());
                }
            }
            (Holding::Live { field_set, values }, false) => {
                report.here_live += 1;
                let mut wrong = self.values(truth, *field_set, values)?;
                if moment(truth.stamp) != Some(row.stamp) {
                    wrong.push("(the stamp it is ordered by)".to_owned());
                }
                if !wrong.is_empty() {
                    self.walk.report.different += 1;
                    self.walk.report.note(truth.id, "other values", wrong);
                }
            }
        }
        Ok(())
    }

    /// Names of the fields whose values differ.
    fn values(&mut self, truth: &Truth<'_>, field_set: i32, payload: &[u8]) -> anyhow::Result<Vec<String>> {
        let fields = self.sets.get(&field_set).context("a stored record names no known field set")?;
        let values = Stored::values(payload, fields.len())?;
        let mut wrong = Vec::new();
        for (field, value) in fields.iter().zip(values) {
            self.walk.report.values += 1;
            if field.path.contains('.') {
                self.linked(truth, field, value.get(), &mut wrong);
            } else if !same(&field.kind, truth.raw(&field.path), value.get()) {
                wrong.push(field.path.clone());
            }
        }
        let here = &self.names[&field_set];
        for (name, value) in &truth.fields {
            // Compounds are read by their components, and the bodies of files by a call of their own.
            let is_compound = value.get().starts_with('{');
            let is_body = text(value.get())
                .is_some_and(|value| value.starts_with("/services/data/") && value.ends_with(*name));
            let is_elsewhere = is_compound || is_body || NEVER_READ.contains(name);
            if !here.contains(name) && !is_elsewhere && !is_nothing(value.get()) {
                wrong.push((*name).to_owned());
            }
        }
        Ok(wrong)
    }

    fn linked(&mut self, truth: &Truth<'_>, field: &Field, here: &str, wrong: &mut Vec<String>) {
        let org = self.parents.resolve(truth, &field.path);
        let equal = match org.object {
            Some(object) => text(here).is_some_and(|here| here == object),
            None => same(&field.kind, org.value, here),
        };
        if equal {
            return;
        }
        let own = moment(truth.stamp);
        if org.changed_at.is_none_or(|changed_at| Some(changed_at) > own) {
            self.walk.report.drifted += 1;
        } else {
            wrong.push(field.path.clone());
        }
    }
}

/// The org's histories carry no stamp that a deletion could move; they go and come with their record.
fn went_with_its_parent(truth: &Truth<'_>, parents: &Parents) -> bool {
    let has_stamp =
        ["SystemModstamp", "LastModifiedDate"].iter().any(|field| truth.fields.contains_key(field));
    !has_stamp && text(truth.raw("CaseId")).is_some_and(|id| parents.is_deleted(&id))
}

#[cfg(test)]
#[path = "objects_test.rs"]
mod tests;
