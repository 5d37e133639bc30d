//! `/sobjects`: describes and single rows.

use super::Answer;
use super::data::{Call, Context};
use crate::id::SfId;
use crate::query::{Sight, render};
use crate::schema::describe::{self, DescribeContext, RecordTypeInfo};
use crate::soql::plan::Output;
use crate::store::{Reader, State, Store};
use crate::time;
use crate::value::Cell;

fn object(context: Context<'_>, store: &Store, name: &str) -> Option<usize> {
    let object = store.catalog.index(name)?;
    context.org.permissions().object_visible(object).then_some(object)
}

/// 304 when nothing changed since the client's copy; a describe changes with permissions only.
fn unchanged(context: Context<'_>, call: Call<'_>) -> Option<Answer> {
    let since = time::parse_http_date(call.modified_since?)?;
    let changed = context.org.permissions().changed_at;
    let answer = Answer::empty(304).with("Last-Modified", time::http_date(changed));
    (since >= changed - changed.rem_euclid(1_000)).then_some(answer)
}

fn described(context: Context<'_>, body: &serde_json::Value) -> Answer {
    Answer::json(200, body).with("Last-Modified", time::http_date(context.org.permissions().changed_at))
}

/// `/sobjects`
pub(super) fn global(context: Context<'_>, call: Call<'_>) -> Answer {
    if let Some(answer) = unchanged(context, call) {
        return answer;
    }
    let store = context.org.records();
    let permissions = context.org.permissions();
    described(context, &describe::global(describing(context, &store, &permissions)))
}

fn describing<'a>(
    context: Context<'a>,
    store: &'a Store,
    permissions: &'a crate::org::permissions::Permissions,
) -> DescribeContext<'a> {
    DescribeContext {
        catalog: &store.catalog,
        permissions,
        version: context.version,
        instance_url: context.base_url,
    }
}

/// `/sobjects/{object}`
pub(super) fn basic(context: Context<'_>, name: &str) -> Answer {
    let store = context.org.records();
    let permissions = context.org.permissions();
    let Some(object) = object(context, &store, name) else {
        return Answer::not_found();
    };
    let summary =
        describe::summary(describing(context, &store, &permissions), &store.catalog.objects[object]);
    Answer::json(200, &serde_json::json!({"objectDescribe": summary, "recentItems": []}))
}

/// `/sobjects/{object}/describe`
pub(super) fn describe(context: Context<'_>, call: Call<'_>, name: &str) -> Answer {
    let store = context.org.records();
    let permissions = context.org.permissions();
    let Some(object) = object(context, &store, name) else {
        return Answer::not_found();
    };
    if let Some(answer) = unchanged(context, call) {
        return answer;
    }
    let types = record_types(&store, &store.catalog.objects[object].name);
    described(context, &describe::full(describing(context, &store, &permissions), object, &types))
}

fn record_types(store: &Store, object: &str) -> Vec<RecordTypeInfo> {
    let table = store.table("RecordType");
    let slot = |name: &str| table.schema.slot(name);
    let (of, name, developer, active) =
        (slot("SobjectType"), slot("Name"), slot("DeveloperName"), slot("IsActive"));
    let info = |handle| {
        let record = table.record(handle).filter(|record| record.cell(of) == Cell::Text(object))?;
        let text = |slot| {
            if let Cell::Text(text) = record.cell(slot) { text.to_owned() } else { String::new() }
        };
        let active = record.cell(active) == Cell::Bool(true);
        Some(RecordTypeInfo {
            id: record.id.to_string(),
            name: text(name),
            developer_name: text(developer),
            active,
        })
    };
    table.handles().filter_map(info).collect()
}

/// `/sobjects/{object}/{id}?fields=A,B`
pub(super) fn row(context: Context<'_>, call: Call<'_>, name: &str, id: &str) -> Answer {
    let store = context.org.records();
    let permissions = context.org.permissions();
    let Some(object) = object(context, &store, name) else {
        return Answer::not_found();
    };
    let schema = &store.catalog.objects[object];
    let Some(id) = SfId::parse(id).filter(|id| id.prefix() == schema.prefix) else {
        let message = format!("{} ID: id value of incorrect type: {id}", schema.label);
        return Answer::error(400, "MALFORMED_ID", &message);
    };
    let state =
        store.tables[object].find(id).and_then(|handle| Some((handle, store.tables[object].state(handle)?)));
    let handle = match state {
        Some((handle, State::Live)) => handle,
        Some((_, State::Deleted)) => {
            let body = r#"[{"message":"entity is deleted","errorCode":"ENTITY_IS_DELETED","fields":[]}]"#;
            return Answer::bytes(404, body.as_bytes().to_vec());
        }
        Some((_, State::Purged)) | None => {
            let message = "Provided external ID field does not exist or is not accessible: Id";
            return Answer::error(404, "NOT_FOUND", message);
        }
    };
    let mut outputs = render::all_outputs(&store.catalog, &permissions, object);
    if let Some(fields) = call.params.get("fields") {
        let mut wanted = Vec::new();
        for name in fields.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let index = schema.field_index(name).filter(|index| permissions.field_visible(object, *index));
            let Some(index) = index else {
                let message = format!("No such column '{name}' on sobject of type {}", schema.name);
                return Answer::error(400, "INVALID_FIELD", &message);
            };
            wanted.push(index);
        }
        outputs.retain(|output| matches!(output, Output::Field { field, .. } if wanted.contains(field)));
    }
    let sight = Sight { reader: Reader::now(&store), permissions: &permissions, with_deleted: false };
    let mut body = Vec::new();
    render::record(&mut body, &outputs, object, handle, sight, context.version);
    Answer::bytes(200, body)
}
