//! `/query`, `/queryAll` and their next pages.

use std::sync::Arc;

use super::Answer;
use super::data::{Call, Context};
use crate::org::cursors::Cursor;
use crate::query::{self, Sight, render};
use crate::soql::plan::{Plan, Shape};
use crate::soql::{self, Asker};
use crate::store::{Handle, Reader};

/// Rows of a page unless the client asks otherwise.
const PAGE: usize = 2_000;
/// Fewest rows a client may ask for.
const LEAST_PAGE: usize = 200;

/// `?q=` or `?explain=`.
pub(super) fn first_page(context: Context<'_>, call: Call<'_>, with_deleted: bool) -> Answer {
    if let Some(statement) = call.params.get("explain") {
        return explain(context, statement);
    }
    let Some(statement) = call.params.get("q") else {
        return Answer::error(400, "MALFORMED_QUERY", "SOQL statement can not be empty");
    };
    let permissions = context.permissions();
    let store = context.org.records();
    let asker = Asker {
        catalog: &store.catalog,
        permissions: &permissions,
        user: context.session.grant.user,
        now: context.now,
    };
    let parsed = soql::parse(statement).and_then(|query| soql::resolve(statement, &query, asker));
    let plan = match parsed {
        Ok(plan) => Arc::new(plan),
        Err(error) => return error.into(),
    };
    let sight = Sight { reader: Reader::now(&store), permissions: &permissions, with_deleted };
    match &plan.shape {
        Shape::Count => {
            let total = query::count(&plan, sight);
            Answer::bytes(200, format!("{{\"totalSize\":{total},\"done\":true,\"records\":[]}}").into_bytes())
        }
        Shape::Grouped(_) => grouped(&plan, sight),
        Shape::Rows(_) => {
            let rows = query::rows(&plan, sight);
            if let Err(error) = query::rules::check(&plan, &rows, sight) {
                return error.into();
            }
            let soql: Arc<str> = Arc::from(statement.as_str());
            let cursor =
                Cursor { session: context.session.id, plan, rows, with_deleted, soql, at: context.now };
            page(context, call, sight, &cursor, 0, None)
        }
    }
}

/// `/query/{locator}`.
pub(super) fn next_page(context: Context<'_>, call: Call<'_>, locator: &str) -> Answer {
    let found = context.org.cursors().find(locator, context.now);
    let Some((cursor, offset)) = found else {
        return Answer::error(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    };
    if cursor.session != context.session.id {
        // The cursor died with its session, and says so for ever, even to a fresh one.
        return if context.org.sessions().is_live(cursor.session, context.now) {
            Answer::error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        } else {
            Answer::session_invalid()
        };
    }
    let permissions = context.permissions();
    let store = context.org.records();
    let with_deleted = cursor.with_deleted;
    let sight = Sight { reader: Reader::now(&store), permissions: &permissions, with_deleted };
    let id = locator.rsplit_once('-').map(|(id, _)| id);
    page(context, call, sight, &cursor, offset, id)
}

/// Writes a page; opens the cursor when this is the first of several.
fn page(
    context: Context<'_>,
    call: Call<'_>,
    sight: Sight<'_>,
    cursor: &Cursor,
    from: usize,
    id: Option<&str>,
) -> Answer {
    let request = render::PageRequest {
        plan: &cursor.plan,
        rows: &cursor.rows,
        from,
        batch: batch_size((call.headers)("sforce-query-options")).min(context.org.page_rows()),
        version: context.version,
    };
    let mut open = |plan: &Arc<Plan>, rows: Vec<Handle>, at: usize| {
        let child = Cursor { plan: Arc::clone(plan), rows: rows.into(), ..cursor.clone() };
        let id = context.org.cursors().open(child);
        format!("/services/data/{}/query/{id}-{at}", context.version)
    };
    let expected = (cursor.rows.len() - from).min(request.batch);
    let mut records = Vec::with_capacity(expected * 600 + 256);
    let (next, rows) = render::page(&request, sight, &mut open, &mut records);
    let total = cursor.rows.len();
    let mut body = Vec::with_capacity(records.len() + 160);
    if next < total {
        let id = id.map_or_else(|| context.org.cursors().open(cursor.clone()).to_string(), str::to_owned);
        let url = format!("/services/data/{}/query/{id}-{next}", context.version);
        let head =
            format!("{{\"totalSize\":{total},\"done\":false,\"nextRecordsUrl\":\"{url}\",\"records\":[");
        body.extend_from_slice(head.as_bytes());
    } else {
        body.extend_from_slice(format!("{{\"totalSize\":{total},\"done\":true,\"records\":[").as_bytes());
    }
    body.append(&mut records);
    body.extend_from_slice(b"]}");
    Answer { rows, ..Answer::bytes(200, body) }
}

fn grouped(plan: &Plan, sight: Sight<'_>) -> Answer {
    let rows = query::grouped_rows(plan, sight);
    if rows.len() > PAGE {
        let message = "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch";
        return Answer::error(400, "EXCEEDED_ID_LIMIT", message);
    }
    let mut body = format!("{{\"totalSize\":{},\"done\":true,\"records\":[", rows.len()).into_bytes();
    body.extend(rows.join(&b','));
    body.extend_from_slice(b"]}");
    Answer::bytes(200, body)
}

/// `batchSize=500`, brought into the allowed range.
fn batch_size(options: Option<&str>) -> usize {
    let value = options.iter().flat_map(|options| options.split(',')).find_map(|option| {
        let (name, value) = option.split_once('=')?;
        name.trim().eq_ignore_ascii_case("batchSize").then(|| value.trim().parse::<usize>().ok())?
    });
    value.map_or(PAGE, |size| size.clamp(LEAST_PAGE, PAGE))
}

fn explain(context: Context<'_>, statement: &str) -> Answer {
    let permissions = context.permissions();
    let store = context.org.records();
    let user = context.session.grant.user;
    let asker = Asker { catalog: &store.catalog, permissions: &permissions, user, now: context.now };
    let plan = match soql::parse(statement).and_then(|query| soql::resolve(statement, &query, asker)) {
        Ok(plan) => plan,
        Err(error) => return error.into(),
    };
    let table = &store.tables[plan.object];
    let body = serde_json::json!({"plans": [{
        "cardinality": table.len(), "fields": [], "leadingOperationType": "TableScan", "notes": [],
        "relativeCost": 1.0, "sobjectCardinality": table.len(), "sobjectType": table.schema.name,
    }], "sourceQuery": statement});
    Answer::json(200, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_sizes_are_clamped() {
        assert_eq!(batch_size(None), 2_000);
        assert_eq!(batch_size(Some("batchSize=500")), 500);
        assert_eq!(batch_size(Some("batchSize=1")), 200);
        assert_eq!(batch_size(Some("batchSize=9999")), 2_000);
        assert_eq!(batch_size(Some("batchSize=x")), 2_000);
    }
}
