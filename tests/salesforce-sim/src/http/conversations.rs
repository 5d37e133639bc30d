//! `/connect/conversation/{identifier}/entries`: what was said, also where `ConversationEntry` keeps no words.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use super::data::{Call, Context};
use crate::store::{Handle, Spoken, Store};
use crate::value::Cell;

/// Entries of one answer, unless asked for otherwise, and at most.
const ENTRIES: usize = 25;
const MOST_ENTRIES: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redaction {
    conversation_entries_updates: Vec<Update>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    identifier: String,
    message_text: String,
}

/// Which entries are asked for.
struct Wanted {
    from: i64,
    to: i64,
    from_start: bool,
    most: usize,
}

impl Wanted {
    fn read(call: Call<'_>) -> Option<Self> {
        let number = |name: &str, default: i64| {
            call.params.get(name).map_or(Some(default), |text| text.parse::<i64>().ok())
        };
        let most = usize::try_from(number("recordLimit", i64::try_from(ENTRIES).ok()?)?).ok()?;
        let from_start = match call.params.get("queryDirection").map(String::as_str) {
            None | Some("FromEnd") => false,
            Some("FromStart") => true,
            Some(_) => return None,
        };
        let (from, to) = (number("startTimestamp", 0)?, number("endTimestamp", i64::MAX)?);
        (1..=MOST_ENTRIES).contains(&most).then_some(Self { from, to, from_start, most })
    }
}

pub(super) fn entries(context: Context<'_>, call: Call<'_>, identifier: &str) -> Answer {
    let store = context.org.records();
    let permissions = context.permissions();
    let visible =
        |name: &str| store.catalog.index(name).is_some_and(|object| permissions.object_visible(object));
    if !visible("ConversationEntry") {
        return Answer::error(403, "INSUFFICIENT_ACCESS", "insufficient access rights on object id");
    }
    if !context.org.conversations().count(context.session.grant.user, context.now) {
        return Answer::error(
            503,
            "REQUEST_LIMIT_EXCEEDED",
            "You have exceeded the hourly limit of requests",
        );
    }
    let Some(row) = find(&store, identifier) else {
        return Answer::error(404, "RECORD_NOT_FOUND", "The conversation does not exist");
    };
    match call.method {
        "GET" | "HEAD" => read(context, call, &store, (identifier, row)),
        "PATCH" => redact(context, call),
        other => Answer::method_not_allowed(other, "GET,HEAD,PATCH"),
    }
}

/// The conversation with this identifier.
fn find(store: &Store, identifier: &str) -> Option<Handle> {
    let object = store.catalog.index("Conversation")?;
    let slot = store.catalog.objects[object].stored("ConversationIdentifier")?;
    let table = &store.tables[object];
    let wanted = crate::store::Slots::only(slot);
    table.handles().find(|row| {
        let record = table.wanted(*row, Some(&wanted));
        record.is_some_and(|record| record.cell(slot) == Cell::Text(identifier))
    })
}

fn read(context: Context<'_>, call: Call<'_>, store: &Store, (identifier, row): (&str, Handle)) -> Answer {
    let Some(wanted) = Wanted::read(call) else {
        return Answer::error(400, "INVALID_INPUT", "A parameter of the transcript has no allowed value");
    };
    let born = store.table("Conversation").spoken(row);
    let mut all = context.org.conversations().transcript(identifier, born);
    if all.is_empty() {
        return Answer::error(404, "RECORD_NOT_FOUND", "The conversation has no transcript");
    }
    all.retain(|spoken| wanted.from <= spoken.at && spoken.at <= wanted.to);
    if !wanted.from_start {
        all.reverse();
    }
    all.truncate(wanted.most);
    let written: Vec<Value> = all.iter().map(written).collect();
    Answer::json(200, &json!({"conversationEntries": written}))
}

fn written(spoken: &Spoken) -> Value {
    let role = if spoken.by_agent { "Agent" } else { "EndUser" };
    json!({
        "clientDuration": 0,
        "clientTimestamp": spoken.at,
        "identifier": spoken.identifier,
        "messageText": spoken.text,
        "relatedRecords": [spoken.related.as_str()],
        "sender": {"appType": "Web", "role": role, "subject": spoken.related.short()},
        "serverReceivedTimestamp": spoken.at,
    })
}

fn redact(context: Context<'_>, call: Call<'_>) -> Answer {
    let redaction: Redaction = match serde_json::from_slice(call.body) {
        Ok(redaction) => redaction,
        Err(error) => return Answer::error(400, "JSON_PARSER_ERROR", &format!("Unexpected JSON: {error}")),
    };
    let mut conversations = context.org.conversations();
    for update in &redaction.conversation_entries_updates {
        conversations.redact(&update.identifier, &update.message_text);
    }
    Answer::empty(204)
}
