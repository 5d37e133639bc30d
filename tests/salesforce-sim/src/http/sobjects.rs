//! `/sobjects`: describes.

use super::Answer;
use super::data::{Call, Context};
use crate::schema::describe::{self, DescribeContext, RecordTypeInfo};
use crate::store::Store;
use crate::time;
use crate::value::Cell;

/// An object by name, unless it is hidden from the user.
pub(super) fn visible_object(context: Context<'_>, store: &Store, name: &str) -> Option<usize> {
    let object = store.catalog.index(name)?;
    context.permissions().object_visible(object).then_some(object)
}

/// 304 when nothing changed since the client's copy; a describe changes with permissions only.
fn unchanged(context: Context<'_>, call: Call<'_>) -> Option<Answer> {
    let since = time::parse_http_date((call.headers)("if-modified-since")?)?;
    let changed = context.permissions().changed_at;
    let answer = Answer::empty(304).with("Last-Modified", time::http_date(changed));
    (since >= changed - changed.rem_euclid(1_000)).then_some(answer)
}

fn described(context: Context<'_>, body: &serde_json::Value) -> Answer {
    Answer::json(200, body).with("Last-Modified", time::http_date(context.permissions().changed_at))
}

/// `/sobjects`
pub(super) fn global(context: Context<'_>, call: Call<'_>) -> Answer {
    if let Some(answer) = unchanged(context, call) {
        return answer;
    }
    let store = context.org.records();
    let permissions = context.permissions();
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
    let permissions = context.permissions();
    let Some(object) = visible_object(context, &store, name) else {
        return Answer::not_found();
    };
    let summary =
        describe::summary(describing(context, &store, &permissions), &store.catalog.objects[object]);
    Answer::json(200, &serde_json::json!({"objectDescribe": summary, "recentItems": []}))
}

/// `/sobjects/{object}/describe`
pub(super) fn describe(context: Context<'_>, call: Call<'_>, name: &str) -> Answer {
    let store = context.org.records();
    let permissions = context.permissions();
    let Some(object) = visible_object(context, &store, name) else {
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
