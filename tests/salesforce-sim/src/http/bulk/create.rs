//! Making a query job: what the body may say, and which statements Bulk refuses.

use std::sync::Arc;

use serde::Deserialize;

use super::written;
use crate::http::Answer;
use crate::http::data::{Call, Context};
use crate::org::jobs::{Exceeded, Format, JobRequest};
use crate::query::{self, Sight};
use crate::schema::Source;
use crate::soql::ast::{Item, Query};
use crate::soql::plan::{Output, Plan, Shape};
use crate::soql::{self, Asker};
use crate::store::{Handle, Reader};

/// Delimiters by the name a client writes.
const DELIMITERS: [(&str, u8); 6] = [
    ("BACKQUOTE", b'`'),
    ("CARET", b'^'),
    ("COMMA", b','),
    ("PIPE", b'|'),
    ("SEMICOLON", b';'),
    ("TAB", b'\t'),
];

/// Objects that can be queried, but not in bulk.
const REFUSED: [&str; 20] = [
    "AcceptedEventRelation",
    "AssetTokenEvent",
    "AttachedContentNote",
    "Attachment",
    "CaseStatus",
    "ContractStatus",
    "DeclinedEventRelation",
    "EventWhoRelation",
    "FieldSecurityClassification",
    "OrderStatus",
    "PartnerRole",
    "QuoteTemplateRichTextData",
    "RecentlyViewed",
    "ServiceAppointmentStatus",
    "SolutionStatus",
    "TaskPriority",
    "TaskStatus",
    "TaskWhoRelation",
    "UndecidedEventRelation",
    "CaseFeed",
];

/// Standard objects whose jobs the platform cuts by id; so are custom, history and sharing objects.
const CHUNKED: [&str; 15] = [
    "Account",
    "Case",
    "CaseComment",
    "Contact",
    "ContentDocument",
    "ContentVersion",
    "ConversationEntry",
    "EmailMessage",
    "FeedItem",
    "LiveChatTranscript",
    "MessagingSession",
    "Task",
    "User",
    "VoiceCall",
    "VoiceCallRecording",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    operation: Option<String>,
    query: Option<String>,
    content_type: Option<String>,
    column_delimiter: Option<String>,
    line_ending: Option<String>,
}

/// `POST /jobs/query`
pub(super) fn create(context: Context<'_>, call: Call<'_>) -> Answer {
    let given = (call.headers)("content-type").unwrap_or("application/json");
    if !given.to_ascii_lowercase().starts_with("application/json") {
        let message = format!("Content type {given} is not supported for this resource.");
        return Answer::error(415, "UNSUPPORTED_MEDIA_TYPE", &message);
    }
    let body: Body = match serde_json::from_slice(call.body) {
        Ok(body) => body,
        Err(error) => return Answer::error(400, "JSON_PARSER_ERROR", &format!("Unexpected JSON: {error}")),
    };
    match made(context, &body) {
        Ok(answer) | Err(answer) => answer,
    }
}

fn invalid(message: &str) -> Answer {
    Answer::error(400, "INVALIDJOB", &format!("InvalidJob : {message}"))
}

fn api_error(message: &str) -> Answer {
    Answer::error(400, "API_ERROR", message)
}

fn made(context: Context<'_>, body: &Body) -> Result<Answer, Answer> {
    let with_deleted = match body.operation.as_deref() {
        Some("query") => false,
        Some("queryAll") => true,
        other => {
            return Err(invalid(&format!("'{}' is no operation of a query job", other.unwrap_or_default())));
        }
    };
    let statement = body.query.as_deref().filter(|query| !query.trim().is_empty());
    let statement = statement.ok_or_else(|| invalid("A query job needs a query"))?;
    let format = format(body)?;
    let permissions = context.permissions();
    let store = context.org.records();
    let user = context.session.grant.user;
    let asker = Asker { catalog: &store.catalog, permissions: &permissions, user, now: context.now };
    let query = soql::parse(statement).map_err(Answer::from)?;
    let object = store.catalog.index(&query.from).map(|object| &store.catalog.objects[object]);
    let name = object.map_or(query.from.as_str(), |object| &object.name);
    if REFUSED.iter().any(|refused| refused.eq_ignore_ascii_case(name)) {
        let message = format!("Entity '{name}' is not supported by the Bulk API.");
        return Err(Answer::error(400, "INVALIDENTITY", &message));
    }
    let plan = soql::resolve(statement, &query, asker).map_err(Answer::from)?;
    let schema = &store.catalog.objects[plan.object];
    refuse(&query, &plan, &store.catalog)?;
    let sight = Sight { reader: Reader::now(&store), permissions: &permissions, with_deleted };
    let chunked = is_chunked(&schema.name) && plan.order.is_empty() && plan.limit.is_none();
    let mut rows = query::rows(&plan, sight);
    let mut jobs = context.org.jobs();
    if chunked {
        rows = by_chunks(rows.iter().collect(), jobs.settings.chunk_rows).into();
    }
    let request = JobRequest {
        with_deleted,
        object: schema.name.clone(),
        by: user,
        api_version: context.version_number,
        format,
        soql: Arc::from(statement),
        plan: Arc::new(plan),
        rows,
        chunked: is_chunked(&schema.name),
        failure: None,
        retries: 0,
    };
    match jobs.create(request, context.now) {
        Ok(job) => Ok(Answer::json(200, &written(&job, context.now, false).into())),
        Err(Exceeded::Jobs(most)) => {
            let message = format!("Max bulk v2 query jobs ({most}) per 24 hrs has been reached ({most})");
            Err(Answer::error(400, "LIMIT_EXCEEDED", &message))
        }
        Err(Exceeded::Volume(most)) => {
            let message = format!(
                "Max bulk v2 query result size stored ({most}) kb per 24 hrs has been exceeded ({most})"
            );
            Err(Answer::error(400, "LIMIT_EXCEEDED", &message))
        }
    }
}

fn format(body: &Body) -> Result<Format, Answer> {
    if body.content_type.as_deref().is_some_and(|given| given != "CSV") {
        return Err(invalid("Only the content type CSV is supported"));
    }
    let wanted = body.column_delimiter.as_deref().unwrap_or("COMMA");
    let delimiter = DELIMITERS.into_iter().find(|(name, _)| *name == wanted);
    let delimiter = delimiter.ok_or_else(|| invalid(&format!("'{wanted}' is no column delimiter")))?;
    let line_ending = match body.line_ending.as_deref() {
        None | Some("LF") => "LF",
        Some("CRLF") => "CRLF",
        Some(other) => return Err(invalid(&format!("'{other}' is no line ending"))),
    };
    Ok(Format { delimiter, line_ending })
}

fn is_chunked(object: &str) -> bool {
    CHUNKED.contains(&object) || ["__c", "History", "Share"].iter().any(|end| object.ends_with(end))
}

/// Rows in the order in which chunks come back: each chunk by id, the chunks in none that a client may rely on.
fn by_chunks(mut rows: Vec<Handle>, size: usize) -> Vec<Handle> {
    rows.sort_unstable();
    let mut chunks: Vec<&[Handle]> = rows.chunks(size.max(1)).collect();
    let half = chunks.len() / 2;
    chunks.rotate_left(half);
    chunks.concat()
}

/// What SOQL allows and Bulk does not.
fn refuse(query: &Query, plan: &Plan, catalog: &crate::schema::Catalog) -> Result<(), Answer> {
    let Shape::Rows(outputs) = &plan.shape else {
        return Err(api_error("Aggregate functions and GROUP BY are not supported in Bulk Query"));
    };
    if query.offset.is_some() {
        return Err(api_error("OFFSET is not supported in Bulk Query"));
    }
    for item in &query.items {
        match item {
            Item::TypeOf { .. } => return Err(api_error("TYPEOF is not supported in Bulk Query")),
            Item::Children(_) => {
                let message = "Aggregate Relationships not supported in Bulk V2 Query with CSV content type";
                return Err(api_error(message));
            }
            Item::AllFields(which, _) if which != "STANDARD" => {
                return Err(api_error(&format!("FIELDS({which}) is not supported in Bulk Query")));
            }
            Item::Value { .. } | Item::AllFields(..) => {}
        }
    }
    refuse_fields(outputs, plan.object, catalog)
}

fn refuse_fields(outputs: &[Output], object: usize, catalog: &crate::schema::Catalog) -> Result<(), Answer> {
    for output in outputs {
        match output {
            Output::Field { field, .. } => {
                let field = &catalog.objects[object].fields[*field];
                if matches!(field.source, Source::Compound(_)) {
                    return Err(api_error("Selecting compound data not supported in Bulk Query"));
                }
                if matches!(field.source, Source::Blob(_)) {
                    return Err(api_error("Binary fields cannot be selected in bulk queries"));
                }
            }
            Output::Parent { branches, .. } => {
                for (parent, inner) in branches {
                    refuse_fields(inner, *parent, catalog)?;
                }
            }
            Output::TypeName { .. }
            | Output::Absent { .. }
            | Output::Computed { .. }
            | Output::Children { .. } => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_sorted_inside_and_come_in_no_order() {
        assert_eq!(by_chunks(vec![5, 4, 3, 2, 1, 0], 2), [2, 3, 4, 5, 0, 1]);
        assert_eq!(by_chunks(vec![2, 1], 10), [1, 2]);
        assert!(by_chunks(Vec::new(), 10).is_empty());
    }
}
