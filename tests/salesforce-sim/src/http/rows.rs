//! Single rows: by id, by external id, and the bytes of their files.

use std::borrow::Cow;

use super::Answer;
use super::data::{Call, Context};
use super::sobjects::visible_object;
use crate::id::SfId;
use crate::org::permissions::Permissions;
use crate::query::{Sight, render};
use crate::schema::{ObjectSchema, Source, flag};
use crate::soql::plan::Output;
use crate::store::{Handle, Reader, State, Store};
use crate::time;
use crate::value::Cell;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// It is there.
    Live(Handle),
    /// It is in the recycle bin.
    Deleted,
    /// It is not there, or not for this user.
    Absent,
}

/// Finds a row as the user sees it.
pub(super) fn find(store: &Store, permissions: &Permissions, object: usize, id: SfId) -> Row {
    let Some(handle) = store.tables[object].find(id) else {
        return Row::Absent;
    };
    let sight = Sight { reader: Reader::now(store), permissions, with_deleted: true };
    match store.tables[object].state(handle) {
        Some(State::Live) if sight.sees(object, handle) => Row::Live(handle),
        Some(State::Deleted) if sight.sees(object, handle) => Row::Deleted,
        _ => Row::Absent,
    }
}

/// The outputs of named fields, in the order of the object's fields.
pub(super) fn outputs(
    store: &Store,
    permissions: &Permissions,
    object: usize,
    names: &[String],
) -> Result<Vec<Output>, Answer> {
    let schema = &store.catalog.objects[object];
    let mut wanted = Vec::new();
    for name in names {
        let index = schema.field_index(name).filter(|index| permissions.field_visible(object, *index));
        let Some(index) = index else {
            let message = format!("No such column '{name}' on sobject of type {}", schema.name);
            return Err(Answer::error(400, "INVALID_FIELD", &message));
        };
        wanted.push(index);
    }
    let mut outputs = render::all_outputs(&store.catalog, permissions, object);
    outputs.retain(|output| matches!(output, Output::Field { field, .. } if wanted.contains(field)));
    Ok(outputs)
}

/// Writes a row as JSON.
pub(super) fn written(
    out: &mut Vec<u8>,
    outputs: &[Output],
    (object, handle): (usize, Handle),
    store: &Store,
    (permissions, version): (&Permissions, &str),
) {
    let sight = Sight { reader: Reader::now(store), permissions, with_deleted: false };
    render::record(out, outputs, object, handle, sight, version);
}

/// `/sobjects/{object}/{id}?fields=A,B`
pub(super) fn by_id(context: Context<'_>, call: Call<'_>, name: &str, id: &str) -> Answer {
    let found = located(context, name, id);
    found.and_then(|(object, handle)| row(context, call, object, handle)).unwrap_or_else(|answer| answer)
}

/// The row that a path names.
fn located(context: Context<'_>, name: &str, id: &str) -> Result<(usize, Handle), Answer> {
    let store = context.org.records();
    let object = visible_object(context, &store, name).ok_or_else(Answer::not_found)?;
    let schema = &store.catalog.objects[object];
    let id = SfId::parse(id).filter(|id| id.prefix() == schema.prefix).ok_or_else(|| {
        let message = format!("{} ID: id value of incorrect type: {id}", schema.label);
        Answer::error(400, "MALFORMED_ID", &message)
    })?;
    match find(&store, &context.permissions(), object, id) {
        Row::Live(handle) => Ok((object, handle)),
        Row::Deleted => {
            let body = r#"[{"message":"entity is deleted","errorCode":"ENTITY_IS_DELETED","fields":[]}]"#;
            Err(Answer::bytes(404, body.as_bytes().to_vec()))
        }
        Row::Absent => {
            let message = "Provided external ID field does not exist or is not accessible: Id";
            Err(Answer::error(404, "NOT_FOUND", message))
        }
    }
}

fn row(context: Context<'_>, call: Call<'_>, object: usize, handle: Handle) -> Result<Answer, Answer> {
    let store = context.org.records();
    let permissions = context.permissions();
    let schema = &store.catalog.objects[object];
    let modified = modified_at(&store, object, handle);
    let tag = (schema.name == "Account").then(|| format!("\"{modified:x}\""));
    if let Some(answer) = conditional(call, modified, tag.as_deref()) {
        return Ok(answer);
    }
    let outputs = match call.params.get("fields") {
        None => render::all_outputs(&store.catalog, &permissions, object),
        Some(fields) => {
            let names = fields.split(',').map(|name| name.trim().to_owned());
            let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
            outputs(&store, &permissions, object, &names)?
        }
    };
    let mut body = Vec::new();
    written(&mut body, &outputs, (object, handle), &store, (&permissions, context.version));
    let answer = Answer::bytes(200, body).with("Last-Modified", time::http_date(modified));
    Ok(tag.into_iter().fold(answer, |answer, tag| answer.with("ETag", tag)))
}

/// When a person last changed the row, where the object tells; else its stamp.
fn modified_at(store: &Store, object: usize, handle: Handle) -> i64 {
    let schema = &store.catalog.objects[object];
    let reader = Reader::now(store);
    let field = schema.field_index("LastModifiedDate");
    match field.map(|field| reader.value(object, handle, field)).as_ref().map(crate::value::Value::cell) {
        Some(Cell::Instant(at)) => at,
        _ => reader.record(object, handle).map_or(0, |record| record.stamp()),
    }
}

/// The answer to a condition that is not met. Tags exist for Account rows only, as on the platform.
fn conditional(call: Call<'_>, modified: i64, tag: Option<&str>) -> Option<Answer> {
    let date = |name: &str| (call.headers)(name).and_then(time::parse_http_date);
    let names = |name: &str| {
        let given = (call.headers)(name)?;
        Some(given.split(',').any(|one| Some(one.trim()) == tag || one.trim() == "*"))
    };
    let unchanged = date("if-modified-since").is_some_and(|since| modified <= since)
        || (tag.is_some() && names("if-none-match") == Some(true));
    if unchanged {
        let answer = Answer::empty(304);
        return Some(tag.into_iter().fold(answer, |answer, tag| answer.with("ETag", tag)));
    }
    let changed = date("if-unmodified-since").is_some_and(|since| modified > since)
        || (tag.is_some() && names("if-match") == Some(false));
    changed.then(|| Answer::error(412, "PRECONDITION_FAILED", "The record does not meet the condition"))
}

/// `/sobjects/{object}/{id}/{field}` or `/sobjects/{object}/{field}/{value}`.
pub(super) fn below(context: Context<'_>, call: Call<'_>, name: &str, second: &str, third: &str) -> Answer {
    let store = context.org.records();
    let Some(object) = visible_object(context, &store, name) else {
        return Answer::not_found();
    };
    let schema = std::sync::Arc::clone(&store.catalog.objects[object]);
    drop(store);
    let permissions = context.permissions();
    let field = schema.field_index(second).filter(|index| permissions.field_visible(object, *index));
    match field {
        Some(field) if schema.fields[field].has(flag::EXTERNAL) || schema.fields[field].has(flag::LOOKUP) => {
            by_external_id(context, call, (object, &schema), field, third)
        }
        Some(_) => Answer::not_found(),
        // A file field is named by the third step; a value is, whatever it is.
        None if SfId::parse(second).is_none() => no_external_id(second),
        None => blob(context, call, (object, &schema), second, third),
    }
}

fn no_external_id(name: &str) -> Answer {
    let message = format!("Provided external ID field does not exist or is not accessible: {name}");
    Answer::error(404, "NOT_FOUND", &message)
}

fn by_external_id(
    context: Context<'_>,
    call: Call<'_>,
    (object, schema): (usize, &ObjectSchema),
    field: usize,
    value: &str,
) -> Answer {
    let definition = &schema.fields[field];
    let value: Cow<'_, str> = decoded(value);
    let store = context.org.records();
    let permissions = context.permissions();
    let sight = Sight { reader: Reader::now(&store), permissions: &permissions, with_deleted: false };
    let is_it = |cell: Cell<'_>| match cell {
        Cell::Text(text) => crate::value::compare_text(text, &value).is_eq(),
        Cell::Id(id) => SfId::parse(&value) == Some(id),
        Cell::Int(number) => value.parse() == Ok(number),
        Cell::Double(number) => value.parse() == Ok(number),
        _ => false,
    };
    let matches = |handle: &Handle| {
        sight
            .reader
            .record(object, *handle)
            .is_some_and(|record| sight.reader.with(object, &record, field, is_it))
            && sight.sees(object, *handle)
    };
    let found: Vec<Handle> = store.tables[object].handles().filter(matches).take(100).collect();
    let url = |handle: &Handle| {
        let id = store.tables[object].id(*handle);
        serde_json::json!(format!("/services/data/{}/sobjects/{}/{id}", context.version, schema.name))
    };
    match &found[..] {
        [] => no_external_id(&definition.name),
        [one] => {
            let one = *one;
            drop(store);
            row(context, call, object, one).unwrap_or_else(|answer| answer)
        }
        several => Answer::json(300, &several.iter().map(url).collect()),
    }
}

fn decoded(step: &str) -> Cow<'_, str> {
    if !step.contains('%') {
        return Cow::Borrowed(step);
    }
    // A path step is decoded like a form value, but for the plus sign.
    let escaped = step.replace('+', "%2B");
    let pair = format!("x={escaped}");
    let value = url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
    Cow::Owned(value.unwrap_or_default())
}

/// The bytes of a file field.
fn blob(
    context: Context<'_>,
    call: Call<'_>,
    (object, schema): (usize, &ObjectSchema),
    id: &str,
    field: &str,
) -> Answer {
    let permissions = context.permissions();
    let field = schema.field_index(field).filter(|index| permissions.field_visible(object, *index));
    let slot = field.and_then(|field| match schema.fields[field].source {
        Source::Blob(slot) => Some(slot),
        _ => None,
    });
    let Some(slot) = slot else {
        return Answer::not_found();
    };
    if call.is_part {
        let message = "Binary data cannot be retrieved by a subrequest";
        return Answer::error(400, "INVALID_INPUT", message);
    }
    let handle = match located(context, &schema.name, id) {
        Ok((_, handle)) => handle,
        Err(answer) => return answer,
    };
    let store = context.org.records();
    let reader = Reader::now(&store);
    let Some(record) = reader.record(object, handle) else {
        return Answer::not_found();
    };
    let content_type = schema.field_index("ContentType").and_then(|field| {
        reader.with(object, &record, field, |cell| match cell {
            Cell::Text(text) => Some(text.to_owned()),
            _ => None,
        })
    });
    let content_type = content_type.unwrap_or_else(|| "application/octetstream".to_owned());
    Answer::new(200, &content_type, record.blob(slot).unwrap_or_default())
}
